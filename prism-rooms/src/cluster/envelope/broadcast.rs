//! [`Broadcast`]: something to do for members of rooms, or for everyone.

use std::str;

use prism_driver::{CloseCode, Message};

use super::{
    position::{Position, RoomPosition, decode_rooms},
    reader::{Malformed, Reader},
};

/// The largest payload of a message.
pub(crate) const MAX_PAYLOAD: usize = 1 << 20;
/// The most rooms that a message can be for.
pub(crate) const MAX_ROOMS: usize = 64;
/// The most connections that a message can exclude.
pub(crate) const MAX_EXCLUDED: usize = 64;
/// The longest reason of a close frame (RFC 6455 §5.5).
pub(crate) const MAX_REASON: usize = 123;

// The flags of a message.
const TEXT: u8 = 1;
const PLAIN: u8 = 2;
const OR_CLOSE: u8 = 4;

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

impl<'a> Broadcast<'a> {
    pub(super) fn decode(kind: u8, reader: &mut Reader<'a>) -> Result<Self, Malformed> {
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

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
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

fn decode_close<'a>(reader: &mut Reader<'a>) -> Result<Action<'a>, Malformed> {
    let code = reader.u16()?;
    let reason = str::from_utf8(reader.rest_of_at_most(MAX_REASON)?).map_err(|_| Malformed)?;
    if code == u16::from(CloseCode::NO_STATUS) && reason.is_empty() {
        return Ok(Action::Close { code: CloseCode::NO_STATUS, reason });
    }
    Ok(Action::Close { code: CloseCode::new(code).ok_or(Malformed)?, reason })
}
