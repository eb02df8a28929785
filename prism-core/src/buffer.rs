//! [`RecvBuffer`]: the caller's receive buffer, in which frames are unmasked, joined and lent out.

mod growth;
mod inflate;
mod pause;
#[cfg(test)]
mod tests;

use alloc::vec::Vec;

/// The buffer that holds received bytes, and that [events](crate::Event) borrow from.
///
/// It belongs to the caller, who fills it from any transport: either by reading into
/// [`spare`](Self::spare) and passing the number of bytes to [`received`](Self::received), or with
/// [`extend_from_slice`](Self::extend_from_slice). The state machine works in place: it unmasks
/// each frame within the buffer, closes the gaps between the fragments of a message, and returns
/// the finished message as a borrow of the buffer.
///
/// ```text
///   | consumed |  message so far  | consumed headers |  unparsed  |   spare   |
/// ```
///
/// Memory follows the bytes that have arrived, never the length that a frame header declares. Let n
/// be the number of bytes that have arrived since the buffer was last empty, plus the spare bytes
/// that are asked for: the buffer grows to at most 2n bytes, and beyond 512 KiB to at most 1.5n. A
/// declared length never raises this bound. If it shows that the message and the spare bytes need
/// less memory, the buffer grows no further than that. The buffer never shrinks. All work is linear
/// in the bytes received.
///
/// A compressed message is decompressed into the spare bytes. What it decompresses to, which is at most
/// [`Config::max_message_size`](crate::Config::max_message_size) and one byte, counts as bytes that have
/// arrived.
///
/// While [`is_empty`](Self::is_empty) returns `true`, the buffer holds nothing of value: it may be
/// shared with other connections, dropped, or replaced.
///
/// ```
/// let mut input = prism_core::RecvBuffer::new();
/// let n = { let mut socket = &b"bytes"[..]; std::io::Read::read(&mut socket, input.spare(4096))? };
/// input.received(n);
/// assert_eq!(input.unparsed(), b"bytes");
/// # std::io::Result::Ok(())
/// ```
#[derive(Debug)]
pub struct RecvBuffer {
    /// Initialized all through, so that a read never needs memory to be zeroed first.
    data: Vec<u8>,
    /// Where the message so far begins. Equal to `head` while `joined` is 0.
    start: usize,
    /// How many bytes of the message's payload have been joined, unmasked.
    joined: usize,
    /// Where the bytes begin that no parser has taken yet.
    head: usize,
    /// Where the received bytes end and the spare ones begin.
    tail: usize,
    /// How many of the unparsed bytes have been looked at, and were not enough.
    seen: usize,
    /// How much of the message so far is known to be UTF-8.
    valid: usize,
    /// How much work may be done before the next pause.
    work_left: u32,
    /// How many bytes more will end the message so far, if they come; 0 if that is not known.
    missing: usize,
}

/// No limit on the work.
const UNLIMITED: u32 = u32::MAX;

impl Default for RecvBuffer {
    fn default() -> Self {
        Self::new()
    }
}

