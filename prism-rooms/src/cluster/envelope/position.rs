//! [`Position`]: the place of an envelope among those to one room.

use super::{
    name::{decode_name, encode_name},
    reader::{Malformed, Reader},
};

/// The place of an envelope among those that one node has sent to one room.
///
/// A node counts the envelopes to each room: that is the sequence. It forgets rooms that it has not sent to for long,
/// and then begins again, with a higher generation.
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

impl Position {
    /// Decodes the position of an envelope, which is at least the first.
    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let position = Self { generation: reader.u64()?, sequence: reader.u64()? };
        let is_valid = position.generation > 0 && position.sequence > 0;
        if is_valid { Ok(position) } else { Err(Malformed) }
    }

    pub(super) fn encode(self, out: &mut Vec<u8>) {
        out.extend(self.generation.to_be_bytes());
        out.extend(self.sequence.to_be_bytes());
    }
}

impl RoomPosition<'_> {
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        encode_name(self.room, out);
        self.position.encode(out);
    }
}

pub(super) fn decode_rooms<'a>(
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
