//! [`Shards`]: a map in pieces, each with a lock of its own, so that cores do not fight for one.

use std::hash::{BuildHasher, Hash, RandomState};

use crate::sync::{Guard, Lock};

/// Enough that two cores rarely meet, on any machine of today.
pub(crate) const DEFAULT_SHARDS: usize = 64;

/// Pieces of a map, such as a `HashMap` each.
pub(crate) struct Shards<T> {
    hasher: RandomState,
    shards: Box<[Lock<T>]>,
}

impl<T: Default> Shards<T> {
    pub(crate) fn new(count: usize) -> Self {
        let shards = (0..count.max(1)).map(|_| Lock::new(T::default())).collect();
        Self { hasher: RandomState::new(), shards }
    }

    /// The piece that a key is in.
    pub(crate) fn lock<Q: Hash + ?Sized>(&self, key: &Q) -> Guard<'_, T> {
        let hash = self.hasher.hash_one(key) as usize;
        self.shards[hash % self.shards.len()].lock()
    }

    /// All pieces, one after the other.
    pub(crate) fn lock_each(&self) -> impl Iterator<Item = Guard<'_, T>> {
        self.shards.iter().map(Lock::lock)
    }
}
