//! The waker of the task that owns a connection.
//!
//! It is kept while the task is awake, because the task usually sleeps again with the same one: cloning it for each sleep
//! would cost two atomic operations. An owner that sleeps has a waker. A waker is foreign code, and cloning or dropping it
//! may run anything. So it is cloned before the outbox is locked, and these methods return what is to be dropped after
//! that.

use std::{mem, task::Waker};

use crate::outbox::state::OutboxState;

impl OutboxState {
    /// Returns whether this waker is the owner's.
    pub(super) fn has_owner(&self, waker: &Waker) -> bool {
        self.owner.as_ref().is_some_and(|owner| owner.will_wake(waker))
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
