//! [`PermitPool`]: a limited number of permits, of which the oldest are evicted in favor of new ones. A server has
//! pools for handshakes, for pages, for requests that wait to be authorized, and for authorizations.

use std::{
    collections::BTreeMap,
    future::poll_fn,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
    time::Duration,
};

use futures_lite::future::or;
use futures_util::FutureExt;

use crate::runtime::{Runtime, notice::Notice, timeout::until, wakeups};

/// Hands out [permits](Permit), and evicts the oldest ones when no permit is free.
#[derive(Debug)]
pub(crate) struct PermitPool {
    /// How many permits there may be.
    limit: usize,
    /// How long a permit is held before it may be evicted in favor of another.
    min_time: Duration,
    inner: Mutex<Inner>,
    /// A permit was released, or all were evicted.
    released: Notice,
}

#[derive(Debug, Default)]
struct Inner {
    /// The permits that are not evicted, by number; the lowest number is the oldest permit.
    admitted: BTreeMap<u64, Admitted>,
    /// The tasks that wait for a permit, by number, with the wakers of those that are not first. (A [`Notice`] would
    /// not do: a task that arrives while the first one is only about to run could take its place.)
    waiting: BTreeMap<u64, Option<Waker>>,
    next_number: u64,
    /// How many permits are evicted but not released yet.
    evicting: usize,
    /// Whether further permits are evicted at once.
    closed: bool,
}

#[derive(Debug)]
struct Admitted {
    since: Duration,
    /// Wakes the task that holds the permit, on eviction.
    waker: Option<Waker>,
}

/// How full a pool is, at one moment.
#[derive(Debug)]
pub(crate) struct Occupancy {
    /// Whether no permit is free.
    is_full: bool,
    /// How many permits are evicted but not released yet.
    pub(crate) evicting: usize,
    /// When the oldest permit may be evicted; [`Duration::MAX`] if no permit is held.
    pub(crate) next_due: Duration,
}

/// The right to do a handshake, to send a page, or to wait for or run an authorization. Released when dropped.
pub(crate) struct Permit {
    pool: Arc<PermitPool>,
    number: u64,
    since: Duration,
}

/// A place in the queue for a permit. Given up when dropped.
struct QueuePlace<'a> {
    pool: &'a PermitPool,
    number: u64,
}

impl Occupancy {
    /// Returns when the oldest permit may be evicted in favor of a new one; `None` if a permit is free.
    pub(crate) fn next_eviction(&self) -> Option<Duration> {
        self.is_full.then_some(self.next_due)
    }
}

impl PermitPool {
    /// Creates a pool of at least one permit: with none, no task would ever get one.
    pub(crate) fn new(limit: usize, min_time: Duration) -> Arc<Self> {
        Arc::new(Self {
            limit: limit.max(1),
            min_time,
            inner: Mutex::default(),
            released: Notice::new(),
        })
    }

    /// Returns how full the pool is now.
    pub(crate) fn occupancy(&self) -> Occupancy {
        let inner = self.lock();
        let oldest = inner.admitted.first_key_value().map(|(_, admitted)| admitted.since);
        Occupancy {
            is_full: inner.admitted.len() >= self.limit,
            evicting: inner.evicting,
            next_due: oldest.map_or(Duration::MAX, |since| since.saturating_add(self.min_time)),
        }
    }

    /// Waits until `done` returns true. `done` is called at once, and then whenever a permit has been released.
    pub(crate) async fn until(&self, done: impl Fn() -> bool) {
        self.released.wait_until(done).await;
    }

    /// Returns a permit at once, whether or not one is free.
    pub(crate) fn take(self: &Arc<Self>, now: Duration) -> Permit {
        let mut inner = self.lock();
        let number = inner.take_number();
        if inner.closed {
            inner.evicting += 1;
        } else {
            inner.admitted.insert(number, Admitted { since: now, waker: None });
        }
        Permit { pool: self.clone(), number, since: now }
    }

    /// Returns a permit as soon as one is free, or as soon as the oldest has had its minimum time and is evicted.
    /// Waiting tasks queue, in the order in which they came: only the first one watches the permits.
    pub(crate) async fn acquire(self: &Arc<Self>, runtime: &impl Runtime) -> Permit {
        let place = self.join_queue();
        poll_fn(|cx| place.poll_first(cx)).await;
        while let Some(due) = self.occupancy().next_eviction() {
            if due <= runtime.now() {
                self.evict_oldest();
                continue;
            }
            let changed = || self.occupancy().next_eviction() != Some(due);
            until(runtime, due, self.until(changed)).await;
        }
        self.take(runtime.now())
    }

