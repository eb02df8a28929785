//! [`hold_wakeups`]: delays the waking of tasks, and the dropping of bytes that outboxes have released, while a sender
//! holds a lock. Both may run application code.

use std::{
    cell::{Cell, RefCell},
    marker::PhantomData,
    mem,
    task::Waker,
};

use bytes::Bytes;

use crate::runtime::contain::contain;

thread_local! {
    static HELD: RefCell<Held> = const {
        RefCell::new(Held { guards: 0, tasks: Vec::new(), released: Vec::new() })
    };
    /// Whether any bytes are released. This has a flag of its own because it is checked whenever an outbox is unlocked.
    static HAS_RELEASED: Cell<bool> = const { Cell::new(false) };
}

/// The wake-ups that this thread holds, and the bytes that it has to drop.
struct Held {
    /// How many [`HeldWakeups`] there are.
    guards: usize,
    /// The tasks to wake when the last guard is dropped.
    tasks: Vec<Waker>,
    /// The application's bytes to drop when no outbox is locked and no guard is left.
    released: Vec<Bytes>,
}

/// A guard that delays wake-ups until it is dropped; see [`hold_wakeups`].
#[derive(Debug)]
#[must_use = "wake-ups are held until this is dropped"]
pub struct HeldWakeups {
    /// A guard must stay on its thread.
    _thread: PhantomData<*const ()>,
}

/// Delays the wake-ups that this thread causes by sending to connections or by closing them, until the returned guard
/// is dropped. Guards nest: while a thread has several, the wake-ups happen when the last one left is dropped.
///
/// Waking a task runs code of its runtime, or of a combinator around one of its futures. If that code needs a lock that
/// you are holding, it deadlocks. So call this before you lock a collection of connections to send to, and drop the
/// guard after you have released the lock. (The guard also delays the destructors of the owners of `Bytes` that were
/// sent, for the same reason.) The hooks of [`on_end`](crate::Connection::on_end) are not delayed: do not
/// [abort](crate::Connection::abort) connections while you hold such a lock.
///
/// Do not wait while you hold the guard, either by blocking or with `.await`: the wake-up that would end the wait may
/// be among those that are delayed.
///
/// ```no_run
/// # use prism_driver::{Connection, hold_wakeups};
/// use std::sync::Mutex;
///
/// fn publish(members: &Mutex<Vec<Connection>>, text: &str) {
///     let _wakeups = hold_wakeups(); // dropped last, after the lock is released
///     for member in members.lock().unwrap().iter() {
///         let _ = member.try_send(text); // a connection that is full or closed misses it
///     }
/// }
/// ```
pub fn hold_wakeups() -> HeldWakeups {
    // A thread that is ending holds no wake-ups.
    let _ = HELD.try_with(|held| held.borrow_mut().guards += 1);
    HeldWakeups { _thread: PhantomData }
}

/// Wakes a task, now or when the last guard is dropped. A panic of the waker is contained.
pub(crate) fn wake(task: Waker) {
    let mut task = Some(task);
    let _ = HELD.try_with(|held| {
        let mut held = held.borrow_mut();
        if held.guards > 0 {
            held.tasks.extend(task.take());
        }
    });
    if let Some(task) = task {
        contain(|| task.wake());
    }
}

/// Keeps bytes of the application until [`drop_released`] is called: dropping them may run application code, and an
/// outbox is locked.
pub(crate) fn release(bytes: Bytes) {
    let keep = |held: &RefCell<Held>| {
        held.borrow_mut().released.push(bytes);
        HAS_RELEASED.set(true);
    };
    let _ = HELD.try_with(keep); // while the thread ends, this may fail: then the bytes are dropped now
}

/// Drops the bytes that were released, or leaves that to the last guard. The caller must not hold a lock of Prism.
#[inline]
pub(crate) fn drop_released() {
    if HAS_RELEASED.get() {
        drop_released_now();
    }
}

#[cold]
fn drop_released_now() {
    let take = |held: &RefCell<Held>| {
        let mut held = held.borrow_mut();
        let is_held = held.guards > 0;
        HAS_RELEASED.set(is_held);
        if is_held { Vec::new() } else { mem::take(&mut held.released) }
    };
    for bytes in HELD.try_with(take).unwrap_or_default() {
        contain(|| drop(bytes));
    }
}

impl Drop for HeldWakeups {
    fn drop(&mut self) {
        let release = |held: &RefCell<Held>| {
            let mut held = held.borrow_mut();
            held.guards -= 1;
            let is_last = held.guards == 0;
            is_last.then(|| mem::take(&mut held.tasks))
        };
        if let Ok(Some(tasks)) = HELD.try_with(release) {
            for task in tasks {
                contain(|| task.wake());
            }
            drop_released();
        }
    }
}
