//! The bytes of what is kept, and of what is published when it is.
//!
//! ```text
//!   record:     flags: u8 (1 text | 2 never compressed) | payload
//!   published:  'h' | length: u16 | name of the room | position, as text | ' ' | record
//! ```
//!
//! Envelopes begin with another byte. Anyone who can publish on the backplane can send anything, so decoding is strict,
//! and allocates nothing.

use std::str;

use bytes::{BufMut, Bytes, BytesMut};
use prism_driver::{Message, PreparedMessage};

use super::position::Position;
use crate::cluster::envelope::{MAX_NAME, MAX_PAYLOAD};

const PUBLISHED: u8 = b'h';

// The flags of a record.
const TEXT: u8 = 1;
const PLAIN: u8 = 2;

/// A message as it is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Record<'a> {
    pub(crate) message: Message<'a>,
    /// Whether it is never compressed.
    pub(crate) plain: bool,
}

/// A record that was published when it was kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Published<'a> {
    pub(crate) room: &'a str,
    pub(crate) position: Position,
    pub(crate) record: Bytes,
}

/// Encodes a message as a record.
pub(crate) fn encode(message: &PreparedMessage) -> Bytes {
    let text = if message.is_text() { TEXT } else { 0 };
    let plain = if message.is_plain() { PLAIN } else { 0 };
    let mut out = BytesMut::with_capacity(1 + message.payload().len());
    out.put_u8(text | plain);
    out.put_slice(message.payload());
    out.freeze()
}

impl<'a> Record<'a> {
    /// Decodes a record. Returns `None` if it is malformed.
    pub(crate) fn decode(bytes: &'a [u8]) -> Option<Self> {
        let (flags, payload) = bytes.split_first()?;
        if *flags > TEXT | PLAIN || payload.len() > MAX_PAYLOAD {
            return None;
        }
        let message = if flags & TEXT > 0 {
            Message::Text(str::from_utf8(payload).ok()?)
        } else {
            Message::Binary(payload)
        };
        Some(Self { message, plain: flags & PLAIN > 0 })
    }
}

/// Returns what is published before the position.
pub(crate) fn head(room: &str) -> Bytes {
    debug_assert!(room.len() <= MAX_NAME, "too long");
    let mut out = BytesMut::with_capacity(3 + room.len());
    out.put_u8(PUBLISHED);
    out.put_u16(room.len() as u16);
    out.put_slice(room.as_bytes());
    out.freeze()
}

/// Returns whether a payload claims to be a record that was published.
pub(crate) fn is_published(payload: &[u8]) -> bool {
    payload.first() == Some(&PUBLISHED)
}

impl<'a> Published<'a> {
    /// Decodes what was published. Returns `None` if it is malformed.
    pub(crate) fn decode(payload: &'a Bytes) -> Option<Self> {
        let rest = payload.strip_prefix(&[PUBLISHED])?;
        let (len, rest) = rest.split_first_chunk::<2>()?;
        let len = usize::from(u16::from_be_bytes(*len));
        if len > MAX_NAME {
            return None;
        }
        let (room, rest) = rest.split_at_checked(len)?;
        // A position is short; a record may be long.
        let end = rest.iter().take(128).position(|byte| *byte == b' ')?;
        let position: Position = str::from_utf8(&rest[..end]).ok()?.parse().ok()?;
        let record = payload.slice(payload.len() - rest.len() + end + 1..);
        Record::decode(&record)?;
        let is_first_or_later = position.offset() > 0;
        is_first_or_later.then_some(())?;
        Some(Self { room: str::from_utf8(room).ok()?, position, record })
    }
}

#[cfg(all(test, not(prism_loom)))]
mod tests {
    use bytes::Bytes;
    use prism_driver::{Message, Outgoing};

    use super::{Published, Record, encode, head};
    use crate::history::position::Position;

    #[test]
    fn what_was_published_is_what_was_kept() {
        let messages = ["kettle".prepare(), b"\xff"[..].prepare().plain(), "".prepare().plain()];
        for message in messages {
            let record = encode(&message);
            let decoded = Record::decode(&record).unwrap();
            assert_eq!(decoded.message.as_bytes(), message.payload());
            assert_eq!(matches!(decoded.message, Message::Text(_)), message.is_text());
            assert_eq!(decoded.plain, message.is_plain());
            let published = [&head("caf\u{e9}")[..], b"9f-3 ", &record].concat().into();
            let decoded = Published::decode(&published).unwrap();
            let position = Position::new("9f", 3).unwrap();
            assert_eq!(decoded, Published { room: "caf\u{e9}", position, record });
        }
    }

    #[test]
    fn malformed_bytes_are_refused() {
        let whole = [&head("tea")[..], b"9f-3 \x01kettle"].concat();
        for len in 0..whole.len() - 6 {
            let cut = Bytes::copy_from_slice(&whole[..len]);
            assert_eq!(Published::decode(&cut), None, "{len}");
        }
        for bytes in [
            &b"h\0\x03tea9f-0 \x01x"[..], // there is no message before the first
            b"h\0\x03tea9f-3 \x04x",
            b"h\0\x03tea9f-3 \x01\xff",
            b"h\0\x01\xff9f-3 \x01x",
            b"h\xff\xfftea9f-3 \x01x",
            b"x\0\x03tea9f-3 \x01x",
        ] {
            assert_eq!(Published::decode(&Bytes::copy_from_slice(bytes)), None, "{bytes:?}");
        }
    }
}
