//! [`Shards`]: a map in pieces, each with a lock of its own, so that cores do not fight for one.

use std::{
    borrow::Borrow,
    collections::HashMap,
    hash::{BuildHasher, Hash, RandomState},
};

use crate::sync::{Guard, Lock};

/// Enough that two cores rarely meet, on any machine of today.
pub(crate) const MANY: usize = 64;

pub(crate) struct Shards<K, V> {
    hasher: RandomState,
    shards: Box<[Lock<HashMap<K, V>>]>,
}

impl<K: Hash + Eq, V> Shards<K, V> {
    pub(crate) fn new(count: usize) -> Self {
        let shards = (0..count.max(1)).map(|_| Lock::new(HashMap::new())).collect();
        Self { hasher: RandomState::new(), shards }
    }

    /// The piece that a key is in.
    pub(crate) fn of<Q: Hash + ?Sized>(&self, key: &Q) -> Guard<'_, HashMap<K, V>>
    where
        K: Borrow<Q>,
    {
        let hash = self.hasher.hash_one(key) as usize;
        self.shards[hash % self.shards.len()].lock()
    }

    /// All pieces, one after the other.
    pub(crate) fn all(&self) -> impl Iterator<Item = Guard<'_, HashMap<K, V>>> {
        self.shards.iter().map(Lock::lock)
    }
}
