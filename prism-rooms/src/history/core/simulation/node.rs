//! [`Node`]: a node of the simulation, with its connection to the server.

use std::{
    collections::{BTreeSet, VecDeque},
    iter, mem,
    sync::Arc,
    time::Duration,
};

use async_channel::Receiver;
use bytes::Bytes;
use fastrand::Rng;

use super::{
    KEEP,
    members::{Connections, Happens},
};
use crate::{
    backplane::{
        command::{Command, Ticket},
        history::Reply,
    },
    history::{
        appends::Appends, core::HistoryCore, error::AppendError, position::Position,
        record::Published, task::active::Active,
    },
};

pub(super) struct Node {
    pub(super) active: Active<Connections>,
    pub(super) session: Option<Session>,
}

/// What is on its way. Each queue keeps its order; nothing else does.
#[derive(Default)]
pub(super) struct Session {
    /// The rooms that the server publishes to the node.
    pub(super) subscribed: BTreeSet<Arc<str>>,
    /// The rooms that the node has subscribed to, and those for which that was confirmed.
    requested: BTreeSet<Arc<str>>,
    reached: BTreeSet<Arc<str>>,
    pub(super) commands: VecDeque<Command>,
    pub(super) replies: VecDeque<(Ticket, Reply)>,
    pub(super) published: VecDeque<Arrival>,
}

pub(super) enum Arrival {
    Subscribed(Arc<str>),
    Payload(Arc<str>, Bytes),
}

impl Node {
    pub(super) fn new(seed: u64) -> Self {
        let members = Connections::new(Rng::with_seed(seed));
        Self { active: Active::new(HistoryCore::new(KEEP, seed), members), session: None }
    }

    pub(super) const fn connections(&self) -> &Connections {
        &self.active.members
    }

    pub(super) fn append(
        &mut self,
        room: &str,
        record: Bytes,
    ) -> Receiver<Result<Position, AppendError>> {
        let (pending, answer) = Appends::new().begin(record.len()).expect("it is short");
        self.active.core.handle_append(room, record, pending);
        answer
    }

    pub(super) fn connect(&mut self) {
        self.session = Some(Session::default());
        self.active.core.handle_connected();
        self.connections().rooms().iter().for_each(|room| self.subscribe(room));
    }

    pub(super) fn disconnect(&mut self) {
        if self.session.take().is_some() {
            self.active.core.handle_session_ended();
        }
    }

    fn subscribe(&mut self, room: &Arc<str>) {
        if let Some(session) = &mut self.session {
            session.subscribed.insert(room.clone());
            session.requested.insert(room.clone());
            session.published.push_back(Arrival::Subscribed(room.clone()));
        }
    }

    /// Does all that can be done now, as a cluster's task does. Returns what happens to connections.
    pub(super) fn advance(&mut self, rng: &mut Rng, now: Duration) -> Vec<Happens> {
        for request in self.connections().take_requests() {
            self.active.handle_request(request, now);
        }
        for (room, exists) in self.connections().take_changes() {
            self.handle_change(&room, exists, rng.bool());
        }
        for _ in 0..rng.usize(..6) {
            self.handle_arrival(rng.bool());
        }
        let reached = self.session.as_ref().map(|session| &session.reached);
        let is_reached = |room: &Arc<str>| reached.is_some_and(|reached| reached.contains(room));
        let inactive = self.active.core.inactive();
        let active: Vec<_> = inactive.filter(|room| is_reached(room)).cloned().collect();
        active.iter().for_each(|room| self.active.core.handle_active(room));
        self.active.core.handle_timeout(now);
        self.active.settle();
        for room in mem::take(&mut self.active.resubscribe) {
            self.subscribe(&room);
        }
        if let Some(session) = &mut self.session {
            session.commands.extend(iter::from_fn(|| self.active.core.poll_command()));
        }
        self.connections().take_happens()
    }

    fn handle_change(&mut self, room: &Arc<str>, exists: bool, lingers: bool) {
        if !exists {
            self.active.handle_vacant(room);
        }
        let Some(session) = &mut self.session else { return };
        if exists && !session.requested.contains(room) {
            self.subscribe(room);
        } else if !exists && !lingers {
            session.subscribed.remove(room);
            session.requested.remove(room);
            session.reached.remove(room);
            session.published.retain(|arrival| {
                let (Arrival::Subscribed(of) | Arrival::Payload(of, _)) = arrival;
                of != room
            });
        }
    }

    fn handle_arrival(&mut self, published_first: bool) {
        let Some(session) = &mut self.session else { return };
        let is_published = published_first || session.replies.is_empty();
        if is_published && let Some(arrival) = session.published.pop_front() {
            match arrival {
                Arrival::Subscribed(room) => drop(session.reached.insert(room)),
                Arrival::Payload(room, payload) => self.handle_payload(&room, &payload),
            }
        } else if let Some((ticket, reply)) = session.replies.pop_front() {
            self.active.core.handle_reply(ticket, reply);
        }
        self.active.settle();
    }

    fn handle_payload(&mut self, room: &Arc<str>, payload: &Bytes) {
        if self.active.core.has_room(room) || self.connections().has_members(room) {
            let published = Published::decode(payload).expect("it is well-formed");
            let Published { position, record, .. } = published;
            self.active.core.handle_published(room, position, record);
        }
    }
}
