//! [`Deferred`]: the part of a change that has to wait until no lock is held.

use std::{mem, sync::Arc, time::Duration};

use prism_driver::{CompressedForm, HeldWakeups, hold_wakeups};

use super::{
    change::{Person, Tracked},
    encoded_change::EncodedChange,
    signal::Signals,
    watcher::Watcher,
};
use crate::{shared_message::SharedMessage, sync::assert_no_lock_is_held};

/// Work that a change causes but that must not run under a lock: waking tasks, dropping metadata, and compressing what
/// watchers are sent.
///
/// Wakers and destructors of metadata are application code, which may call back into presence. So a
/// `Deferred` is created before the first lock is taken, collects such work while locks are held, and does
/// it when it is dropped, after the last lock has been released. Only compression is up to the caller, because what was
/// compressed has to be sent after that.
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
    compressions: Vec<(Arc<SharedMessage>, CompressedForm)>,
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
            compressions: Vec::new(),
            wakeups: Some(hold_wakeups()),
        }
    }

    /// Adds a form in which a message has to be compressed before it is sent.
    pub(super) fn add_compression(&mut self, message: &Arc<SharedMessage>, form: &CompressedForm) {
        let is_same = |(other, added): &(Arc<SharedMessage>, CompressedForm)| {
            Arc::ptr_eq(other, message) && added.window() == form.window()
        };
        // There is at most a state and a diff, in one form for each window.
        if !self.compressions.iter().any(is_same) {
            self.compressions.push((message.clone(), form.clone()));
        }
    }

    pub(super) fn has_compressions(&self) -> bool {
        !self.compressions.is_empty()
    }

    /// Compresses the messages that were added. Returns whether there were any, which then can be sent. The caller must
    /// hold no lock.
    ///
    /// Compressing a state of 256 KiB takes milliseconds, and the end of a connection waits for the locks of its rooms.
    /// So no room is locked meanwhile. But the message is not sent here: the room is locked again, and the message is
    /// sent to the watchers that still need it. Otherwise, a watcher could receive a diff before its state, or a message
    /// after it has stopped watching.
    pub(super) fn compress(&mut self) -> bool {
        let compressions = mem::take(&mut self.compressions);
        for (message, form) in &compressions {
            message.compress(form);
        }
        !compressions.is_empty()
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
