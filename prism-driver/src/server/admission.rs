//! [`Lobby`]: places of which there are only so many, and who has to leave theirs for others. A server
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
pub(crate) struct Lobby {
    /// How many may be here.
    most: usize,
    /// How long each may stay, however many come.
    fair_time: Duration,
    inner: Mutex<Inner>,
    /// Somebody has left.
    left: Notice,
    /// Nobody waits for a place any more, or somebody has one now.
    next_in_line: Notice,
}

#[derive(Debug, Default)]
struct Inner {
    guests: BTreeMap<u64, Place>,
    next: u64,
    /// How many have to leave, and have not left yet.
    leaving: usize,
    /// Somebody is the first of those who wait for a place.
    waited_for: bool,
    /// Whoever comes from now on has to leave at once.
    closed: bool,
}

#[derive(Debug)]
struct Place {
    since: Duration,
    /// Of the task that is to be told to leave.
    waker: Option<Waker>,
}

/// Who has a place, at one moment.
#[derive(Debug)]
pub(crate) struct Crowd {
    /// No place is free.
    is_full: bool,
    /// How many have to leave, and have not left yet.
    pub(crate) leaving: usize,
    /// When the guest who has been here for the longest has had its time; never if there is none.
    pub(crate) next_due: Duration,
}

/// A place, given up when dropped.
pub(crate) struct Guest {
    lobby: Arc<Lobby>,
    number: u64,
}

/// The first of those who wait for a place, until dropped.
struct FirstInLine<'a>(&'a Lobby);

impl Crowd {
    /// If no place is free: when the next has to leave for somebody who comes.
    pub(crate) fn next_to_leave(&self) -> Option<Duration> {
        self.is_full.then_some(self.next_due)
    }
}

impl Lobby {
    /// One place there is in any case: without it there would never be room.
    pub(crate) fn new(most: usize, fair_time: Duration) -> Arc<Self> {
        Arc::new(Self {
            most: most.max(1),
            fair_time,
            inner: Mutex::default(),
            left: Notice::new(),
            next_in_line: Notice::new(),
        })
    }

    pub(crate) fn crowd(&self) -> Crowd {
        let inner = self.lock();
        let oldest = inner.guests.first_key_value().map(|(_, place)| place.since);
        Crowd {
            is_full: inner.guests.len() >= self.most,
            leaving: inner.leaving,
            next_due: oldest.map_or(Duration::MAX, |since| since.saturating_add(self.fair_time)),
        }
    }

    /// Returns when `done`, which is asked whenever somebody has left.
    pub(crate) async fn until(&self, done: impl Fn() -> bool) {
        self.left.wait_until(done).await;
    }

    /// Takes a place, whether or not one is free.
    pub(crate) fn enter(self: &Arc<Self>, now: Duration) -> Guest {
        let mut inner = self.lock();
        let number = inner.next;
        inner.next += 1;
        if inner.closed {
            inner.leaving += 1;
        } else {
            inner.guests.insert(number, Place { since: now, waker: None });
        }
        Guest { lobby: self.clone(), number }
    }

    /// Takes a place when one is free, or when somebody has had theirs for long enough. Who comes first
    /// is first; the others wait for nothing but that.
    pub(crate) async fn enter_in_turn(self: &Arc<Self>, runtime: &impl Runtime) -> Guest {
        let _first = self.stand_in_line().await;
        while let Some(due) = self.crowd().next_to_leave() {
            if due <= runtime.now() {
                self.dismiss_oldest();
                continue;
            }
            let changed = || self.crowd().next_to_leave() != Some(due);
            until(runtime, due, self.until(changed)).await;
        }
        self.enter(runtime.now())
    }

    /// Everybody has to leave, and whoever comes from now on.
    pub(crate) fn dismiss_all(&self) {
        let mut inner = self.lock();
        inner.closed = true;
        let guests = std::mem::take(&mut inner.guests);
        inner.leaving += guests.len();
        drop(inner);
        guests.into_values().filter_map(|place| place.waker).for_each(wakeups::wake);
        self.left.notify(usize::MAX);
    }

    /// Who has been here for the longest has to leave.
    pub(crate) fn dismiss_oldest(&self) {
        let mut inner = self.lock();
        let oldest = inner.guests.pop_first();
        inner.leaving += usize::from(oldest.is_some());
        drop(inner);
        if let Some(waker) = oldest.and_then(|(_, place)| place.waker) {
            wakeups::wake(waker);
        }
    }

    async fn stand_in_line(&self) -> FirstInLine<'_> {
        let is_first = || !std::mem::replace(&mut self.lock().waited_for, true);
        self.next_in_line.wait_until(is_first).await;
        FirstInLine(self)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Guest {
    /// Does what it came for, or gives `None` when it has to leave. Whatever is there already is
    /// looked at before that.
    pub(crate) fn stay<'a, F: Future>(
        &'a self,
        what_for: F,
    ) -> impl Future<Output = Option<F::Output>> + use<'a, F> {
        or(what_for.map(Some), poll_fn(|cx| self.poll_dismissed(cx).map(|()| None)))
    }

    fn poll_dismissed(&self, cx: &Context<'_>) -> Poll<()> {
        let known = |place: &Place| place.waker.as_ref().is_some_and(|it| it.will_wake(cx.waker()));
        match self.lobby.lock().guests.get(&self.number) {
            None => return Poll::Ready(()),
            Some(place) if known(place) => return Poll::Pending,
            Some(_) => {}
        }
        // It is not ours: it is neither cloned nor dropped where the lobby is locked.
        let waker = cx.waker().clone();
        let mut inner = self.lobby.lock();
        let Some(place) = inner.guests.get_mut(&self.number) else { return Poll::Ready(()) };
        let before = place.waker.replace(waker);
        drop(inner);
        drop(before);
        Poll::Pending
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        let mut inner = self.lobby.lock();
        let place = inner.guests.remove(&self.number);
        if place.is_none() {
            inner.leaving -= 1;
        }
        drop(inner);
        drop(place); // with a waker, which is not ours
        // Two may listen: who waits for this place, and who waits for a connection's.
        self.lobby.left.notify(usize::MAX);
    }
}

impl Drop for FirstInLine<'_> {
    fn drop(&mut self) {
        self.0.lock().waited_for = false;
        self.0.next_in_line.notify(1);
    }
}
