//! The frame header: 2 to 14 bytes (RFC 6455 §5.2).

use bytes::{BufMut, BytesMut};

use crate::{
    error::ProtocolError,
    message::{Kind, Message},
};

/// The kind of a frame (RFC 6455 §5.2, §11.8).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum OpCode {
    /// Continues a fragmented message.
    Continuation = 0,
    /// A text message, or its first fragment.
    Text = 1,
    /// A binary message, or its first fragment.
    Binary = 2,
    /// Begins or answers the close handshake.
    Close = 8,
    /// Requests a pong.
    Ping = 9,
    /// Answers a ping, or is sent unsolicited, to show that the sender is alive.
    Pong = 10,
}

impl OpCode {
    /// Returns whether this is a close, ping or pong frame.
    #[must_use]
    pub const fn is_control(self) -> bool {
        self as u8 >= 8
    }

    /// Returns the opcode of a message that is sent as one frame.
    pub(crate) const fn of(message: Message<'_>) -> Self {
        match message {
            Message::Text(_) => Self::Text,
            Message::Binary(_) => Self::Binary,
        }
    }

    const fn from_bits(bits: u8) -> Result<Self, ProtocolError> {
        Ok(match bits {
            0 => Self::Continuation,
            1 => Self::Text,
            2 => Self::Binary,
            8 => Self::Close,
            9 => Self::Ping,
            10 => Self::Pong,
            _ => return Err(ProtocolError::ReservedOpcode(bits)),
        })
    }
}

/// A frame's header.
///
/// It is for code that reads or writes frames itself. Users of a [`WebSocket`](crate::WebSocket) do
/// not need it.
///
/// ```
/// use bytes::BytesMut;
/// use prism_core::{Header, OpCode};
///
/// let header = Header { fin: true, rsv1: false, opcode: OpCode::Text, mask: None, len: 5 };
/// let mut wire = BytesMut::new();
/// header.encode(&mut wire);
/// assert_eq!(wire[..], [0x81, 5]);
/// assert_eq!(Header::parse(&wire), Ok(Some((header, 2))));
/// assert_eq!(Header::parse(&wire[..1]), Ok(None)); // more is needed
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Whether this is the last (or only) frame of its message.
    pub fin: bool,
    /// The first reserved bit. With permessage-deflate, it marks the first frame of a compressed
    /// message (RFC 7692 §6). Any other frame with this bit is refused.
    pub rsv1: bool,
    /// The kind of the frame.
    pub opcode: OpCode,
    /// The key that masks the payload, if it is masked.
    pub mask: Option<[u8; 4]>,
    /// The payload's length in bytes, at most 2^63 - 1.
    pub len: u64,
}

const FIN: u8 = 0x80;
const RSV1: u8 = 0x40;
const RSV2_AND_3: u8 = 0x30;
const MASK: u8 = 0x80;

impl Header {
    /// The length of the longest header, in bytes.
    pub const MAX_LEN: usize = 14;

    /// Creates the header of a frame that is a whole message.
    pub(crate) const fn whole(opcode: OpCode, mask: Option<[u8; 4]>, len: usize) -> Self {
        Self { fin: true, rsv1: false, opcode, mask, len: len as u64 }
    }

    /// Marks the payload as compressed (RFC 7692 §6.1).
    pub(crate) const fn compressed(self) -> Self {
        Self { rsv1: true, ..self }
    }

    /// Parses the header at the start of `bytes`, and returns it with its length in bytes; `None`
    /// if more bytes are needed.
    ///
    /// # Errors
    /// If the header is invalid, whatever the connection: RSV2 or RSV3 is set, the opcode
    /// is reserved, a control frame is fragmented or too long, or the length is not minimal or has
    /// its top bit set. Whether a mask and RSV1 are allowed depends on the connection, and is not
    /// checked here.
    pub fn parse(bytes: &[u8]) -> Result<Option<(Self, usize)>, ProtocolError> {
        let [first, second, rest @ ..] = bytes else { return Ok(None) };
        if first & RSV2_AND_3 != 0 {
            return Err(ProtocolError::ReservedBits);
        }
        let opcode = OpCode::from_bits(first & 0x0f)?;
        let fin = first & FIN != 0;
        let short = second & 0x7f;
        if opcode.is_control() && !fin {
            return Err(ProtocolError::FragmentedControl);
        }
        let Some((len, rest)) = Self::parse_len(short, rest)? else { return Ok(None) };
        if opcode.is_control() && len > 125 {
            return Err(ProtocolError::ControlTooLong(len));
        }
        let (mask, rest) = if second & MASK == 0 {
            (None, rest)
        } else {
            let Some((key, rest)) = rest.split_first_chunk() else { return Ok(None) };
            (Some(*key), rest)
        };
        let header = Self { fin, rsv1: first & RSV1 != 0, opcode, mask, len };
        Ok(Some((header, bytes.len() - rest.len())))
    }

