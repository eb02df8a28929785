//! [`Room`]: how far the members of a room have got on this node.
//!
//! ```text
//!   published ──► next? ─────────────────► members      cursor + 1
//!                  │ no                       ▲
//!                  ▼                          │
//!                ahead ── read after cursor ──┘          what was missed comes first
//! ```

use std::{
    collections::{BTreeMap, VecDeque},
    mem,
};

use bytes::Bytes;

use super::{held::Held, join::Join};
use crate::{backplane::history::Page, history::position::Position};

/// After how many refusals members are told that they may have missed something. One read is tried each second.
const MAX_REFUSALS: u32 = 25;

#[derive(Default)]
pub(super) struct Room {
    /// Tells it from an earlier room with the same name.
    pub(super) created: u64,
    /// Whether the session has subscribed to the room.
    pub(super) is_active: bool,
    /// Whether the session has read how far the log is. Until then, the cursor's epoch may be over.
    is_current: bool,
    pub(super) reading: Reading,
    /// The connections that are being added, and the members that have fallen behind, by their IDs.
    pub(super) joins: BTreeMap<u128, Join>,
    /// Those that want a page, with the numbers of their requests.
    pub(super) wanting: VecDeque<(u128, u64)>,
    /// Whether the room waits until a page is read for them.
    pub(super) is_queued: bool,
    /// How often the backplane has refused to read it for its members, since it last did not.
    pub(super) refusals: u32,
    /// The position up to which members have received everything, or were told that they have not.
    cursor: Option<Position>,
    /// The highest offset that was published in the cursor's epoch.
    highest: u64,
    /// What is held back while what comes before it is read.
    ahead: Held,
    /// What was last passed to members, up to the cursor, while connections are being added.
    recent: Held,
    /// Another epoch in which something was published. Which of them is the later one is seen when the room is read.
    other: Option<Other>,
}

/// Whether a room is read for its members. Each follows from an earlier one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Reading {
    #[default]
    No,
    /// It waits for its turn, to be sure that nothing is missing.
    Check,
    /// It waits for its turn, because something is missing.
    Missing,
    Asked,
}

struct Other {
    /// The position before what was published there first.
    before: Position,
    /// The highest offset that was published there.
    highest: u64,
    /// Whether the room was read since.
    is_read: bool,
}

/// What becomes of members.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// They receive this.
    Deliver(Position, Bytes),
    /// They may have missed something, and receive what comes after this.
    Broken(Position),
}

impl Room {
    pub(super) fn new(created: u64) -> Self {
        Self { created, ..Self::default() }
    }

    pub(super) const fn cursor(&self) -> Option<&Position> {
        self.cursor.as_ref()
    }

    /// Returns whether something is known to be missing.
    pub(super) fn is_behind(&self) -> bool {
        self.other.as_ref().is_some_and(|other| !other.is_read)
            || self.cursor.as_ref().is_some_and(|cursor| cursor.offset() < self.highest)
    }

    /// Handles what was published.
    pub(super) fn receive(&mut self, position: &Position, record: Bytes, steps: &mut Vec<Step>) {
        let offset = position.offset();
        match &self.cursor {
            Some(cursor) if !cursor.is_same_epoch(position) => {
                let other = self.other.take().filter(|other| other.before.is_same_epoch(position));
                let (before, highest) = match other {
                    Some(Other { before, highest, .. }) => (before, highest.max(offset)),
                    None => (position.with_offset(offset - 1), offset),
                };
                self.other = Some(Other { before, highest, is_read: false });
                return; // it is read, unless it is late
            }
            Some(_) => {}
            None => self.start(position.with_offset(offset - 1)),
        }
        self.highest = self.highest.max(offset);
        if offset == self.offset() + 1 {
            self.pass(offset, record, steps);
            self.pass_on(steps);
        } else if offset > self.offset() {
            self.ahead.insert(offset, record, false);
        }
    }

    /// Returns what is known of the log, by its last message, when it is about to be read.
    pub(super) fn start_reading(&mut self) -> Option<Position> {
        if let Some(other) = &mut self.other {
            other.is_read = true;
        }
        self.cursor.as_ref().map(|cursor| cursor.with_offset(self.highest))
    }

