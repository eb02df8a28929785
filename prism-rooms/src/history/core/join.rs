//! [`Join`]: a connection that is being added to a room.

use std::sync::Arc;

use async_channel::Sender;
use bytes::Bytes;

use super::room::Room;
use crate::{
    backplane::history::Page,
    history::{joined::JoinStep, position::Position},
};

pub(super) struct Join {
    pub(super) room: Arc<str>,
    pub(super) member: u128,
    /// The position up to which the connection has received everything; `None` if it wants only what is to come.
    pub(super) at: Option<Position>,
    /// How many records it was sent.
    pub(super) sent: u64,
    pub(super) state: State,
    pub(super) answer_to: Sender<JoinStep>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// The session has yet to subscribe to the room.
    Waiting,
    Reading,
    /// The connection is being sent a page.
    Sending,
}

/// What a page is to a connection.
pub(super) enum Outcome {
    /// The page is outdated, or does not get as far as the connection.
    ReadAgain,
    /// It has these records for the connection; more may follow.
    Give(Vec<Bytes>),
    /// With these records, the connection has what the room has.
    Admit(Vec<Bytes>),
    /// What the connection misses cannot be had.
    Broken,
}

impl Join {
    /// Returns after which position to read: the room may lack something, too.
    pub(super) fn reads_after(&self, cursor: Option<Position>) -> Option<Position> {
        let at = self.at.clone()?;
        let cursor = cursor.filter(|cursor| cursor.is_same_epoch(&at));
        Some(cursor.filter(|cursor| cursor.offset() < at.offset()).unwrap_or(at))
    }

    /// Gives the connection records, the first of which has this offset.
    pub(super) fn give(&mut self, first: Position, records: Vec<Bytes>) {
        self.state = State::Sending;
        self.sent += records.len() as u64;
        self.at = Some(first.with_offset(first.offset() + records.len() as u64 - 1));
        let _ = self.answer_to.try_send(JoinStep::Page { first, records }); // fails if it was cancelled
    }

    /// Judges a page, with which its room has been brought up to date.
    pub(super) fn judge(&self, page: &Page, room: &Room) -> Outcome {
        let (Some(cursor), last) = (room.cursor(), page.last.offset()) else {
            return Outcome::ReadAgain;
        };
        let Some(at) = &self.at else { return Outcome::Admit(Vec::new()) };
        if !cursor.is_same_epoch(&page.last) {
            return Outcome::ReadAgain; // the room has gone on to a later epoch
        }
        if !at.is_same_epoch(&page.last) || last < at.offset() {
            return Outcome::Broken;
        }
        let first = if page.records.is_empty() { last + 1 } else { page.first };
        if first > at.offset() + 1 {
            return Outcome::Broken; // what follows is not kept any more
        }
        let known = (at.offset() + 1 - first) as usize;
        let mut records = page.records.get(known..).unwrap_or_default().to_vec();
        let end = first + page.records.len() as u64 - 1;
        if end < last || cursor.offset() < last {
            return if records.is_empty() { Outcome::ReadAgain } else { Outcome::Give(records) };
        }
        match room.recent_after(end) {
            Some(recent) => {
                records.extend(recent);
                Outcome::Admit(records)
            }
            None if records.is_empty() => Outcome::ReadAgain,
            None => Outcome::Give(records),
        }
    }
}
