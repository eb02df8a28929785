//! [`at_each_step`]: drops a future at every point.

use std::{
    cell::Cell,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake},
};

use async_channel::Receiver;
use prism_driver::{ConnectError, Socket};
use prism_test::{Faults, Sim};

use super::{net::Net, s, sockets::owned};

/// No scenario takes this many steps.
const TOO_MANY: usize = 10_000;

/// Runs a scenario again and again. Its future is dropped before the first step, after one, after two,
/// and so on, until it completes. All of this happens twice: with a future that is polled as soon as it
/// is woken, and with one that is polled only when no other task can run.
pub fn at_each_step(scenario: impl Fn(&Sim, &CancelPoint)) {
    for when_idle in [false, true] {
        for steps in 0.. {
            assert!(steps < TOO_MANY, "the future never completes");
            let cancel_point =
                CancelPoint { steps, when_idle, polls: Cell::new(0), completed: Cell::new(false) };
            scenario(&Sim::default(), &cancel_point);
            if cancel_point.completed.get() {
                assert!(cancel_point.polls.get() > 1, "the future never waited");
                break;
            }
        }
    }
}

/// Asserts that a client's attempt to connect that was dropped has left nothing behind. `told` has the pipe, if there
/// was one. If the attempt was complete, asserts that the connection echoes.
pub fn assert_canceled_or_echoing(
    sim: &Sim,
    net: &Net,
    told: &Receiver<Faults>,
    socket: Option<Result<Socket, ConnectError>>,
) {
    assert_eq!(net.in_progress(), 0, "an attempt is still in progress");
    match socket {
        None => {
            assert_eq!(net.tasks(), 0, "a task was left behind");
            sim.run(sim.pass(s(1)));
            if let Ok(faults) = told.try_recv() {
                assert!(faults.dropped_by_client(), "the transport was left open");
            }
        }
        Some(socket) => sim.run(async {
            let socket = socket.unwrap();
            socket.send("echoed").await.unwrap();
            assert_eq!(socket.recv().await.unwrap(), owned("echoed"));
        }),
    }
}

/// Drops a future after a number of steps.
pub struct CancelPoint {
    steps: usize,
    when_idle: bool,
    polls: Cell<usize>,
    completed: Cell<bool>,
}

impl CancelPoint {
    /// Polls the future when it has been woken, and runs another task otherwise. Each is one step.
    /// Returns `None` if the future was dropped.
    pub fn run<T>(&self, sim: &Sim, future: impl Future<Output = T>) -> Option<T> {
        let mut future = pin!(future);
        let woken = Arc::new(WakeFlag(AtomicBool::new(true)));
        let waker = woken.clone().into();
        for _ in 0..self.steps {
            let others_first = self.when_idle && sim.tick();
            if others_first || !woken.0.swap(false, Ordering::Relaxed) {
                assert!(
                    others_first || sim.step(),
                    "deadlock: the future waits, and no task can run"
                );
                continue;
            }
            self.polls.set(self.polls.get() + 1);
            if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
                self.completed.set(true);
                return Some(output);
            }
        }
        None
    }

    /// Returns whether the future was polled at all.
    pub fn has_begun(&self) -> bool {
        self.polls.get() > 0
    }
}

/// Prints where the future was dropped if the scenario fails.
impl Drop for CancelPoint {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let polled = if self.when_idle { "when idle" } else { "when woken" };
            eprintln!("the future was polled {polled}, and dropped after {} steps", self.steps);
        }
    }
}

struct WakeFlag(AtomicBool);

impl Wake for WakeFlag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}
