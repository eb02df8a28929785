//! [`Dues`]: the rooms in which something is to be told, and when.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use async_channel::{Receiver, Sender};

use super::deferred::Later;
use crate::sync::Lock;

/// Each room is in it once at most, and only while there is somebody in it: what is due can not become
/// more than what there is, however fast people come and go.
pub(super) struct Dues {
    inner: Lock<Inner>,
    bell: Sender<()>,
}

#[derive(Default)]
struct Inner {
    rooms: BTreeMap<Due, Arc<str>>,
    number: u64,
}

/// A room's place among those that are due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Due {
    at: Duration,
    number: u64,
}

impl Dues {
    /// With a bell that rings when something is due again.
    pub(super) fn new() -> (Self, Receiver<()>) {
        let (bell, rings) = async_channel::bounded(1);
        (Self { inner: Lock::new(Inner::default()), bell }, rings)
    }

    pub(super) fn add<M>(&self, room: &Arc<str>, at: Duration, later: &mut Later<M>) -> Due {
        let mut inner = self.inner.lock();
        let due = Due { at, number: inner.number };
        inner.number += 1;
        inner.rooms.insert(due, room.clone());
        if inner.rooms.len() == 1 {
            later.ring(&self.bell);
        }
        due
    }

    /// There is nobody to tell any more.
    pub(super) fn cancel(&self, due: Due) {
        self.inner.lock().rooms.remove(&due);
    }

    /// When the first is due.
    pub(super) fn next(&self) -> Option<Duration> {
        self.inner.lock().rooms.first_key_value().map(|(due, _)| due.at)
    }

    /// Takes the first out, if it is due.
    pub(super) fn take(&self, now: Duration) -> Option<(Due, Arc<str>)> {
        let mut inner = self.inner.lock();
        let first = inner.rooms.first_entry().filter(|first| first.key().at <= now)?;
        Some(first.remove_entry())
    }
}
