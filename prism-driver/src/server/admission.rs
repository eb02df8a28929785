//! [`AdmissionLimiter`]: places of which there are only so many, and who has to leave theirs for others. A server
//! has one for handshakes, and one for pages.

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

/// Everybody who has a place, by their coming.
#[derive(Debug)]
pub(crate) struct AdmissionLimiter {
    /// How many may be here.
    limit: usize,
    /// How long each may stay, however many come.
    min_time: Duration,
    inner: Mutex<Inner>,
    /// Somebody has left.
    left: Notice,
    /// Nobody waits for a place any more, or somebody has one now.
    next_in_line: Notice,
}

#[derive(Debug, Default)]
struct Inner {
    admitted: BTreeMap<u64, Admitted>,
    next: u64,
    /// How many have to leave, and have not left yet.
    evicting: usize,
    /// Somebody is the first of those who wait for a place.
    waited_for: bool,
    /// Whoever comes from now on has to leave at once.
    closed: bool,
}

#[derive(Debug)]
struct Admitted {
    since: Duration,
    /// Of the task that is to be told to leave.
    waker: Option<Waker>,
}

/// Who has a place, at one moment.
#[derive(Debug)]
pub(crate) struct Occupancy {
    /// No place is free.
    is_full: bool,
    /// How many have to leave, and have not left yet.
    pub(crate) evicting: usize,
    /// When the permit who has been here for the longest has had its time; never if there is none.
    pub(crate) next_due: Duration,
}

/// A place, given up when dropped.
pub(crate) struct Permit {
    limiter: Arc<AdmissionLimiter>,
    number: u64,
}

/// The first of those who wait for a place, until dropped.
struct FirstInLine<'a>(&'a AdmissionLimiter);

impl Occupancy {
    /// If no place is free: when the next has to leave for somebody who comes.
    pub(crate) fn next_eviction(&self) -> Option<Duration> {
        self.is_full.then_some(self.next_due)
    }
}

impl AdmissionLimiter {
    /// One place there is in any case: without it there would never be room.
    pub(crate) fn new(limit: usize, min_time: Duration) -> Arc<Self> {
        Arc::new(Self {
            limit: limit.max(1),
            min_time,
            inner: Mutex::default(),
            left: Notice::new(),
            next_in_line: Notice::new(),
        })
    }

    pub(crate) fn occupancy(&self) -> Occupancy {
        let inner = self.lock();
        let oldest = inner.admitted.first_key_value().map(|(_, place)| place.since);
        Occupancy {
            is_full: inner.admitted.len() >= self.limit,
            evicting: inner.evicting,
            next_due: oldest.map_or(Duration::MAX, |since| since.saturating_add(self.min_time)),
        }
    }

    /// Returns when `done`, which is asked whenever somebody has left.
    pub(crate) async fn until(&self, done: impl Fn() -> bool) {
        self.left.wait_until(done).await;
    }

    /// Takes a place, whether or not one is free.
    pub(crate) fn admit(self: &Arc<Self>, now: Duration) -> Permit {
        let mut inner = self.lock();
        let number = inner.next;
        inner.next += 1;
        if inner.closed {
            inner.evicting += 1;
        } else {
            inner.admitted.insert(number, Admitted { since: now, waker: None });
        }
        Permit { limiter: self.clone(), number }
    }

    /// Takes a place when one is free, or when somebody has had theirs for long enough. Who comes first
    /// is first; the others wait for nothing but that.
    pub(crate) async fn acquire(self: &Arc<Self>, runtime: &impl Runtime) -> Permit {
        let _first = self.wait_in_line().await;
        while let Some(due) = self.occupancy().next_eviction() {
            if due <= runtime.now() {
                self.evict_oldest();
                continue;
            }
            let changed = || self.occupancy().next_eviction() != Some(due);
            until(runtime, due, self.until(changed)).await;
        }
        self.admit(runtime.now())
    }

    /// Everybody has to leave, and whoever comes from now on.
    pub(crate) fn evict_all(&self) {
        let mut inner = self.lock();
        inner.closed = true;
        let admitted = std::mem::take(&mut inner.admitted);
        inner.evicting += admitted.len();
        drop(inner);
        admitted.into_values().filter_map(|place| place.waker).for_each(wakeups::wake);
        self.left.notify(usize::MAX);
    }

    /// Who has been here for the longest has to leave.
    pub(crate) fn evict_oldest(&self) {
        let mut inner = self.lock();
        let oldest = inner.admitted.pop_first();
        inner.evicting += usize::from(oldest.is_some());
        drop(inner);
        if let Some(waker) = oldest.and_then(|(_, place)| place.waker) {
            wakeups::wake(waker);
        }
    }

    async fn wait_in_line(&self) -> FirstInLine<'_> {
        let is_first = || !std::mem::replace(&mut self.lock().waited_for, true);
        self.next_in_line.wait_until(is_first).await;
        FirstInLine(self)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Permit {
    /// Does what it came for, or gives `None` when it has to leave. Whatever is there already is
    /// looked at before that.
    pub(crate) fn run_until_evicted<'a, F: Future>(
        &'a self,
        what_for: F,
    ) -> impl Future<Output = Option<F::Output>> + use<'a, F> {
        or(what_for.map(Some), poll_fn(|cx| self.poll_evicted(cx).map(|()| None)))
    }

    fn poll_evicted(&self, cx: &Context<'_>) -> Poll<()> {
        let known =
            |place: &Admitted| place.waker.as_ref().is_some_and(|it| it.will_wake(cx.waker()));
        match self.limiter.lock().admitted.get(&self.number) {
            None => return Poll::Ready(()),
            Some(place) if known(place) => return Poll::Pending,
            Some(_) => {}
        }
        // It is not ours: it is neither cloned nor dropped where the limiter is locked.
        let waker = cx.waker().clone();
        let mut inner = self.limiter.lock();
        let Some(place) = inner.admitted.get_mut(&self.number) else { return Poll::Ready(()) };
        let before = place.waker.replace(waker);
        drop(inner);
        drop(before);
        Poll::Pending
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut inner = self.limiter.lock();
        let place = inner.admitted.remove(&self.number);
        if place.is_none() {
            inner.evicting -= 1;
        }
        drop(inner);
        drop(place); // with a waker, which is not ours
        // Two may listen: who waits for this place, and who waits for a connection's.
        self.limiter.left.notify(usize::MAX);
    }
}

impl Drop for FirstInLine<'_> {
    fn drop(&mut self) {
        self.0.lock().waited_for = false;
        self.0.next_in_line.notify(1);
    }
}
