//! [`RoomPresence`]: the people in one room, and its watchers.
//!
//! At the end of each window, watchers that are up to date receive a diff with the next number, and watchers
//! that are behind receive the state.
//!
//! For a watcher whose messages are compressed, the room is locked twice: to find out what has to be compressed, and to
//! send that. In between it may change. So each watcher has a note of [what it needs](Needs), and the second time, it
//! is sent what it needs by then.

use std::{sync::Arc, time::Duration};

use indexmap::IndexMap;
use prism_driver::{Connection, ConnectionId};

use super::{
    change::Change,
    deferred::Deferred,
    encoded_change::EncodedChange,
    notify_schedule::Deadline,
    people::{Diff, People},
    watch::WatchSender,
    watcher::{Destination, Needs, Watcher},
};
use crate::directory::Vacancy;

/// The size in bytes above which a state is encoded at most once per [`LARGE_STATE_INTERVAL`]: the default
/// high-water mark of an outbox.
const LARGE_STATE: usize = 64 << 10;

/// The least time between two large states.
///
/// A watcher that does not read holds the state that it was sent. Within this interval all such watchers share
/// one state. So together they hold only the states that are encoded before the write timeout closes their
/// connections, and not one state each.
const LARGE_STATE_INTERVAL: Duration = Duration::from_secs(1);

/// How long to wait before watchers that had no room are looked at again, unless the people change. Each time, all
/// watchers of the room are visited.
const CATCH_UP_INTERVAL: Duration = Duration::from_secs(1);

pub(super) struct RoomPresence<M> {
    pub(super) people: People<M>,
    watchers: IndexMap<WatcherId, Watcher<M>>,
    /// The number of the last diff.
    number: u64,
    /// The state as announced, shared by all watchers that need it before the next diff.
    state: Option<EncodedChange<M>>,
    state_encoded_at: Option<Duration>,
    /// The last diff, until no watcher needs it.
    diff: Option<EncodedChange<M>>,
    /// Whether a watcher may be behind: it needs something that it could not be sent.
    any_behind: bool,
    /// When the watchers are to be notified, if that is scheduled.
    pub(super) deadline: Option<Deadline>,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum WatcherId {
    Connection(ConnectionId),
    Watch(u64),
}

impl<M> RoomPresence<M> {
    // ---- watchers

    /// Returns whether the connection is a new watcher.
    pub(super) fn watch(
        &mut self,
        room: &Arc<str>,
        connection: Connection,
        deferred: &mut Deferred<M>,
    ) -> bool {
        let id = WatcherId::Connection(connection.id());
        let is_new = !self.watchers.contains_key(&id);
        let watcher = Watcher::new(Destination::Connection(connection));
        if is_new {
            self.add_watcher(room, id, watcher, deferred);
        } else {
            deferred.watchers.push(watcher);
        }
        is_new
    }

    /// Returns whether the connection was a watcher.
    pub(super) fn unwatch(&mut self, id: ConnectionId, deferred: &mut Deferred<M>) -> bool {
        self.remove_watcher(WatcherId::Connection(id), deferred)
    }

    pub(super) fn watch_here(
        &mut self,
        room: &Arc<str>,
        watch_id: u64,
        watch: WatchSender<M>,
        deferred: &mut Deferred<M>,
    ) {
        let watcher = Watcher::new(Destination::Watch(watch));
        self.add_watcher(room, WatcherId::Watch(watch_id), watcher, deferred);
    }

    pub(super) fn unwatch_here(&mut self, watch_id: u64, deferred: &mut Deferred<M>) {
        self.remove_watcher(WatcherId::Watch(watch_id), deferred);
    }

    /// Returns whether the connection is tracked here or watches.
    pub(super) fn has_connection(&self, id: ConnectionId) -> bool {
        self.people.is_tracked(id) || self.watchers.contains_key(&WatcherId::Connection(id))
    }

    pub(super) fn watcher_count(&self) -> usize {
        self.watchers.len()
    }

    // ---- notifying them

    /// Returns how long to wait before the watchers are notified, or `None` if they know everything.
    pub(super) fn notify_after(&self, window: Duration) -> Option<Duration> {
        if self.people.may_have_changed() {
            return Some(window);
        }
        self.any_behind.then(|| window.max(CATCH_UP_INTERVAL))
    }

    /// Removes the deadline, if it is this one. Returns whether it was.
    pub(super) fn take_deadline(&mut self, deadline: Deadline) -> bool {
        self.deadline.take_if(|current| *current == deadline).is_some()
    }

    /// Sends the diff to the watchers that are up to date, and the state to the others. What has to be
    /// [compressed](super::compressions) first, [`send_to_all`](Self::send_to_all) sends after that.
    pub(super) fn notify(&mut self, room: &Arc<str>, deferred: &mut Deferred<M>) {
        if let Some(diff) = self.take_diff(room, deferred) {
            for watcher in self.watchers.values_mut() {
                watcher.needs = match watcher.needs {
                    Needs::Nothing => Needs::Diff,
                    // A diff that it still needs was not sent because an engine panicked.
                    Needs::State | Needs::Diff => Needs::State,
                };
            }
            deferred.changes.extend(self.diff.replace(diff));
        }
        self.send_to_all(room, deferred);
    }