    /// Parses what comes before the mask key in the header of a message that is one frame and not compressed.
    /// Returns its kind, its length, and the bytes after that; `None` for any other header, even an incomplete or an
    /// invalid one.
    #[inline(always)] // Its result stays in registers.
    pub(crate) fn parse_whole_message(
        bytes: &[u8],
        is_masked: bool,
    ) -> Option<(Kind, usize, &[u8])> {
        const TEXT: u8 = FIN | OpCode::Text as u8;
        const BINARY: u8 = FIN | OpCode::Binary as u8;
        let [first, second, rest @ ..] = bytes else { return None };
        let kind = match *first {
            TEXT => Kind::Text,
            BINARY => Kind::Binary,
            _ => return None,
        };
        // With the wrong bit for the mask, this is not a valid length. The rules are those of `parse_len`, through
        // which an echo would take three instructions more; a test compares the two.
        let short = second ^ if is_masked { MASK } else { 0 };
        match short {
            0..126 => Some((kind, short.into(), rest)),
            126 => {
                let (len, rest) = rest.split_first_chunk()?;
                let len = u16::from_be_bytes(*len);
                (len >= 126).then_some((kind, len.into(), rest))
            }
            127 => {
                let (len, rest) = rest.split_first_chunk()?;
                let len = u64::from_be_bytes(*len);
                let is_valid = len >= 0x1_0000 && len >> 63 == 0;
                usize::try_from(len).ok().filter(|_| is_valid).map(|len| (kind, len, rest))
            }
            _ => None,
        }
    }

    /// Appends the header to `out`, with the length in its shortest form. The fields are not
    /// checked.
    // Inlined into several callers, most of which know the length, or nearly.
    #[inline(always)]
    pub fn encode(&self, out: &mut BytesMut) {
        let first =
            self.opcode as u8 | if self.fin { FIN } else { 0 } | if self.rsv1 { RSV1 } else { 0 };
        let mask = if self.mask.is_some() { MASK } else { 0 };
        match self.len {
            0..126 => out.put_slice(&[first, mask | self.len as u8]),
            126..0x1_0000 => {
                let [high, low] = (self.len as u16).to_be_bytes();
                out.put_slice(&[first, mask | 126, high, low]);
            }
            _ => {
                out.put_slice(&[first, mask | 127]);
                out.put_u64(self.len);
            }
        }
        if let Some(key) = self.mask {
            out.put_slice(&key);
        }
    }

