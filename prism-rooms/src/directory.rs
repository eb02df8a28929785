//! [`Directory`]: named values, each behind its own lock, which exist while they are occupied.
//!
//! ```text
//!   name ──► shard ──────────────► entry ──► lock ──► value
//!            (locked for a lookup)           (locked for a visit)
//! ```
//!
//! A value appears with its first occupant and vanishes with its last. Both can happen at once. One rule makes
//! that correct: **a vacant value has been removed, and stays vacant**. A thread that makes a value vacant
//! removes it from the directory before releasing its lock. A thread that found the value before that, and gets
//! the lock afterwards, sees that it is vacant and looks the name up again.
//!
//! So no mark for "gone" is needed, and joining, leaving and sending agree about which rooms there are.
//!
//! Each shard has its names twice: by hash, to look them up, and in order, to list them. A lookup pays nothing
//! for the order, and the cost of a page of names depends on the size of the page and not on the number of names.
//!
//! Lock order: entries, in the order of their names, then a shard, then whatever the observer locks. No thread waits
//! for an entry while it holds a shard.

use std::{
    collections::{BTreeSet, BinaryHeap, HashMap},
    ops::Bound::{Excluded, Unbounded},
    sync::Arc,
};

use crate::{
    shards::Shards,
    sync::{Guard, Lock},
};

/// A value that can be vacant, as the values of a [`Directory`] have to be.
pub(crate) trait Vacancy: Default {
    /// Returns whether the value has no occupants. A default value has none.
    fn is_vacant(&self) -> bool;
}

/// Told when names appear and vanish. It is called under a lock, so it may only take note of that.
pub(crate) trait NameObserver: Send + Sync {
    fn appeared(&self, name: &Arc<str>);

    fn vanished(&self, name: &Arc<str>);
}

pub(crate) struct Directory<T> {
    shards: Shards<Shard<T>>,
    observer: Option<Arc<dyn NameObserver>>,
}

struct Shard<T> {
    entries: HashMap<Arc<str>, Arc<Entry<T>>>,
    /// The keys of `entries`, sorted.
    names: BTreeSet<Arc<str>>,
}

struct Entry<T> {
    name: Arc<str>,
    value: Lock<T>,
}

impl<T: Vacancy> Directory<T> {
    pub(crate) fn new(shards: usize) -> Self {
        Self { shards: Shards::new(shards), observer: None }
    }

    /// Creates an empty directory that tells an observer of its names. It learns of the changes to one name in their
    /// order, because each is told under the lock of the name's shard.
    pub(crate) fn observed(shards: usize, observer: Arc<dyn NameObserver>) -> Self {
        Self { shards: Shards::new(shards), observer: Some(observer) }
    }

    /// Calls `visit`, once, with the value of this name, which is created if there is none. The shard may be
    /// locked during the call.
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
                    if let Some(observer) = &self.observer {
                        observer.appeared(&name);
                    }
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

    /// Calls `visit` with the value of this name, if there is one.
    pub(crate) fn with<R>(&self, name: &str, visit: impl FnOnce(&mut T) -> R) -> Option<R> {
        self.with_optional(name, |value| value.map(visit))
    }

    /// Calls `visit` with the value of this name, or with `None` if there is none.
    pub(crate) fn with_optional<R>(
        &self,
        name: &str,
        visit: impl FnOnce(Option<&mut T>) -> R,
    ) -> R {
        let Some(entry) = self.find(name) else { return visit(None) };
        let mut value = entry.value.lock();
        if value.is_vacant() {
            drop(value);
            return visit(None);
        }
        let returned = visit(Some(&mut value));
        self.remove_if_vacant(&entry, value);
        returned
    }

    /// Calls `read` with the values that these names have, all locked at the same time. The names must be
    /// sorted and without duplicates.
    pub(crate) fn with_all<R>(&self, names: &[&str], read: impl FnOnce(&[Guard<'_, T>]) -> R) -> R {
        debug_assert!(
            names.is_sorted_by(|one, next| one < next),
            "or two callers could wait for each other"
        );
        let entries: Vec<_> = names.iter().filter_map(|name| self.find(name)).collect();
        // A value that has become vacant since it was found counts as not found.
        let values: Vec<_> = entries.iter().map(|entry| entry.value.lock()).collect();
        read(&values)
    }

    /// Returns the number of values.
    pub(crate) fn len(&self) -> usize {
        self.shards.lock_each().map(|shard| shard.entries.len()).sum()
    }

    /// Returns the names of all values, in no particular order.
    pub(crate) fn names(&self) -> Vec<Arc<str>> {
        let names = |shard: Guard<'_, Shard<T>>| shard.names.iter().cloned().collect::<Vec<_>>();
        self.shards.lock_each().flat_map(names).collect()
    }

    /// Returns up to `limit` names in their order, starting after the name `after` if there is one.
    pub(crate) fn names_after(&self, after: Option<&str>, limit: usize) -> Vec<Arc<str>> {
        let range = (after.map_or(Unbounded, Excluded), Unbounded);
        // The first names of all shards so far, with the last of them on top.
        let mut first = BinaryHeap::<Arc<str>>::new();
        for shard in self.shards.lock_each() {
            for name in shard.names.range::<str, _>(range) {
                if first.len() >= limit {
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

    /// Ends a visit: a value that has become vacant is removed before its lock is released.
    fn remove_if_vacant(&self, entry: &Entry<T>, value: Guard<'_, T>) {
        if value.is_vacant() {
            let mut shard = self.shards.lock(&*entry.name);
            if let Some(observer) = &self.observer {
                observer.vanished(&entry.name);
            }
            shard.remove(&entry.name);
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
