//! [`RoomPresence`]: the people in one room, and who is told of them.
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
    mem,
    ops::Bound::{Excluded, Unbounded},
    sync::Arc,
    time::Duration,
};

use indexmap::IndexMap;
use prism_driver::{Connection, ConnectionId};

use super::{
    change::{Change, Person, Tracked},
    deferred::Deferred,
    json_size,
    notify_schedule::Deadline,
    watch::{Destination, EncodedChange, Watcher},
};
use crate::{directory::Vacancy, error::TrackError, options::PresenceOptions};

/// A state that is larger is made [seldom](PAUSE). So much an outbox holds of anything, by default.
const LARGE_STATE: usize = 64 << 10;

/// How long after a large state the next one is made at the earliest. A watcher that does not read keeps
/// the one that it was told; so all of them together keep no more than were made until they are cut off,
/// and not one each.
const LARGE_STATE_INTERVAL: Duration = Duration::from_secs(1);

pub(super) struct RoomPresence<M> {
    people: People<M>,
    announced: People<M>,
    /// The keys of those who may differ in the two.
    changed_keys: BTreeSet<Arc<str>>,
    /// How large the state is as JSON, at most, when all of these people are shown.
    size: usize,
    /// Whose a connection is.
    key_of: HashMap<ConnectionId, Arc<str>>,
    watchers: IndexMap<WatcherId, Watcher<M>>,
    /// Of the last diff.
    number: u64,
    /// What is shown, made ready for whoever needs it until the next diff.
    state: Option<EncodedChange<M>>,
    /// When the last state was made.
    state_made_at: Option<Duration>,
    /// A watcher may be behind.
    any_behind: bool,
    /// Its place among those that are due.
    pub(super) deadline: Option<Deadline>,
}

type People<M> = BTreeMap<Arc<str>, Arc<Person<M>>>;

/// What would be less without a connection.
#[derive(Clone, Copy, Default)]
struct Contribution {
    people: usize,
    size: usize,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum WatcherId {
    Connection(ConnectionId),
    Local(u64),
}

impl<M> RoomPresence<M> {
    // ---- who is here

    /// Shows a connection as one of this person's, unless that is against the limits.
    pub(super) fn track(
        &mut self,
        room: &Arc<str>,
        person: &str,
        tracked: Tracked<M>,
        limits: &PresenceOptions,
        deferred: &mut Deferred<M>,
    ) -> Result<(), TrackError> {
        if let Err(error) = self.admit(room, person, &tracked, limits) {
            deferred.connections.push(tracked);
            return Err(error);
        }
        let id = tracked.connection;
        if self.key_of.get(&id).is_some_and(|key| **key != *person) {
            self.remove(id, deferred);
        }
        let (key, connections) = self.connections(person, deferred);
        match connections.iter_mut().find(|there| there.connection == id) {
            Some(there) => deferred.connections.push(mem::replace(there, tracked)),
            None => connections.push(tracked),
        }
        self.key_of.insert(id, key.clone());
        self.changed_keys.insert(key);
        Ok(())
    }

    pub(super) fn untrack(&mut self, id: ConnectionId, deferred: &mut Deferred<M>) -> bool {
        self.size -= self.contribution(id).size;
        self.remove(id, deferred)
    }

    /// The first people behind `after`, if it is given, by their keys.
    pub(super) fn people_after(&self, after: Option<&str>, most: usize) -> Vec<Arc<Person<M>>> {
        let beyond = (after.map_or(Unbounded, Excluded), Unbounded);
        let people = self.people.range::<str, _>(beyond).take(most);
        people.map(|(_, person)| person.clone()).collect()
    }

    pub(super) fn person(&self, key: &str) -> Option<Arc<Person<M>>> {
        self.people.get(key).cloned()
    }

    pub(super) fn count(&self) -> usize {
        self.people.len()
    }

    // ---- who is told

    /// Whether it did not watch before.
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

