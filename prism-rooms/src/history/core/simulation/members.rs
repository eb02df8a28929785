//! [`Connections`]: the members of rooms on a node of the simulation. A connection is a number.

use std::{
    cell::{Cell, RefCell},
    collections::{BTreeMap, BTreeSet},
    mem,
    sync::Arc,
};

use async_channel::Sender;
use bytes::Bytes;
use fastrand::Rng;

use super::joining::Joining;
use crate::{
    error::JoinError,
    history::{
        error::HistoryJoinError,
        hub::{JoinRequest, Request},
        join_id::JoinId,
        joined::{JoinStep, Joined},
        position::Position,
        start::Start,
        task::members::{Members, Sent},
    },
};

pub(super) struct Connections {
    members: RefCell<BTreeSet<(Arc<str>, u128)>>,
    /// Rooms that have appeared or vanished since the node has looked.
    changes: RefCell<BTreeMap<Arc<str>, bool>>,
    ended: RefCell<BTreeSet<u128>>,
    /// The futures of connections that join, and of members that have fallen behind.
    joinings: RefCell<Vec<Joining>>,
    requests: RefCell<Vec<Request<u128>>>,
    happens: RefCell<Vec<Happens>>,
    last_number: Cell<u64>,
    rng: RefCell<Rng>,
    /// Whether outboxes may be full.
    pub(super) is_faulty: Cell<bool>,
}

/// What happens to a connection.
#[derive(Debug)]
pub(super) enum Happens {
    Received {
        connection: u128,
        position: Position,
        record: Bytes,
    },
    /// It is told that it may have missed something, and what comes next.
    Warned {
        connection: u128,
        room: Arc<str>,
        position: Position,
    },
    /// What its request to join returns.
    Joined {
        id: JoinId,
        joined: Result<Joined, HistoryJoinError>,
    },
}

impl Connections {
    pub(super) fn new(rng: Rng) -> Self {
        Self {
            members: RefCell::default(),
            changes: RefCell::default(),
            ended: RefCell::default(),
            joinings: RefCell::default(),
            requests: RefCell::default(),
            happens: RefCell::default(),
            last_number: Cell::new(0),
            rng: RefCell::new(rng),
            is_faulty: Cell::new(true),
        }
    }

    // ---- what the application does

    /// Asks to join. Returns the number of the request.
    pub(super) fn request_join(&self, room: &Arc<str>, connection: u128, start: Start) -> u64 {
        let (id, answer_to) = self.start(room, connection, false);
        let number = id.number;
        let request = JoinRequest { id, connection, start, answer_to };
        self.requests.borrow_mut().push(Request::Join(request));
        number
    }

    /// Drops the futures of a connection that joins.
    pub(super) fn cancel(&self, room: &str, connection: u128) {
        self.drop_futures(|joining| {
            let JoinId { room: of, member, .. } = &joining.id;
            **of == *room && *member == connection && !joining.is_behind
        });
    }

    /// Lets a connection leave a room. Returns whether it was in there.
    pub(super) fn leave_room(&self, room: &Arc<str>, connection: u128) -> bool {
        let was_member = self.contains(room, &connection);
        self.leave(&connection, room);
        was_member
    }

    /// Ends a connection.
    pub(super) fn end(&self, connection: u128) {
        self.ended.borrow_mut().insert(connection);
        let members = self.members.borrow();
        let rooms: Vec<_> =
            members.iter().filter(|(_, member)| *member == connection).cloned().collect();
        drop(members);
        rooms.iter().for_each(|(room, _)| self.leave(&connection, room));
        self.drop_futures(|joining| joining.id.member == connection);
    }

    /// Lets the futures run.
    pub(super) fn poll(&self) {
        let joinings = mem::take(&mut *self.joinings.borrow_mut());
        for mut joining in joinings {
            let is_member = self.contains(&joining.id.room, &joining.id.member);
            let room = self.room_in_outbox();
            let mut happens = self.happens.borrow_mut();
            match joining.poll(room, is_member, &mut happens, &mut self.requests.borrow_mut()) {
                None => self.joinings.borrow_mut().push(joining),
                Some(_) if joining.is_behind => {}
                Some(joined) => happens.push(Happens::Joined { id: joining.id, joined }),
            }
        }
    }

    // ---- for the node

    pub(super) fn take_requests(&self) -> Vec<Request<u128>> {
        mem::take(&mut self.requests.borrow_mut())
    }

