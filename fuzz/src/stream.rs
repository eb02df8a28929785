//! Streams that are nearly valid (RFC 6455 §5.2): random bytes alone hardly ever get past a header.

use arbitrary::Arbitrary;
use prism_core::Role;

use crate::common::{
    deflate::{RSV1, stored_message},
    frame::{BINARY, Claim, Frame},
};

/// A part of a stream.
#[derive(Arbitrary, Clone, Debug)]
pub enum Part {
    /// A data frame with any payload.
    Data(Kind, bool, Vec<u8>),
    /// A data frame with characters.
    Characters(Kind, bool, String),
    /// A text message in two fragments, which may split a character.
    Torn(String, u8),
    /// A ping or pong.
    Control(bool, Vec<u8>),
    /// A close frame.
    Close(u16, String),
    /// A data frame that repeats one byte this many times.
    Long(Kind, bool, u8, u16),
    /// A frame with any first byte, whose length and mask may be wrong.
    Wrong(u8, Option<u64>, Option<[u8; 4]>, Vec<u8>),
    /// A message with RSV1 in any number of fragments, whose payload is these bytes, or blocks that store
    /// them.
    Compressed(bool, Vec<u8>, Vec<u8>),
    /// Just bytes.
    Raw(Vec<u8>),
}

/// The kind of a data frame.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum Kind {
    /// A continuation.
    Continuation,
    /// Text.
    Text,
    /// Binary.
    Binary,
}

/// Returns the bytes of all parts. Each is masked if `sender` has to, unless it is wrong on purpose.
pub fn encode_all(sender: Role, parts: &[Part]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for part in parts {
        part.append(sender, &mut bytes);
    }
    bytes
}

impl Part {
    fn append(&self, sender: Role, out: &mut Vec<u8>) {
        let frame = match self {
            Self::Data(kind, fin, payload) => data(*kind, *fin, payload),
            Self::Characters(kind, fin, text) => data(*kind, *fin, text.as_bytes()),
            Self::Long(kind, fin, byte, len) => {
                data(*kind, *fin, &vec![*byte; usize::from(len % 1024)])
            }
            Self::Torn(text, at) => {
                let (first, last) = text.as_bytes().split_at(usize::from(*at) % (text.len() + 1));
                out.extend(data(Kind::Text, false, first).from(sender).encoded());
                data(Kind::Continuation, true, last)
            }
            Self::Control(true, payload) => Frame::ping(payload),
            Self::Control(false, payload) => Frame::pong(payload),
            Self::Close(code, reason) => Frame::close(*code, reason),
            Self::Wrong(first, claim, key, payload) => {
                let claim =
                    claim.map(|len| u16::try_from(len).map_or(Claim::Bits64(len), Claim::Bits16));
                let frame = Frame { first: *first, key: *key, payload: payload.clone(), claim };
                return out.extend(frame.encoded());
            }
            Self::Compressed(is_stored, bytes, cuts) => {
                return compressed(*is_stored, bytes, cuts)
                    .into_iter()
                    .for_each(|frame| out.extend(frame.from(sender).encoded()));
            }
            Self::Raw(bytes) => return out.extend(bytes),
        };
        out.extend(frame.from(sender).encoded());
    }
}

/// Returns the fragments of a binary message. Each cut is the length of a fragment.
fn compressed(is_stored: bool, bytes: &[u8], cuts: &[u8]) -> Vec<Frame> {
    let payload = if is_stored { stored_message(bytes) } else { bytes.to_vec() };
    let (mut rest, mut frames) = (&payload[..], Vec::new());
    for cut in cuts {
        let (piece, behind) = rest.split_at(rest.len().min(usize::from(*cut)));
        frames.push(Frame::continuation(piece).unfinished());
        rest = behind;
    }
    frames.push(Frame::continuation(rest));
    frames[0].first |= RSV1 | BINARY;
    frames
}

fn data(kind: Kind, fin: bool, payload: &[u8]) -> Frame {
    let frame = Frame::new(kind as u8, payload);
    if fin { frame } else { frame.unfinished() }
}
