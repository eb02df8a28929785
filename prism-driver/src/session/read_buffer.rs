//! [`ReadBuffer`]: the bytes that a connection has received and not handled yet. Handshakes and sessions both read with
//! it. While nothing has arrived, neither holds a buffer.

use std::{
    future::poll_fn,
    io,
    pin::Pin,
    task::{Context, Poll},
};

use prism_core::RecvBuffer;

use crate::{
    buffer_pool,
    runtime::{Transport, turn::work},
    server::stats::traffic::Traffic,
    session::counted_buffer::CountedBuffer,
};

/// The least spare memory that a read is offered.
const MIN_READ: usize = 16 << 10;

/// How many bytes of a message have to be missing before it gets a large buffer. It has that only while it is read:
/// when the connection waits, or its turn is over, a large buffer that is mostly unused is given back.
const MIN_MISSING_FOR_LARGE: usize = 192 << 10;

/// How many bytes have to have arrived since the connection last waited, or its turn was over. So the message is copied
/// at most three times while that many arrive: out of a large buffer, when the small one grows, and into a large buffer
/// again. That is done below half a MiB, and makes fewer than 40 copied bytes for each that arrives.
const MIN_ARRIVED_FOR_LARGE: u64 = 32 << 10;

/// The most that one read returns, which is half a turn: the buffer of a message that is still arriving may be as large
/// as the message. While the kernel copies it, for some 100 µs, the outbox is locked, so a sender to this connection
/// waits for that, and so does a broadcast. With smaller reads, long messages would take more CPU time.
const MAX_READ: usize = 512 << 10;

/// How much a handshake reads at once: bytes after the head can wait in the kernel.
pub(crate) const HEAD_READ: usize = 4 << 10;

/// While the connection waits for more, the memory for the bytes received so far is at most four times as large as they
/// are, and from 512 KiB on, at most twice. For that they are moved when the connection has to wait, and again when
/// more arrive, if they are few.
pub(crate) struct ReadBuffer(Option<Box<CountedBuffer>>);

impl ReadBuffer {
    pub(crate) const fn new() -> Self {
        Self(None)
    }

