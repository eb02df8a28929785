//! [`Join`]: a connection that is being added to a room, or a member that has fallen behind.

use std::time::Duration;

use async_channel::Sender;

use super::held::MAX_HELD;
use crate::{
    backplane::history::Page,
    history::{error::HistoryJoinError, joined::JoinStep, position::Position, start::Start},
};

/// How many records a connection may lack that becomes a member without having been sent a page. Clients that were away
/// for longer are sent pages: the task does not send them, and many take them at the same time.
const MAX_LACKING: u64 = if cfg!(test) { 1 } else { 32 };
/// How far the positions of connections may be apart that share a page.
const MAX_APART: u64 = 256;

pub(super) struct Join {
    /// That of the request.
    pub(super) number: u64,
    /// The position up to which the connection has received everything; `None` if it has none yet.
    pub(super) at: Option<Position>,
    /// How many of the last messages it begins with, at most, if it came without a position.
    recent: u64,
    /// How many records it was sent.
    pub(super) sent: u64,
    /// Whether all of them could be shown.
    pub(super) is_whole: bool,
    /// Whether it is a member that has fallen behind.
    pub(super) is_behind: bool,
    pub(super) state: State,
    /// Until when it waits for the backplane, if it does.
    pub(super) due: Option<Duration>,
    pub(super) answer_to: Sender<JoinStep>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// It waits until the session has subscribed to the room, or until a read that was refused is tried again.
    Waiting,
    /// It waits for its turn to read.
    Wanting,
    Reading,
    /// The connection is being sent what it has room for.
    Sending,
    /// What becomes of it is an output.
    Decided,
}

/// What a page is to a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The page has nothing for the connection: it is outdated, or the connection is further.
    GoOn,
    /// It has records for the connection.
    Give,
    /// What the connection misses cannot be had.
    Broken,
}

impl Join {
    pub(super) fn new(
        number: u64,
        start: Start,
        is_behind: bool,
        answer_to: Sender<JoinStep>,
    ) -> Self {
        let (at, recent) = match start {
            Start::After(at) => (Some(at), 0),
            Start::Recent(recent) => (None, recent),
        };
        Self {
            number,
            at,
            recent,
            sent: 0,
            is_whole: true,
            is_behind,
            state: State::Sending,
            due: None,
            answer_to,
        }
    }

    pub(super) fn fail(self, error: HistoryJoinError) {
        let _ = self.answer_to.try_send(JoinStep::Failed(error)); // fails if nobody waits any more
    }

    pub(super) fn session_ended(&mut self) {
        if matches!(self.state, State::Wanting | State::Reading) {
            self.state = State::Waiting;
        }
    }

    /// Begins with the last messages, if it has not begun. `last` is the position of the last one of all. A connection
    /// that wants none of them needs no position: it goes on where the room is.
    pub(super) fn begin(&mut self, last: &Position) {
        if self.at.is_none() && self.recent > 0 {
            self.at = Some(last.with_offset(last.offset().saturating_sub(self.recent)));
        }
    }

    /// Begins elsewhere, if it has been sent nothing: with the first message that is kept, or with the last messages of
    /// a later epoch. Returns `false` if it came with a position, or has been sent something.
    fn begin_elsewhere(&mut self, page: &Page) -> bool {
        let is_new = self.recent > 0 && self.sent == 0;
        if is_new {
            let first = page.first_offset();
            let is_trimmed = |at: &Position| at.is_same_epoch(&page.last) && at.offset() < first;
            let is_trimmed = self.at.as_ref().is_some_and(is_trimmed);
            self.at = is_trimmed.then(|| page.last.with_offset(first - 1));
        }
        is_new
    }

    /// Handles that the connection was sent everything up to a position.
    pub(super) fn reach(&mut self, at: Position, is_whole: bool) {
        let before = self.at.as_ref().unwrap_or(&at).offset();
        self.sent += at.offset().saturating_sub(before);
        self.is_whole &= is_whole;
        self.at = Some(at);
    }

    /// Returns how many records it may lack to become a member like the others at once.
    pub(super) const fn may_lack(&self) -> u64 {
        if self.is_behind || self.sent > 0 { MAX_HELD as u64 } else { MAX_LACKING }
    }

    /// Returns whether what is read for a connection at a position can be for this one, too.
    pub(super) fn can_share(&self, other: Option<&Position>) -> bool {
        match (&self.at, other) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(at), Some(other)) => {
                let apart = at.offset().checked_sub(other.offset());
                at.is_same_epoch(other) && apart.is_some_and(|apart| apart <= MAX_APART)
            }
        }
    }

    /// Returns after which position to read: the room may lack something, too.
    pub(super) fn reads_after(&self, cursor: Option<&Position>) -> Option<Position> {
        let at = self.at.as_ref()?;
        let cursor = cursor.filter(|cursor| cursor.is_same_epoch(at));
        Some(cursor.filter(|cursor| cursor.offset() < at.offset()).unwrap_or(at).clone())
    }

    /// Judges a page that was read for it, with which its room has been brought up to date, to this cursor.
    pub(super) fn judge(&mut self, page: &Page, cursor: Option<&Position>) -> Outcome {
        let outcome = self.compare(page, cursor);
        let begins_elsewhere = outcome == Outcome::Broken && self.begin_elsewhere(page);
        if begins_elsewhere { self.compare(page, cursor) } else { outcome }
    }

    fn compare(&self, page: &Page, cursor: Option<&Position>) -> Outcome {
        let (Some(cursor), Some(at)) = (cursor, &self.at) else { return Outcome::GoOn };
        if !cursor.is_same_epoch(&page.last) {
            return Outcome::GoOn; // the room has gone on to a later epoch
        }
        let last = page.last.offset();
        if !at.is_same_epoch(&page.last) || last < at.offset() {
            return Outcome::Broken;
        }
        let first = page.first_offset();
        if first > at.offset() + 1 {
            return Outcome::Broken; // what follows is not kept any more
        }
        let end = first + page.records.len() as u64 - 1;
        if end > at.offset() { Outcome::Give } else { Outcome::GoOn }
    }
}
