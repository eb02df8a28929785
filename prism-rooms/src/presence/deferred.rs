//! [`Deferred`]: what a change leaves to be done when no lock is held any more.

use std::{sync::Arc, time::Duration};

use async_channel::Sender;

use prism_driver::{HeldWakeups, hold_wakeups};

use super::{
    change::{Person, Tracked},
    watch::{EncodedChange, Watcher},
};
use crate::sync::{assert_no_lock_is_held, run_user_code};

/// It is made before the first lock is taken, and dropped after the last one has been released. Then it
/// wakes the tasks that wait for the change, and drops what was taken out. Both run the application's
/// code: its wakers, and the destructors of its metadata, which may ask presence for anything.
///
/// Whatever holds metadata, and could be the last to do so, has to go in here.
pub(super) struct Deferred<M> {
    /// When the change was begun: the runtime's clock is not ours either.
    pub(super) now: Duration,
    signals: Vec<Sender<()>>,
    pub(super) people: Vec<Arc<Person<M>>>,
    pub(super) connections: Vec<Tracked<M>>,
    pub(super) changes: Vec<EncodedChange<M>>,
    pub(super) watchers: Vec<Watcher<M>>,
    /// Of those who are told.
    _wakeups: HeldWakeups,
}

impl<M> Deferred<M> {
    pub(super) fn new(now: Duration) -> Self {
        Self {
            now,
            signals: Vec::new(),
            people: Vec::new(),
            connections: Vec::new(),
            changes: Vec::new(),
            watchers: Vec::new(),
            _wakeups: hold_wakeups(),
        }
    }

    /// Rings a bell later.
    pub(super) fn send_signal(&mut self, signal: &Sender<()>) {
        self.signals.push(signal.clone());
    }
}

impl<M> Drop for Deferred<M> {
    fn drop(&mut self) {
        assert_no_lock_is_held();
        // First, because a destructor may take its time.
        for signal in self.signals.drain(..) {
            // One that has rung as often as can be heard need not ring. Without anybody to hear it there is
            // nobody to tell. A waker that panics keeps no other from being woken.
            run_user_code(|| _ = signal.try_send(()));
        }
    }
}
