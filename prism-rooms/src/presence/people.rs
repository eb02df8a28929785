//! [`People`]: the people in one room, as they are and as its watchers know them.
//!
//! ```text
//!   track, untrack ──► current ───┐
//!                                 ├──► take_diff: the differences between the two
//!   what watchers know: announced ┘    (and announced becomes current)
//! ```
//!
//! The diff has only the differences at that moment. So changes are batched, and a person who has left and come
//! back in the meantime is not in it. A new watcher gets the announced people, so all watchers that come before the
//! next diff share one encoded state.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    mem,
    ops::Bound::{Excluded, Unbounded},
    sync::Arc,
};

use prism_driver::ConnectionId;

use super::{
    change::{Person, Tracked},
    deferred::Deferred,
    json_size,
};
use crate::{error::TrackError, options::PresenceOptions};

pub(super) struct People<M> {
    current: PeopleByKey<M>,
    announced: PeopleByKey<M>,
    /// The keys of the people who may differ between `current` and `announced`.
    changed: BTreeSet<Arc<str>>,
    /// An upper bound for the size of the state as JSON, once `current` is announced.
    state_size: usize,
    /// The person that each connection belongs to.
    key_of: HashMap<ConnectionId, Arc<str>>,
}

type PeopleByKey<M> = BTreeMap<Arc<str>, Arc<Person<M>>>;

pub(super) struct Diff<M> {
    pub(super) joined: Vec<Arc<Person<M>>>,
    pub(super) updated: Vec<Arc<Person<M>>>,
    pub(super) left: Vec<Arc<str>>,
}

/// A connection's share of the limited quantities, by which they would shrink without it.
#[derive(Clone, Copy, Default)]
struct Contribution {
    people: usize,
    size: usize,
}

impl<M> People<M> {
    /// Adds a connection to a person, or updates it, unless that exceeds a limit.
    pub(super) fn track(
        &mut self,
        room: &str,
        person: &str,
        tracked: Tracked<M>,
        limits: &PresenceOptions,
        deferred: &mut Deferred<M>,
    ) -> Result<(), TrackError> {
        if let Err(error) = self.reserve(room, person, &tracked, limits) {
            deferred.connections.push(tracked);
            return Err(error);
        }
        let id = tracked.connection;
        if self.key_of.get(&id).is_some_and(|key| **key != *person) {
            self.remove(id, deferred);
        }
        let (key, connections) = self.connections_mut(person, deferred);
        match connections.iter_mut().find(|present| present.connection == id) {
            Some(present) => deferred.connections.push(mem::replace(present, tracked)),
            None => connections.push(tracked),
        }
        self.key_of.insert(id, key.clone());
        self.changed.insert(key);
        Ok(())
    }

    /// Returns whether the connection was tracked.
    pub(super) fn untrack(&mut self, id: ConnectionId, deferred: &mut Deferred<M>) -> bool {
        self.state_size -= self.contribution(id).size;
        self.remove(id, deferred)
    }

    pub(super) fn is_tracked(&self, id: ConnectionId) -> bool {
        self.key_of.contains_key(&id)
    }

    /// Returns up to `limit` people, sorted by key, starting after the key `after` if there is one.
    pub(super) fn list_after(&self, after: Option<&str>, limit: usize) -> Vec<Arc<Person<M>>> {
        let range = (after.map_or(Unbounded, Excluded), Unbounded);
        let people = self.current.range::<str, _>(range).take(limit);
        people.map(|(_, person)| person.clone()).collect()
    }

    pub(super) fn get(&self, key: &str) -> Option<Arc<Person<M>>> {
        self.current.get(key).cloned()
    }

    pub(super) fn len(&self) -> usize {
        self.current.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.current.is_empty()
    }

    pub(super) const fn state_size(&self) -> usize {
        self.state_size
    }

    pub(super) fn may_have_changed(&self) -> bool {
        !self.changed.is_empty()
    }

    pub(super) fn announced(&self) -> Vec<Arc<Person<M>>> {
        self.announced.values().cloned().collect()
    }

