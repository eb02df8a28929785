//! [`NotifySchedule`]: which rooms have changes to send to their watchers, and when.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use async_channel::Receiver;

use crate::{
    signal::{Signal, Signals},
    sync::Lock,
};

/// The rooms whose watchers are to be notified, by time.
///
/// A room has at most one deadline, and only while it has people or watchers. So the schedule never
/// has more entries than there are rooms, however fast people come and go.
pub(super) struct NotifySchedule {
    inner: Lock<Inner>,
    signal: Signal,
}

#[derive(Default)]
struct Inner {
    rooms: BTreeMap<Deadline, Arc<str>>,
    next_number: u64,
}

/// When a room's watchers are to be notified. Unique, so that it also identifies the room's entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Deadline {
    at: Duration,
    number: u64,
}

impl Deadline {
    pub(super) const fn at(self) -> Duration {
        self.at
    }
}

impl NotifySchedule {
    /// Creates an empty schedule, and a receiver that is signalled when there is a new first deadline.
    pub(super) fn new() -> (Self, Receiver<()>) {
        let (signal, signals) = Signal::new(1);
        (Self { inner: Lock::new(Inner::default()), signal }, signals)
    }

    pub(super) fn add(&self, room: &Arc<str>, at: Duration, signals: &mut Signals) -> Deadline {
        let mut inner = self.inner.lock();
        let deadline = Deadline { at, number: inner.next_number };
        inner.next_number += 1;
        inner.rooms.insert(deadline, room.clone());
        if inner.rooms.first_key_value().is_some_and(|(first, _)| *first == deadline) {
            signals.add(&self.signal);
        }
        deadline
    }

    /// Removes a deadline.
    pub(super) fn cancel(&self, deadline: Deadline) {
        self.inner.lock().rooms.remove(&deadline);
    }

    /// Returns the time of the first deadline.
    pub(super) fn next_at(&self) -> Option<Duration> {
        self.inner.lock().rooms.first_key_value().map(|(deadline, _)| deadline.at)
    }

    /// Removes and returns the first deadline and its room, if the deadline has passed.
    pub(super) fn take_due(&self, now: Duration) -> Option<(Deadline, Arc<str>)> {
        let mut inner = self.inner.lock();
        let first = inner.rooms.first_entry().filter(|first| first.key().at <= now)?;
        Some(first.remove_entry())
    }
}
