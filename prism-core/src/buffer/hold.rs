//! When `receive` pauses: the count of fragments that a [`RecvBuffer`] may still take.

use crate::buffer::{RecvBuffer, UNLIMITED};

/// How many decompressed bytes count as a fragment.
const INFLATED_PER_FRAGMENT: usize = 512;

impl RecvBuffer {
    /// Makes `receive` pause once it has taken `fragments` fragments of messages, so that a caller
    /// can serve other connections in between. (64 KiB can hold ten thousand tiny fragments.) Of a
    /// compressed message, each 16 bytes of its payload and each 512 bytes of its content count as a
    /// fragment, too.
    ///
    /// A paused `receive` returns `None`, although the buffer may hold more. It continues once this
    /// method is called again. There is no limit until the first call.
    ///
    /// ```
    /// use prism_core::{Config, Event, Inbound, Message, RecvBuffer, Role};
    ///
    /// let (mut inbound, mut input) = (Inbound::new(Role::Client, &Config::default()), RecvBuffer::new());
    /// input.extend_from_slice(b"\x01\x01a\x00\x01b\x80\x01c");
    /// input.hold_after(2);
    /// assert_eq!(inbound.receive(&mut input)?, None);
    /// assert!(input.is_held(), "it needs no more bytes");
    /// input.hold_after(2);
    /// assert_eq!(inbound.receive(&mut input)?, Some(Event::Message(Message::Text("abc"))));
    /// # Ok::<(), prism_core::ProtocolError>(())
    /// ```
    pub const fn hold_after(&mut self, fragments: u32) {
        self.fragments_left = fragments;
    }

    /// Reduces the number of fragments until the next pause by `fragments`, but not below 0.
    pub const fn hold_earlier(&mut self, fragments: u32) {
        self.fragments_left = self.fragments_left.saturating_sub(fragments);
    }

    /// Returns whether `receive` is paused, and waits for [`hold_after`](Self::hold_after) rather
    /// than for bytes.
    #[must_use]
    pub const fn is_held(&self) -> bool {
        self.fragments_left == 0
    }

    pub(crate) const fn count_fragment(&mut self) {
        if self.fragments_left != UNLIMITED {
            self.fragments_left -= 1;
        }
    }

    /// Counts decompressed bytes as fragments.
    pub(crate) fn count_inflated(&mut self, bytes: usize) {
        if self.fragments_left != UNLIMITED {
            self.hold_earlier(u32::try_from(bytes / INFLATED_PER_FRAGMENT).unwrap_or(u32::MAX));
        }
    }
}