    /// Announces the current people; returns what that changes, or `None` if it changes nothing.
    pub(super) fn take_diff(&mut self, deferred: &mut Deferred<M>) -> Option<Diff<M>> {
        let (mut joined, mut updated, mut left) = (Vec::new(), Vec::new(), Vec::new());
        for key in mem::take(&mut self.changed) {
            let current = self.current.get(&key).cloned();
            let announced = match &current {
                Some(current) => self.announced.insert(key.clone(), current.clone()),
                None => self.announced.remove(&key),
            };
            match (&announced, current) {
                (None, None) => {}
                (None, Some(current)) => joined.push(current),
                (Some(announced), Some(current)) if announced.is_same_as_json(&current) => {}
                (Some(_), Some(current)) => updated.push(current),
                (Some(_), None) => left.push(key),
            }
            deferred.people.extend(announced);
        }
        let is_empty = joined.is_empty() && updated.is_empty() && left.is_empty();
        (!is_empty).then_some(Diff { joined, updated, left })
    }

    /// Drops the announced people. To be called when the room vanishes.
    pub(super) fn clear(&mut self, deferred: &mut Deferred<M>) {
        deferred.people.extend(mem::take(&mut self.announced).into_values());
    }

    /// Checks the limits. If they permit the connection, `state_size` includes it from now on.
    fn reserve(
        &mut self,
        room: &str,
        person: &str,
        tracked: &Tracked<M>,
        limits: &PresenceOptions,
    ) -> Result<(), TrackError> {
        if self.current.is_empty() {
            self.state_size = json_size::of_state(room);
        }
        let replaced = self.contribution(tracked.connection);
        // A person with this connection only does not count: it is about to be replaced.
        let others = self.current.get(person).map_or(0, |person| {
            let others = |present: &&Tracked<M>| present.connection != tracked.connection;
            person.connections.iter().filter(others).count()
        });
        let limit = limits.max_connections_per_person;
        if others >= limit {
            return Err(TrackError::TooManyConnections { limit });
        }
        let mut size = self.state_size - replaced.size + json_size::of_connection(tracked);
        if others == 0 {
            size += json_size::of_person(person);
            let limit = limits.max_people_per_room;
            if self.current.len() - replaced.people >= limit {
                return Err(TrackError::TooManyPeople { limit });
            }
        }
        let limit = limits.max_state_size;
        if size > limit {
            return Err(TrackError::StateTooLarge { limit });
        }
        self.state_size = size;
        Ok(())
    }

    fn contribution(&self, id: ConnectionId) -> Contribution {
        let person = self.key_of.get(&id).and_then(|key| self.current.get(key));
        let Some(person) = person else { return Contribution::default() };
        let own = person.connections.iter().filter(|present| present.connection == id);
        let size = own.map(json_size::of_connection).sum();
        match person.connections.len() {
            1 => Contribution { people: 1, size: size + json_size::of_person(&person.key) },
            _ => Contribution { people: 0, size },
        }
    }

    fn remove(&mut self, id: ConnectionId, deferred: &mut Deferred<M>) -> bool {
        let Some(key) = self.key_of.remove(&id) else { return false };
        let (_, connections) = self.connections_mut(&key, deferred);
        deferred.connections.extend(connections.extract_if(.., |present| present.connection == id));
        if connections.is_empty() {
            deferred.people.extend(self.current.remove(&key));
        }
        self.changed.insert(key);
        true
    }

    /// Returns a person's key and connections. Adds the person, without connections, if they are not present.
    fn connections_mut(
        &mut self,
        key: &str,
        deferred: &mut Deferred<M>,
    ) -> (Arc<str>, &mut Vec<Tracked<M>>) {
        let key =
            self.current.get_key_value(key).map_or_else(|| key.into(), |(key, _)| key.clone());
        let person = self
            .current
            .entry(key.clone())
            .or_insert_with(|| Arc::new(Person { key: key.clone(), connections: Vec::new() }));
        // Copy on write: the announced people stay as they are.
        if Arc::get_mut(person).is_none() {
            let copy = Arc::new(Person::clone(person));
            deferred.people.push(mem::replace(person, copy));
        }
        let person = Arc::get_mut(person).expect("a new copy has no other owner");
        (key, &mut person.connections)
    }
}

impl<M> Default for People<M> {
    fn default() -> Self {
        Self {
            current: PeopleByKey::new(),
            announced: PeopleByKey::new(),
            changed: BTreeSet::new(),
            state_size: 0,
            key_of: HashMap::new(),
        }
    }
}
