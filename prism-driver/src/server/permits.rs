//! [`PermitPool`]: a limited number of permits, of which the oldest are evicted in favor of new ones. A server
//! has one pool for handshakes and one for pages.

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
    /// The task at the head of the queue has a permit, or has stopped waiting.
    head_vacated: Notice,
}

#[derive(Debug, Default)]
struct Inner {
    /// The permits that are not evicted, by number; the lowest number is the oldest permit.
    admitted: BTreeMap<u64, Admitted>,
    next_number: u64,
    /// How many permits are evicted but not released yet.
    evicting: usize,
    /// Whether a task is at the head of the queue for a permit.
    has_head: bool,
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

/// The right to do a handshake or to send a page. Released when dropped.
pub(crate) struct Permit {
    pool: Arc<PermitPool>,
    number: u64,
    since: Duration,
}

/// The head of the queue for a permit, vacated when dropped.
struct QueueHead<'a>(&'a PermitPool);

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
            head_vacated: Notice::new(),
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

    /// Returns when `done` returns true. `done` is called at once, and then whenever a permit has been released.
    pub(crate) async fn until(&self, done: impl Fn() -> bool) {
        self.released.wait_until(done).await;
    }

    /// Returns a permit at once, whether or not one is free.
    pub(crate) fn take(self: &Arc<Self>, now: Duration) -> Permit {
        let mut inner = self.lock();
        let number = inner.next_number;
        inner.next_number += 1;
        if inner.closed {
            inner.evicting += 1;
        } else {
            inner.admitted.insert(number, Admitted { since: now, waker: None });
        }
        Permit { pool: self.clone(), number, since: now }
    }

    /// Returns a permit as soon as one is free, or as soon as the oldest has had its minimum time and is evicted.
    /// Waiting tasks queue: only the one at the head watches the permits.
    pub(crate) async fn acquire(self: &Arc<Self>, runtime: &impl Runtime) -> Permit {
        let _head = self.wait_for_head().await;
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

    async fn wait_for_head(&self) -> QueueHead<'_> {
        let became_head = || !std::mem::replace(&mut self.lock().has_head, true);
        self.head_vacated.wait_until(became_head).await;
        QueueHead(self)
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

    /// Releases the permit in exchange for another.
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

    fn poll_evicted(&self, cx: &Context<'_>) -> Poll<()> {
        let is_current = |admitted: &Admitted| {
            admitted.waker.as_ref().is_some_and(|it| it.will_wake(cx.waker()))
        };
        match self.pool.lock().admitted.get(&self.number) {
            None => return Poll::Ready(()),
            Some(admitted) if is_current(admitted) => return Poll::Pending,
            Some(_) => {}
        }
        // A waker is foreign code: it is neither cloned nor dropped under the pool's lock.
        let waker = cx.waker().clone();
        let mut inner = self.pool.lock();
        let Some(admitted) = inner.admitted.get_mut(&self.number) else {
            return Poll::Ready(());
        };
        let previous = admitted.waker.replace(waker);
        drop(inner);
        drop(previous);
        Poll::Pending
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

impl Drop for QueueHead<'_> {
    fn drop(&mut self) {
        self.0.lock().has_head = false;
        self.0.head_vacated.notify(1);
    }
}
