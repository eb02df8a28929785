//! [`hold_wakeups`]: for senders that hold a lock.

use std::{cell::RefCell, marker::PhantomData, task::Waker};

use crate::runtime::contain::contain;

thread_local! {
    static HELD: RefCell<Held> = const {
        RefCell::new(Held { guards: 0, tasks: Vec::new() })
    };
}

/// Whom to wake when no guard is left.
struct Held {
    guards: usize,
    tasks: Vec<Waker>,
}

/// Keeps wake-ups back until dropped; see [`hold_wakeups`].
#[derive(Debug)]
#[must_use = "wake-ups are held until this is dropped"]
pub struct HeldWakeups {
    /// It belongs to this thread.
    _thread: PhantomData<*const ()>,
}

/// Keeps back the wake-ups of tasks to which this thread sends, or whose connections it closes, until what
/// this returns is dropped.
///
/// A waker is code of the runtime's, and of whoever has wrapped its futures: it should not run while you
/// hold a lock that it may need. So a sender that walks over connections behind a lock calls this first,
/// and drops the guard when the lock is free again. (The hooks of [`on_end`](crate::Connection::on_end)
/// are not kept back: do not [abort](crate::Connection::abort) anything meanwhile.)
///
/// Wait for nothing while you hold the guard, neither by blocking nor with `.await`: the wake-up that would
/// end the wait may be among those that are kept back.
///
/// ```no_run
/// use std::sync::Mutex;
///
/// fn publish(members: &Mutex<Vec<prism_driver::Connection>>, text: &str) {
///     let _wakeups = prism_driver::hold_wakeups(); // dropped last, and so behind the lock
///     for member in members.lock().unwrap().iter() {
///         let _ = member.try_send(text); // whoever is full or gone misses it
///     }
/// }
/// ```
pub fn hold_wakeups() -> HeldWakeups {
    // In a thread that ends nothing is held.
    let _ = HELD.try_with(|held| held.borrow_mut().guards += 1);
    HeldWakeups { _thread: PhantomData }
}

/// Wakes a task, now or when no guard is left. A waker that panics keeps nobody else from anything.
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

impl Drop for HeldWakeups {
    fn drop(&mut self) {
        let release = |held: &RefCell<Held>| {
            let mut held = held.borrow_mut();
            held.guards -= 1;
            let is_last = held.guards == 0;
            is_last.then(|| std::mem::take(&mut held.tasks))
        };
        if let Ok(Some(tasks)) = HELD.try_with(release) {
            for task in tasks {
                contain(|| task.wake());
            }
        }
    }
}
