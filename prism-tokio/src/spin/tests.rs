//! What a read wakes, and when.

use std::{
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    task::{Context, Wake, Waker},
    time::Duration,
};

use tokio::task::yield_now;

use super::{note_read, spin};

/// A task, or a combinator within one: whether it was woken.
#[derive(Default)]
struct Task(AtomicBool);

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Relaxed);
    }
}

/// Polls a future that spins, which then waits for a read. Returns the task.
fn wait_for_read(spinning: Pin<&mut impl Future>) -> Arc<Task> {
    let task = Arc::new(Task::default());
    let waker = Waker::from(task.clone());
    assert!(spinning.poll(&mut Context::from_waker(&waker)).is_pending());
    assert!(!task.0.load(Relaxed), "it waits");
    task
}

#[tokio::test]
async fn a_read_runs_no_waker_because_an_outbox_is_locked() {
    let mut spinning = pin!(spin(Duration::ZERO));
    for _ in 0..2 {
        let task = wait_for_read(spinning.as_mut());
        note_read();
        assert!(!task.0.load(Relaxed));
        yield_now().await;
        assert!(task.0.load(Relaxed));
    }
}

#[tokio::test]
async fn a_read_wakes_each_task_that_waits_and_is_still_there() {
    let mut spinning: Vec<_> = (0..3).map(|_| Box::pin(spin(Duration::ZERO))).collect();
    let tasks: Vec<_> = spinning.iter_mut().map(|it| wait_for_read(it.as_mut())).collect();
    drop(spinning.pop());
    note_read();
    yield_now().await;
    let woken: Vec<_> = tasks.iter().map(|task| task.0.load(Relaxed)).collect();
    assert_eq!(woken, [true, true, false]);
}
