//! [`Shards`]: a map in pieces, each with a lock of its own, so that cores do not fight for one.

use std::hash::{BuildHasher, Hash, RandomState};

use crate::sync::{Guard, Lock};

/// Enough that two cores rarely meet, on any machine of today.
pub(crate) const MANY: usize = 64;

/// Pieces of a map, such as a `HashMap` each.
pub(crate) struct Shards<P> {
    hasher: RandomState,
    pieces: Box<[Lock<P>]>,
}

impl<P: Default> Shards<P> {
    pub(crate) fn new(count: usize) -> Self {
        let pieces = (0..count.max(1)).map(|_| Lock::new(P::default())).collect();
        Self { hasher: RandomState::new(), pieces }
    }

    /// The piece that a key is in.
    pub(crate) fn of<Q: Hash + ?Sized>(&self, key: &Q) -> Guard<'_, P> {
        let hash = self.hasher.hash_one(key) as usize;
        self.pieces[hash % self.pieces.len()].lock()
    }

    /// All pieces, one after the other.
    pub(crate) fn all(&self) -> impl Iterator<Item = Guard<'_, P>> {
        self.pieces.iter().map(Lock::lock)
    }
}
