//! [`HistoryCore`]: the history of rooms at a node, as a state machine without I/O, clock or locks.
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
//!
//! What is published last may be lost without a trace. So each room is also read now and then.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    mem,
    sync::Arc,
    time::Duration,
};

use async_channel::Sender;
use bytes::Bytes;

use super::{
    append_limit::AppendPermit, error::AppendError, joined::JoinStep, position::Position, record,
};
use crate::backplane::{
    command::{Command, Ticket, TicketKind},
    history::{Append, Keep, Reply},
};

mod asked;
mod epochs;
mod join;
mod joins;
pub(crate) mod output;
mod reads;
mod room;

use self::{
    asked::{Asked, Reader},
    epochs::Epochs,
    join::{Join, State},
    output::Output,
    room::Room,
};

/// When a read that the backplane has refused is tried again.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);
/// How often each room is read, in case that what was published last was lost.
pub(super) const CHECK_INTERVAL: Duration = Duration::from_secs(20);

pub(crate) struct HistoryCore {
    keep: Keep,
    epochs: Epochs,
    is_connected: bool,
    rooms: HashMap<Arc<str>, Room>,
    /// The rooms that the session has not subscribed to.
    inactive: BTreeSet<Arc<str>>,
    joins: BTreeMap<u64, Join>,
    appends: VecDeque<Append>,
    /// What is to be read next.
    wanted: VecDeque<Reader>,
    asked: HashMap<u64, Asked>,
    reads: usize,
    next_ticket: u64,
    outputs: VecDeque<Output>,
    /// What the backplane has refused to read.
    refused: Vec<Reader>,
    /// When that is tried again.
    retries: Option<Duration>,
    /// How many rooms there ever were.
    created: u64,
    /// When rooms are read the next time; those that were created before a room of the same name do not count.
    checks: VecDeque<(Duration, u64, Arc<str>)>,
    /// Rooms for which that has to be set.
    unscheduled: Vec<(u64, Arc<str>)>,
}

impl HistoryCore {
    /// Creates a core. `seed` makes its epochs different from those of all others.
    pub(crate) fn new(keep: Keep, seed: u64) -> Self {
        Self {
            keep,
            epochs: Epochs::new(seed),
            is_connected: false,
            rooms: HashMap::new(),
            inactive: BTreeSet::new(),
            joins: BTreeMap::new(),
            appends: VecDeque::new(),
            wanted: VecDeque::new(),
            asked: HashMap::new(),
            reads: 0,
            next_ticket: 0,
            outputs: VecDeque::new(),
            refused: Vec::new(),
            retries: None,
            created: 0,
            checks: VecDeque::new(),
            unscheduled: Vec::new(),
        }
    }

    // ---- what happens here

    /// Handles that a record is to be kept. The answer is its position. It holds the permit until then.
    pub(crate) fn handle_append(
        &mut self,
        room: &str,
        record: Bytes,
        permit: AppendPermit,
        answer_to: Sender<Result<Position, AppendError>>,
    ) {
        if !self.is_connected {
            drop(permit);
            let _ = answer_to.try_send(Err(AppendError::Unavailable)); // fails if nobody waits any more
            return;
        }
        let number = self.ask(Asked::Append { permit, answer_to });
        self.appends.push_back(Append {
            room: room.into(),
            epoch: self.epochs.next(),
            keep: self.keep,
            head: record::head(room),
            record,
            ticket: Ticket(TicketKind::History(number)),
        });
    }

    /// Handles that a connection has become a member of a room, and has received what there is up to a position.
    /// `member` is its ID. Until it is [admitted](Self::admit), it is [not among those](Self::joining) that records are
    /// sent to.
    pub(crate) fn handle_join(
        &mut self,
        number: u64,
        room: &Arc<str>,
        member: u128,
        after: Option<Position>,
        answer_to: Sender<JoinStep>,
    ) {
        let (room, state) = (room.clone(), State::Waiting);
        self.room(&room).joins.insert(number);
        let join = Join { room, member, at: after, sent: 0, state, answer_to };
        self.joins.insert(number, join);
        self.advance_join(number);
    }

    /// Handles that the connection has been sent the page that it was given.
    pub(crate) fn handle_continue(&mut self, number: u64) {
        if let Some(join) = self.joins.get_mut(&number) {
            join.state = State::Waiting;
            self.advance_join(number);
        }
    }

    /// Handles that a connection is not added any more.
    pub(crate) fn handle_cancel(&mut self, number: u64) {
        self.remove_join(number);
    }

    /// Handles that a room has no members any more.
    pub(crate) fn handle_vacant(&mut self, room: &str) {
        if let Some(removed) = self.rooms.remove(room) {
            self.inactive.remove(room);
            for number in removed.joins {
                self.joins.remove(&number); // who waits for it learns that it has left
            }
        }
    }