    fn parse_len(short: u8, rest: &[u8]) -> Result<Option<(u64, &[u8])>, ProtocolError> {
        let (len, least, rest) = match short {
            126 => {
                let Some((len, rest)) = rest.split_first_chunk() else { return Ok(None) };
                (u64::from(u16::from_be_bytes(*len)), 126, rest)
            }
            127 => {
                let Some((len, rest)) = rest.split_first_chunk() else { return Ok(None) };
                (u64::from_be_bytes(*len), 0x1_0000, rest)
            }
            _ => (u64::from(short), 0, rest),
        };
        if len >> 63 != 0 {
            return Err(ProtocolError::LengthOverflow);
        }
        if len < least {
            return Err(ProtocolError::NonMinimalLength);
        }
        Ok(Some((len, rest)))
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use bytes::BytesMut;

    use super::{Header, Kind, OpCode};
    use crate::error::ProtocolError;

    #[test]
    fn any_two_first_bytes_encode_back_or_are_refused() {
        for first in 0..=u8::MAX {
            for second in 0..=u8::MAX {
                let mut wire = [first, second, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14];
                if second & 0x7f == 127 {
                    wire[2] = 0; // a length below 2^63
                }
                let defined = matches!(first & 0x0f, 0..=2 | 8..=10) && first & 0x30 == 0;
                let control_fits = first & 8 == 0 || (first & 0x80 != 0 && second & 0x7f < 126);
                match Header::parse(&wire) {
                    Ok(Some((header, len))) => {
                        assert!(defined && control_fits, "{first:#x} {second:#x}");
                        let mut again = BytesMut::new();
                        header.encode(&mut again);
                        assert_eq!(again[..], wire[..len]);
                        let is_message = header.fin
                            && !header.rsv1
                            && matches!(header.opcode, OpCode::Text | OpCode::Binary);
                        for is_masked in [false, true] {
                            let whole = Header::parse_whole_message(&wire, is_masked);
                            let expected = is_message && header.mask.is_some() == is_masked;
                            assert_eq!(whole.is_some(), expected, "{first:#x} {second:#x}");
                            if let Some((kind, payload, _)) = whole {
                                let opcode = match kind {
                                    Kind::Text => OpCode::Text,
                                    Kind::Binary => OpCode::Binary,
                                };
                                assert_eq!((opcode, payload as u64), (header.opcode, header.len));
                            }
                        }
                        for cut in 0..len {
                            assert_eq!(Header::parse(&wire[..cut]), Ok(None));
                        }
                    }
                    Ok(None) => panic!("16 bytes are enough for any header"),
                    Err(_) => {
                        assert!(!defined || !control_fits, "{first:#x} {second:#x}");
                        for is_masked in [false, true] {
                            assert_eq!(Header::parse_whole_message(&wire, is_masked), None);
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn only_the_shortest_form_of_a_length_is_accepted() {
        let parse = |wire: &[u8]| Header::parse(wire).map(|parsed| parsed.map(|(h, n)| (h.len, n)));
        assert_eq!(parse(&[0x82, 125]), Ok(Some((125, 2))));
        assert_eq!(parse(&[0x82, 126, 0, 126]), Ok(Some((126, 4))));
        assert_eq!(parse(&[0x82, 126, 0, 125]), Err(ProtocolError::NonMinimalLength));
        assert_eq!(parse(&[0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0]), Ok(Some((65_536, 10))));
        assert_eq!(
            parse(&[0x82, 127, 0, 0, 0, 0, 0, 0, 255, 255]),
            Err(ProtocolError::NonMinimalLength)
        );
        assert_eq!(
            parse(&[0x82, 127, 0x80, 0, 0, 0, 0, 0, 0, 0]),
            Err(ProtocolError::LengthOverflow)
        );
        assert_eq!(
            parse(&[0x82, 127, 0x7f, 255, 255, 255, 255, 255, 255, 255]),
            Ok(Some((u64::MAX >> 1, 10)))
        );
    }

    #[test]
    fn the_length_of_a_whole_message_is_accepted_if_any_header_may_have_it() {
        let edges = (16..64).flat_map(|bit| [(1_u64 << bit) - 1, 1 << bit, (1 << bit) + 1]);
        let long: Vec<u64> = (0..=0x1_0001).chain(edges).chain([u64::MAX]).collect();
        let forms: [(u8, &[u8]); 2] = [(0, &[]), (0x80, &[1, 2, 3, 4])];
        for (mask, key) in forms {
            let extended = |short, len: &[u8]| [&[0x82, mask | short], len, key].concat();
            let wires = (0..126)
                .map(|short| extended(short, &[]))
                .chain((0..=u16::MAX).map(|len| extended(126, &len.to_be_bytes())))
                .chain(long.iter().map(|len| extended(127, &len.to_be_bytes())));
            for wire in wires {
                let (parsed, is_masked) = (Header::parse(&wire), mask != 0);
                let expected = parsed.ok().flatten().map(|(header, _)| (header.len, key));
                let whole = Header::parse_whole_message(&wire, is_masked);
                let whole = whole.map(|(_, len, rest)| (len as u64, rest));
                assert_eq!(whole, expected, "{wire:02x?}");
                assert_eq!(Header::parse_whole_message(&wire, !is_masked), None, "{wire:02x?}");
                let before_key = wire.len() - key.len();
                for cut in 0..before_key {
                    assert_eq!(Header::parse_whole_message(&wire[..cut], is_masked), None);
                }
            }
        }
    }

    #[test]
    fn a_wrong_header_is_refused_before_the_rest_arrives() {
        assert_eq!(Header::parse(&[0x83, 0xff]), Err(ProtocolError::ReservedOpcode(3)));
        assert_eq!(Header::parse(&[0x09, 0x80]), Err(ProtocolError::FragmentedControl));
        assert_eq!(Header::parse(&[0xa1, 0x80]), Err(ProtocolError::ReservedBits));
        let control = |len| Header::parse(&[0x89, 126, 0, len]);
        assert_eq!(control(126), Err(ProtocolError::ControlTooLong(126)));
        assert_eq!(control(5), Err(ProtocolError::NonMinimalLength));
        assert_eq!(OpCode::from_bits(9).map(OpCode::is_control), Ok(true));
    }
}
