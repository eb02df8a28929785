//! [`HistoryCore`]: the history of rooms on a node, as a state machine without I/O, clock or locks.
//!
//! ```text
//!   append ──────────────────────────► commands ──►  session of
//!   join, continue ──► joins ──► reads ──────────►  the backplane
//!   members ◄── outputs ◄── rooms ◄── pages, published records ◄──┘
//! ```
//!
//! Every record reaches members by way of their [room](Room), which passes on consecutive offsets only. What is missing
//! is read. If it cannot be had, members are told. A connection that is being added is not among the members that a
//! room passes records to. It reads from its own position on, until what it has is what the room has. Then it is a
//! member, in the same step. So it misses nothing, and receives nothing twice, and nothing is held for it meanwhile.
//! The same is done for a member whose outbox is full. So it is not closed, and no other waits for it.
//!
//! What is published last may be lost without a trace. So each room is also read now and then.

use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    mem,
    sync::{Arc, Weak},
    time::Duration,
};

use bytes::Bytes;

use super::{
    appends::PendingAppend, error::AppendError, join_id::JoinId, position::Position, record,
};
use crate::backplane::{
    command::{Command, Ticket, TicketKind},
    history::{Append, Keep, Page, Reply},
};

mod asked;
mod checks;
mod epochs;
mod held;
mod join;
mod joins;
pub(crate) mod output;
mod reads;
mod room;

#[cfg(all(test, not(prism_loom)))]
pub(super) use self::checks::CHECK_INTERVAL;
use self::{asked::Asked, checks::Checks, epochs::Epochs, output::Output, room::Room};

/// When a read that the backplane has refused is tried again.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);

pub(crate) struct HistoryCore {
    keep: Keep,
    epochs: Epochs,
    is_connected: bool,
    /// Since when it is not, as far as that is known.
    disconnected_since: Option<Duration>,
    /// Whether the node leaves the cluster: nobody would confirm what is appended now.
    is_leaving: bool,
    rooms: HashMap<Arc<str>, Room>,
    /// The rooms that the session has not subscribed to.
    inactive: BTreeSet<Arc<str>>,
    appends: VecDeque<Append>,
    /// The rooms that are read next: for their members, because they miss something or to be sure that they do not, and
    /// for connections that come back.
    wanted_rooms: VecDeque<Arc<str>>,
    wanted_checks: VecDeque<Arc<str>>,
    wanted_joins: VecDeque<Arc<str>>,
    /// Whether the last read that could have been for either was to check a room, and not for connections.
    has_checked: bool,
    asked: HashMap<u64, Asked>,
    reads: usize,
    next_ticket: u64,
    outputs: VecDeque<Output>,
    /// Pages that connections may have in hand.
    pages: Vec<Weak<Page>>,
    /// Until when connections wait for a backplane that is connected. Some of them may not wait any more.
    deadlines: VecDeque<(Duration, JoinId)>,
    /// For whom the backplane has refused to read.
    refused_rooms: Vec<Arc<str>>,
    refused_joins: Vec<JoinId>,
    /// Why it has refused that last.
    refusal: Option<String>,
    /// Why it has refused the last message, if it has.
    append_refusal: Option<String>,
    /// When that is tried again.
    retries: Option<Duration>,
    /// How many rooms there ever were.
    created: u64,
    checks: Checks,
}

impl HistoryCore {
    /// Creates a core. `seed` makes its epochs different from those of all others.
    pub(crate) fn new(keep: Keep, seed: u64) -> Self {
        Self {
            keep,
            epochs: Epochs::new(seed),
            is_connected: false,
            disconnected_since: None,
            is_leaving: false,
            rooms: HashMap::new(),
            inactive: BTreeSet::new(),
            appends: VecDeque::new(),
            wanted_rooms: VecDeque::new(),
            wanted_checks: VecDeque::new(),
            wanted_joins: VecDeque::new(),
            has_checked: false,
            asked: HashMap::new(),
            reads: 0,
            next_ticket: 0,
            outputs: VecDeque::new(),
            pages: Vec::new(),
            deadlines: VecDeque::new(),
            refused_rooms: Vec::new(),
            refused_joins: Vec::new(),
            refusal: None,
            append_refusal: None,
            retries: None,
            created: 0,
            checks: Checks::default(),
        }
    }

    // ---- what happens here

    /// Handles that a record is to be kept. The answer is its position.
    pub(crate) fn handle_append(&mut self, room: &str, record: Bytes, pending: PendingAppend) {
        if !self.is_connected || self.is_leaving {
            return pending.answer(Err(AppendError::Unavailable));
        }
        let name: Arc<str> = room.into();
        let number = self.ask(Asked::Append { room: name.clone(), pending });
        self.appends.push_back(Append {
            room: name,
            epoch: self.epochs.next(),
            keep: self.keep,
            head: record::head(room),
            record,
            ticket: Ticket(TicketKind::History(number)),
        });
    }

    /// Handles that a room has no members any more. Requests to join it end without an answer.
    pub(crate) fn handle_vacant(&mut self, room: &str) {
        self.rooms.remove(room);
        self.inactive.remove(room);
    }

    /// Handles that the node is about to leave the cluster.
    pub(crate) const fn handle_leave(&mut self) {
        self.is_leaving = true;
    }

    // ---- what happens to the session

    pub(crate) const fn handle_connected(&mut self) {
        self.is_connected = true;
        self.disconnected_since = None;
    }

    /// Handles that the backplane does not get to see an append.
    pub(crate) fn handle_not_taken(&mut self, append: Append) {
        if let TicketKind::History(number) = append.ticket.0
            && let Some(Asked::Append { pending, .. }) = self.asked.remove(&number)
        {
            pending.answer(Err(AppendError::Unavailable));
        }
    }

