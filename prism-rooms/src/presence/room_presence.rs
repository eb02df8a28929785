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
    mem,
    ops::Bound::{Excluded, Unbounded},
    sync::Arc,
    time::Duration,
};

use indexmap::IndexMap;
use prism_driver::{Connection, ConnectionId};

use super::{
    change::{Change, Person, Tracked},
    deferred::Later,
    json_size as size,
    notify_schedule::Due,
    watch::{Outlet, Told, Watcher},
};
use crate::{directory::Vacate, error::TrackError, options::PresenceOptions};

/// A state that is larger is made [seldom](PAUSE). So much an outbox holds of anything, by default.
const LARGE: usize = 64 << 10;

/// How long after a large state the next one is made at the earliest. A watcher that does not read keeps
/// the one that it was told; so all of them together keep no more than were made until they are cut off,
/// and not one each.
const PAUSE: Duration = Duration::from_secs(1);

pub(super) struct Crowd<M> {
    people: People<M>,
    shown: People<M>,
    /// The keys of those who may differ in the two.
    changed: BTreeSet<Arc<str>>,
    /// How large the state is as JSON, at most, when all of these people are shown.
    size: usize,
    /// Whose a connection is.
    keys: HashMap<ConnectionId, Arc<str>>,
    watchers: IndexMap<WatcherId, Watcher<M>>,
    /// Of the last diff.
    number: u64,
    /// What is shown, made ready for whoever needs it until the next diff.
    state: Option<Told<M>>,
    /// When the last state was made.
    made_at: Option<Duration>,
    /// A watcher may be behind.
    behind: bool,
    /// Its place among those that are due.
    pub(super) due: Option<Due>,
}

type People<M> = BTreeMap<Arc<str>, Arc<Person<M>>>;

/// What would be less without a connection.
#[derive(Clone, Copy, Default)]
struct Share {
    people: usize,
    size: usize,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum WatcherId {
    Connection(ConnectionId),
    Here(u64),
}

impl<M> Crowd<M> {
    // ---- who is here

    /// Shows a connection as one of this person's, unless that is against the limits.
    pub(super) fn track(
        &mut self,
        room: &Arc<str>,
        person: &str,
        tracked: Tracked<M>,
        limits: &PresenceOptions,
        later: &mut Later<M>,
    ) -> Result<(), TrackError> {
        if let Err(error) = self.admit(room, person, &tracked, limits) {
            later.connections.push(tracked);
            return Err(error);
        }
        let id = tracked.connection;
        if self.keys.get(&id).is_some_and(|key| **key != *person) {
            self.remove(id, later);
        }
        let (key, connections) = self.connections(person, later);
        match connections.iter_mut().find(|there| there.connection == id) {
            Some(there) => later.connections.push(mem::replace(there, tracked)),
            None => connections.push(tracked),
        }
        self.keys.insert(id, key.clone());
        self.changed.insert(key);
        Ok(())
    }

    pub(super) fn untrack(&mut self, id: ConnectionId, later: &mut Later<M>) -> bool {
        self.size -= self.share(id).size;
        self.remove(id, later)
    }

    /// The first people behind `after`, if it is given, by their keys.
    pub(super) fn people_after(&self, after: Option<&str>, most: usize) -> Vec<Arc<Person<M>>> {
        let behind = (after.map_or(Unbounded, Excluded), Unbounded);
        let people = self.people.range::<str, _>(behind).take(most);
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
        later: &mut Later<M>,
    ) -> bool {
        let id = WatcherId::Connection(connection.id());
        let is_new = !self.watchers.contains_key(&id);
        let watcher = Watcher::new(Outlet::Connection(connection));
        if is_new {
            self.welcome(room, id, watcher, later);
        } else {
            later.watchers.push(watcher);
        }
        is_new
    }

    pub(super) fn unwatch(&mut self, id: ConnectionId, later: &mut Later<M>) -> bool {
        self.remove_watcher(WatcherId::Connection(id), later)
    }

    pub(super) fn watch_here(
        &mut self,
        room: &Arc<str>,
        number: u64,
        outlet: Outlet<M>,
        later: &mut Later<M>,
    ) {
        self.welcome(room, WatcherId::Here(number), Watcher::new(outlet), later);
    }

