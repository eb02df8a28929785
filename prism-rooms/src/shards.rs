//! [`Shards`]: a map in several parts, each with its own lock, so that threads rarely contend for one.

use std::hash::{BuildHasher, Hash, RandomState};

use crate::sync::{Guard, Lock};

/// Enough shards that two cores of a current machine rarely need the same one.
pub(crate) const DEFAULT_SHARDS: usize = 64;

/// The parts of a map. Each is a `T`, such as a `HashMap`, and holds the keys whose hash selects it.
pub(crate) struct Shards<T> {
    hasher: RandomState,
    shards: Box<[Lock<T>]>,
}

impl<T: Default> Shards<T> {
    pub(crate) fn new(count: usize) -> Self {
        let shards = (0..count.max(1)).map(|_| Lock::new(T::default())).collect();
        Self { hasher: RandomState::new(), shards }
    }

    /// Locks the shard that a key belongs to.
    pub(crate) fn lock<Q: Hash + ?Sized>(&self, key: &Q) -> Guard<'_, T> {
        let hash = self.hasher.hash_one(key) as usize;
        self.shards[hash % self.shards.len()].lock()
    }

    /// Locks all shards, one after the other.
    pub(crate) fn lock_each(&self) -> impl Iterator<Item = Guard<'_, T>> {
        self.shards.iter().map(Lock::lock)
    }
}
