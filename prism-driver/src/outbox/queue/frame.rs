//! [`FrameBytes`]: the bytes of a frame that a send queue keeps by reference.

use std::mem;

use bytes::{Bytes, BytesMut};
use prism_core::{Header, OpCode, PreparedMessage};

use crate::runtime::wakeups;

/// A whole frame whose bytes are not copied into a send queue: either a prepared message, which other connections may
/// share, or a payload that the sender passed by value.
#[derive(Clone, Debug)]
pub(crate) struct FrameBytes(Kind);

#[derive(Clone, Debug)]
enum Kind {
    Prepared(PreparedMessage),
    /// A message to which later ones refer, because of context takeover.
    Undroppable(PreparedMessage),
    /// Boxed, because most frames are prepared, and an entry of a queue should be small.
    Kept(Box<Kept>),
}

/// A payload that the sender passed by value, and its header.
#[derive(Clone, Debug)]
struct Kept {
    header: BytesMut,
    payload: Bytes,
    /// Whether dropping the payload may run application code, see [`Bytes::from_owner`].
    may_have_owner: bool,
}

impl FrameBytes {
    /// Creates the unmasked frame of a whole message to whose bytes the application has no other handle.
    pub(crate) fn new(opcode: OpCode, payload: Bytes) -> Self {
        Self::kept(opcode, payload, false)
    }

    /// Creates the unmasked frame of a whole binary message whose bytes the application may share.
    pub(crate) fn shared(payload: Bytes) -> Self {
        Self::kept(OpCode::Binary, payload, true)
    }

    /// Creates the frame of a message that has to reach the peer once it has been accepted.
    pub(super) const fn undroppable(message: PreparedMessage) -> Self {
        Self(Kind::Undroppable(message))
    }

    fn kept(opcode: OpCode, payload: Bytes, may_have_owner: bool) -> Self {
        let len = payload.len() as u64;
        let mut header = BytesMut::with_capacity(Header::MAX_LEN);
        Header { fin: true, rsv1: false, opcode, mask: None, len }.encode(&mut header);
        Self(Kind::Kept(Box::new(Kept { header, payload, may_have_owner })))
    }

    /// Returns whether the frame may be dropped before any of it has been written.
    pub(super) const fn is_droppable(&self) -> bool {
        !matches!(self.0, Kind::Undroppable(_))
    }

    /// Returns the length of the frame, in bytes.
    pub(crate) fn len(&self) -> usize {
        match &self.0 {
            Kind::Prepared(message) | Kind::Undroppable(message) => message.frame().len(),
            Kind::Kept(kept) => kept.header.len() + kept.payload.len(),
        }
    }

    /// Returns what follows the first `written` bytes of the frame, in up to two pieces.
    pub(crate) fn rest(&self, written: usize) -> [&[u8]; 2] {
        match &self.0 {
            Kind::Prepared(message) | Kind::Undroppable(message) => {
                [&message.frame()[written..], &[]]
            }
            Kind::Kept(kept) => match kept.header.get(written..) {
                Some(header) => [header, &kept.payload],
                None => [&[], &kept.payload[written - kept.header.len()..]],
            },
        }
    }

    /// Returns the address and the length of the bytes that the frame keeps alive. While the frame is alive, no other
    /// bytes have the same address and length.
    pub(crate) fn location(&self) -> (usize, usize) {
        let bytes = match &self.0 {
            Kind::Prepared(message) | Kind::Undroppable(message) => message.frame(),
            Kind::Kept(kept) => &kept.payload,
        };
        (bytes.as_ptr().addr(), bytes.len())
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        if self.may_have_owner {
            wakeups::release(mem::take(&mut self.payload));
        }
    }
}

impl From<PreparedMessage> for FrameBytes {
    fn from(message: PreparedMessage) -> Self {
        Self(Kind::Prepared(message))
    }
}
