//! [`Envelope`]: what nodes send each other, and its bytes.
//!
//! All numbers are big-endian. An envelope begins with
//!
//! ```text
//!   version: u8 = 1 | kind: u8 | origin: u64 | number: u64
//! ```
//!
//! and the rest depends on its kind:
//!
//! | kind | | rest |
//! |---|---|---|
//! | 1 | heartbeat | position of everyone, count of rooms: `u16`, and for each a name and a position |
//! | 2 | goodbye | nothing |
//! | 3 | message | targets, flags: `u8`, payload |
//! | 4 | close | targets, code: `u16`, reason |
//! | 5 | wake | targets |
//! | 6 | question: how many members has a room? | name |
//! | 7 | answer | number of the question: `u64`, members: `u64` |
//!
//! ```text
//!   targets:   count of rooms: u8, which is 0 for everyone
//!              | position of everyone, or for each room a name and a position
//!              | count of excluded connections: u8 | for each its ID: u128
//!   name:      length: u16 | UTF-8
//!   position:  generation: u64 | sequence: u64
//!   flags:     1 text | 2 never compressed | 4 closes slow connections
//! ```
//!
//! Anyone who can publish on the backplane can send anything, so decoding is strict and bounded. It accepts exactly what
//! encoding produces: names and IDs are sorted and distinct, origins and numbers are not zero, and no byte is left over. Nothing is
//! allocated for a count before as many bytes have arrived.

use std::str;

use prism_driver::{CloseCode, Message};

use super::node_id::NodeId;

mod reader;

use self::reader::{Malformed, Reader};

/// The largest payload of a message.
pub(crate) const MAX_PAYLOAD: usize = 1 << 20;
/// The longest name of a room.
pub(crate) const MAX_NAME: usize = 1 << 10;
/// The most rooms that a message can be for.
pub(crate) const MAX_ROOMS: usize = 64;
/// The most connections that a message can exclude.
pub(crate) const MAX_EXCLUDED: usize = 64;
/// The most rooms in a heartbeat.
pub(crate) const MAX_HEARTBEAT_ROOMS: usize = 256;
/// The longest reason of a close frame (RFC 6455 §5.5).
pub(crate) const MAX_REASON: usize = 123;

const VERSION: u8 = 1;

/// The kind of a heartbeat.
const HEARTBEAT: u8 = 1;

// The flags of a message.
const TEXT: u8 = 1;
const PLAIN: u8 = 2;
const OR_CLOSE: u8 = 4;

/// What a node sends to others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Envelope<'a> {
    /// The node that sent it.
    pub(crate) origin: NodeId,
    /// Increases from one envelope of a node to the next. Never zero.
    pub(crate) number: u64,
    pub(crate) body: Body<'a>,
}

