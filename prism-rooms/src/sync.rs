//! [`Lock`]: the only lock here, so that loom can put its own in its place.

use std::sync::PoisonError;

#[cfg(prism_loom)]
use loom::sync::{Mutex, MutexGuard};
#[cfg(not(prism_loom))]
use std::sync::{Mutex, MutexGuard};

pub(crate) type Guard<'a, T> = MutexGuard<'a, T>;

/// A mutex that does not mind poison: nothing in this crate panics half-way through a change.
#[derive(Debug)]
pub(crate) struct Lock<T>(Mutex<T>);

impl<T> Lock<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(Mutex::new(value))
    }

    pub(crate) fn lock(&self) -> Guard<'_, T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