    pub(crate) fn handle_session_ended(&mut self) {
        self.is_connected = false;
        mem::take(&mut self.appends).into_iter().for_each(|append| self.handle_not_taken(append));
        for (_, asked) in self.asked.drain() {
            if let Asked::Append { pending, .. } = asked {
                pending.answer(Err(AppendError::Unknown));
            }
        }
        self.reads = 0;
        self.wanted_rooms.clear();
        self.wanted_checks.clear();
        self.wanted_joins.clear();
        self.refused_rooms.clear();
        self.refused_joins.clear();
        self.retries = None;
        for (name, room) in &mut self.rooms {
            room.session_ended();
            self.inactive.insert(name.clone());
        }
    }

    /// Returns the rooms that the session had not subscribed to.
    pub(crate) fn inactive(&self) -> impl Iterator<Item = &Arc<str>> {
        // In an outage, these are all rooms, and this is called at each wake-up. So none of them is looked at.
        self.is_connected.then_some(&self.inactive).into_iter().flatten()
    }

    /// Handles that the session has subscribed to a room.
    pub(crate) fn handle_active(&mut self, name: &Arc<str>) {
        self.inactive.remove(name);
        let Some(room) = self.rooms.get_mut(name) else { return };
        room.is_active = true;
        self.read_room(name);
        self.advance_joins(name);
    }

    /// Handles what was published on the channel of a room.
    pub(crate) fn handle_published(&mut self, name: &Arc<str>, position: Position, record: Bytes) {
        let mut steps = Vec::new();
        let room = self.room(name);
        room.receive(&position, record, &mut steps);
        if room.is_behind() {
            self.read_room(name);
        }
        self.take(name, steps);
    }

    pub(crate) fn handle_reply(&mut self, ticket: Ticket, reply: Reply) {
        let TicketKind::History(number) = ticket.0 else { return };
        match (self.asked.remove(&number), reply) {
            (Some(Asked::Append { room, pending }), reply) => {
                let answer = match reply {
                    Reply::Appended(position) => Ok(position),
                    Reply::Refused(why) => Err(AppendError::Refused(why)),
                    Reply::Page(_) => Err(AppendError::Unknown),
                };
                self.report_append(room, &answer);
                pending.answer(answer);
            }
            (Some(Asked::Read(asked)), reply) => self.handle_read(asked, reply),
            (None, _) => {}
        }
    }

    // ---- time

    /// Reads what could not be read before, and rooms that have not been read for long, and gives up what has waited
    /// for too long.
    pub(crate) fn handle_timeout(&mut self, now: Duration) {
        if !self.is_connected {
            self.disconnected_since.get_or_insert(now);
        }
        self.expire_joins(now);
        let has_refused = !self.refused_rooms.is_empty() || !self.refused_joins.is_empty();
        if has_refused && *self.retries.get_or_insert(now + RETRY_INTERVAL) <= now {
            self.retries = None;
            mem::take(&mut self.refused_rooms).iter().for_each(|room| self.read_room(room));
            mem::take(&mut self.refused_joins).iter().for_each(|join| self.advance_join(join));
        }
        for (created, name) in self.checks.take_due(now) {
            if self.rooms.get(&name).is_some_and(|room| room.created == created) {
                self.read_room(&name);
                self.checks.add(created, name);
            }
        }
        self.checks.schedule(now);
    }

    /// Returns when [`handle_timeout`](Self::handle_timeout) has to be called next.
    pub(crate) fn next_deadline(&self) -> Option<Duration> {
        let check = self.checks.next_due();
        let join = self.next_join_due();
        [check, join, self.retries].into_iter().flatten().min()
    }

    // ---- what is to be done

    /// Returns the next command for the session.
    pub(crate) fn poll_command(&mut self) -> Option<Command> {
        if !self.is_connected {
            return None;
        }
        if let Some(append) = self.appends.pop_front() {
            return Some(Command::Append(append));
        }
        self.next_read().map(Command::Read)
    }

    /// Returns what is to be done next. It has to be done before anything else happens here.
    pub(crate) fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Returns whether there is a room, until it is said to be [vacant](Self::handle_vacant).
    pub(crate) fn has_room(&self, room: &str) -> bool {
        self.rooms.contains_key(room)
    }

    /// Returns the rooms, until they are said to be [vacant](Self::handle_vacant).
    pub(crate) fn rooms(&self) -> impl Iterator<Item = &Arc<str>> {
        self.rooms.keys()
    }

    // ---- helpers

    /// Reports that a message was refused, unless the one before was refused for the same reason.
    fn report_append(&mut self, room: Arc<str>, answer: &Result<Position, AppendError>) {
        let Err(AppendError::Refused(reason)) = answer else {
            self.append_refusal = None;
            return;
        };
        if self.append_refusal.as_ref() != Some(reason) {
            self.append_refusal = Some(reason.clone());
            self.outputs.push_back(Output::AppendRefused { room, reason: reason.clone() });
        }
    }

    fn ask(&mut self, asked: Asked) -> u64 {
        self.next_ticket += 1;
        self.asked.insert(self.next_ticket, asked);
        self.next_ticket
    }

    fn room(&mut self, name: &Arc<str>) -> &mut Room {
        self.rooms.entry(name.clone()).or_insert_with(|| {
            self.created += 1;
            self.inactive.insert(name.clone());
            self.checks.add(self.created, name.clone());
            Room::new(self.created)
        })
    }
}

#[cfg(all(test, not(prism_loom)))]
mod simulation;
#[cfg(all(test, not(prism_loom)))]
mod tests;
