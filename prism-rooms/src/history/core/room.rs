//! [`Room`]: how far the members of a room have got at this node.
//!
//! ```text
//!   published ──► next? ─────────────────► members      cursor + 1
//!                  │ no                       ▲
//!                  ▼                          │
//!                ahead ── read after cursor ──┘          what was missed comes first
//! ```

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use crate::{backplane::history::Page, history::position::Position};

/// How many messages are held back while what comes before them is read, and how many are remembered for connections
/// that join; each of at most so many bytes together. What does not fit is read from the history.
const MAX_HELD: usize = if cfg!(test) { 3 } else { 256 };
const MAX_HELD_BYTES: usize = 256 << 10;

#[derive(Default)]
pub(super) struct Room {
    /// Tells it from an earlier room with the same name.
    pub(super) created: u64,
    /// Whether the session has subscribed to the room.
    pub(super) is_active: bool,
    /// Whether it is being read, or waits for its turn.
    pub(super) is_reading: bool,
    /// The connections that are being added.
    pub(super) joins: BTreeSet<u64>,
    /// The position up to which members have received everything, or were told that they have not.
    cursor: Option<Position>,
    /// The highest offset that was published in the cursor's epoch.
    highest: u64,
    ahead: Held,
    /// What was last passed to members, up to the cursor, while connections are being added.
    recent: Held,
    /// Another epoch in which something was published. Which of them is the later one is seen when the room is read.
    other: Option<Other>,
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

/// Records by their offsets.
#[derive(Default)]
struct Held {
    records: BTreeMap<u64, Bytes>,
    bytes: usize,
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
        let Some(cursor) = &self.cursor else { return self.start(page.last.clone()) };
        let is_later = known.is_some_and(|known| known.is_same_epoch(cursor));
        if !cursor.is_same_epoch(&page.last) {
            // If the cursor's epoch was not there before this was read, it may be the later one.
            if is_later {
                self.go_on_in_epoch(page, steps);
            } else {
                let (before, highest) = (page.last.clone(), page.last.offset());
                self.other = Some(Other { before, highest, is_read: false });
            }
            return;
        }
        if self.other.as_ref().is_some_and(|other| other.is_read) {
            self.other = None; // it was late
        }
        let is_lost = is_later && known.is_some_and(|known| known.offset() > page.last.offset());
        let after = after.filter(|after| after.is_same_epoch(&page.last));
        let next = if page.records.is_empty() { page.last.offset() + 1 } else { page.first };
        let is_trimmed = after.is_some_and(|after| next > self.offset().max(after.offset()) + 1);
        if is_lost {
            return self.break_off(page.last.clone(), steps);
        }
        if is_trimmed {
            return self.skip_to(page.last.clone(), steps);
        }
        self.highest = self.highest.max(page.last.offset());
        for (offset, record) in (page.first..).zip(&page.records) {
            if offset == self.offset() + 1 {
                self.ahead.remove(offset);
                self.pass(offset, record.clone(), steps);
            }
        }
        self.pass_on(steps);
    }

    /// Returns the records after an offset, up to the cursor, if they are remembered.
    pub(super) fn recent_after(&self, offset: u64) -> Option<Vec<Bytes>> {
        let wanted = self.offset().saturating_sub(offset);
        let records: Vec<_> =
            self.recent.records.range(offset + 1..).map(|(_, record)| record.clone()).collect();
        (records.len() as u64 == wanted).then_some(records)
    }

    /// Forgets what is only needed while connections are being added.
    pub(super) fn forget_recent(&mut self) {
        self.recent = Held::default();
    }

    /// Handles that the session has ended. What was held back is read again.
    pub(super) fn session_ended(&mut self) {
        self.is_active = false;
        self.is_reading = false;
        self.ahead = Held::default();
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

impl Held {
    /// Adds a record. If there are too many, the first ones are dropped, or it is not added.
    fn insert(&mut self, offset: u64, record: Bytes, drops_first: bool) {
        while self.records.len() >= MAX_HELD || self.bytes + record.len() > MAX_HELD_BYTES {
            // One is always held, however long it is: what comes next is not held back.
            if self.records.is_empty() {
                break;
            }
            if !drops_first {
                return;
            }
            let first = self.records.pop_first();
            self.bytes -= first.map_or(0, |(_, record)| record.len());
        }
        self.bytes += record.len();
        if let Some(replaced) = self.records.insert(offset, record) {
            self.bytes -= replaced.len();
        }
    }

    /// Forgets the records up to an offset.
    fn forget_to(&mut self, offset: u64) {
        while let Some(first) = self.records.first_entry().filter(|first| *first.key() <= offset) {
            self.bytes -= first.remove().len();
        }
    }

    fn remove(&mut self, offset: u64) -> Option<Bytes> {
        let record = self.records.remove(&offset)?;
        self.bytes -= record.len();
        Some(record)
    }
}