    pub(super) fn unwatch(&mut self, id: ConnectionId, deferred: &mut Deferred<M>) -> bool {
        self.remove_watcher(WatcherId::Connection(id), deferred)
    }

    pub(super) fn add_local_watcher(
        &mut self,
        room: &Arc<str>,
        number: u64,
        destination: Destination<M>,
        deferred: &mut Deferred<M>,
    ) {
        self.add_watcher(room, WatcherId::Local(number), Watcher::new(destination), deferred);
    }

    pub(super) fn remove_local_watcher(&mut self, number: u64, deferred: &mut Deferred<M>) {
        self.remove_watcher(WatcherId::Local(number), deferred);
    }

    /// Whether a connection is shown here, or told.
    pub(super) fn has_member(&self, id: ConnectionId) -> bool {
        self.key_of.contains_key(&id) || self.watchers.contains_key(&WatcherId::Connection(id))
    }

    // ---- telling

    /// Whether there is something to tell.
    pub(super) fn has_pending_changes(&self) -> bool {
        self.any_behind || !self.changed_keys.is_empty()
    }

    /// Whether it was this that was due. If so, it is no more.
    pub(super) fn take_deadline(&mut self, deadline: Deadline) -> bool {
        self.deadline.take_if(|it| *it == deadline).is_some()
    }

    pub(super) fn watcher_count(&self) -> usize {
        self.watchers.len()
    }

    /// Tells what has changed to those who know what was before, and the state to the others.
    pub(super) fn notify(&mut self, room: &Arc<str>, deferred: &mut Deferred<M>) {
        self.any_behind = false;
        let diff = self.take_diff(room, deferred);
        for at in 0..self.watchers.len() {
            if self.watchers[at].is_behind {
                self.send_state(room, at, deferred);
            } else if let Some(diff) = &diff {
                self.watchers[at].send(diff, deferred);
            }
            self.any_behind |= self.watchers[at].is_behind;
        }
        deferred.changes.extend(diff);
    }

    /// Takes out all that is left where nobody is.
    pub(super) fn clear(&mut self, deferred: &mut Deferred<M>) {
        deferred.people.extend(mem::take(&mut self.announced).into_values());
        deferred.changes.extend(self.state.take());
    }

    /// Whether a connection may be shown as one of this person's. If so, the size is that with it.
    fn admit(
        &mut self,
        room: &str,
        person: &str,
        tracked: &Tracked<M>,
        limits: &PresenceOptions,
    ) -> Result<(), TrackError> {
        if self.people.is_empty() {
            self.size = json_size::of_state(room);
        }
        let before = self.contribution(tracked.connection);
        // It may be there with this connection only, which is replaced.
        let is_there = self.people.get(person).is_some_and(|person| {
            person.connections.iter().any(|there| there.connection != tracked.connection)
        });
        let mut size = self.size - before.size + json_size::of_connection(tracked);
        if !is_there {
            size += json_size::of_person(person);
            let limit = limits.max_people_per_room;
            if self.people.len() - before.people >= limit {
                return Err(TrackError::TooManyPeople { limit });
            }
        }
        let limit = limits.max_state_size;
        if size > limit {
            return Err(TrackError::StateTooLarge { limit });
        }
        self.size = size;
        Ok(())
    }

    /// What a connection is of all that is shown.
    fn contribution(&self, id: ConnectionId) -> Contribution {
        let person = self.key_of.get(&id).and_then(|key| self.people.get(key));
        let Some(person) = person else { return Contribution::default() };
        let its_own = person.connections.iter().filter(|there| there.connection == id);
        let size = its_own.map(json_size::of_connection).sum();
        match person.connections.len() {
            1 => Contribution { people: 1, size: size + json_size::of_person(&person.key) },
            _ => Contribution { people: 0, size },
        }
    }

