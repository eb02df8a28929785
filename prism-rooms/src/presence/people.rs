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
use crate::{
    cluster::{node_id::NodeId, present::Present},
    error::TrackError,
    options::PresenceOptions,
};

pub(super) struct People<M> {
    current: PeopleByKey<M>,
    announced: PeopleByKey<M>,
    /// The keys of the people who may differ between `current` and `announced`.
    changed: BTreeSet<Arc<str>>,
    /// An upper bound for the size of the state as JSON, once `current` is announced.
    state_size: usize,
    /// The person that each connection of this node belongs to.
    key_of: HashMap<ConnectionId, Arc<str>>,
    /// The person that each connection of another node belongs to.
    key_elsewhere: HashMap<(NodeId, ConnectionId), Arc<str>>,
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
        self.put(person, tracked, deferred);
        Ok(())
    }

    /// Returns whether the connection was tracked.
    pub(super) fn untrack(&mut self, id: ConnectionId, deferred: &mut Deferred<M>) -> bool {
        self.state_size -= self.contribution(None, id).size;
        self.remove(None, id, deferred)
    }

    /// Adds a connection of another node to a person, or updates it. The limits are that node's.
    pub(super) fn show(
        &mut self,
        room: &str,
        person: &str,
        tracked: Tracked<M>,
        deferred: &mut Deferred<M>,
    ) {
        self.begin(room);
        let (node, id) = (tracked.node(), tracked.connection);
        self.state_size -= self.contribution(node, id).size;
        self.state_size += json_size::of_connection(&tracked);
        if self.others(person, node, id).next().is_none() {
            self.state_size += json_size::of_person(person);
        }
        self.put(person, tracked, deferred);
    }

    /// Removes a connection of another node, if it is shown.
    pub(super) fn hide(&mut self, node: NodeId, id: ConnectionId, deferred: &mut Deferred<M>) {
        self.state_size -= self.contribution(Some(node), id).size;
        self.remove(Some(node), id, deferred);
    }

    /// Removes connections of other nodes: at most `limit`. Returns their number.
    pub(super) fn hide_elsewhere(&mut self, limit: usize, deferred: &mut Deferred<M>) -> usize {
        let shown: Vec<_> = self.key_elsewhere.keys().take(limit).copied().collect();
        shown.iter().for_each(|(node, id)| self.hide(*node, *id, deferred));
        shown.len()
    }

    /// Returns what other nodes are told of a connection of this node, if it is tracked.
    pub(super) fn present(&self, id: ConnectionId) -> Option<Present> {
        let key = self.key_of.get(&id)?;
        let mut connections = self.current.get(key)?.connections.iter();
        let tracked = connections.find(|tracked| tracked.is(None, id))?;
        Some(Present { key: key.clone(), meta: tracked.json().clone() })
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

    /// Returns whether no connection of this node is tracked.
    pub(super) fn is_empty(&self) -> bool {
        self.key_of.is_empty()
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

    /// Drops the announced people, and those of other nodes. To be called when the room vanishes.
    pub(super) fn clear(&mut self, deferred: &mut Deferred<M>) {
        deferred.people.extend(mem::take(&mut self.announced).into_values());
        deferred.people.extend(mem::take(&mut self.current).into_values());
        self.key_elsewhere = HashMap::new();
    }

    /// Begins with an empty state, if nobody is present.
    fn begin(&mut self, room: &str) {
        if self.current.is_empty() {
            self.state_size = json_size::of_state(room);
        }
    }

    /// Checks the limits. If they permit the connection, `state_size` includes it from now on.
    ///
    /// Together with people of other nodes, a room may exceed a limit. So a limit is not in the way of a call that does
    /// not increase what it limits: those who are present may change.
    fn reserve(
        &mut self,
        room: &str,
        person: &str,
        tracked: &Tracked<M>,
        limits: &PresenceOptions,
    ) -> Result<(), TrackError> {
        self.begin(room);
        let id = tracked.connection;
        let replaced = self.contribution(None, id);
        // A person with this connection only does not count: it is about to be replaced.
        let others = self.others(person, None, id).count();
        let limit = limits.max_connections_per_person;
        let is_theirs = self.key(None, id).is_some_and(|key| **key == *person);
        if !is_theirs && others >= limit {
            return Err(TrackError::TooManyConnections { limit });
        }
        let mut size = self.state_size - replaced.size + json_size::of_connection(tracked);
        if others == 0 {
            size += json_size::of_person(person);
            let limit = limits.max_people_per_room;
            if replaced.people == 0 && self.current.len() >= limit {
                return Err(TrackError::TooManyPeople { limit });
            }
        }
        let limit = limits.max_state_size;
        if size > limit.max(self.state_size) {
            return Err(TrackError::StateTooLarge { limit });
        }
        self.state_size = size;
        Ok(())
    }

    /// Returns the other connections of a person.
    fn others(
        &self,
        person: &str,
        node: Option<NodeId>,
        id: ConnectionId,
    ) -> impl Iterator<Item = &Tracked<M>> {
        let connections =
            self.current.get(person).into_iter().flat_map(|person| &person.connections);
        connections.filter(move |present| !present.is(node, id))
    }

    fn key(&self, node: Option<NodeId>, id: ConnectionId) -> Option<&Arc<str>> {
        match node {
            None => self.key_of.get(&id),
            Some(node) => self.key_elsewhere.get(&(node, id)),
        }
    }

    fn contribution(&self, node: Option<NodeId>, id: ConnectionId) -> Contribution {
        let person = self.key(node, id).and_then(|key| self.current.get(key));
        let Some(person) = person else { return Contribution::default() };
        let own = person.connections.iter().filter(|present| present.is(node, id));
        let size = own.map(json_size::of_connection).sum();
        match person.connections.len() {
            1 => Contribution { people: 1, size: size + json_size::of_person(&person.key) },
            _ => Contribution { people: 0, size },
        }
    }

    /// Adds a connection to a person, or updates it.
    fn put(&mut self, person: &str, tracked: Tracked<M>, deferred: &mut Deferred<M>) {
        let (node, id) = (tracked.node(), tracked.connection);
        if self.key(node, id).is_some_and(|key| **key != *person) {
            self.remove(node, id, deferred);
        }
        let (key, connections) = self.connections_mut(person, deferred);
        match connections.iter_mut().find(|present| present.is(node, id)) {
            Some(present) => deferred.connections.push(mem::replace(present, tracked)),
            None => connections.push(tracked),
        }
        match node {
            None => self.key_of.insert(id, key.clone()),
            Some(node) => self.key_elsewhere.insert((node, id), key.clone()),
        };
        self.changed.insert(key);
    }

    fn remove(
        &mut self,
        node: Option<NodeId>,
        id: ConnectionId,
        deferred: &mut Deferred<M>,
    ) -> bool {
        let key = match node {
            None => self.key_of.remove(&id),
            Some(node) => self.key_elsewhere.remove(&(node, id)),
        };
        let Some(key) = key else { return false };
        let (_, connections) = self.connections_mut(&key, deferred);
        deferred.connections.extend(connections.extract_if(.., |present| present.is(node, id)));
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
            key_elsewhere: HashMap::new(),
        }
    }
}
