//! [`FrameBytes`]: the bytes of frames that a send queue keeps by reference.

use std::{mem, sync::Arc};

use bytes::{Bytes, BytesMut};
use prism_core::{Header, OpCode, PreparedMessage};

use crate::{outbox::queue::sequence::Sequence, runtime::wakeups};

/// A whole frame whose bytes are not copied into a send queue: either a prepared message, which other connections may
/// share, or a payload that the sender passed by value. Or several prepared messages that other connections are sent in
/// the same order.
#[derive(Clone, Debug)]
pub(crate) struct FrameBytes(Kind);

#[derive(Clone, Debug)]
enum Kind {
    Prepared(PreparedMessage),
    /// A message to which later ones refer, because of context takeover.
    Undroppable(PreparedMessage),
    /// Boxed, because most frames are prepared, and an entry of a queue should be small.
    Kept(Box<Kept>),
    /// The first frames of a sequence: this many, with this many bytes.
    Sequence {
        sequence: Arc<Sequence>,
        count: u16,
        len: u32,
    },
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

    /// Adds a message that follows this frame, or these frames, so that all are in one sequence, which other
    /// connections probably share. Returns whether it was added.
    pub(super) fn extend_with(&mut self, next: &PreparedMessage) -> bool {
        match &mut self.0 {
            Kind::Prepared(first) => {
                let Some(sequence) = Sequence::beginning_with(first, next) else { return false };
                let len = first.frame().len() + next.frame().len();
                self.0 = Kind::Sequence { sequence, count: 2, len: len as u32 };
                true
            }
            Kind::Sequence { sequence, count, len } => {
                let is_next = sequence.continues_with(*count as usize, *len as usize, next);
                if is_next {
                    *count += 1;
                    *len += next.frame().len() as u32;
                }
                is_next
            }
            Kind::Undroppable(_) | Kind::Kept(_) => false,
        }
    }

    /// Returns whether these are several frames.
    pub(super) const fn is_sequence(&self) -> bool {
        matches!(self.0, Kind::Sequence { .. })
    }

    /// Returns whether these are frames of a sequence that has yet to be joined.
    pub(super) fn is_to_be_joined(&self) -> bool {
        matches!(&self.0, Kind::Sequence { sequence, .. } if !sequence.is_joined())
    }

    /// Returns the frames of a sequence one by one, or this frame if it is not a sequence.
    pub(super) fn separate(self) -> Result<impl Iterator<Item = Self>, Self> {
        match self.0 {
            Kind::Sequence { sequence, count, .. } => {
                Ok((0..count.into()).filter_map(move |at| Some(sequence.frame(at)?.clone().into())))
            }
            kind => Err(Self(kind)),
        }
    }

    /// Returns whether the frame may be dropped before any of it has been written.
    pub(super) const fn is_droppable(&self) -> bool {
        !matches!(self.0, Kind::Undroppable(_))
    }

    /// Returns the length of the frame, or of all frames of a sequence, in bytes.
    pub(crate) fn len(&self) -> usize {
        match &self.0 {
            Kind::Prepared(message) | Kind::Undroppable(message) => message.frame().len(),
            Kind::Kept(kept) => kept.header.len() + kept.payload.len(),
            Kind::Sequence { len, .. } => *len as usize,
        }
    }

    /// Returns what follows the first `written` bytes, in up to two pieces.
    pub(crate) fn rest(&self, written: usize) -> [&[u8]; 2] {
        match &self.0 {
            Kind::Prepared(message) | Kind::Undroppable(message) => {
                [&message.frame()[written..], &[]]
            }
            Kind::Kept(kept) => match kept.header.get(written..) {
                Some(header) => [header, &kept.payload],
                None => [&[], &kept.payload[written - kept.header.len()..]],
            },
            Kind::Sequence { sequence, len, .. } => {
                [&sequence.joined(*len as usize)[written..], &[]]
            }
        }
    }

    /// Returns the address and the length of the bytes that the frame keeps alive. While the frame is alive, no other
    /// bytes have the same address and length.
    pub(crate) fn location(&self) -> (usize, usize) {
        let bytes = match &self.0 {
            Kind::Prepared(message) | Kind::Undroppable(message) => message.frame(),
            Kind::Kept(kept) => &kept.payload,
            Kind::Sequence { sequence, len, .. } => {
                // They are not joined for this, which is asked under the lock of the budget.
                debug_assert!(false, "a queue that is counted in a budget has no sequences");
                return (Arc::as_ptr(sequence).addr(), *len as usize);
            }
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
