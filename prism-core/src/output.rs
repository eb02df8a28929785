//! [`Output`]: the destination of what is to be sent.

use bytes::BytesMut;

use crate::prepared::PreparedMessage;

/// The destination of a connection's output. For most callers a [`BytesMut`] is enough: output is
/// appended to it, and the caller removes what it has sent from the front
/// ([`advance`](bytes::Buf::advance)).
///
/// A caller that sends the same [`PreparedMessage`]s to many connections may implement its own
/// output, which keeps clones of them instead of copies of their bytes.
pub trait Output {
    /// Returns the buffer that bytes are appended to.
    fn buffer(&mut self) -> &mut BytesMut;

    /// Reserves room for `bytes` more bytes in the [buffer](Self::buffer), before they are
    /// appended.
    ///
    /// An implementation is free to reserve more or less. The call only lets the memory grow once
    /// for a frame, and by no more than needed.
    fn reserve(&mut self, bytes: usize) {
        self.buffer().reserve(bytes);
    }

    /// Returns the number of unsent bytes, those of kept messages included.
    fn unsent_bytes(&self) -> usize;

    /// Appends the [frame](PreparedMessage::frame) of a message that others may share.
    fn append(&mut self, message: &PreparedMessage) {
        self.buffer().extend_from_slice(message.frame());
    }
}

impl Output for BytesMut {
    fn buffer(&mut self) -> &mut BytesMut {
        self
    }

    fn unsent_bytes(&self) -> usize {
        self.len()
    }
}
