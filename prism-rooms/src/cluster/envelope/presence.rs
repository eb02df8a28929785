//! [`PresenceBody`]: what nodes tell each other about the people who are present, and its bytes.
//!
//! | kind | | rest |
//! |---|---|---|
//! | 8 | change | name, version before: `u64`, version after: `u64`, people who are new or different, IDs of connections that are gone |
//! | 9 | people | parts of rooms: name, version: `u64`, first ID: `u128`, last ID: `u128`, people with IDs in between |
//! | 10 | question | rooms: name, count: `u8`, and for each node that is known to have people its ID: `u64`, version: `u64` |
//! | 11 | versions | recent rooms, name after which the others begin, other rooms, whether no room follows: `u8` |
//!
//! Lists are preceded by their lengths, as `u16`. The name of a room is that of its topic and of the room itself.
//!
//! ```text
//!   person:           ID of a connection: u128 | key: length: u16 | UTF-8 | metadata: length: u16 | JSON
//!   recent, others:   name | version: u64
//! ```
//!
//! Decoding is strict and bounded, as that of [all envelopes](super). Lists are sorted, and their elements distinct.

use std::str;

use serde_json::value::RawValue;

use super::{
    name::{decode_name, encode_name},
    reader::{Malformed, Reader},
};
use crate::cluster::node_id::NodeId;

/// The longest key of a person.
pub(crate) const MAX_KEY: usize = 1 << 10;
/// The longest metadata of a connection, as JSON.
pub(crate) const MAX_META: usize = 8 << 10;
/// After how many bytes a list in an envelope ends.
pub(crate) const MAX_PART: usize = 64 << 10;
/// The most rooms in an envelope.
pub(crate) const MAX_LISTED: usize = 256;
/// The most nodes that a question mentions for a room: their number is one byte.
pub(crate) const MAX_KNOWN: usize = u8::MAX as usize;
/// The version of a room in which a node has nobody.
pub(crate) const NOBODY: u64 = 0;

/// The largest body: a list that ends after [`MAX_PART`] bytes, with its last element.
const MAX_BODY: usize = MAX_PART + (16 << 10);

const CHANGE: u8 = 8;
const PEOPLE: u8 = 9;
const QUESTION: u8 = 10;
const VERSIONS: u8 = 11;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum PresenceBody<'a> {
    Change(PresenceChange<'a>),
    /// Answers questions.
    People(Vec<PeoplePart<'a>>),
    /// Asks for the people in rooms.
    Question(Vec<AskedRoom<'a>>),
    Versions(Versions<'a>),
}

/// What has changed among the people that a node has in a room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PresenceChange<'a> {
    pub(crate) room: &'a str,
    pub(crate) from: u64,
    /// Another version; [`NOBODY`] if everybody has left.
    pub(crate) to: u64,
    /// In the order of their IDs.
    pub(crate) put: Vec<PresentPerson<'a>>,
    /// The connections that are not present any more, in the order of their IDs.
    pub(crate) gone: Vec<u128>,
}

/// The people that a node has in a room, with all IDs in a range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PeoplePart<'a> {
    pub(crate) room: &'a str,
    pub(crate) version: u64,
    pub(crate) first: u128,
    /// Included. The part after this one begins with the next ID.
    pub(crate) last: u128,
    pub(crate) people: Vec<PresentPerson<'a>>,
}

/// A room whose people a node wants to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AskedRoom<'a> {
    pub(crate) room: &'a str,
    /// The nodes of which it knows that they have people there, with the version that it knows.
    pub(crate) known: Vec<(NodeId, u64)>,
}

/// The versions of the rooms in which a node has people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Versions<'a> {
    /// Rooms that have changed a moment ago.
    pub(crate) recent: Vec<RoomVersion<'a>>,
    /// The name that comes before the `others`: all rooms with people follow, in the order of their names.
    pub(crate) after: &'a str,
    pub(crate) others: Vec<RoomVersion<'a>>,
    /// Whether no room comes after the last one.
    pub(crate) to_end: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RoomVersion<'a> {
    pub(crate) room: &'a str,
    pub(crate) version: u64,
}

/// A connection that is present, and the person that it belongs to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PresentPerson<'a> {
    pub(crate) id: u128,
    pub(crate) key: &'a str,
    pub(crate) meta: &'a RawValue,
}

/// A body that is encoded, and waits for its number.
#[derive(Clone, Debug)]
pub(crate) struct EncodedPresence {
    pub(crate) kind: u8,
    pub(crate) bytes: Vec<u8>,
}

