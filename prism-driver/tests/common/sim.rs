//! [`Sim`]: a runtime whose clock stands still while any task can run, and then jumps to the next timer.
//! A test of a 30 s timeout takes no time, and is deterministic.

use std::{
    collections::BTreeMap,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, Waker},
    time::Duration,
};

use async_executor::Executor;
use prism_driver::{AdaptStream, Runtime, Transport};

/// The limit in virtual time: keepalive timers would let a scenario that waits in vain run forever.
const TOO_LONG: Duration = Duration::from_secs(24 * 60 * 60);

/// The limit in steps: tasks that keep waking each other would never end.
const TOO_BUSY: usize = 1_000_000;

#[derive(Clone, Default)]
pub struct Sim {
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    executor: Executor<'static>,
    clock: Mutex<Clock>,
}

#[derive(Default)]
struct Clock {
    now: Duration,
    timers: BTreeMap<(Duration, u64), Waker>,
    next_timer: u64,
}

impl Sim {
    /// Runs a scenario to its end. Panics at a deadlock.
    pub fn run<T>(&self, scenario: impl Future<Output = T>) -> T {
        let mut scenario = std::pin::pin!(scenario);
        // The scenario is polled whenever a task has run, which is simple, and fast enough.
        let mut cx = Context::from_waker(Waker::noop());
        for _ in 0..TOO_BUSY {
            if let Poll::Ready(result) = scenario.as_mut().poll(&mut cx) {
                return result;
            }
            if !self.step() {
                // The last step may have been what the scenario waited for.
                match scenario.as_mut().poll(&mut cx) {
                    Poll::Ready(result) => return result,
                    Poll::Pending if self.tick() => {}
                    Poll::Pending => panic!("deadlock at {:?}", self.now()),
                }
            }
        }
        panic!("livelock at {:?}", self.now());
    }

    /// Runs all tasks that can run now; the clock stands still.
    pub async fn settle(&self) {
        while self.tick() {}
    }

    /// Lets `span` pass, and runs all tasks before and after.
    pub async fn pass(&self, span: Duration) {
        self.settle().await;
        self.sleep(span).await;
        self.settle().await;
    }

    /// Advances the clock by `span` without running any task, as a thread that is blocked.
    pub fn take(&self, span: Duration) {
        self.state.clock.lock().unwrap().now += span;
    }

    /// Polls one task, or jumps to the next timer if no task can run. Returns whether there was any.
    pub fn step(&self) -> bool {
        self.tick() || self.jump()
    }

    /// Polls one task, and returns whether there was one that could run.
    pub fn tick(&self) -> bool {
        self.state.executor.try_tick()
    }

    /// Jumps to the next timer, and returns whether there was one.
    fn jump(&self) -> bool {
        let mut clock = self.state.clock.lock().unwrap();
        let Some(((moment, _), waker)) = clock.timers.pop_first() else { return false };
        clock.now = clock.now.max(moment);
        drop(clock);
        assert!(self.now() < TOO_LONG, "the scenario waits in vain");
        waker.wake();
        true
    }
}

impl<T: Transport> AdaptStream<T> for Sim {
    type Transport = T;

    fn adapt(stream: T) -> T {
        stream
    }
}

impl Runtime for Sim {
    type Sleep = Sleep;

    fn now(&self) -> Duration {
        self.state.clock.lock().unwrap().now
    }

    fn sleep(&self, span: Duration) -> Sleep {
        let mut clock = self.state.clock.lock().unwrap();
        clock.next_timer += 1;
        let deadline = clock.now.saturating_add(span);
        Sleep { sim: self.clone(), key: (deadline, clock.next_timer) }
    }

    fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) {
        self.state.executor.spawn(future).detach();
    }
}

pub struct Sleep {
    sim: Sim,
    key: (Duration, u64),
}

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut clock = self.sim.state.clock.lock().unwrap();
        if clock.now >= self.key.0 {
            return Poll::Ready(());
        }
        clock.timers.insert(self.key, cx.waker().clone());
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        self.sim.state.clock.lock().unwrap().timers.remove(&self.key);
    }
}
