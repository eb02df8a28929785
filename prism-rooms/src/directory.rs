//! [`Directory`]: things with names, each behind a lock of its own, and there while it is occupied.
//!
//! ```text
//!   a name ──► shard ──► entry ──► lock ──► the thing
//!              (held for a lookup)         (held for a visit)
//! ```
//!
//! A thing appears with its first occupant and vanishes with its last. Both can happen at once; what
//! makes that right is one rule: **a vacant thing has vanished, and stays vacant**. Who leaves it
//! vacant takes it out of the directory before letting its lock go; who found it before that, and
//! gets the lock after it, sees that it is vacant, and looks again.
//!
//! Locks are taken in this order: entries by name, then a shard. Nobody waits for an entry while
//! holding a shard.

use std::{
    collections::{BTreeSet, BinaryHeap, HashMap},
    ops::Bound::{Excluded, Unbounded},
    sync::Arc,
};

use crate::{
    shards::Shards,
    sync::{Guard, Lock},
};

/// What a [`Directory`] holds.
pub(crate) trait Vacancy: Default {
    /// Whether there is no more reason to be there.
    fn is_vacant(&self) -> bool;
}

pub(crate) struct Directory<T> {
    shards: Shards<Shard<T>>,
}

struct Shard<T> {
    entries: HashMap<Arc<str>, Arc<Entry<T>>>,
    /// The keys of that, in order: to find one by its hash is quicker, to list some takes an order.
    names: BTreeSet<Arc<str>>,
}

struct Entry<T> {
    name: Arc<str>,
    value: Lock<T>,
}

impl<T: Vacancy> Directory<T> {
    pub(crate) fn new(shards: usize) -> Self {
        Self { shards: Shards::new(shards) }
    }

    /// Lets `visit` see the thing with this name; makes it if there is none. `visit` may run while a
    /// shard is locked.
    pub(crate) fn with_or_default<R>(
        &self,
        name: &str,
        visit: impl FnOnce(&Arc<str>, &mut T) -> R,
    ) -> R {
        loop {
            let mut shard = self.shards.lock(name);
            let Some(entry) = shard.entries.get(name).cloned() else {
                let (name, mut value) = (Arc::from(name), T::default());
                let returned = visit(&name, &mut value);
                if !value.is_vacant() {
                    shard.insert(Entry { name, value: Lock::new(value) });
                }
                return returned;
            };
            drop(shard);
            let mut value = entry.value.lock();
            if !value.is_vacant() {
                let returned = visit(&entry.name, &mut value);
                self.remove_if_vacant(&entry, value);
                return returned;
            }
        }
    }

    /// Lets `visit` see the thing with this name, if there is one.
    pub(crate) fn with<R>(&self, name: &str, visit: impl FnOnce(&mut T) -> R) -> Option<R> {
        let entry = self.find(name)?;
        let mut value = entry.value.lock();
        if value.is_vacant() {
            return None;
        }
        let returned = visit(&mut value);
        self.remove_if_vacant(&entry, value);
        Some(returned)
    }

    /// Lets `look` see those of the things with these names that there are, all at one moment. The
    /// names have to be sorted, each there once.
    pub(crate) fn with_all<R>(&self, names: &[&str], read: impl FnOnce(&[Guard<'_, T>]) -> R) -> R {
        debug_assert!(
            names.is_sorted_by(|one, next| one < next),
            "or two could wait for each other"
        );
        let entries: Vec<_> = names.iter().filter_map(|name| self.find(name)).collect();
        // One that has become vacant since is one that was not there for a moment.
        let values: Vec<_> = entries.iter().map(|entry| entry.value.lock()).collect();
        read(&values)
    }

    /// How many things there are.
    pub(crate) fn len(&self) -> usize {
        self.shards.lock_each().map(|shard| shard.entries.len()).sum()
    }

    /// The names of what is there, in no particular order.
    pub(crate) fn names(&self) -> Vec<Arc<str>> {
        let names = |shard: Guard<'_, Shard<T>>| shard.names.iter().cloned().collect::<Vec<_>>();
        self.shards.lock_each().flat_map(names).collect()
    }

    /// The first names of what is there, in their order, behind `after`, if it is given.
    pub(crate) fn names_after(&self, after: Option<&str>, most: usize) -> Vec<Arc<str>> {
        let behind = (after.map_or(Unbounded, Excluded), Unbounded);
        // Those that are first of what was seen, the last of them on top.
        let mut first = BinaryHeap::<Arc<str>>::new();
        for shard in self.shards.lock_each() {
            for name in shard.names.range::<str, _>(behind) {
                if first.len() >= most {
                    match first.peek() {
                        Some(last) if name < last => first.pop(),
                        _ => break,
                    };
                }
                first.push(name.clone());
            }
        }
        first.into_sorted_vec()
    }

    fn find(&self, name: &str) -> Option<Arc<Entry<T>>> {
        self.shards.lock(name).entries.get(name).cloned()
    }

    /// At the end of a visit: what was left vacant vanishes.
    fn remove_if_vacant(&self, entry: &Entry<T>, value: Guard<'_, T>) {
        if value.is_vacant() {
            self.shards.lock(&*entry.name).remove(&entry.name);
        }
    }
}

impl<T> Shard<T> {
    fn insert(&mut self, entry: Entry<T>) {
        self.names.insert(entry.name.clone());
        self.entries.insert(entry.name.clone(), Arc::new(entry));
    }

    fn remove(&mut self, name: &str) {
        self.names.remove(name);
        self.entries.remove(name);
    }
}

impl<T> Default for Shard<T> {
    fn default() -> Self {
        Self { entries: HashMap::new(), names: BTreeSet::new() }
    }
}
