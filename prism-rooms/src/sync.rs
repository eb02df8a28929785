//! The locks of this crate, so that loom can put its own in their place.
//!
//! No code of the application's runs while one of them is held, not even a destructor; with one exception.
//! A member's [`Transport`](prism_driver::Transport) may be polled by whoever sends to a room. That is why it
//! must not call connections or rooms. The driver contains its panics.
//!
//! In debug builds each thread counts the locks that it holds, so that this can be asserted where such code
//! runs.

use std::{
    ops::{Deref, DerefMut},
    sync::PoisonError,
};

#[cfg(prism_loom)]
use loom::sync::{Mutex, MutexGuard, RwLock};
#[cfg(not(prism_loom))]
use std::sync::{Mutex, MutexGuard, RwLock};

/// A mutex that ignores poison: nothing in this crate panics half-way through a change, and the one thing
/// that is not ours, a member's transport, is polled where the driver catches its panics.
#[derive(Debug)]
pub(crate) struct Lock<T>(Mutex<T>);

pub(crate) struct Guard<'a, T> {
    value: MutexGuard<'a, T>,
    _held: Held,
}

impl<T> Lock<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(Mutex::new(value))
    }

    pub(crate) fn lock(&self) -> Guard<'_, T> {
        let value = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Guard { value, _held: Held::new() }
    }
}

impl<T> Deref for Guard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> DerefMut for Guard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.value
    }
}

/// What many do side by side, but not while one does it alone.
#[derive(Debug)]
pub(crate) struct BroadcastLock(RwLock<()>);

impl BroadcastLock {
    pub(crate) fn new() -> Self {
        Self(RwLock::new(()))
    }

    pub(crate) fn shared<R>(&self, act: impl FnOnce() -> R) -> R {
        let _held = (self.0.read().unwrap_or_else(PoisonError::into_inner), Held::new());
        act()
    }

    pub(crate) fn exclusive<R>(&self, act: impl FnOnce() -> R) -> R {
        let _held = (self.0.write().unwrap_or_else(PoisonError::into_inner), Held::new());
        act()
    }
}

/// Asserts, in debug builds, that the calling thread holds no lock of this crate.
#[track_caller]
pub(crate) fn assert_no_lock_is_held() {
    debug_assert_eq!(held::count(), 0, "the application's code would run under a lock");
}

/// Runs code of the application's. A panic in it, which its hook has told, ends here.
pub(crate) fn run_user_code(act: impl FnOnce()) {
    assert_no_lock_is_held();
    prism_driver::contain(act);
}

/// Counts a lock for as long as it is held.
struct Held;

impl Held {
    fn new() -> Self {
        held::add(1);
        Self
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        held::add(-1);
    }
}

#[cfg(all(debug_assertions, not(prism_loom)))]
mod held {
    use std::cell::Cell;

    thread_local! {
        static COUNT: Cell<isize> = const { Cell::new(0) };
    }

    pub(super) fn add(locks: isize) {
        COUNT.set(COUNT.get() + locks);
    }

    pub(super) fn count() -> isize {
        COUNT.get()
    }
}

/// In a release build nothing is counted; under loom, all threads are one to the standard library.
#[cfg(not(all(debug_assertions, not(prism_loom))))]
mod held {
    pub(super) const fn add(_locks: isize) {}

    pub(super) const fn count() -> isize {
        0
    }
}