    // ---- what happens to the session

    pub(crate) const fn handle_connected(&mut self) {
        self.is_connected = true;
    }

    pub(crate) fn handle_session_ended(&mut self) {
        self.is_connected = false;
        for append in self.appends.drain(..) {
            // It was not given to the session.
            if let TicketKind::History(number) = append.ticket.0
                && let Some(Asked::Append { permit, answer_to }) = self.asked.remove(&number)
            {
                drop(permit);
                let _ = answer_to.try_send(Err(AppendError::Unavailable));
            }
        }
        for (_, asked) in self.asked.drain() {
            if let Asked::Append { permit, answer_to } = asked {
                drop(permit);
                let _ = answer_to.try_send(Err(AppendError::Unknown));
            }
        }
        self.reads = 0;
        self.wanted.clear();
        self.refused.clear();
        self.retries = None;
        for join in self.joins.values_mut().filter(|join| join.state == State::Reading) {
            join.state = State::Waiting;
        }
        for (name, room) in &mut self.rooms {
            room.session_ended();
            self.inactive.insert(name.clone());
        }
    }

    /// Returns the rooms that the session had not subscribed to.
    pub(crate) fn inactive(&self) -> impl Iterator<Item = &Arc<str>> {
        self.inactive.iter().filter(|_| self.is_connected)
    }

    /// Handles that the session has subscribed to a room.
    pub(crate) fn handle_active(&mut self, name: &Arc<str>) {
        self.inactive.remove(name);
        let Some(room) = self.rooms.get_mut(name) else { return };
        room.is_active = true;
        let joins: Vec<_> = room.joins.iter().copied().collect();
        self.read_room(name);
        joins.into_iter().for_each(|number| self.advance_join(number));
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
            (Some(Asked::Append { permit, answer_to }), reply) => {
                drop(permit); // who is answered may append again
                let answer = match reply {
                    Reply::Appended(position) => Ok(position),
                    Reply::Refused(why) => Err(AppendError::Refused(why)),
                    Reply::Page(_) => Err(AppendError::Unknown),
                };
                let _ = answer_to.try_send(answer);
            }
            (Some(Asked::Read { room, reader, after, known, created }), reply) => {
                self.reads -= 1;
                if self.rooms.get(&room).is_some_and(|room| room.created == created) {
                    let page = if let Reply::Page(page) = reply { Some(page) } else { None };
                    self.handle_page(&room, reader, after.as_ref(), known.as_ref(), page.as_ref());
                }
            }
            (None, _) => {}
        }
    }

    // ---- time

    /// Reads what could not be read before, and rooms that have not been read for long. To be called at least every few
    /// seconds.
    pub(crate) fn handle_timeout(&mut self, now: Duration) {
        if !self.refused.is_empty() && *self.retries.get_or_insert(now + RETRY_INTERVAL) <= now {
            self.retries = None;
            for reader in mem::take(&mut self.refused) {
                match reader {
                    Reader::Room(name) => self.read_room(&name),
                    Reader::Join(number) => self.advance_join(number),
                }
            }
        }
        while self.checks.front().is_some_and(|(due, ..)| *due <= now)
            && let Some((_, created, name)) = self.checks.pop_front()
        {
            if self.rooms.get(&name).is_some_and(|room| room.created == created) {
                self.read_room(&name);
                self.unscheduled.push((created, name));
            }
        }
        let due = now + CHECK_INTERVAL;
        let unscheduled = self.unscheduled.drain(..);
        self.checks.extend(unscheduled.map(|(created, name)| (due, created, name)));
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

    /// Returns the IDs of the connections that are being added to a room, in ascending order.
    pub(crate) fn joining(&self, room: &str) -> Vec<u128> {
        let joins = self.rooms.get(room).into_iter().flat_map(|room| &room.joins);
        let mut members: Vec<_> =
            joins.filter_map(|number| Some(self.joins.get(number)?.member)).collect();
        members.sort_unstable();
        members
    }

    // ---- helpers

    fn ask(&mut self, asked: Asked) -> u64 {
        self.next_ticket += 1;
        self.asked.insert(self.next_ticket, asked);
        self.next_ticket
    }

    fn room(&mut self, name: &Arc<str>) -> &mut Room {
        self.rooms.entry(name.clone()).or_insert_with(|| {
            self.created += 1;
            self.inactive.insert(name.clone());
            self.unscheduled.push((self.created, name.clone()));
            Room::new(self.created)
        })
    }
}

#[cfg(all(test, not(prism_loom)))]
mod simulation;
#[cfg(all(test, not(prism_loom)))]
mod tests;
