//! [`RoomPresence`]: the people in one room, and its watchers.
//!
//! At the end of each window, watchers that are up to date receive a diff with the next number, and watchers
//! that are behind receive the state.

use std::{sync::Arc, time::Duration};

use indexmap::IndexMap;
use prism_driver::{Connection, ConnectionId};

use super::{
    change::{Change, EncodedChange},
    deferred::Deferred,
    notify_schedule::Deadline,
    people::{Diff, People},
    watch::WatchSender,
    watcher::{Destination, Watcher},
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
    /// Whether a watcher may be behind.
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

    /// Sends the diff to the watchers that are up to date, and the state to the others.
    pub(super) fn notify(&mut self, room: &Arc<str>, deferred: &mut Deferred<M>) {
        self.any_behind = false;
        let diff = self.take_diff(room, deferred);
        for at in 0..self.watchers.len() {
            if self.watchers[at].is_behind {
                self.send_state(room, at, deferred);
            } else if let Some(diff) = &diff {
                self.watchers[at].send(diff, &mut deferred.signals);
            }
            self.any_behind |= self.watchers[at].is_behind;
        }
        deferred.changes.extend(diff);
    }

    /// Moves everything that is left out of a vacant room.
    pub(super) fn clear(&mut self, deferred: &mut Deferred<M>) {
        self.people.clear(deferred);
        deferred.changes.extend(self.state.take());
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
        // Watchers that wait for a large state receive the same one, at the end of a window. A new watcher
        // must not cause it to be encoded earlier.
        if self.state.is_some() || !self.any_behind || self.people.state_size() <= LARGE_STATE {
            self.send_state(room, at, deferred);
        }
        self.any_behind |= self.watchers[at].is_behind;
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
            self.watchers[at].send(state, &mut deferred.signals);
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