impl<'a> PresenceBody<'a> {
    pub(super) fn decode(kind: u8, reader: &mut Reader<'a>) -> Result<Self, Malformed> {
        if reader.len() > MAX_BODY {
            return Err(Malformed);
        }
        Ok(match kind {
            CHANGE => Self::Change(PresenceChange::decode(reader)?),
            PEOPLE => Self::People(decode_list(reader, PeoplePart::decode, |one, next| {
                one.room < next.room || one.room == next.room && one.last < next.first
            })?),
            QUESTION => {
                Self::Question(decode_rooms(reader, AskedRoom::decode, |asked| asked.room)?)
            }
            VERSIONS => Self::Versions(Versions::decode(reader)?),
            _ => return Err(Malformed),
        })
    }

    pub(super) const fn kind(&self) -> u8 {
        match self {
            Self::Change(_) => CHANGE,
            Self::People(_) => PEOPLE,
            Self::Question(_) => QUESTION,
            Self::Versions(_) => VERSIONS,
        }
    }

    pub(super) fn encode_to(&self, out: &mut Vec<u8>) {
        match self {
            Self::Change(change) => change.encode(out),
            Self::People(parts) => encode_list(parts, out, PeoplePart::encode),
            Self::Question(rooms) => encode_list(rooms, out, AskedRoom::encode),
            Self::Versions(versions) => versions.encode(out),
        }
    }

    /// Returns the bytes. The caller keeps to the limits.
    pub(crate) fn encode(&self) -> EncodedPresence {
        let mut bytes = Vec::new();
        self.encode_to(&mut bytes);
        debug_assert!(bytes.len() <= MAX_BODY, "too long");
        EncodedPresence { kind: self.kind(), bytes }
    }
}

impl<'a> PresenceChange<'a> {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, Malformed> {
        let (room, from, to) = (decode_name(reader)?, reader.u64()?, reader.u64()?);
        let put = decode_people(reader)?;
        let gone = decode_list(reader, Reader::u128, |one, next| one < next)?;
        let is_both = |id: &u128| put.binary_search_by_key(id, |person| person.id).is_ok();
        let ends = to == NOBODY;
        if from == to || gone.iter().any(is_both) || ends && !put.is_empty() {
            return Err(Malformed);
        }
        Ok(Self { room, from, to, put, gone })
    }

    fn encode(&self, out: &mut Vec<u8>) {
        encode_name(self.room, out);
        out.extend(self.from.to_be_bytes());
        out.extend(self.to.to_be_bytes());
        encode_list(&self.put, out, PresentPerson::encode);
        encode_list(&self.gone, out, |id, out| out.extend(id.to_be_bytes()));
    }
}

impl<'a> PeoplePart<'a> {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, Malformed> {
        let (room, version) = (decode_name(reader)?, reader.u64()?);
        let (first, last) = (reader.u128()?, reader.u128()?);
        let people = decode_people(reader)?;
        let is_outside = |person: &PresentPerson<'_>| person.id < first || person.id > last;
        let mut ends = people.first().into_iter().chain(people.last());
        if first > last || ends.any(is_outside) || version == NOBODY && !people.is_empty() {
            return Err(Malformed);
        }
        Ok(Self { room, version, first, last, people })
    }

    fn encode(&self, out: &mut Vec<u8>) {
        encode_name(self.room, out);
        out.extend(self.version.to_be_bytes());
        out.extend(self.first.to_be_bytes());
        out.extend(self.last.to_be_bytes());
        encode_list(&self.people, out, PresentPerson::encode);
    }
}

impl<'a> AskedRoom<'a> {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, Malformed> {
        let room = decode_name(reader)?;
        let count = usize::from(reader.u8()?);
        let mut known: Vec<(NodeId, u64)> = Vec::new();
        for _ in 0..count {
            let node = NodeId::new(reader.u64()?).ok_or(Malformed)?;
            if known.last().is_some_and(|(last, _)| *last >= node) {
                return Err(Malformed);
            }
            known.push((node, reader.u64()?));
        }
        Ok(Self { room, known })
    }

    fn encode(&self, out: &mut Vec<u8>) {
        encode_name(self.room, out);
        out.push(self.known.len() as u8);
        for (node, version) in &self.known {
            out.extend(node.as_u64().to_be_bytes());
            out.extend(version.to_be_bytes());
        }
    }
}

