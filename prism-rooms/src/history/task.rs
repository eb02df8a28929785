//! [`HistoryTask`]: the part of a cluster's task that is about history. It moves what the core decides.

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    mem,
    sync::{Arc, Weak},
    time::Duration,
};

use async_channel::Sender;
use bytes::Bytes;
use prism_driver::{CloseCode, Connection, PreparedMessage, TrySendError};

use super::{
    core::{
        HistoryCore,
        output::{Admission, Output},
    },
    error::HistoryJoinError,
    hub::{Hub, JoinRequest, Request},
    joined::{JoinStep, Joined},
    position::Position,
    record::Published,
};
use crate::{
    backplane::{
        command::{Command, Ticket},
        history::{Keep, Reply},
    },
    cluster::{
        action::OwnedAction,
        core::{Core, Incoming},
    },
    error::JoinError,
    rooms::{deliver::deliver, membership::Membership},
};

pub(crate) struct HistoryTask {
    hub: Arc<Hub>,
    /// `None` until the application wants a history.
    active: Option<Active>,
    is_connected: bool,
    membership: Weak<Membership<Connection>>,
}

struct Active {
    core: HistoryCore,
    /// The connections that are being added.
    joins: HashMap<u64, Connection>,
    /// The rooms to subscribe to again.
    resubscribe: Vec<Arc<str>>,
}

impl HistoryTask {
    pub(crate) const fn new(hub: Arc<Hub>, membership: Weak<Membership<Connection>>) -> Self {
        Self { hub, active: None, is_connected: false, membership }
    }

    /// Does what the application has asked for.
    pub(crate) fn handle_requests(&mut self) {
        for request in self.hub.take_requests() {
            self.handle_request(request);
            self.settle();
        }
    }

    fn handle_request(&mut self, request: Request) {
        let Some(membership) = self.membership.upgrade() else { return };
        let is_connected = self.is_connected;
        let Some(keep) = self.hub.keep() else { return };
        let active = self.active.get_or_insert_with(|| Active::new(keep, is_connected));
        match request {
            Request::Append { room, record, permit, answer_to } => {
                active.core.handle_append(&room, record, permit, answer_to);
            }
            Request::Join(request) => active.join(&membership, request),
            Request::Continue(number) => active.core.handle_continue(number),
            Request::Cancel { number, connection, room, was_admitted } => {
                active.core.handle_cancel(number);
                if active.joins.remove(&number).is_some() || was_admitted {
                    membership.leave(connection, &room);
                }
            }
        }
    }

    /// Handles that a room has no members any more.
    pub(crate) fn handle_vacant(&mut self, room: &str) {
        if let Some(active) = &mut self.active {
            active.core.handle_vacant(room);
        }
    }

    pub(crate) fn handle_connected(&mut self) {
        self.is_connected = true;
        if let Some(active) = &mut self.active {
            active.core.handle_connected();
        }
    }

    pub(crate) fn handle_session_ended(&mut self) {
        self.is_connected = false;
        if let Some(active) = &mut self.active {
            active.core.handle_session_ended();
        }
    }

    pub(crate) fn handle_reply(&mut self, ticket: Ticket, reply: Reply) {
        if let Some(active) = &mut self.active {
            active.core.handle_reply(ticket, reply);
            self.settle();
        }
    }

    /// Handles a record that was published. Returns `false` if it is malformed.
    pub(crate) fn handle_published(&mut self, payload: &Bytes) -> bool {
        let Some(Published { room, position, record }) = Published::decode(payload) else {
            return false;
        };
        let (Some(active), Some(membership)) = (&mut self.active, self.membership.upgrade()) else {
            return true; // this node has no history
        };
        if membership.with_members(room, |_| ()).is_some() {
            active.core.handle_published(&room.into(), position, record);
            self.settle();
        }
        true
    }

    /// Does what is due.
    pub(crate) fn advance(&mut self, cluster: &mut Core, now: Duration) {
        let Some(active) = &mut self.active else { return };
        let subscribed: Vec<_> =
            active.core.inactive().filter(|room| cluster.is_reached(room)).cloned().collect();
        subscribed.iter().for_each(|room| active.core.handle_active(room));
        active.core.handle_timeout(now);
        self.settle();
        if let Some(active) = &mut self.active {
            active.resubscribe.drain(..).for_each(|room| cluster.resubscribe(&room));
        }
    }

    /// Returns the next command for the session.
    pub(crate) fn poll_command(&mut self) -> Option<Command> {
        self.active.as_mut()?.core.poll_command()
    }

