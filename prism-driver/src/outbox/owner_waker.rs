//! The waker of the task that owns a connection.
//!
//! It is kept while the task is awake, because the task usually sleeps again with the same one: cloning it for each sleep
//! would cost two atomic operations. A waker is foreign code, and dropping it may run anything, so these methods return
//! what is to be dropped where no lock is held.

use std::{mem, task::Waker};

use crate::outbox::state::OutboxState;

impl OutboxState {
    /// Notes that the owner sleeps until this waker is woken. Returns the previous waker, if it is another one.
    #[must_use]
    pub(super) fn sleep_owner(&mut self, waker: &Waker) -> Option<Waker> {
        self.owner_sleeps = true;
        match &self.owner {
            Some(kept) if kept.will_wake(waker) => None,
            _ => self.owner.replace(waker.clone()),
        }
    }

    /// Notes that the owner is awake.
    pub(super) const fn set_owner_awake(&mut self) {
        self.owner_sleeps = false;
    }

    /// Takes the waker of an owner that sleeps, in order to wake it.
    #[must_use]
    pub(super) fn take_sleeping_owner(&mut self) -> Option<Waker> {
        if mem::take(&mut self.owner_sleeps) { self.owner.take() } else { None }
    }

    /// Puts back the waker of an owner that was not woken.
    pub(super) fn put_back_owner(&mut self, waker: Waker) {
        debug_assert!(self.owner.is_none(), "only a waker that was taken is put back");
        (self.owner, self.owner_sleeps) = (Some(waker), true);
    }

    /// Takes the waker, because the owner will not sleep again.
    #[must_use]
    pub(super) const fn take_owner(&mut self) -> Option<Waker> {
        self.owner_sleeps = false;
        self.owner.take()
    }
}
