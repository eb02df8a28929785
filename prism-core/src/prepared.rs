//! [`PreparedMessage`]: encoded once, sent to many connections.

use alloc::sync::Arc;

use bytes::{Bytes, BytesMut};

use crate::{
    frame::header::{Header, OpCode},
    message::Message,
};

/// A message that is already encoded, for any number of connections. Clones share its bytes.
///
/// ```
/// use bytes::BytesMut;
/// # use prism_core::{Config, PreparedMessage, WebSocket};
/// let news = PreparedMessage::new("news");
/// let mut servers = [0, 1, 2].map(|_| WebSocket::server(&Config::default()));
/// for ws in &mut servers {
///     let mut out = BytesMut::new();
///     ws.send_prepared(&news, &mut out)?;
///     assert_eq!(out[..], *b"\x81\x04news");
/// }
/// # Ok::<(), prism_core::SendError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PreparedMessage(Arc<Prepared>);

#[derive(Debug, PartialEq, Eq)]
struct Prepared {
    opcode: OpCode,
    header: usize,
    frame: Bytes,
}

impl PreparedMessage {
    /// Encodes a message.
    #[must_use]
    pub fn new<'m>(message: impl Into<Message<'m>>) -> Self {
        let message = message.into();
        let (opcode, payload) = (OpCode::of(message), message.as_bytes());
        let mut frame = BytesMut::with_capacity(Header::MAX_LEN + payload.len());
        Header::whole(opcode, None, payload.len()).encode(&mut frame);
        let header = frame.len();
        frame.extend_from_slice(payload);
        Self(Arc::new(Prepared { opcode, header, frame: frame.freeze() }))
    }

    /// Returns the payload.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        &self.0.frame[self.0.header..]
    }

    /// Returns the whole frame as a server sends it, unmasked.
    #[must_use]
    pub fn frame(&self) -> &[u8] {
        &self.0.frame
    }

    pub(crate) fn opcode(&self) -> OpCode {
        self.0.opcode
    }
}