impl RecvBuffer {
    /// Creates an empty buffer, without allocating.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            data: Vec::new(),
            start: 0,
            joined: 0,
            head: 0,
            tail: 0,
            seen: 0,
            valid: 0,
            work_left: UNLIMITED,
            missing: 0,
        }
    }

    /// Creates an empty buffer with room for `bytes` bytes.
    #[must_use]
    pub fn with_capacity(bytes: usize) -> Self {
        Self { data: alloc::vec![0; bytes], ..Self::new() }
    }

    /// Returns the free memory after the received bytes, at least `at_least` bytes, to read into.
    ///
    /// The call may allocate, and move what was received. The slice is initialized, but its
    /// contents are unspecified: they may be old bytes of this buffer. Pass the number of bytes
    /// that were read to [`received`](Self::received).
    pub fn spare(&mut self, at_least: usize) -> &mut [u8] {
        if self.data.len() - self.tail < at_least {
            self.make_room(at_least);
        }
        &mut self.data[self.tail..]
    }

    /// Tells the buffer that the first `count` bytes of [`spare`](Self::spare) have been filled.
    ///
    /// # Panics
    /// If `count` exceeds the number of spare bytes.
    pub fn received(&mut self, count: usize) {
        assert!(count <= self.data.len() - self.tail, "received more than the spare bytes");
        self.tail += count;
    }

    /// Appends bytes that were received elsewhere.
    pub fn extend_from_slice(&mut self, bytes: &[u8]) {
        self.spare(bytes.len())[..bytes.len()].copy_from_slice(bytes);
        self.tail += bytes.len();
    }

    /// Discards everything received. The memory is kept, and so is the work that is left until the
    /// [pause](Self::pause_after).
    pub const fn clear(&mut self) {
        self.rewind();
        self.missing = 0;
    }

    /// Returns the received bytes that no parser has consumed yet.
    ///
    /// After a handshake, these are the bytes after the head of the peer's request or response.
    #[must_use]
    pub fn unparsed(&self) -> &[u8] {
        &self.data[self.head..self.tail]
    }

    /// Returns whether there are [unparsed](Self::unparsed) bytes.
    ///
    /// ```
    /// let mut input = prism_core::RecvBuffer::new();
    /// assert!(!input.has_unparsed());
    /// input.extend_from_slice(b"\x81");
    /// assert!(input.has_unparsed());
    /// ```
    #[must_use]
    pub const fn has_unparsed(&self) -> bool {
        self.head != self.tail
    }

    /// Discards the first `count` of the [`unparsed`](Self::unparsed) bytes. So a caller can read
    /// what comes before a handshake, such as a header of the PROXY protocol.
    ///
    /// ```
    /// let mut input = prism_core::RecvBuffer::new();
    /// input.extend_from_slice(b"PROXY UNKNOWN\r\nGET /");
    /// input.discard(15);
    /// assert_eq!(input.unparsed(), b"GET /");
    /// ```
    ///
    /// # Panics
    /// If `count` exceeds the number of unparsed bytes.
    pub fn discard(&mut self, count: usize) {
        assert!(count <= self.unparsed_len(), "discarded more than the unparsed bytes");
        self.skip(count);
    }

    /// Returns whether the buffer holds neither unparsed bytes nor part of a message.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.head == self.tail && self.joined == 0
    }

    /// Returns the number of bytes held: those of an unfinished message and the unparsed ones.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.joined + (self.tail - self.head)
    }

    /// Moves the contents to `other`, replacing what `other` held. Also copies how much work is left until
    /// the [pause](Self::pause_after).
    ///
    /// So connections can share one large buffer for reading: an unfinished message waits in a
    /// small buffer of its own, and is moved back when the connection is read again.
    pub fn move_to(&mut self, other: &mut Self) {
        other.clear();
        other.extend_from_slice(self.message());
        other.joined = other.tail;
        other.head = other.tail;
        other.extend_from_slice(self.unparsed());
        (other.seen, other.valid) = (self.seen, self.valid);
        (other.work_left, other.missing) = (self.work_left, self.missing);
        self.clear();
    }

    /// Returns the size of the memory held, in bytes.
    #[must_use]
    pub const fn capacity(&self) -> usize {
        self.data.len()
    }

    /// Returns how many bytes more will end the message whose last (or only) frame is arriving, as its
    /// header says; 0 if that is not known. Bytes that no parser has seen yet are not subtracted.
    ///
    /// ```
    /// use prism_core::{Config, Inbound, RecvBuffer, Role};
    ///
    /// let (mut inbound, mut input) = (Inbound::new(Role::Client, &Config::default()), RecvBuffer::new());
    /// input.extend_from_slice(b"\x81\x05Hel");
    /// assert_eq!(inbound.receive(&mut input)?, None);
    /// assert_eq!(input.missing(), 2);
    /// # Ok::<(), prism_core::ProtocolError>(())
    /// ```
    #[must_use]
    pub const fn missing(&self) -> usize {
        self.missing
    }

    /// Returns the number of bytes that no parser has consumed yet.
    pub(crate) const fn unparsed_len(&self) -> usize {
        self.tail - self.head
    }

    /// Returns whether bytes have arrived since the last [`look`](Self::look).
    pub(crate) const fn has_news(&self) -> bool {
        self.unparsed_len() > self.seen
    }

    /// Notes how many bytes more will end the message so far; 0 if that is not known.
    pub(crate) const fn set_missing(&mut self, bytes: usize) {
        self.missing = bytes;
    }

    /// Marks the unparsed bytes as looked at.
    pub(crate) const fn look(&mut self) {
        self.seen = self.unparsed_len();
    }

    /// Returns the part of the message so far that has not been checked for UTF-8.
    pub(crate) fn unchecked(&self) -> &[u8] {
        &self.message()[self.valid..]
    }

    /// Marks the next `count` bytes of the message as valid UTF-8.
    pub(crate) const fn checked(&mut self, count: usize) {
        self.valid += count;
    }

    /// Returns the unparsed bytes, to be unmasked in place.
    pub(crate) fn unparsed_mut(&mut self) -> &mut [u8] {
        &mut self.data[self.head..self.tail]
    }

    /// Returns the payload joined so far.
    pub(crate) fn message(&self) -> &[u8] {
        &self.data[self.start..self.start + self.joined]
    }

    /// Consumes `count` unparsed bytes that are not payload of a message: a header or a control
    /// frame.
    pub(crate) fn skip(&mut self, count: usize) {
        debug_assert!(count <= self.unparsed_len());
        self.head += count;
        if self.joined == 0 {
            self.start = self.head;
        }
    }

    /// Consumes `count` unparsed bytes and appends them to the message so far.
    pub(crate) fn join(&mut self, count: usize) {
        debug_assert!(count <= self.unparsed_len());
        let end = self.start + self.joined;
        if end != self.head {
            self.data.copy_within(self.head..self.head + count, end);
        }
        self.joined += count;
        self.skip(count);
    }

    /// Consumes `count` unparsed bytes and lends them. The next call may overwrite them.
    pub(crate) fn lend(&mut self, count: usize) -> &mut [u8] {
        let from = self.head;
        self.skip(count);
        self.look();
        self.start_over();
        &mut self.data[from..from + count]
    }

    /// Consumes a header of this many bytes, and then `count` unparsed bytes, and lends these. The next call may
    /// overwrite them. There must be no message so far, so this takes less than [`skip`](Self::skip) and
    /// [`lend`](Self::lend).
    #[inline(always)]
    pub(crate) fn lend_whole(&mut self, header: usize, count: usize) -> &mut [u8] {
        debug_assert!(self.joined == 0 && header + count <= self.unparsed_len());
        let from = self.head + header;
        self.head = from + count;
        self.start = self.head;
        self.look();
        self.start_over();
        &mut self.data[from..from + count]
    }

    /// Ends the message and lends its payload. The next call may overwrite it.
    pub(crate) fn lend_message(&mut self) -> &[u8] {
        let message = self.start..self.start + self.joined;
        (self.joined, self.valid) = (0, 0);
        self.start = self.head;
        self.start_over();
        &self.data[message]
    }

    /// Goes back to the front if the buffer is empty, where that costs nothing.
    const fn start_over(&mut self) {
        if self.is_empty() {
            self.rewind();
        }
    }

    const fn rewind(&mut self) {
        (self.start, self.joined, self.head, self.tail) = (0, 0, 0, 0);
        (self.seen, self.valid) = (0, 0);
    }

    /// Reclaims dead memory, and grows if that is not enough.
    #[cold]
    fn make_room(&mut self, at_least: usize) {
        self.reclaim();
        if self.data.len() - self.tail < at_least {
            // Some of it may have come since the last look.
            let missing = self.missing.saturating_sub(self.unparsed_len());
            growth::grow(&mut self.data, self.tail + at_least, missing);
        }
    }

    /// Reclaims dead memory, where moving costs no more than it frees, so that all moves together stay
    /// linear.
    fn reclaim(&mut self) {
        let end = self.start + self.joined;
        let hole = self.head - end;
        if hole >= self.unparsed_len() {
            self.data.copy_within(self.head..self.tail, end);
            self.head -= hole;
            self.tail -= hole;
        }
        if self.start >= self.tail - self.start {
            self.data.copy_within(self.start..self.tail, 0);
            self.head -= self.start;
            self.tail -= self.start;
            self.start = 0;
        }
    }
}