    fn remove(&mut self, id: ConnectionId, deferred: &mut Deferred<M>) -> bool {
        let Some(key) = self.key_of.remove(&id) else { return false };
        let (_, connections) = self.connections(&key, deferred);
        deferred.connections.extend(connections.extract_if(.., |there| there.connection == id));
        if connections.is_empty() {
            deferred.people.extend(self.people.remove(&key));
        }
        self.changed_keys.insert(key);
        true
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
        // Those who wait for a large one are told it together, at the end of a window: a newcomer does
        // not have the next one made before that.
        if self.state.is_some() || !self.any_behind || self.size <= LARGE_STATE {
            self.send_state(room, at, deferred);
        }
        self.any_behind |= self.watchers[at].is_behind;
    }

    /// Tells the state to the watcher at this index, which is behind. It is made only if there is room
    /// for it.
    fn send_state(&mut self, room: &Arc<str>, at: usize, deferred: &mut Deferred<M>) {
        if !self.watchers[at].has_room() {
            return;
        }
        if self.state.is_none() {
            let next = self
                .state_made_at
                .map_or(Duration::ZERO, |at| at.saturating_add(LARGE_STATE_INTERVAL));
            if self.size > LARGE_STATE && deferred.now < next {
                return;
            }
            let people = self.announced.values().cloned().collect();
            let (room, number) = (room.clone(), self.number);
            self.state = Some(EncodedChange::new(Change::State { room, number, people }));
            self.state_made_at = Some(deferred.now);
        }
        if let Some(state) = &self.state {
            self.watchers[at].send(state, deferred);
        }
    }

    fn remove_watcher(&mut self, id: WatcherId, deferred: &mut Deferred<M>) -> bool {
        let removed = self.watchers.swap_remove(&id);
        let was_there = removed.is_some();
        deferred.watchers.extend(removed);
        was_there
    }

    fn take_diff(
        &mut self,
        room: &Arc<str>,
        deferred: &mut Deferred<M>,
    ) -> Option<EncodedChange<M>> {
        let (mut joined, mut updated, mut left) = (Vec::new(), Vec::new(), Vec::new());
        for key in mem::take(&mut self.changed_keys) {
            let is = self.people.get(&key).cloned();
            let was = match &is {
                Some(is) => self.announced.insert(key.clone(), is.clone()),
                None => self.announced.remove(&key),
            };
            match (&was, is) {
                (None, None) => {}
                (None, Some(is)) => joined.push(is),
                (Some(was), Some(is)) if was.is_same_to_watchers(&is) => {}
                (Some(_), Some(is)) => updated.push(is),
                (Some(_), None) => left.push(key),
            }
            deferred.people.extend(was);
        }
        if joined.is_empty() && updated.is_empty() && left.is_empty() {
            return None;
        }
        self.number += 1;
        deferred.changes.extend(self.state.take());
        let (room, number) = (room.clone(), self.number);
        Some(EncodedChange::new(Change::Diff { room, number, joined, updated, left }))
    }

    /// The connections of somebody, who may have come just now; and their key.
    fn connections(
        &mut self,
        key: &str,
        deferred: &mut Deferred<M>,
    ) -> (Arc<str>, &mut Vec<Tracked<M>>) {
        let key = self.people.get_key_value(key).map_or_else(|| key.into(), |(key, _)| key.clone());
        let person = self
            .people
            .entry(key.clone())
            .or_insert_with(|| Arc::new(Person { key: key.clone(), connections: Vec::new() }));
        // What watchers know stays as it is.
        if Arc::get_mut(person).is_none() {
            let copy = Arc::new(Person::clone(person));
            deferred.people.push(mem::replace(person, copy));
        }
        let person = Arc::get_mut(person).expect("nobody else has it yet");
        (key, &mut person.connections)
    }
}

impl<M> Default for RoomPresence<M> {
    fn default() -> Self {
        Self {
            people: People::new(),
            announced: People::new(),
            changed_keys: BTreeSet::new(),
            size: 0,
            key_of: HashMap::new(),
            watchers: IndexMap::new(),
            number: 0,
            state: None,
            state_made_at: None,
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
