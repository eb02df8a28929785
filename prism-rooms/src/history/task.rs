//! [`HistoryTask`]: the part of a cluster's task that is about history. It moves what the core decides.

use std::{
    hash::{BuildHasher, RandomState},
    mem,
    sync::{Arc, Weak},
    time::Duration,
};

use bytes::Bytes;
use prism_driver::Connection;

use super::{core::HistoryCore, hub::Hub, record::Published};
use crate::{
    backplane::{
        command::{Command, Ticket},
        history::Reply,
    },
    cluster::{core::Core, event::ClusterEvent, runtime::AnyRuntime},
    rooms::membership::Membership,
};

pub(super) mod active;
mod connections;
pub(super) mod members;

use self::{active::Active, connections::Connections};

pub(crate) struct HistoryTask {
    hub: Arc<Hub>,
    runtime: AnyRuntime,
    /// `None` until the application wants a history.
    active: Option<Active<Connections>>,
    is_connected: bool,
    membership: Weak<Membership<Connection>>,
}

impl HistoryTask {
    pub(crate) const fn new(
        hub: Arc<Hub>,
        runtime: AnyRuntime,
        membership: Weak<Membership<Connection>>,
    ) -> Self {
        Self { hub, runtime, active: None, is_connected: false, membership }
    }

    /// Does what the application has asked for.
    pub(crate) fn handle_requests(&mut self, now: Duration) {
        self.activate();
        for request in self.hub.take_requests() {
            if let Some(active) = &mut self.active {
                active.handle_request(request, now);
            }
        }
    }

    /// Begins as soon as the application wants a history. Members may receive messages although nobody appends or joins
    /// here.
    fn activate(&mut self) {
        if self.active.is_some() {
            return;
        }
        let Some(keep) = self.hub.keep() else { return };
        let (hub, runtime, membership) =
            (self.hub.clone(), self.runtime.clone(), self.membership.clone());
        let seed = RandomState::new().hash_one(prism_driver::origin());
        let core = HistoryCore::new(keep, seed);
        let mut active = Active::new(core, Connections { hub, runtime, membership });
        if self.is_connected {
            active.core.handle_connected();
        }
        self.active = Some(active);
    }

    /// Handles that a room has no members any more.
    pub(crate) fn handle_vacant(&mut self, room: &Arc<str>) {
        if let Some(active) = &mut self.active {
            active.handle_vacant(room);
        }
    }

    pub(crate) const fn handle_leave(&mut self) {
        if let Some(active) = &mut self.active {
            active.core.handle_leave();
        }
    }

    pub(crate) fn handle_connected(&mut self) {
        self.is_connected = true;
        if let Some(active) = &mut self.active {
            active.core.handle_connected();
        }
    }

    /// Handles that a session has ended, and the backplane has not taken these commands.
    pub(crate) fn handle_not_taken(&mut self, commands: impl IntoIterator<Item = Command>) {
        let Some(active) = &mut self.active else { return };
        for command in commands {
            if let Command::Append(append) = command {
                active.core.handle_not_taken(append);
            }
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
            active.settle();
        }
    }

    /// Handles a record that was published. Returns `false` if it is malformed.
    pub(crate) fn handle_published(&mut self, payload: &Bytes) -> bool {
        let Some(Published { room, position, record }) = Published::decode(payload) else {
            return false;
        };
        let membership = self.membership.upgrade();
        let has_members = membership.is_some_and(|all| all.with_members(room, |_| ()).is_some());
        if let Some(active) = &mut self.active
            && (has_members || active.core.has_room(room))
        // its last member has just left, and may be back
        {
            active.core.handle_published(&room.into(), position, record);
            active.settle();
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
        active.settle();
        active.resubscribe.drain(..).for_each(|room| cluster.resubscribe(&room));
    }

    /// Returns when [`advance`](Self::advance) has to be called next.
    pub(crate) fn next_deadline(&self) -> Option<Duration> {
        self.active.as_ref()?.core.next_deadline()
    }

    /// Returns the next command for the session.
    pub(crate) fn poll_command(&mut self) -> Option<Command> {
        self.active.as_mut()?.core.poll_command()
    }

    /// Returns what the application is told.
    pub(crate) fn take_events(&mut self) -> Vec<ClusterEvent> {
        self.active.as_mut().map(|active| mem::take(&mut active.events)).unwrap_or_default()
    }

    /// Ends when the task does: all that wait learn that the node has left, and members are closed. The caller holds
    /// wake-ups.
    pub(crate) fn end(&mut self) {
        self.hub.close();
        if let Some(active) = self.active.take() {
            active.end();
        }
    }
}