    /// Makes room for a read. That may take a while, because it may move what has been received. If the read is
    /// pending, [give back](Self::shrink) the memory that is not needed.
    pub(crate) fn prepare(&mut self) -> Prepared<'_> {
        let buffer = self.buffer();
        buffer.spare(MIN_READ);
        Prepared(buffer)
    }

    /// Reads once for a handshake, directly from the transport.
    pub(crate) async fn fill(&mut self, io: &mut impl Transport) -> io::Result<usize> {
        poll_fn(|cx| self.poll_fill_head(io, cx)).await
    }

    /// See [`fill`](Self::fill).
    pub(crate) fn poll_fill_head(
        &mut self,
        io: &mut impl Transport,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        let read =
            self.prepare().poll_read(|buf| Pin::new(io).poll_read(cx, &mut buf[..HEAD_READ]));
        if read.is_pending() {
            self.shrink();
        }
        read
    }

    /// Returns the received bytes, unless there is nothing to parse, or the turn is over.
    pub(crate) fn received(&mut self) -> Option<&mut RecvBuffer> {
        let is_ready = |buffer: &&mut RecvBuffer| !buffer.is_paused() && buffer.has_unparsed();
        self.0.as_deref_mut().map(|buffer| &mut **buffer).filter(is_ready)
    }

    /// Returns the number of received bytes.
    pub(crate) fn len(&self) -> usize {
        self.0.as_ref().map_or(0, |buffer| buffer.len())
    }

    /// Returns a buffer to read into, with the received bytes. Without a buffer, the connection has done nothing in
    /// this turn, so all of it is left. (Bytes are counted when the connection waits, and when its turn is over, so
    /// those that are not counted are those that have arrived since.)
    pub(crate) fn buffer(&mut self) -> &mut CountedBuffer {
        let buffer = self.0.get_or_insert_with(|| {
            let mut buffer = buffer_pool::take_recv();
            buffer.pause_after(work::WORK);
            buffer
        });
        if buffer.capacity() < buffer_pool::RECV_BUFFER {
            move_to(buffer, buffer_pool::take_recv());
        } else if buffer.missing() >= MIN_MISSING_FOR_LARGE
            && buffer.uncounted.bytes >= MIN_ARRIVED_FOR_LARGE
            && buffer.capacity() < buffer_pool::LARGE_RECV_BUFFER
        {
            move_to(buffer, buffer_pool::take_large_recv());
        }
        buffer
    }

    /// Begins a turn. To be called when other tasks have had theirs, or will have it before anything else is read.
    pub(crate) fn begin_turn(&mut self) {
        if let Some(buffer) = &mut self.0 {
            buffer.pause_after(work::WORK);
        }
    }

    /// Counts work as done in this turn.
    pub(crate) fn count(&mut self, work: u32) {
        if let Some(buffer) = &mut self.0 {
            buffer.spend(work);
        }
    }

    /// Counts a message as received, and as work.
    pub(crate) fn count_message(&mut self) {
        if let Some(buffer) = &mut self.0 {
            buffer.uncounted.messages += 1;
            buffer.spend(work::EVENT);
        }
    }

    /// Begins to count: what has been received before, apart from the bytes that are still here, was the handshake.
    pub(crate) fn begin_counting(&mut self) {
        if let Some(buffer) = &mut self.0 {
            buffer.uncounted = Traffic::new(0, buffer.len() as u64);
        }
    }

    /// Returns what has been received since the last call. To be called before memory is [given back](Self::shrink).
    pub(crate) fn take_uncounted(&mut self) -> Traffic {
        self.0.as_mut().map(|buffer| std::mem::take(&mut buffer.uncounted)).unwrap_or_default()
    }

    /// Returns whether other tasks should have a turn before anything else is read or parsed.
    pub(crate) fn is_turn_over(&self) -> bool {
        self.0.as_ref().is_some_and(|buffer| buffer.is_paused())
    }

    /// Gives the buffer back if it is empty.
    pub(crate) fn give_back_empty(&mut self) {
        if let Some(buffer) = self.0.take_if(|buffer| buffer.is_empty()) {
            buffer_pool::put_recv(buffer);
        }
    }

    /// Gives back memory that is not needed while the connection waits.
    pub(crate) fn shrink(&mut self) {
        self.shrink_from(0);
    }

    /// Gives back memory that is not needed until the next turn. It may take long to come if many sessions have more to
    /// do, and the length that one header claims must not make each of them hold a large buffer meanwhile. A buffer of
    /// the usual size is kept, because it is needed soon.
    pub(crate) fn shrink_large(&mut self) {
        self.shrink_from(buffer_pool::LARGE_RECV_BUFFER);
    }

    fn shrink_from(&mut self, min_capacity: usize) {
        self.give_back_empty();
        let is_mostly_unused = |buffer: &CountedBuffer| {
            let capacity = buffer.capacity();
            capacity >= min_capacity && buffer.len() <= max_len_to_move(capacity)
        };
        if self.0.as_deref().is_some_and(is_mostly_unused) {
            self.move_to_small();
        }
    }

    /// Moves what has been received to a buffer of just that size.
    #[inline(never)] // Usually there is nothing to move.
    fn move_to_small(&mut self) {
        if let Some(buffer) = &mut self.0 {
            let small = CountedBuffer::with_capacity(buffer.len());
            move_to(buffer, Box::new(small));
        }
    }

    /// Drops the received bytes.
    pub(crate) fn clear(&mut self) {
        if let Some(buffer) = &mut self.0 {
            buffer.clear();
        }
    }
}

/// A buffer with room for a read.
pub(crate) struct Prepared<'a>(&'a mut CountedBuffer);

impl Prepared<'_> {
    /// Reads once, and counts that as work of this turn.
    pub(crate) fn poll_read(
        self,
        read: impl FnOnce(&mut [u8]) -> Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        let Self(buffer) = self;
        let spare = buffer.spare(0);
        let most = spare.len().min(MAX_READ);
        let read = read(&mut spare[..most]);
        if let Poll::Ready(Ok(count)) = read {
            buffer.received(count);
            buffer.uncounted.bytes += count as u64;
            buffer.spend(work::cost_of_read(count));
        }
        read
    }
}

/// Returns how many received bytes are moved out of a buffer of this size. More of them may keep it.
const fn max_len_to_move(capacity: usize) -> usize {
    if capacity < buffer_pool::LARGE_RECV_BUFFER { capacity / 4 } else { capacity / 2 }
}

/// Moves what has been received to another buffer.
fn move_to(buffer: &mut Box<CountedBuffer>, other: Box<CountedBuffer>) {
    let mut old = std::mem::replace(buffer, other);
    old.move_to(buffer);
    buffer.uncounted = old.uncounted;
    buffer_pool::put_recv(old);
}

/// Gives the buffer back: the next connection finds it warm.
impl Drop for ReadBuffer {
    fn drop(&mut self) {
        if let Some(buffer) = self.0.take() {
            buffer_pool::put_recv(buffer);
        }
    }
}
