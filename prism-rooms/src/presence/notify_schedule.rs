//! [`NotifySchedule`]: the rooms in which something is to be told, and when.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use async_channel::{Receiver, Sender};

use super::deferred::Deferred;
use crate::sync::Lock;

/// Each room is in it once at most, and only while there is somebody in it: what is due can not become
/// more than what there is, however fast people come and go.
pub(super) struct NotifySchedule {
    inner: Lock<Inner>,
    signal: Sender<()>,
}

#[derive(Default)]
struct Inner {
    rooms: BTreeMap<Deadline, Arc<str>>,
    number: u64,
}

/// A room's place among those that are due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Deadline {
    at: Duration,
    number: u64,
}

impl NotifySchedule {
    /// With a bell that rings when something is due again.
    pub(super) fn new() -> (Self, Receiver<()>) {
        let (signal, signals) = async_channel::bounded(1);
        (Self { inner: Lock::new(Inner::default()), signal }, signals)
    }

    pub(super) fn add<M>(
        &self,
        room: &Arc<str>,
        at: Duration,
        deferred: &mut Deferred<M>,
    ) -> Deadline {
        let mut inner = self.inner.lock();
        let deadline = Deadline { at, number: inner.number };
        inner.number += 1;
        inner.rooms.insert(deadline, room.clone());
        if inner.rooms.len() == 1 {
            deferred.send_signal(&self.signal);
        }
        deadline
    }

    /// There is nobody to tell any more.
    pub(super) fn cancel(&self, deadline: Deadline) {
        self.inner.lock().rooms.remove(&deadline);
    }

    /// When the first is due.
    pub(super) fn next_at(&self) -> Option<Duration> {
        self.inner.lock().rooms.first_key_value().map(|(deadline, _)| deadline.at)
    }

    /// Takes the first out, if it is due.
    pub(super) fn take_due(&self, now: Duration) -> Option<(Deadline, Arc<str>)> {
        let mut inner = self.inner.lock();
        let first = inner.rooms.first_entry().filter(|first| first.key().at <= now)?;
        Some(first.remove_entry())
    }
}