    pub(super) fn unwatch_here(&mut self, number: u64, later: &mut Later<M>) {
        self.remove_watcher(WatcherId::Here(number), later);
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
    pub(super) fn tell(&mut self, room: &Arc<str>, later: &mut Later<M>) {
        self.behind = false;
        let diff = self.take_diff(room, later);
        for at in 0..self.watchers.len() {
            if self.watchers[at].is_behind {
                self.catch_up(room, at, later);
            } else if let Some(diff) = &diff {
                self.watchers[at].tell(diff, later);
            }
            self.behind |= self.watchers[at].is_behind;
        }
        later.told.extend(diff);
    }

    /// Takes out all that is left where nobody is.
    pub(super) fn clear(&mut self, later: &mut Later<M>) {
        later.people.extend(mem::take(&mut self.shown).into_values());
        later.told.extend(self.state.take());
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
            self.size = size::of_state(room);
        }
        let before = self.share(tracked.connection);
        // It may be there with this connection only, which is replaced.
        let is_there = self.people.get(person).is_some_and(|person| {
            person.connections.iter().any(|there| there.connection != tracked.connection)
        });
        let mut size = self.size - before.size + size::of_connection(tracked);
        if !is_there {
            size += size::of_person(person);
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
    fn share(&self, id: ConnectionId) -> Share {
        let person = self.keys.get(&id).and_then(|key| self.people.get(key));
        let Some(person) = person else { return Share::default() };
        let its_own = person.connections.iter().filter(|there| there.connection == id);
        let size = its_own.map(size::of_connection).sum();
        match person.connections.len() {
            1 => Share { people: 1, size: size + size::of_person(&person.key) },
            _ => Share { people: 0, size },
        }
    }

    fn remove(&mut self, id: ConnectionId, later: &mut Later<M>) -> bool {
        let Some(key) = self.keys.remove(&id) else { return false };
        let (_, connections) = self.connections(&key, later);
        later.connections.extend(connections.extract_if(.., |there| there.connection == id));
        if connections.is_empty() {
            later.people.extend(self.people.remove(&key));
        }
        self.changed.insert(key);
        true
    }

    fn welcome(
        &mut self,
        room: &Arc<str>,
        id: WatcherId,
        watcher: Watcher<M>,
        later: &mut Later<M>,
    ) {
        let (at, replaced) = self.watchers.insert_full(id, watcher);
        later.watchers.extend(replaced);
        // Those who wait for a large one are told it together, at the end of a window: a newcomer does
        // not have the next one made before that.
        if self.state.is_some() || !self.behind || self.size <= LARGE {
            self.catch_up(room, at, later);
        }
        self.behind |= self.watchers[at].is_behind;
    }

    /// Tells the state to the watcher at this index, which is behind. It is made only if there is room
    /// for it.
    fn catch_up(&mut self, room: &Arc<str>, at: usize, later: &mut Later<M>) {
        if !self.watchers[at].has_room() {
            return;
        }
        if self.state.is_none() {
            let next = self.made_at.map_or(Duration::ZERO, |at| at.saturating_add(PAUSE));
            if self.size > LARGE && later.now < next {
                return;
            }
            let people = self.shown.values().cloned().collect();
            let (room, number) = (room.clone(), self.number);
            self.state = Some(Told::new(Change::State { room, number, people }));
            self.made_at = Some(later.now);
        }
        if let Some(state) = &self.state {
            self.watchers[at].tell(state, later);
        }
    }

    fn remove_watcher(&mut self, id: WatcherId, later: &mut Later<M>) -> bool {
        let removed = self.watchers.swap_remove(&id);
        let was_there = removed.is_some();
        later.watchers.extend(removed);
        was_there
    }

    fn take_diff(&mut self, room: &Arc<str>, later: &mut Later<M>) -> Option<Told<M>> {
        let (mut joined, mut updated, mut left) = (Vec::new(), Vec::new(), Vec::new());
        for key in mem::take(&mut self.changed) {
            let is = self.people.get(&key).cloned();
            let was = match &is {
                Some(is) => self.shown.insert(key.clone(), is.clone()),
                None => self.shown.remove(&key),
            };
            match (&was, is) {
                (None, None) => {}
                (None, Some(is)) => joined.push(is),
                (Some(was), Some(is)) if was.looks_like(&is) => {}
                (Some(_), Some(is)) => updated.push(is),
                (Some(_), None) => left.push(key),
            }
            later.people.extend(was);
        }
        if joined.is_empty() && updated.is_empty() && left.is_empty() {
            return None;
        }
        self.number += 1;
        later.told.extend(self.state.take());
        let (room, number) = (room.clone(), self.number);
        Some(Told::new(Change::Diff { room, number, joined, updated, left }))
    }

    /// The connections of somebody, who may have come just now; and their key.
    fn connections(&mut self, key: &str, later: &mut Later<M>) -> (Arc<str>, &mut Vec<Tracked<M>>) {
        let key = self.people.get_key_value(key).map_or_else(|| key.into(), |(key, _)| key.clone());
        let person = self
            .people
            .entry(key.clone())
            .or_insert_with(|| Arc::new(Person { key: key.clone(), connections: Vec::new() }));
        // What watchers know stays as it is.
        if Arc::get_mut(person).is_none() {
            let copy = Arc::new(Person::clone(person));
            later.people.push(mem::replace(person, copy));
        }
        let person = Arc::get_mut(person).expect("nobody else has it yet");
        (key, &mut person.connections)
    }
}

impl<M> Default for Crowd<M> {
    fn default() -> Self {
        Self {
            people: People::new(),
            shown: People::new(),
            changed: BTreeSet::new(),
            size: 0,
            keys: HashMap::new(),
            watchers: IndexMap::new(),
            number: 0,
            state: None,
            made_at: None,
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