    /// Evicts all permits, including those that are admitted later.
    pub(crate) fn evict_all(&self) {
        let mut inner = self.lock();
        inner.closed = true;
        let admitted = std::mem::take(&mut inner.admitted);
        inner.evicting += admitted.len();
        drop(inner);
        admitted.into_values().filter_map(|admitted| admitted.waker).for_each(wakeups::wake);
        self.released.notify(usize::MAX);
    }

    /// Evicts the oldest permit, if there is one.
    pub(crate) fn evict_oldest(&self) {
        let mut inner = self.lock();
        let oldest = inner.admitted.pop_first();
        inner.evicting += usize::from(oldest.is_some());
        drop(inner);
        if let Some(waker) = oldest.and_then(|(_, admitted)| admitted.waker) {
            wakeups::wake(waker);
        }
    }

    fn join_queue(&self) -> QueuePlace<'_> {
        let mut inner = self.lock();
        let number = inner.take_number();
        inner.waiting.insert(number, None);
        QueuePlace { pool: self, number }
    }

    /// Leaves the task's waker in the place that `find` returns. Returns whether there is one.
    fn leave_waker(
        &self,
        cx: &Context<'_>,
        find: impl Fn(&mut Inner) -> Option<&mut Option<Waker>>,
    ) -> bool {
        match find(&mut self.lock()) {
            None => return false,
            Some(Some(waker)) if waker.will_wake(cx.waker()) => return true,
            Some(_) => {}
        }
        // A waker is foreign code: it is neither cloned nor dropped under the pool's lock.
        let waker = cx.waker().clone();
        let mut inner = self.lock();
        let Some(place) = find(&mut inner) else { return false };
        let previous = place.replace(waker);
        drop(inner);
        drop(previous);
        true
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Permit {
    /// Returns when the handshake began: when its first permit was given.
    pub(crate) const fn since(&self) -> Duration {
        self.since
    }

    /// Releases the permit in exchange for another, but keeps the time at which the handshake began.
    pub(crate) fn exchange(&mut self, other: Self) {
        let since = self.since;
        *self = other;
        self.since = since;
    }

    /// Runs a future until the permit is evicted: returns its output, or `None` on eviction. At each poll the future
    /// comes first, so an output that is ready wins.
    pub(crate) fn run_until_evicted<'a, F: Future>(
        &'a self,
        future: F,
    ) -> impl Future<Output = Option<F::Output>> + use<'a, F> {
        or(future.map(Some), poll_fn(|cx| self.poll_evicted(cx).map(|()| None)))
    }

    /// Returns whether the permit is evicted.
    pub(crate) fn is_evicted(&self) -> bool {
        !self.pool.lock().admitted.contains_key(&self.number)
    }

    fn poll_evicted(&self, cx: &Context<'_>) -> Poll<()> {
        let is_held = self.pool.leave_waker(cx, |inner| {
            inner.admitted.get_mut(&self.number).map(|admitted| &mut admitted.waker)
        });
        if is_held { Poll::Pending } else { Poll::Ready(()) }
    }
}

impl Inner {
    const fn take_number(&mut self) -> u64 {
        let number = self.next_number;
        self.next_number += 1;
        number
    }

    /// Returns whether the task with this number has waited the longest of all that wait for a permit.
    fn is_first(&self, number: u64) -> bool {
        self.waiting.first_key_value().is_some_and(|(first, _)| *first == number)
    }
}

impl QueuePlace<'_> {
    fn poll_first(&self, cx: &Context<'_>) -> Poll<()> {
        let waits = self.pool.leave_waker(cx, |inner| {
            if inner.is_first(self.number) { None } else { inner.waiting.get_mut(&self.number) }
        });
        if waits { Poll::Pending } else { Poll::Ready(()) }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut inner = self.pool.lock();
        let admitted = inner.admitted.remove(&self.number);
        if admitted.is_none() {
            inner.evicting -= 1;
        }
        drop(inner);
        drop(admitted); // outside the lock, because of its waker
        // Up to two tasks listen: one waits for a permit of this pool, the other for a slot in the registry.
        self.pool.released.notify(usize::MAX);
    }
}

impl Drop for QueuePlace<'_> {
    fn drop(&mut self) {
        let mut inner = self.pool.lock();
        let was_first = inner.is_first(self.number);
        let own = inner.waiting.remove(&self.number);
        let next = inner.waiting.first_entry().filter(|_| was_first);
        let next = next.and_then(|mut next| next.get_mut().take());
        drop(inner);
        drop(own); // outside the lock, because it is a waker
        next.into_iter().for_each(wakeups::wake);
    }
}
