//! When `receive` pauses: the work that it may still do with a [`RecvBuffer`].

use crate::buffer::{RecvBuffer, UNLIMITED};

/// How many decompressed bytes count as much as a fragment.
const CONTENT_PER_FRAGMENT: usize = 512;

/// How many decompressed bytes count as much as a byte of compressed payload. Symbols take more time
/// than the bytes that they stand for, and codes take even more.
const PAYLOAD_COST: usize = 32;

impl RecvBuffer {
    /// Makes `receive` pause once it has done this much work, so that a caller can serve other
    /// connections in between. The unit is a fragment of a message: 64 KiB can hold ten thousand tiny
    /// ones. Of a compressed message, each 16 bytes of its payload and each 512 bytes of its content count
    /// as much as a fragment, too.
    ///
    /// A paused `receive` returns `None`, although the buffer may hold more. It continues once this
    /// method is called again. There is no limit until the first call.
    ///
    /// ```
    /// use prism_core::{Config, Event, Inbound, Message, RecvBuffer, Role};
    ///
    /// let (mut inbound, mut input) = (Inbound::new(Role::Client, &Config::default()), RecvBuffer::new());
    /// input.extend_from_slice(b"\x01\x01a\x00\x01b\x80\x01c");
    /// input.pause_after(2);
    /// assert_eq!(inbound.receive(&mut input)?, None);
    /// assert!(input.is_paused(), "it needs no more bytes");
    /// input.pause_after(2);
    /// assert_eq!(inbound.receive(&mut input)?, Some(Event::Message(Message::Text("abc"))));
    /// # Ok::<(), prism_core::ProtocolError>(())
    /// ```
    pub const fn pause_after(&mut self, work: u32) {
        self.work_left = work;
    }

    /// Counts work that the caller has done itself, which brings the pause forward.
    pub const fn spend(&mut self, work: u32) {
        self.work_left = self.work_left.saturating_sub(work);
    }

    /// Returns whether `receive` is paused, and waits for [`pause_after`](Self::pause_after) rather
    /// than for bytes.
    #[must_use]
    pub const fn is_paused(&self) -> bool {
        self.work_left == 0
    }

    pub(crate) const fn count_fragment(&mut self) {
        if self.work_left != UNLIMITED {
            self.work_left -= 1;
        }
    }

    /// Counts the decompression of `payload` bytes, and `content` bytes that were decompressed or moved.
    pub(crate) fn count_decompression(&mut self, payload: usize, content: usize) {
        if self.work_left != UNLIMITED {
            let bytes = payload.saturating_mul(PAYLOAD_COST).saturating_add(content);
            self.spend(u32::try_from(bytes / CONTENT_PER_FRAGMENT).unwrap_or(u32::MAX));
        }
    }
}