    /// Sends each watcher what it needs, unless that has to be compressed first.
    pub(super) fn send_to_all(&mut self, room: &Arc<str>, deferred: &mut Deferred<M>) {
        let (mut any_behind, mut any_needs_diff) = (false, false);
        for at in 0..self.watchers.len() {
            match (self.watchers[at].needs, &self.diff) {
                (Needs::State, _) => self.send_state(room, at, deferred),
                (Needs::Diff, Some(diff)) => {
                    self.watchers[at].send(diff, &mut deferred.signals, &mut deferred.compressions);
                }
                (Needs::Diff, None) | (Needs::Nothing, _) => {}
            }
            any_behind |= self.watchers[at].needs != Needs::Nothing;
            any_needs_diff |= self.watchers[at].needs == Needs::Diff;
        }
        self.any_behind = any_behind;
        if !any_needs_diff {
            deferred.changes.extend(self.diff.take());
        }
    }

    /// Sends a new watcher the state, now that it has been compressed. Does nothing if the watcher has received it in
    /// the meantime, with a notification, or has stopped watching.
    pub(super) fn send_to_new(
        &mut self,
        room: &Arc<str>,
        id: ConnectionId,
        deferred: &mut Deferred<M>,
    ) {
        if let Some(at) = self.watchers.get_index_of(&WatcherId::Connection(id))
            && self.watchers[at].needs == Needs::State
        {
            self.send_first_state(room, at, deferred);
        }
    }

    /// Moves everything that is left out of a vacant room.
    pub(super) fn clear(&mut self, deferred: &mut Deferred<M>) {
        self.people.clear(deferred);
        deferred.changes.extend(self.state.take());
        deferred.changes.extend(self.diff.take());
    }

    fn add_watcher(
        &mut self,
        room: &Arc<str>,
        id: WatcherId,
        watcher: Watcher<M>,
        deferred: &mut Deferred<M>,
    ) {
        let (at, replaced) = self.watchers.insert_full(id, watcher);
        deferred.watchers.extend(replaced);
        self.send_first_state(room, at, deferred);
    }

    fn send_first_state(&mut self, room: &Arc<str>, at: usize, deferred: &mut Deferred<M>) {
        // Watchers that wait for a large state receive the same one, at the end of a window. A new watcher
        // must not cause it to be encoded earlier.
        if self.state.is_some() || !self.any_behind || self.people.state_size() <= LARGE_STATE {
            self.send_state(room, at, deferred);
        }
        // If the state is yet to be compressed, it is sent right after that, and needs no notification.
        if deferred.compressions.is_empty() {
            self.any_behind |= self.watchers[at].needs != Needs::Nothing;
        }
    }

    /// Sends the state to the watcher at this index. Does nothing if the watcher has no room for it, or if it
    /// is too early to encode a large state again.
    fn send_state(&mut self, room: &Arc<str>, at: usize, deferred: &mut Deferred<M>) {
        if !self.watchers[at].has_room() {
            return;
        }
        if self.state.is_none() {
            let earliest = self
                .state_encoded_at
                .map_or(Duration::ZERO, |at| at.saturating_add(LARGE_STATE_INTERVAL));
            if self.people.state_size() > LARGE_STATE && deferred.now < earliest {
                return;
            }
            let people = self.people.announced();
            let (room, number) = (room.clone(), self.number);
            self.state = Some(EncodedChange::new(Change::State { room, number, people }));
            self.state_encoded_at = Some(deferred.now);
        }
        if let Some(state) = &self.state {
            self.watchers[at].send(state, &mut deferred.signals, &mut deferred.compressions);
        }
    }

    fn take_diff(
        &mut self,
        room: &Arc<str>,
        deferred: &mut Deferred<M>,
    ) -> Option<EncodedChange<M>> {
        let Diff { joined, updated, left } = self.people.take_diff(deferred)?;
        self.number += 1;
        deferred.changes.extend(self.state.take());
        let (room, number) = (room.clone(), self.number);
        Some(EncodedChange::new(Change::Diff { room, number, joined, updated, left }))
    }

    fn remove_watcher(&mut self, id: WatcherId, deferred: &mut Deferred<M>) -> bool {
        let removed = self.watchers.swap_remove(&id);
        let was_watching = removed.is_some();
        deferred.watchers.extend(removed);
        was_watching
    }
}

impl<M> Default for RoomPresence<M> {
    fn default() -> Self {
        Self {
            people: People::default(),
            watchers: IndexMap::new(),
            number: 0,
            state: None,
            state_encoded_at: None,
            diff: None,
            any_behind: false,
            deadline: None,
        }
    }
}

impl<M> Vacancy for RoomPresence<M> {
    fn is_vacant(&self) -> bool {
        self.people.is_empty() && self.watchers.is_empty()
    }
}
