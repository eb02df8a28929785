//! [`Output`]: where what is to be sent goes.

use bytes::BytesMut;

use crate::prepared::PreparedMessage;

/// Where the machine's output goes. A [`BytesMut`] is all that most callers need: the machine appends
/// to it, and what has been sent is taken out at the front ([`advance`](bytes::Buf::advance)).
///
/// A caller that sends the same [`PreparedMessage`]s to many connections may bring an output of its
/// own, that holds clones of them instead of copies of their bytes.
pub trait Output {
    /// Where bytes are appended.
    fn buffer(&mut self) -> &mut BytesMut;

    /// Makes room for so many more [own](Self::buffer) bytes, before they are appended; as it likes: this is
    /// only so that the memory need not grow more than once for a frame, or by more than it should.
    fn reserve(&mut self, bytes: usize) {
        self.buffer().reserve(bytes);
    }

    /// How many bytes are unsent in all.
    fn unsent(&self) -> usize;

    /// Appends the [frame](PreparedMessage::frame) of a message that others may hold as well.
    fn append(&mut self, message: &PreparedMessage) {
        self.buffer().extend_from_slice(message.frame());
    }
}

impl Output for BytesMut {
    fn buffer(&mut self) -> &mut BytesMut {
        self
    }

    fn unsent(&self) -> usize {
        self.len()
    }
}