    pub(super) fn take_changes(&self) -> BTreeMap<Arc<str>, bool> {
        mem::take(&mut self.changes.borrow_mut())
    }

    pub(super) fn take_happens(&self) -> Vec<Happens> {
        mem::take(&mut self.happens.borrow_mut())
    }

    pub(super) fn rooms(&self) -> BTreeSet<Arc<str>> {
        self.members.borrow().iter().map(|(room, _)| room.clone()).collect()
    }

    pub(super) fn has_members(&self, room: &Arc<str>) -> bool {
        !self.members_of(room).is_empty()
    }

    // ---- helpers

    fn start(&self, room: &Arc<str>, member: u128, is_behind: bool) -> (JoinId, Sender<JoinStep>) {
        let number = self.last_number.get() + 1;
        self.last_number.set(number);
        let id = JoinId { room: room.clone(), member, number };
        let (answer_to, steps) = async_channel::bounded(1);
        self.joinings.borrow_mut().push(Joining::new(id.clone(), is_behind, steps));
        (id, answer_to)
    }

    fn drop_futures(&self, is_dropped: impl Fn(&Joining) -> bool) {
        let joinings = mem::take(&mut *self.joinings.borrow_mut());
        let (dropped, others): (Vec<_>, Vec<_>) = joinings.into_iter().partition(is_dropped);
        *self.joinings.borrow_mut() = others;
        let cancels = dropped.into_iter().map(|joining| Request::Cancel(joining.id));
        self.requests.borrow_mut().extend(cancels);
    }

    fn members_of(&self, room: &Arc<str>) -> Vec<u128> {
        let range = (room.clone(), 0)..=(room.clone(), u128::MAX);
        self.members.borrow().range(range).map(|(_, member)| *member).collect()
    }

    /// Returns how many records a connection takes now.
    fn room_in_outbox(&self) -> usize {
        if self.is_faulty.get() { self.rng.borrow_mut().usize(..5) } else { usize::MAX }
    }

    fn receive(&self, connection: u128, position: &Position, record: &Bytes) {
        let (position, record) = (position.clone(), record.clone());
        self.happens.borrow_mut().push(Happens::Received { connection, position, record });
    }
}

impl Members for Connections {
    type Member = u128;

    fn is_open(&self, member: &u128) -> bool {
        !self.ended.borrow().contains(member)
    }

    fn contains(&self, room: &str, member: &u128) -> bool {
        self.members.borrow().contains(&(room.into(), *member))
    }

    fn join(&self, member: &u128, room: &str) -> Result<bool, JoinError> {
        if !self.is_open(member) {
            return Err(JoinError::Ended);
        }
        let has_entered = self.members.borrow_mut().insert((room.into(), *member));
        self.changes.borrow_mut().insert(room.into(), true);
        Ok(has_entered)
    }

    fn leave(&self, member: &u128, room: &str) {
        let room: Arc<str> = room.into();
        let has_left = self.members.borrow_mut().remove(&(room.clone(), *member));
        if has_left && !self.has_members(&room) {
            self.changes.borrow_mut().insert(room, false);
        }
    }

    fn send(
        &self,
        room: &Arc<str>,
        except: Vec<u128>,
        position: &Position,
        record: &Bytes,
    ) -> Vec<u128> {
        let mut full = Vec::new();
        for member in self.members_of(room).into_iter().filter(|member| !except.contains(member)) {
            if self.room_in_outbox() == 0 {
                full.push(member);
            } else {
                self.receive(member, position, record);
            }
        }
        full
    }

    fn send_one(&self, member: &u128, position: &Position, record: &Bytes) -> Sent {
        if self.room_in_outbox() == 0 {
            return Sent::Full;
        }
        self.receive(*member, position, record);
        Sent::Taken
    }

    fn warn(&self, room: &Arc<str>, except: Vec<u128>, position: &Position) {
        for member in self.members_of(room).iter().filter(|member| !except.contains(member)) {
            self.warn_one(room, member, position);
        }
    }

    fn warn_one(&self, room: &str, member: &u128, position: &Position) {
        let (connection, room, position) = (*member, room.into(), position.clone());
        self.happens.borrow_mut().push(Happens::Warned { connection, room, position });
    }

    fn close(&self, room: &Arc<str>) {
        self.members_of(room).into_iter().for_each(|member| self.end(member));
    }

    fn catch_up(&self, room: &Arc<str>, member: &u128) -> (JoinId, Sender<JoinStep>) {
        self.start(room, *member, true)
    }
}
