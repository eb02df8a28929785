//! [`Sim`]: a runtime whose clock stands still while any task can run, and then jumps to the next timer.

use std::{
    collections::BTreeMap,
    fmt,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    task::{Context, Poll, Wake, Waker},
    time::Duration,
};

use async_executor::Executor;
use prism_driver::{AdaptStream, Runtime, Transport};

use self::hosts::Hosts;

pub(crate) mod hosts;
#[cfg(feature = "hyper")]
mod http;
pub(crate) mod network;
pub(crate) mod serving;

/// The limit in virtual time: keepalive timers would let a test that waits in vain run forever.
const TOO_LONG: Duration = Duration::from_secs(24 * 60 * 60);

/// The limit in steps: tasks that keep waking each other would never end.
const TOO_BUSY: usize = 1_000_000;

/// A simulation in one thread: a [`Runtime`] on virtual time, and a [`Network`](prism_driver::Network) in memory.
///
/// The clock stands still while any task can run, and then jumps to the next timer. So a test of a 30 s timeout takes
/// no time, and its outcome does not depend on the machine. (Only what Prism draws at random differs from run to run:
/// the mask keys of clients, the IDs of processes, and the delays of a [`Reconnect`](prism_driver::Reconnect).) A clone
/// is the same simulation.
///
/// ```
/// use std::time::Duration;
///
/// use prism_driver::Runtime;
/// use prism_test::Sim;
///
/// let sim = Sim::new();
/// sim.run(async {
///     sim.sleep(Duration::from_secs(3600)).await; // no real time
///     assert_eq!(sim.now(), Duration::from_secs(3600));
/// });
/// ```
///
/// Tasks run in the order in which they were woken, and only while a test is in [`run`](Self::run). The clock does not
/// know of anything outside: a future that waits for a real socket, for a thread, or for another runtime's timer, looks
/// like one that waits in vain.
#[derive(Clone, Default)]
pub struct Sim {
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    /// Replaced by [`Sim::drop_tasks`].
    executor: Mutex<Arc<Executor<'static>>>,
    clock: Mutex<Clock>,
    hosts: Mutex<Hosts>,
}

#[derive(Default)]
struct Clock {
    now: Duration,
    timers: BTreeMap<(Duration, u64), Waker>,
    next_timer: u64,
}

impl Sim {
    /// Creates a simulation, whose clock is at zero.
    pub fn new() -> Self {
        Self::default()
    }

    /// Runs a test, and the tasks that it starts, until the test is done. Other tasks may be left over: they go on in
    /// the next `run`.
    ///
    /// # Panics
    /// If the test can never be done: because all tasks wait for each other, because the clock has reached a day, or
    /// because the tasks have been woken a million times. And if a task panics.
    pub fn run<T>(&self, test: impl Future<Output = T>) -> T {
        let mut test = std::pin::pin!(test);
        // The test is polled whenever a task has run, which is simple, and fast enough.
        let woken = Arc::new(Woken::default());
        let waker = Waker::from(woken.clone());
        let mut was_idle = false;
        for _ in 0..TOO_BUSY {
            woken.0.store(false, Relaxed);
            if let Poll::Ready(result) = test.as_mut().poll(&mut Context::from_waker(&waker)) {
                return result;
            }
            let is_idle = !self.step() && !woken.0.load(Relaxed);
            // Polled once more, the test may be done, or start a task or a timer.
            assert!(!is_idle || !was_idle, "deadlock at {:?}: the test waits in vain", self.now());
            was_idle = is_idle;
        }
        self.livelock()
    }

    /// Runs all tasks that can run now. The clock stands still.
    ///
    /// After this, everything has happened that can happen without time passing. So a test can assert that something
    /// was *not* sent.
    ///
    /// # Panics
    /// If the tasks have been woken a million times. And if a task panics.
    pub async fn settle(&self) {
        for _ in 0..TOO_BUSY {
            if !self.tick() {
                return;
            }
        }
        self.livelock()
    }

    /// Lets `span` of virtual time pass, and runs all tasks before and after.
    ///
    /// # Panics
    /// If the clock reaches a day: what takes longer is taken for a test that waits in vain. And as for
    /// [`settle`](Self::settle).
    pub async fn pass(&self, span: Duration) {
        self.settle().await;
        self.sleep(span).await;
        self.settle().await;
    }

    /// Advances the clock by `span` without running any task, as code does that blocks its thread.
    pub fn block(&self, span: Duration) {
        self.clock().now += span;
    }

    /// Polls one task, or jumps to the next timer if no task can run. Returns whether there was any.
    ///
    /// # Panics
    /// If the clock reaches a day. And if the task panics.
    pub fn step(&self) -> bool {
        self.tick() || self.jump()
    }

    /// Polls one task, and returns whether there was one that could run. The clock stands still.
    pub fn tick(&self) -> bool {
        self.executor().try_tick()
    }

    /// Drops all tasks before they are done, as a runtime does when it shuts down.
    ///
    /// Tasks keep the simulation alive, and the simulation its tasks. So a program that creates very many simulations
    /// calls this at the end of each, to free their memory.
    pub fn drop_tasks(&self) {
        let executor = std::mem::take(&mut *self.lock_executor());
        drop(executor); // unlocked: what the tasks drop may start others
    }

    fn livelock(&self) -> ! {
        panic!("livelock at {:?}: the tasks keep waking each other", self.now());
    }

    /// Jumps to the next timer, and returns whether there was one.
    fn jump(&self) -> bool {
        let mut clock = self.clock();
        let Some(((moment, _), waker)) = clock.timers.pop_first() else { return false };
        clock.now = clock.now.max(moment);
        let now = clock.now;
        drop(clock);
        assert!(now < TOO_LONG, "the test waits in vain: a day has passed");
        waker.wake();
        true
    }

    fn executor(&self) -> Arc<Executor<'static>> {
        self.lock_executor().clone()
    }

    fn lock_executor(&self) -> MutexGuard<'_, Arc<Executor<'static>>> {
        self.state.executor.lock().expect("nothing panics with the executor locked")
    }

    fn clock(&self) -> MutexGuard<'_, Clock> {
        self.state.clock.lock().expect("nothing panics with the clock locked")
    }
}

/// Whether a test was woken.
#[derive(Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Relaxed);
    }
}

impl fmt::Debug for Sim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sim").field("now", &self.now()).finish_non_exhaustive()
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
        self.clock().now
    }

    fn sleep(&self, span: Duration) -> Sleep {
        let mut clock = self.clock();
        clock.next_timer += 1;
        let deadline = clock.now.saturating_add(span);
        Sleep { sim: self.clone(), key: (deadline, clock.next_timer) }
    }

    fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) {
        self.executor().spawn(future).detach();
    }
}

/// The future that a [`Sim`] returns for [`sleep`](Runtime::sleep).
pub struct Sleep {
    sim: Sim,
    key: (Duration, u64),
}

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let waker = cx.waker().clone();
        let mut clock = self.sim.clock();
        if clock.now >= self.key.0 {
            return Poll::Ready(());
        }
        let replaced = clock.timers.insert(self.key, waker);
        drop(clock);
        drop(replaced); // unlocked: it may drop a task that has another timer
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        let waker = self.sim.clock().timers.remove(&self.key);
        drop(waker); // unlocked: it may drop a task that has another timer
    }
}
