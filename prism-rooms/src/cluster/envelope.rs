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
//! | 8 to 11 | [presence] | |
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
//! Anyone who can publish on the backplane can send anything, so decoding is strict and bounded. It accepts exactly
//! what encoding produces: names and IDs are sorted and distinct, origins and numbers are not zero, and no byte is left
//! over. Nothing is allocated for a count before as many bytes have arrived.

use super::node_id::NodeId;

mod broadcast;
mod name;
mod position;
pub(crate) mod presence;
mod reader;

pub(crate) use self::{
    broadcast::{
        Action, Broadcast, MAX_EXCLUDED, MAX_PAYLOAD, MAX_REASON, MAX_ROOMS, Outgoing, Targets,
    },
    name::MAX_NAME,
    position::{Position, RoomPosition},
};
use self::{
    name::{decode_name, encode_name},
    position::decode_rooms,
    presence::{EncodedPresence, PresenceBody},
    reader::{Malformed, Reader},
};

/// The most rooms in a heartbeat.
pub(crate) const MAX_HEARTBEAT_ROOMS: usize = 256;

const VERSION: u8 = 1;

/// The kind of a heartbeat.
const HEARTBEAT: u8 = 1;

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
    Presence(PresenceBody<'a>),
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
            3..=5 => Body::Broadcast(Broadcast::decode(self.kind, &mut reader)?),
            kind => Body::Presence(PresenceBody::decode(kind, &mut reader)?),
        };
        reader.finish()?;
        Ok(body)
    }
}

impl<'a> Envelope<'a> {
    #[cfg(all(test, not(prism_loom)))]
    pub(crate) fn decode(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let header = Header::decode(bytes)?;
        let (origin, number) = (header.origin, header.number);
        Ok(Self { origin, number, body: header.decode_body()? })
    }

    /// Returns the bytes. The caller keeps to the limits.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let capacity = 64 + self.body.payload_len();
        let mut out = begin(self.body.kind(), self.origin, self.number, capacity);
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
            Body::Presence(presence) => presence.encode_to(&mut out),
        }
        out
    }
}

/// Returns the bytes of an envelope whose body is encoded already.
pub(crate) fn encode_presence(origin: NodeId, number: u64, body: &EncodedPresence) -> Vec<u8> {
    let mut out = begin(body.kind, origin, number, 64 + body.bytes.len());
    out.extend_from_slice(&body.bytes);
    out
}

/// Returns the beginning of an envelope.
fn begin(kind: u8, origin: NodeId, number: u64, capacity: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(capacity);
    out.extend([VERSION, kind]);
    out.extend(origin.as_u64().to_be_bytes());
    out.extend(number.to_be_bytes());
    out
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
            Self::Presence(presence) => presence.kind(),
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

#[cfg(all(test, not(prism_loom)))]
mod tests;
