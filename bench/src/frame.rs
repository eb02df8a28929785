//! Frames as peers send them: whole messages.

use bytes::BytesMut;
use prism_core::{Header, OpCode, apply_mask};

/// Returns the header of a message.
pub(crate) fn header(text: bool, mask: Option<[u8; 4]>, len: usize) -> Header {
    let opcode = if text { OpCode::Text } else { OpCode::Binary };
    Header { fin: true, rsv1: false, opcode, mask, len: len as u64 }
}

/// Appends a message.
pub(crate) fn append(wire: &mut BytesMut, text: bool, mask: Option<[u8; 4]>, payload: &[u8]) {
    header(text, mask, payload.len()).encode(wire);
    let begin = wire.len();
    wire.extend_from_slice(payload);
    if let Some(key) = mask {
        apply_mask(&mut wire[begin..], key);
    }
}