/// An envelope of which only the beginning is decoded.
pub(crate) struct Header<'a> {
    pub(crate) origin: NodeId,
    pub(crate) number: u64,
    kind: u8,
    body: Reader<'a>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Body<'a> {
    /// Shows that the node is alive, and how far it has got.
    Heartbeat {
        everyone: Position,
        rooms: Vec<RoomPosition<'a>>,
    },
    /// The node leaves.
    Goodbye,
    Broadcast(Broadcast<'a>),
    /// Asks how many members a room has.
    Question {
        room: &'a str,
    },
    /// Answers the question with this number.
    Answer {
        question: u64,
        members: u64,
    },
}

/// Something to do for members of rooms, or for everyone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Broadcast<'a> {
    pub(crate) targets: Targets<'a>,
    /// The IDs of connections to leave out, in ascending order.
    pub(crate) except: Vec<u128>,
    pub(crate) action: Action<'a>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Targets<'a> {
    Everyone(Position),
    /// At least one room, in the order of their names.
    Rooms(Vec<RoomPosition<'a>>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action<'a> {
    Send(Outgoing<'a>),
    Close { code: CloseCode, reason: &'a str },
    Wake,
}

/// A message to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Outgoing<'a> {
    pub(crate) message: Message<'a>,
    /// Whether it is never compressed.
    pub(crate) plain: bool,
    /// Whether a connection whose outbox is full is closed, instead of missing the message.
    pub(crate) or_close: bool,
}

/// The place of an envelope among those that one node has sent to one room.
///
/// A node counts the envelopes to each room: that is the sequence. It forgets rooms that it has not sent to for long, and
/// then begins again, with a higher generation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Position {
    pub(crate) generation: u64,
    pub(crate) sequence: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RoomPosition<'a> {
    pub(crate) room: &'a str,
    pub(crate) position: Position,
}

impl<'a> Header<'a> {
    pub(crate) fn decode(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(bytes);
        if reader.u8()? != VERSION {
            return Err(Malformed);
        }
        let kind = reader.u8()?;
        let origin = NodeId::new(reader.u64()?).ok_or(Malformed)?;
        let number = reader.u64()?;
        if number == 0 {
            return Err(Malformed);
        }
        Ok(Self { origin, number, kind, body: reader })
    }

    pub(crate) const fn is_heartbeat(&self) -> bool {
        self.kind == HEARTBEAT
    }

    /// Decodes the rest.
    pub(crate) fn decode_body(self) -> Result<Body<'a>, Malformed> {
        let mut reader = self.body;
        let body = match self.kind {
            HEARTBEAT => Body::decode_heartbeat(&mut reader)?,
            2 => Body::Goodbye,
            6 => Body::Question { room: decode_name(&mut reader)? },
            7 => Body::Answer { question: reader.u64()?, members: reader.u64()? },
            kind => Body::Broadcast(Broadcast::decode(kind, &mut reader)?),
        };
        reader.finish()?;
        Ok(body)
    }
}

impl<'a> Envelope<'a> {
    #[cfg(test)]
    pub(crate) fn decode(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let header = Header::decode(bytes)?;
        let (origin, number) = (header.origin, header.number);
        Ok(Self { origin, number, body: header.decode_body()? })
    }

    /// Returns the bytes. The caller keeps to the limits.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(64 + self.body.payload_len());
        out.extend([VERSION, self.body.kind()]);
        out.extend(self.origin.as_u64().to_be_bytes());
        out.extend(self.number.to_be_bytes());
        match &self.body {
            Body::Heartbeat { everyone, rooms } => {
                everyone.encode(&mut out);
                out.extend((rooms.len() as u16).to_be_bytes());
                rooms.iter().for_each(|room| room.encode(&mut out));
            }
            Body::Goodbye => {}
            Body::Broadcast(broadcast) => broadcast.encode(&mut out),
            Body::Question { room } => encode_name(room, &mut out),
            Body::Answer { question, members } => {
                out.extend(question.to_be_bytes());
                out.extend(members.to_be_bytes());
            }
        }
        out
    }
}

impl<'a> Body<'a> {
    const fn kind(&self) -> u8 {
        match self {
            Self::Heartbeat { .. } => HEARTBEAT,
            Self::Goodbye => 2,
            Self::Broadcast(broadcast) => match broadcast.action {
                Action::Send(_) => 3,
                Action::Close { .. } => 4,
                Action::Wake => 5,
            },
            Self::Question { .. } => 6,
            Self::Answer { .. } => 7,
        }
    }

    const fn payload_len(&self) -> usize {
        match self {
            Self::Broadcast(Broadcast { action: Action::Send(outgoing), .. }) => {
                outgoing.message.as_bytes().len()
            }
            _ => 0,
        }
    }

    fn decode_heartbeat(reader: &mut Reader<'a>) -> Result<Self, Malformed> {
        let everyone = Position { generation: reader.u64()?, sequence: reader.u64()? };
        let count = usize::from(reader.u16()?);
        if count > MAX_HEARTBEAT_ROOMS {
            return Err(Malformed);
        }
        Ok(Self::Heartbeat { everyone, rooms: decode_rooms(count, reader)? })
    }
}

impl<'a> Broadcast<'a> {
    fn decode(kind: u8, reader: &mut Reader<'a>) -> Result<Self, Malformed> {
        let targets = match usize::from(reader.u8()?) {
            0 => Targets::Everyone(Position::decode(reader)?),
            count @ 1..=MAX_ROOMS => Targets::Rooms(decode_rooms(count, reader)?),
            _ => return Err(Malformed),
        };
        let count = usize::from(reader.u8()?);
        if count > MAX_EXCLUDED {
            return Err(Malformed);
        }
        let mut except: Vec<u128> = Vec::new();
        for _ in 0..count {
            let id = reader.u128()?;
            if except.last().is_some_and(|last| *last >= id) {
                return Err(Malformed);
            }
            except.push(id);
        }
        let action = match kind {
            3 => Action::Send(Outgoing::decode(reader)?),
            4 => decode_close(reader)?,
            5 => Action::Wake,
            _ => return Err(Malformed),
        };
        Ok(Self { targets, except, action })
    }

    fn encode(&self, out: &mut Vec<u8>) {
        match &self.targets {
            Targets::Everyone(position) => {
                out.push(0);
                position.encode(out);
            }
            Targets::Rooms(rooms) => {
                debug_assert!((1..=MAX_ROOMS).contains(&rooms.len()), "too many rooms");
                out.push(rooms.len() as u8);
                rooms.iter().for_each(|room| room.encode(out));
            }
        }
        debug_assert!(self.except.len() <= MAX_EXCLUDED, "too many excluded connections");
        out.push(self.except.len() as u8);
        self.except.iter().for_each(|id| out.extend(id.to_be_bytes()));
        match self.action {
            Action::Send(outgoing) => outgoing.encode(out),
            Action::Close { code, reason } => {
                out.extend(u16::from(code).to_be_bytes());
                out.extend_from_slice(reason.as_bytes());
            }
            Action::Wake => {}
        }
    }
}

impl<'a> Outgoing<'a> {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, Malformed> {
        let flags = reader.u8()?;
        if flags > TEXT | PLAIN | OR_CLOSE {
            return Err(Malformed);
        }
        let payload = reader.rest_of_at_most(MAX_PAYLOAD)?;
        let message = if flags & TEXT > 0 {
            // Browsers close the connection on text that is not UTF-8.
            Message::Text(str::from_utf8(payload).map_err(|_| Malformed)?)
        } else {
            Message::Binary(payload)
        };
        Ok(Self { message, plain: flags & PLAIN > 0, or_close: flags & OR_CLOSE > 0 })
    }

    fn encode(&self, out: &mut Vec<u8>) {
        let text = if matches!(self.message, Message::Text(_)) { TEXT } else { 0 };
        let plain = if self.plain { PLAIN } else { 0 };
        let or_close = if self.or_close { OR_CLOSE } else { 0 };
        out.push(text | plain | or_close);
        out.extend_from_slice(self.message.as_bytes());
    }
}

impl Position {
    /// Decodes the position of an envelope, which is at least the first.
    fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let position = Self { generation: reader.u64()?, sequence: reader.u64()? };
        let is_valid = position.generation > 0 && position.sequence > 0;
        if is_valid { Ok(position) } else { Err(Malformed) }
    }

    fn encode(self, out: &mut Vec<u8>) {
        out.extend(self.generation.to_be_bytes());
        out.extend(self.sequence.to_be_bytes());
    }
}

