//! [`Crowd`]: the people in one room, and who is told of them.
//!
//! ```text
//!   track, untrack ──► people ──┐ at the end of the window, where they differ:
//!                               ├──► a diff, with the next number, for who knows the last one
//!   what watchers know: shown ──┘    the state, for who is behind
//! ```
//!
//! Only what differs at that moment is told, so who has gone and come back since has not moved.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use async_channel::Receiver;
use indexmap::IndexMap;
use prism_driver::{Connection, ConnectionId};

use super::{
    change::{Change, Person, Tracked},
    dues::Due,
    watch::{Outlet, Told, Watcher},
};
use crate::directory::Vacate;

/// How many changes wait in a [`Watch`](super::Watch) that nobody receives from.
const WAITING: usize = 16;

pub(super) struct Crowd<M> {
    people: People<M>,
    shown: People<M>,
    /// The keys of those who may differ in the two.
    changed: BTreeSet<Arc<str>>,
    /// Whose a connection is.
    keys: HashMap<ConnectionId, Arc<str>>,
    watchers: IndexMap<WatcherId, Watcher<M>>,
    /// Of the last diff.
    number: u64,
    /// What is shown, made ready for whoever needs it until the next diff.
    state: Option<Told<M>>,
    /// A watcher may be behind.
    behind: bool,
    /// Its place among those that are due.
    pub(super) due: Option<Due>,
}

type People<M> = BTreeMap<Arc<str>, Arc<Person<M>>>;

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum WatcherId {
    Connection(ConnectionId),
    Here(u64),
}

impl<M> Crowd<M> {
    // ---- who is here

    pub(super) fn track(&mut self, person: &str, tracked: Tracked<M>) {
        let id = tracked.connection;
        if self.keys.get(&id).is_some_and(|key| **key != *person) {
            self.untrack(id);
        }
        let (key, connections) = self.connections(person);
        match connections.iter_mut().find(|there| there.connection == id) {
            Some(there) => *there = tracked,
            None => connections.push(tracked),
        }
        self.keys.insert(id, key.clone());
        self.changed.insert(key);
    }

    pub(super) fn untrack(&mut self, id: ConnectionId) -> bool {
        let Some(key) = self.keys.remove(&id) else { return false };
        let (_, connections) = self.connections(&key);
        connections.retain(|there| there.connection != id);
        if connections.is_empty() {
            self.people.remove(&key);
        }
        self.changed.insert(key);
        true
    }

    pub(super) fn people(&self) -> Vec<Arc<Person<M>>> {
        self.people.values().cloned().collect()
    }

    pub(super) fn count(&self) -> usize {
        self.people.len()
    }

    // ---- who is told

    /// Whether it did not watch before.
    pub(super) fn watch(&mut self, room: &Arc<str>, connection: Connection) -> bool {
        let id = WatcherId::Connection(connection.id());
        if self.watchers.contains_key(&id) {
            return false;
        }
        self.welcome(room, id, Outlet::Connection(connection));
        true
    }

    pub(super) fn unwatch(&mut self, id: ConnectionId) -> bool {
        self.watchers.swap_remove(&WatcherId::Connection(id)).is_some()
    }

    pub(super) fn watch_here(&mut self, room: &Arc<str>, number: u64) -> Receiver<Arc<Change<M>>> {
        let (sender, receiver) = async_channel::bounded(WAITING);
        self.welcome(room, WatcherId::Here(number), Outlet::Here(sender));
        receiver
    }

    pub(super) fn unwatch_here(&mut self, number: u64) {
        self.watchers.swap_remove(&WatcherId::Here(number));
    }

    /// Whether a connection is shown here, or told.
    pub(super) fn knows(&self, id: ConnectionId) -> bool {
        self.keys.contains_key(&id) || self.watchers.contains_key(&WatcherId::Connection(id))
    }

    // ---- telling

    /// Whether there is something to tell.
    pub(super) fn has_news(&self) -> bool {
        self.behind || !self.changed.is_empty()
    }

    /// Whether it was this that was due. If so, it is no more.
    pub(super) fn was_due(&mut self, due: Due) -> bool {
        self.due.take_if(|it| *it == due).is_some()
    }

    pub(super) fn watchers(&self) -> usize {
        self.watchers.len()
    }

    /// Tells what has changed to those who know what was before, and the state to the others.
    pub(super) fn tell(&mut self, room: &Arc<str>) {
        self.behind = false;
        let diff = self.take_diff(room);
        let (shown, number) = (&self.shown, self.number);
        for watcher in self.watchers.values_mut() {
            if watcher.is_behind {
                watcher.catch_up(|| self.state.get_or_insert_with(|| state(room, number, shown)));
            } else if let Some(diff) = &diff {
                watcher.tell(diff);
            }
            self.behind |= watcher.is_behind;
        }
    }

    fn welcome(&mut self, room: &Arc<str>, id: WatcherId, to: Outlet<M>) {
        let mut watcher = Watcher::new(to);
        let (shown, number) = (&self.shown, self.number);
        watcher.catch_up(|| self.state.get_or_insert_with(|| state(room, number, shown)));
        self.behind |= watcher.is_behind;
        self.watchers.insert(id, watcher);
    }

    fn take_diff(&mut self, room: &Arc<str>) -> Option<Told<M>> {
        let (mut joined, mut updated, mut left) = (Vec::new(), Vec::new(), Vec::new());
        for key in std::mem::take(&mut self.changed) {
            let is = self.people.get(&key).cloned();
            let was = match &is {
                Some(is) => self.shown.insert(key.clone(), is.clone()),
                None => self.shown.remove(&key),
            };
            match (was, is) {
                (None, None) => {}
                (None, Some(is)) => joined.push(is),
                (Some(was), Some(is)) if was.looks_like(&is) => {}
                (Some(_), Some(is)) => updated.push(is),
                (Some(_), None) => left.push(key),
            }
        }
        if joined.is_empty() && updated.is_empty() && left.is_empty() {
            return None;
        }
        self.number += 1;
        self.state = None;
        let (room, number) = (room.clone(), self.number);
        Some(Told::new(Change::Diff { room, number, joined, updated, left }))
    }

    /// The connections of somebody, who may have come just now; and their key.
    fn connections(&mut self, key: &str) -> (Arc<str>, &mut Vec<Tracked<M>>) {
        let key = self.people.get_key_value(key).map_or_else(|| key.into(), |(key, _)| key.clone());
        let person = self
            .people
            .entry(key.clone())
            .or_insert_with(|| Arc::new(Person { key: key.clone(), connections: Vec::new() }));
        // What watchers know stays as it is.
        (key, &mut Arc::make_mut(person).connections)
    }
}

fn state<M>(room: &Arc<str>, number: u64, shown: &People<M>) -> Told<M> {
    let people = shown.values().cloned().collect();
    Told::new(Change::State { room: room.clone(), number, people })
}

impl<M> Default for Crowd<M> {
    fn default() -> Self {
        Self {
            people: People::new(),
            shown: People::new(),
            changed: BTreeSet::new(),
            keys: HashMap::new(),
            watchers: IndexMap::new(),
            number: 0,
            state: None,
            behind: false,
            due: None,
        }
    }
}

impl<M> Vacate for Crowd<M> {
    fn is_vacant(&self) -> bool {
        self.people.is_empty() && self.watchers.is_empty()
    }
}
