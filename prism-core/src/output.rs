//! [`Output`]: the destination of the bytes to be sent.

use bytes::BytesMut;

use crate::prepared::PreparedMessage;

/// The destination of a connection's output. For most callers a [`BytesMut`] is enough: output is
/// appended at its end, and once it has been sent, the caller removes it from the front
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
    /// This is a hint, and an implementation may reserve more or less. It lets the buffer grow once
    /// for each frame, by no more than the frame needs.
    fn reserve(&mut self, bytes: usize) {
        self.buffer().reserve(bytes);
    }

    /// Returns the number of bytes that are not sent yet, including those of prepared messages that
    /// are kept.
    ///
    /// During a call that appends output, this number grows by what is appended. Otherwise, the limit on pongs
    /// ([`Config::pong_mark`](crate::Config::pong_mark)) is inexact.
    fn unsent_bytes(&self) -> usize;

    /// Appends the [frame](PreparedMessage::frame) of a prepared message, whose bytes other
    /// connections may share.
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