impl RoomPosition<'_> {
    fn encode(&self, out: &mut Vec<u8>) {
        encode_name(self.room, out);
        self.position.encode(out);
    }
}

fn encode_name(name: &str, out: &mut Vec<u8>) {
    debug_assert!(name.len() <= MAX_NAME, "too long");
    out.extend((name.len() as u16).to_be_bytes());
    out.extend_from_slice(name.as_bytes());
}

fn decode_name<'a>(reader: &mut Reader<'a>) -> Result<&'a str, Malformed> {
    let len = usize::from(reader.u16()?);
    if len > MAX_NAME {
        return Err(Malformed);
    }
    str::from_utf8(reader.bytes(len)?).map_err(|_| Malformed)
}

fn decode_rooms<'a>(
    count: usize,
    reader: &mut Reader<'a>,
) -> Result<Vec<RoomPosition<'a>>, Malformed> {
    let mut rooms: Vec<RoomPosition<'a>> = Vec::new();
    for _ in 0..count {
        let room = decode_name(reader)?;
        if rooms.last().is_some_and(|last| last.room >= room) {
            return Err(Malformed);
        }
        rooms.push(RoomPosition { room, position: Position::decode(reader)? });
    }
    Ok(rooms)
}

fn decode_close<'a>(reader: &mut Reader<'a>) -> Result<Action<'a>, Malformed> {
    let code = reader.u16()?;
    let reason = str::from_utf8(reader.rest_of_at_most(MAX_REASON)?).map_err(|_| Malformed)?;
    if code == u16::from(CloseCode::NO_STATUS) && reason.is_empty() {
        return Ok(Action::Close { code: CloseCode::NO_STATUS, reason });
    }
    Ok(Action::Close { code: CloseCode::new(code).ok_or(Malformed)?, reason })
}

#[cfg(all(test, not(prism_loom)))]
mod tests;
