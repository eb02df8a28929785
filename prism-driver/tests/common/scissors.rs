//! [`at_each_step`]: drops a future at each point at which it can be dropped.

use std::{
    cell::Cell,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake},
};

use super::sim::Sim;

/// No scenario takes so many steps.
const TOO_MANY: usize = 10_000;

/// Runs a scenario again and again. Its future is dropped before the first step, after one, after
/// two, and so on, until it lives to its end. All of that twice: with a future that is polled as
/// soon as it is woken, and with one that is polled when nobody else has anything to do.
pub fn at_each_step(scenario: impl Fn(&Sim, &Scissors)) {
    for patient in [false, true] {
        for steps in 0.. {
            assert!(steps < TOO_MANY, "the future does not end");
            let scissors =
                Scissors { steps, patient, polls: Cell::new(0), whole: Cell::new(false) };
            scenario(&Sim::default(), &scissors);
            if scissors.whole.get() {
                assert!(scissors.polls.get() > 1, "there was nothing to cut");
                break;
            }
        }
    }
}

/// Cuts a future off after so many steps.
pub struct Scissors {
    steps: usize,
    patient: bool,
    polls: Cell<usize>,
    whole: Cell<bool>,
}

impl Scissors {
    /// Polls the future when it has been woken, and otherwise lets something else happen; both are
    /// steps. `None`: it was dropped.
    pub fn cut<T>(&self, sim: &Sim, future: impl Future<Output = T>) -> Option<T> {
        let mut future = pin!(future);
        let alarm = Arc::new(Alarm(AtomicBool::new(true)));
        let waker = alarm.clone().into();
        for _ in 0..self.steps {
            let others_first = self.patient && sim.tick();
            if others_first || !alarm.0.swap(false, Ordering::Relaxed) {
                assert!(others_first || sim.step(), "it waits, and nothing can happen any more");
                continue;
            }
            self.polls.set(self.polls.get() + 1);
            if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
                self.whole.set(true);
                return Some(output);
            }
        }
        None
    }

    /// Whether the future has begun.
    pub fn has_begun(&self) -> bool {
        self.polls.get() > 0
    }
}

/// So that a scenario that fails says where it was cut.
impl Drop for Scissors {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let pace = if self.patient { "patient" } else { "eager" };
            eprintln!("the future was {pace}, and dropped after {} steps", self.steps);
        }
    }
}

struct Alarm(AtomicBool);

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}
