//! [`FrameWriter`]: writes whole frames, those of a client masked.

use crate::{
    close_code::CloseCode,
    close_frame::CloseFrame,
    frame::{
        header::{Header, OpCode},
        mask::apply_mask,
        mask_keys::MaskKeys,
    },
    message::Message,
    output::Output,
    prepared::PreparedMessage,
    state::Role,
};

/// The longest payload of a control frame (RFC 6455 §5.5).
pub(crate) const MAX_CONTROL: usize = 125;

/// Encodes frames as its end of the connection sends them. Whether they may be sent is up to the
/// caller.
#[derive(Debug)]
pub(crate) struct FrameWriter {
    /// A client's mask keys. A server does not mask.
    keys: Option<MaskKeys>,
}

impl FrameWriter {
    pub(crate) const fn new(keys: Option<MaskKeys>) -> Self {
        Self { keys }
    }

    pub(crate) const fn role(&self) -> Role {
        if self.keys.is_some() { Role::Client } else { Role::Server }
    }

    /// Writes a whole frame. Fragments would gain nothing, because the message is complete.
    ///
    /// This is [`write_inlined`](Self::write_inlined) as a function of its own, for the many callers for which that is
    /// fast enough.
    #[inline(never)]
    pub(crate) fn write(&mut self, opcode: OpCode, payload: &[u8], out: &mut impl Output) {
        self.write_inlined(opcode, payload, out);
    }

    /// Writes a whole frame, in the code of its caller: a call would cost a sixth of this. It is for the messages that
    /// are sent, whose speed matters most.
    #[inline(always)]
    pub(crate) fn write_inlined(&mut self, opcode: OpCode, payload: &[u8], out: &mut impl Output) {
        let len = payload.len();
        match &mut self.keys {
            None => Self::write_frame(Header::whole(opcode, None, len), payload, out),
            Some(keys) => {
                let header = Header::whole(opcode, Some(keys.next_key()), len);
                Self::write_frame(header, payload, out);
            }
        }
    }

    /// Writes a whole frame with a compressed payload.
    #[inline(never)]
    pub(crate) fn write_compressed(
        &mut self,
        opcode: OpCode,
        payload: &[u8],
        out: &mut impl Output,
    ) {
        let mask = self.keys.as_mut().map(MaskKeys::next_key);
        let header = Header::whole(opcode, mask, payload.len()).compressed();
        Self::write_frame(header, payload, out);
    }

    // Inlined, so that the compiler knows the bits of the header that are always the same.
    #[inline(always)]
    fn write_frame(header: Header, payload: &[u8], out: &mut impl Output) {
        out.reserve(Header::MAX_LEN + payload.len());
        let out = out.buffer();
        header.encode(out);
        let begin = out.len();
        out.extend_from_slice(payload);
        if let Some(key) = header.mask {
            apply_mask(&mut out[begin..], key);
        }
    }

    /// Writes the header of a message that follows unmasked. Returns `false`, and writes nothing,
    /// if it would have to be masked.
    pub(crate) fn write_header(&self, message: Message<'_>, out: &mut impl Output) -> bool {
        if self.keys.is_some() {
            return false;
        }
        Header::whole(OpCode::of(message), None, message.as_bytes().len()).encode(out.buffer());
        true
    }

    /// Writes the header of a compressed payload that follows unmasked. Returns `false`, and writes
    /// nothing, if it would have to be masked.
    pub(crate) fn write_compressed_header(
        &self,
        opcode: OpCode,
        len: usize,
        out: &mut impl Output,
    ) -> bool {
        if self.keys.is_some() {
            return false;
        }
        Header::whole(opcode, None, len).compressed().encode(out.buffer());
        true
    }

    /// Appends an encoded message, whose bytes are shared unless they have to be masked.
    pub(crate) fn write_prepared(&mut self, message: &PreparedMessage, out: &mut impl Output) {
        if self.keys.is_some() {
            self.write(message.opcode(), message.payload(), out);
        } else {
            out.append(message);
        }
    }

    /// Writes a close frame, [shortened](CloseFrame::new) to what can be sent.
    pub(crate) fn write_close(&mut self, code: CloseCode, reason: &str, out: &mut impl Output) {
        let frame = CloseFrame::new(code, reason);
        let mut payload = [0; MAX_CONTROL];
        let mut len = 0;
        if frame.code != CloseCode::NO_STATUS {
            len = 2 + frame.reason.len();
            payload[..2].copy_from_slice(&u16::from(frame.code).to_be_bytes());
            payload[2..len].copy_from_slice(frame.reason.as_bytes());
        }
        self.write(OpCode::Close, &payload[..len], out);
    }
}