    /// Does for connections what the core has decided.
    fn settle(&mut self) {
        let (Some(active), Some(membership)) = (&mut self.active, self.membership.upgrade()) else {
            return;
        };
        while let Some(output) = active.core.poll_output() {
            match output {
                Output::Deliver { room, position, record } => {
                    match self.hub.format(&position, &record) {
                        Some(message) => active.send(&membership, room, message),
                        None => active.notify(&membership, &self.hub, room, &position),
                    }
                }
                Output::Broken { room, position } => {
                    active.notify(&membership, &self.hub, room, &position);
                }
                Output::Admit(admission) => active.admit(&membership, &self.hub, admission),
                Output::Resubscribe(room) => active.resubscribe.push(room),
            }
        }
    }
}

impl Active {
    fn new(keep: Keep, is_connected: bool) -> Self {
        let seed = RandomState::new().hash_one(prism_driver::origin());
        let mut core = HistoryCore::new(keep, seed);
        if is_connected {
            core.handle_connected();
        }
        Self { core, joins: HashMap::new(), resubscribe: Vec::new() }
    }

    fn join(&mut self, membership: &Membership<Connection>, request: JoinRequest) {
        let JoinRequest { number, connection, room, after, answer_to } = request;
        let step = match membership.join(&connection, &room) {
            Ok(true) => {
                let (room, id) = (room.into(), connection.id().as_u128());
                self.joins.insert(number, connection);
                return self.core.handle_join(number, &room, id, after, answer_to);
            }
            Ok(false) => JoinStep::Done(Joined::Already),
            Err(error) => JoinStep::Failed(HistoryJoinError::Join(error)),
        };
        let _ = answer_to.try_send(step); // fails if nobody waits any more
    }

    /// Sends a message to the members of a room. Those that do not take it are closed: they come back with their
    /// positions.
    fn send(&self, membership: &Membership<Connection>, room: Arc<str>, message: PreparedMessage) {
        self.deliver(membership, room, OwnedAction::Send { message, or_close: true });
    }

    /// Tells the members of a room that they may have missed something.
    fn notify(
        &self,
        membership: &Membership<Connection>,
        hub: &Hub,
        room: Arc<str>,
        position: &Position,
    ) {
        let action = match hub.notice(&room, position) {
            Some(message) => OwnedAction::Send { message, or_close: true },
            None => OwnedAction::close(CloseCode::SERVICE_RESTART, "messages were lost"),
        };
        self.deliver(membership, room, action);
    }

    fn deliver(&self, membership: &Membership<Connection>, room: Arc<str>, action: OwnedAction) {
        let except = self.core.joining(&room);
        deliver(membership, Incoming { rooms: Some(vec![room]), except, action });
    }

    /// Makes a connection a member, if it takes all the records that it needs for that.
    fn admit(&mut self, membership: &Membership<Connection>, hub: &Hub, admission: Admission) {
        let Some(connection) = self.joins.get(&admission.join) else { return };
        let id = connection.id();
        if !membership.contains(&admission.room, id) {
            let is_open = connection.is_open();
            let left = HistoryJoinError::Left;
            let error = if is_open { left } else { HistoryJoinError::Join(JoinError::Ended) };
            return self.finish(membership, &admission, JoinStep::Failed(error));
        }
        let records = admission.records.as_deref().unwrap_or_default();
        let first = admission.position.offset() + 1 - records.len() as u64;
        let mut is_whole = admission.records.is_some();
        for (index, record) in records.iter().enumerate() {
            // Whatever the connection's policy is: it must not miss one.
            if connection.is_full() {
                return self.core.postpone(admission, index);
            }
            let position = admission.position.with_offset(first + index as u64);
            match hub.format(&position, record).map(|message| connection.try_send(message)) {
                // Others send to it as well, and have filled it just now.
                Some(Err(TrySendError::Full)) => return self.core.postpone(admission, index),
                Some(Ok(()) | Err(TrySendError::Refused(_))) => {} // or it is closing
                None => is_whole = false,
            }
        }
        let (position, repeated) = (admission.position.clone(), admission.repeated);
        let joined = if is_whole {
            Joined::Whole { position, repeated }
        } else {
            Joined::Broken { position }
        };
        self.finish(membership, &admission, JoinStep::Done(joined));
    }

    fn finish(
        &mut self,
        membership: &Membership<Connection>,
        admission: &Admission,
        step: JoinStep,
    ) {
        let answer_to: Option<Sender<JoinStep>> = self.core.admit(admission);
        let connection = self.joins.remove(&admission.join);
        let is_told = answer_to.is_some_and(|answer_to| answer_to.try_send(step).is_ok());
        // Nobody waits for it any more.
        if !is_told && let Some(connection) = connection {
            membership.leave(connection.id(), &admission.room);
        }
    }
}

/// However the task ends.
impl Drop for HistoryTask {
    fn drop(&mut self) {
        let _wakeups = prism_driver::hold_wakeups();
        self.hub.close();
        drop(mem::take(&mut self.active)); // closes the channels of all that wait
    }
}
