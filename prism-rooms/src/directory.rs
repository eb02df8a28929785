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

use std::sync::Arc;

use crate::{
    shards::Shards,
    sync::{Guard, Lock},
};

/// What a [`Directory`] holds.
pub(crate) trait Vacate: Default {
    /// Whether there is no more reason to be there.
    fn is_vacant(&self) -> bool;
}

pub(crate) struct Directory<T> {
    entries: Shards<Arc<str>, Arc<Entry<T>>>,
}

struct Entry<T> {
    name: Arc<str>,
    thing: Lock<T>,
}

impl<T: Vacate> Directory<T> {
    pub(crate) fn new(shards: usize) -> Self {
        Self { entries: Shards::new(shards) }
    }

    /// Lets `visit` see the thing with this name; makes it if there is none. `visit` may run while a
    /// shard is locked.
    pub(crate) fn enter<R>(&self, name: &str, visit: impl FnOnce(&Arc<str>, &mut T) -> R) -> R {
        loop {
            let mut shard = self.entries.of(name);
            let Some(entry) = shard.get(name).cloned() else {
                let (name, mut thing) = (Arc::from(name), T::default());
                let seen = visit(&name, &mut thing);
                if !thing.is_vacant() {
                    let thing = Lock::new(thing);
                    shard.insert(name.clone(), Arc::new(Entry { name, thing }));
                }
                return seen;
            };
            drop(shard);
            let mut thing = entry.thing.lock();
            if !thing.is_vacant() {
                let seen = visit(&entry.name, &mut thing);
                self.tidy(&entry, thing);
                return seen;
            }
        }
    }

    /// Lets `visit` see the thing with this name, if there is one.
    pub(crate) fn visit<R>(&self, name: &str, visit: impl FnOnce(&mut T) -> R) -> Option<R> {
        let entry = self.find(name)?;
        let mut thing = entry.thing.lock();
        if thing.is_vacant() {
            return None;
        }
        let seen = visit(&mut thing);
        self.tidy(&entry, thing);
        Some(seen)
    }

    /// Lets `look` see those of the things with these names that there are, all at one moment. The
    /// names have to be sorted, each there once.
    pub(crate) fn look_at_all<R>(
        &self,
        names: &[&str],
        look: impl FnOnce(&[Guard<'_, T>]) -> R,
    ) -> R {
        debug_assert!(
            names.is_sorted_by(|one, next| one < next),
            "or two could wait for each other"
        );
        let entries: Vec<_> = names.iter().filter_map(|name| self.find(name)).collect();
        // One that has become vacant since is one that was not there for a moment.
        let things: Vec<_> = entries.iter().map(|entry| entry.thing.lock()).collect();
        look(&things)
    }

    /// The names of what is there, in no particular order.
    pub(crate) fn names(&self) -> Vec<Arc<str>> {
        self.entries.all().flat_map(|shard| shard.keys().cloned().collect::<Vec<_>>()).collect()
    }

    fn find(&self, name: &str) -> Option<Arc<Entry<T>>> {
        self.entries.of(name).get(name).cloned()
    }

    /// At the end of a visit: what was left vacant vanishes.
    fn tidy(&self, entry: &Entry<T>, thing: Guard<'_, T>) {
        if thing.is_vacant() {
            self.entries.of(&entry.name).remove(&entry.name);
        }
    }
}
