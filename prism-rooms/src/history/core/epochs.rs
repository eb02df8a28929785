//! [`Epochs`]: names for epochs, of which none is used twice.

use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};

pub(super) struct Epochs {
    seed: u64,
    count: u64,
}

impl Epochs {
    /// Creates a sequence that differs from those with another seed, which should be random.
    pub(super) const fn new(seed: u64) -> Self {
        Self { seed, count: 0 }
    }

    pub(super) fn next(&mut self) -> Box<str> {
        self.count += 1;
        let hasher = BuildHasherDefault::<DefaultHasher>::default();
        format!("{:016x}", hasher.hash_one((self.seed, self.count))).into()
    }
}
