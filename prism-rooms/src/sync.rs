//! The locks of this crate, so that loom can put its own in their place.

use std::sync::PoisonError;

#[cfg(prism_loom)]
use loom::sync::{Mutex, MutexGuard, RwLock};
#[cfg(not(prism_loom))]
use std::sync::{Mutex, MutexGuard, RwLock};

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

/// What many do side by side, but not while one does it alone.
#[derive(Debug)]
pub(crate) struct Turnstile(RwLock<()>);

impl Turnstile {
    pub(crate) fn new() -> Self {
        Self(RwLock::new(()))
    }

    pub(crate) fn side_by_side<R>(&self, act: impl FnOnce() -> R) -> R {
        let _held = self.0.read().unwrap_or_else(PoisonError::into_inner);
        act()
    }

    pub(crate) fn alone<R>(&self, act: impl FnOnce() -> R) -> R {
        let _held = self.0.write().unwrap_or_else(PoisonError::into_inner);
        act()
    }
}
