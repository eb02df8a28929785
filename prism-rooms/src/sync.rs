//! The locks of this crate, which loom can replace; and [`run_user_code`], which runs while none is held.
//!
//! No application code runs while a lock is held, not even a destructor. There is one exception: a send to a
//! room may poll a member's [`Transport`](prism_driver::Transport) under the room's lock. So a transport must
//! not call connections or rooms. The driver contains its panics.
//!
//! In debug builds each thread counts the locks that it holds, to assert that there is none where application
//! code runs.

use std::{
    ops::{Deref, DerefMut},
    sync::{PoisonError, atomic::Ordering},
};

#[cfg(prism_loom)]
use loom::sync::{Mutex, MutexGuard, RwLock, atomic::AtomicBool};
#[cfg(not(prism_loom))]
use std::sync::{Mutex, MutexGuard, RwLock, atomic::AtomicBool};

/// A mutex that ignores poisoning: no code in this crate panics in the middle of a change, and the driver
/// catches the panics of a transport.
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

impl<T: Default> Default for Lock<T> {
    fn default() -> Self {
        Self::new(T::default())
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

/// A flag that one thread raises and any lowers. It orders nothing else.
#[derive(Debug)]
pub(crate) struct Flag(AtomicBool);

impl Flag {
    pub(crate) fn new() -> Self {
        Self(AtomicBool::new(false))
    }

    pub(crate) fn raise(&self) {
        // Not a mere store: loom does not know that what others swap in meanwhile has one order with it.
        self.0.swap(true, Ordering::Relaxed);
    }

    /// Returns whether it was raised.
    pub(crate) fn lower(&self) -> bool {
        self.0.swap(false, Ordering::Relaxed)
    }
}

/// Gives messages to everyone a place in the order of every room: messages to rooms share this lock, a message
/// to everyone holds it exclusively. It protects no data.
///
/// All cores share it, and the counter of the stamps. On two cores that costs little, as
/// [the guide](crate::docs::rooms#performance) says. If it costs much on many cores, each core can have a lock of its
/// own, all of which a message to everyone takes.
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

/// Runs application code. A panic in it ends here, after the panic hook has reported it.
pub(crate) fn run_user_code(act: impl FnOnce()) {
    assert_no_lock_is_held();
    prism_driver::contain(act);
}

/// Asserts, in debug builds, that the calling thread holds no lock of this crate.
#[track_caller]
pub(crate) fn assert_no_lock_is_held() {
    held::assert_none();
}

/// Counts a lock while it is held.
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

    // The destructor of another thread-local may drop a connection after this thread-local is gone.

    pub(super) fn add(locks: isize) {
        let _ = COUNT.try_with(|count| count.set(count.get() + locks));
    }

    pub(super) fn count() -> isize {
        COUNT.try_with(Cell::get).unwrap_or(0)
    }

    #[track_caller]
    pub(super) fn assert_none() {
        assert_eq!(count(), 0, "application code would run under a lock");
    }
}

/// Release builds count nothing. Neither do loom's, where all threads of a model are the same thread to the
/// standard library.
#[cfg(not(all(debug_assertions, not(prism_loom))))]
mod held {
    pub(super) const fn add(_locks: isize) {}

    pub(super) const fn assert_none() {}
}

#[cfg(all(test, debug_assertions, not(prism_loom)))]
mod tests {
    use super::{BroadcastLock, Lock, held, run_user_code};

    #[test]
    fn each_lock_counts_while_it_is_held() {
        let (lock, broadcast) = (Lock::new(()), BroadcastLock::new());
        broadcast.shared(|| {
            assert_eq!(held::count(), 1);
            let guard = lock.lock();
            assert_eq!(held::count(), 2);
            drop(guard);
        });
        broadcast.exclusive(|| assert_eq!(held::count(), 1));
        assert_eq!(held::count(), 0);
    }

    #[test]
    #[should_panic(expected = "application code would run under a lock")]
    fn application_code_under_a_lock_fails_in_debug_builds() {
        let lock = Lock::new(());
        let _guard = lock.lock();
        run_user_code(|| ());
    }
}
