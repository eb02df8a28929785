//! [`Deferred`]: the part of a change that has to wait until no lock is held.

use std::{sync::Arc, time::Duration};

use prism_driver::{HeldWakeups, hold_wakeups};

use super::{
    change::{Person, Tracked},
    compressions::Compressions,
    encoded_change::EncodedChange,
    watcher::Watcher,
};
use crate::{signal::Signals, sync::assert_no_lock_is_held};

/// Work that a change causes but that must not run under a lock: waking tasks, dropping metadata, and compressing what
/// watchers are sent.
///
/// Wakers and destructors of metadata are application code, which may call back into presence. So a
/// `Deferred` is created before the first lock is taken, collects such work while locks are held, and does
/// it when it is dropped, after the last lock has been released. Only [`Compressions`] are up to the caller, because
/// what was compressed has to be sent after that.
///
/// Anything that may hold the last reference to metadata has to be moved in here instead of being dropped.
pub(super) struct Deferred<M> {
    /// When the change began. Read in advance, because the runtime's clock is application code too.
    pub(super) now: Duration,
    pub(super) signals: Signals,
    pub(super) people: Vec<Arc<Person<M>>>,
    pub(super) connections: Vec<Tracked<M>>,
    pub(super) changes: Vec<EncodedChange<M>>,
    pub(super) watchers: Vec<Watcher<M>>,
    pub(super) compressions: Compressions,
    /// Holds back the wake-ups of all recipients; `None` once they have been woken.
    wakeups: Option<HeldWakeups>,
}

impl<M> Deferred<M> {
    pub(super) fn new(now: Duration) -> Self {
        Self {
            now,
            signals: Signals::default(),
            people: Vec::new(),
            connections: Vec::new(),
            changes: Vec::new(),
            watchers: Vec::new(),
            compressions: Compressions::default(),
            wakeups: Some(hold_wakeups()),
        }
    }
}

impl<M> Drop for Deferred<M> {
    fn drop(&mut self) {
        assert_no_lock_is_held();
        // Before the fields are dropped, because a destructor of metadata may take long.
        self.signals.send();
        self.wakeups = None;
    }
}