impl<'a> Versions<'a> {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, Malformed> {
        let recent = decode_rooms(reader, RoomVersion::decode, |version| version.room)?;
        let after = decode_name(reader)?;
        let others = decode_rooms(reader, RoomVersion::decode, |version| version.room)?;
        let to_end = match reader.u8()? {
            0 => false,
            1 => true,
            _ => return Err(Malformed),
        };
        let is_behind = others.first().is_some_and(|first| first.room <= after);
        let has_nobody = others.iter().any(|version| version.version == NOBODY);
        // If rooms follow, the last one says where.
        if is_behind || has_nobody || (others.is_empty() && !to_end) {
            return Err(Malformed);
        }
        Ok(Self { recent, after, others, to_end })
    }

    fn encode(&self, out: &mut Vec<u8>) {
        encode_list(&self.recent, out, RoomVersion::encode);
        encode_name(self.after, out);
        encode_list(&self.others, out, RoomVersion::encode);
        out.push(self.to_end.into());
    }
}

impl<'a> RoomVersion<'a> {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, Malformed> {
        Ok(Self { room: decode_name(reader)?, version: reader.u64()? })
    }

    fn encode(&self, out: &mut Vec<u8>) {
        encode_name(self.room, out);
        out.extend(self.version.to_be_bytes());
    }
}

impl<'a> PresentPerson<'a> {
    /// The most bytes that a person takes up.
    pub(crate) fn size(&self) -> usize {
        20 + self.key.len() + self.meta.get().len()
    }

    fn decode(reader: &mut Reader<'a>) -> Result<Self, Malformed> {
        let (id, key, meta) =
            (reader.u128()?, decode_text(reader, MAX_KEY)?, decode_text(reader, MAX_META)?);
        // Browsers are sent it as it is.
        let json: &RawValue = serde_json::from_str(meta).map_err(|_| Malformed)?;
        if json.get().len() < meta.len() {
            return Err(Malformed); // there is space around it
        }
        Ok(Self { id, key, meta: json })
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.extend(self.id.to_be_bytes());
        for text in [self.key, self.meta.get()] {
            out.extend((text.len() as u16).to_be_bytes());
            out.extend_from_slice(text.as_bytes());
        }
    }
}

impl PartialEq for PresentPerson<'_> {
    fn eq(&self, other: &Self) -> bool {
        (self.id, self.key, self.meta.get()) == (other.id, other.key, other.meta.get())
    }
}

impl Eq for PresentPerson<'_> {}

fn decode_people<'a>(reader: &mut Reader<'a>) -> Result<Vec<PresentPerson<'a>>, Malformed> {
    decode_list(reader, PresentPerson::decode, |one, next| one.id < next.id)
}

fn decode_text<'a>(reader: &mut Reader<'a>, most: usize) -> Result<&'a str, Malformed> {
    let len = usize::from(reader.u16()?);
    if len > most {
        return Err(Malformed);
    }
    str::from_utf8(reader.bytes(len)?).map_err(|_| Malformed)
}

/// Decodes at most [`MAX_LISTED`] rooms, in the order of their names.
fn decode_rooms<'a, T>(
    reader: &mut Reader<'a>,
    decode: impl Fn(&mut Reader<'a>) -> Result<T, Malformed>,
    name: impl Fn(&T) -> &str,
) -> Result<Vec<T>, Malformed> {
    let list = decode_list(reader, decode, |one, next| name(one) < name(next))?;
    if list.len() > MAX_LISTED { Err(Malformed) } else { Ok(list) }
}

/// Decodes a list in which each element has to come before the next.
fn decode_list<'a, T>(
    reader: &mut Reader<'a>,
    decode: impl Fn(&mut Reader<'a>) -> Result<T, Malformed>,
    comes_before: impl Fn(&T, &T) -> bool,
) -> Result<Vec<T>, Malformed> {
    let mut list: Vec<T> = Vec::new();
    for _ in 0..reader.u16()? {
        let next = decode(reader)?;
        if list.last().is_some_and(|last| !comes_before(last, &next)) {
            return Err(Malformed);
        }
        list.push(next);
    }
    Ok(list)
}

fn encode_list<T>(list: &[T], out: &mut Vec<u8>, encode: impl Fn(&T, &mut Vec<u8>)) {
    out.extend((list.len() as u16).to_be_bytes());
    list.iter().for_each(|element| encode(element, out));
}