    /// Handles what was read `after` a position. `known` is what was known of the log when it was read, by its last
    /// message.
    pub(super) fn handle_page(
        &mut self,
        page: &Page,
        after: Option<&Position>,
        known: Option<&Position>,
        steps: &mut Vec<Step>,
    ) {
        let was_current = mem::replace(&mut self.is_current, true);
        let Some(cursor) = &self.cursor else { return self.start(page.last.clone()) };
        let is_later = known.is_some_and(|known| known.is_same_epoch(cursor));
        if !cursor.is_same_epoch(&page.last) {
            // If the cursor's epoch was not there before this was read, it may be the later one.
            if is_later {
                self.go_on_in_epoch(page, steps);
            } else {
                let (before, highest) = (page.last.clone(), page.last.offset());
                self.other = Some(Other { before, highest, is_read: false });
                self.is_current = was_current;
            }
            return;
        }
        if self.other.as_ref().is_some_and(|other| other.is_read) {
            self.other = None; // it was late
        }
        let is_lost = is_later && known.is_some_and(|known| known.offset() > page.last.offset());
        let after = after.filter(|after| after.is_same_epoch(&page.last));
        let first = page.first_offset();
        let is_trimmed = after.is_some_and(|after| first > self.offset().max(after.offset()) + 1);
        if is_lost {
            return self.break_off(page.last.clone(), steps);
        }
        if is_trimmed {
            return self.skip_to(page.last.clone(), steps);
        }
        self.highest = self.highest.max(page.last.offset());
        // The records first: without any, the offset may be the highest, which has no next one.
        for (record, offset) in page.records.iter().zip(page.first..) {
            if offset == self.offset() + 1 {
                self.ahead.remove(offset);
                self.pass(offset, record.clone(), steps);
            }
        }
        self.pass_on(steps);
    }

    /// Sets where a connection begins that has no position, as soon as it is known how far the room is.
    pub(super) fn begin(&mut self, member: u128) {
        if let Some(cursor) = self.cursor.as_ref().filter(|_| self.is_current)
            && let Some(join) = self.joins.get_mut(&member)
        {
            join.begin(&cursor.with_offset(self.highest));
        }
    }

    /// Returns what a connection lacks of what members have, if that is known and little.
    pub(super) fn lacking(&self, join: &Join) -> Option<Vec<Bytes>> {
        let cursor = self.cursor.as_ref().filter(|_| self.is_current)?;
        let Some(at) = &join.at else { return Some(Vec::new()) };
        let missed = cursor.offset().checked_sub(at.offset())?;
        if !at.is_same_epoch(cursor) || missed > join.may_lack() {
            return None;
        }
        self.recent.between(at.offset(), cursor.offset())
    }

    /// Handles that it could not be read for its members. Returns their position when they have to be told.
    pub(super) fn refuse(&mut self) -> Option<Position> {
        self.refusals = self.refusals.saturating_add(1);
        self.cursor.clone().filter(|_| self.refusals == MAX_REFUSALS)
    }

    /// Forgets what is only needed while connections are being added.
    pub(super) fn forget_recent(&mut self) {
        self.recent = Held::default();
    }

    /// Handles that the session has ended. What was held back is read again.
    pub(super) fn session_ended(&mut self) {
        self.is_active = false;
        self.is_current = false;
        self.reading = Reading::No;
        self.ahead = Held::default();
        self.wanting.clear();
        self.is_queued = false;
        self.joins.values_mut().for_each(Join::session_ended);
    }

    fn offset(&self) -> u64 {
        self.cursor.as_ref().map_or(0, Position::offset)
    }

    fn start(&mut self, position: Position) {
        self.highest = position.offset();
        self.cursor = Some(position);
        self.ahead = Held::default();
        self.recent = Held::default();
    }

    /// Goes on at a later position of the same epoch: what is between cannot be had. What was published after it is not
    /// missing.
    fn skip_to(&mut self, position: Position, steps: &mut Vec<Step>) {
        let offset = position.offset();
        steps.push(Step::Broken(position.clone()));
        self.highest = self.highest.max(offset);
        self.cursor = Some(position);
        self.ahead.forget_to(offset);
        self.recent = Held::default();
        self.pass_on(steps);
    }

    /// Goes on at another position, and forgets what was published: it belongs to what was lost.
    fn break_off(&mut self, position: Position, steps: &mut Vec<Step>) {
        steps.push(Step::Broken(position.clone()));
        self.start(position);
    }

    /// Goes on in a later epoch, with what was published there, if anything.
    fn go_on_in_epoch(&mut self, page: &Page, steps: &mut Vec<Step>) {
        let last = page.last.offset();
        let other = self.other.take().filter(|other| other.before.is_same_epoch(&page.last));
        let (before, highest) = other.map_or((last, last), |Other { before, highest, .. }| {
            (before.offset().min(last), highest.max(last))
        });
        self.break_off(page.last.with_offset(before), steps);
        self.highest = highest;
    }

    /// Passes on what was held back, as far as nothing is missing before it.
    fn pass_on(&mut self, steps: &mut Vec<Step>) {
        while let Some(record) = self.ahead.remove(self.offset() + 1) {
            self.pass(self.offset() + 1, record, steps);
        }
    }

    fn pass(&mut self, offset: u64, record: Bytes, steps: &mut Vec<Step>) {
        let Some(cursor) = &self.cursor else { return };
        let position = cursor.with_offset(offset);
        self.cursor = Some(position.clone());
        if !self.joins.is_empty() {
            self.recent.insert(offset, record.clone(), true);
        }
        steps.push(Step::Deliver(position, record));
    }
}
