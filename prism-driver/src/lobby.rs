//! [`Lobby`]: who is in a handshake, and who has to leave it for others.

use std::{
    collections::BTreeMap,
    future::poll_fn,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
    time::Duration,
};

use event_listener::Event as Notice;
use futures_lite::future::or;
use futures_util::FutureExt;

use crate::wait::wait_until;

/// How long each has, however many come: on a good line the request is there at once, and this is
/// long enough for one lost packet to be sent again. A thousand places are then given away four
/// thousand times in a second, which empties a listener's queue in one.
const FAIR_TIME: Duration = Duration::from_millis(250);

/// Everybody who is in a handshake, by their coming.
#[derive(Debug, Default)]
pub(crate) struct Lobby {
    inner: Mutex<Inner>,
    /// Somebody has left.
    left: Notice,
}

#[derive(Debug, Default)]
struct Inner {
    guests: BTreeMap<u64, Place>,
    next: u64,
    /// How many have to leave, and have not left yet.
    leaving: usize,
}

#[derive(Debug)]
struct Place {
    since: Duration,
    /// Of the task that is to be told to leave.
    waker: Option<Waker>,
}

/// Who is in the lobby, at one moment.
#[derive(Debug)]
pub(crate) struct Crowd {
    pub(crate) guests: usize,
    /// How many have to leave, and have not left yet.
    pub(crate) leaving: usize,
    /// When the guest who has been here for the longest has had its time; never if there is none.
    pub(crate) next_due: Duration,
}

/// A place in the lobby, given up when dropped.
pub(crate) struct Guest {
    lobby: Arc<Lobby>,
    number: u64,
}

impl Lobby {
    pub(crate) fn crowd(&self) -> Crowd {
        let inner = self.lock();
        let oldest = inner.guests.first_key_value().map(|(_, place)| place.since);
        Crowd {
            guests: inner.guests.len(),
            leaving: inner.leaving,
            next_due: oldest.map_or(Duration::MAX, |since| since.saturating_add(FAIR_TIME)),
        }
    }

    /// Returns when `done`, which is asked whenever somebody has left.
    pub(crate) async fn until(&self, done: impl Fn() -> bool) {
        wait_until(&self.left, done).await;
    }

    pub(crate) fn enter(self: &Arc<Self>, now: Duration) -> Guest {
        let mut inner = self.lock();
        let number = inner.next;
        inner.next += 1;
        inner.guests.insert(number, Place { since: now, waker: None });
        Guest { lobby: self.clone(), number }
    }

    /// Everybody has to leave.
    pub(crate) fn dismiss_all(&self) {
        let mut inner = self.lock();
        let guests = std::mem::take(&mut inner.guests);
        inner.leaving += guests.len();
        drop(inner);
        guests.into_values().filter_map(|place| place.waker).for_each(Waker::wake);
        self.left.notify(usize::MAX);
    }

    /// Who has been here for the longest has to leave.
    pub(crate) fn dismiss_oldest(&self) {
        let mut inner = self.lock();
        let oldest = inner.guests.pop_first();
        inner.leaving += usize::from(oldest.is_some());
        drop(inner);
        if let Some(waker) = oldest.and_then(|(_, place)| place.waker) {
            waker.wake();
        }
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
        let mut inner = self.lobby.lock();
        let Some(place) = inner.guests.get_mut(&self.number) else { return Poll::Ready(()) };
        match &mut place.waker {
            Some(waker) => waker.clone_from(cx.waker()),
            none => *none = Some(cx.waker().clone()),
        }
        Poll::Pending
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        let mut inner = self.lobby.lock();
        if inner.guests.remove(&self.number).is_none() {
            inner.leaving -= 1;
        }
        drop(inner);
        self.lobby.left.notify(1);
    }
}
