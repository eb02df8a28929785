//! The waker of the task that owns a connection, and whether that task sleeps.
//!
//! The waker is kept while the task is awake, because the task usually sleeps again with the same one: cloning it for
//! each sleep would cost two atomic operations.
//!
//! **An owner that sleeps has a waker.** Code that takes the waker notes at the same time that the owner is awake. And
//! the waker of an owner is changed only while the owner counts as awake: otherwise a sender could take the new waker
//! before the owner has fallen asleep with it.
//!
//! A waker is foreign code, and cloning or dropping it may run anything. So it is cloned before the outbox is locked.
//! A method that removes a waker returns it, and the caller wakes or drops it after the outbox is unlocked.

use std::{mem, task::Waker};

use crate::outbox::state::OutboxState;

pub(crate) mod fields;

impl OutboxState {
    /// Returns whether the owner sleeps.
    #[inline]
    pub(crate) const fn owner_sleeps(&self) -> bool {
        self.owner_sleeps.get()
    }

    /// Returns whether this waker is the owner's.
    pub(super) fn has_owner(&self, waker: &Waker) -> bool {
        self.owner.0.as_ref().is_some_and(|owner| owner.will_wake(waker))
    }

    /// Sets the waker of an owner that is awake. Returns the previous one.
    #[must_use]
    pub(super) fn replace_owner(&mut self, waker: Waker) -> Option<Waker> {
        debug_assert!(!self.owner_sleeps.0, "a sender could take the waker");
        self.owner.0.replace(waker)
    }

    /// Notes that the owner is awake.
    pub(super) const fn set_owner_awake(&mut self) {
        self.owner_sleeps.0 = false;
    }

    /// Notes that the owner is about to sleep.
    pub(super) fn set_owner_asleep(&mut self) {
        debug_assert!(self.owner.0.is_some(), "no sender could wake the owner");
        self.owner_sleeps.0 = true;
    }

    /// Takes the waker of an owner that sleeps, in order to wake it.
    #[must_use]
    pub(super) fn take_sleeping_owner(&mut self) -> Option<Waker> {
        if mem::take(&mut self.owner_sleeps.0) { self.owner.0.take() } else { None }
    }

    /// Puts back the waker of an owner that was not woken.
    pub(super) fn put_back_owner(&mut self, waker: Waker) {
        debug_assert!(self.owner.0.is_none(), "only a waker that was taken is put back");
        (self.owner.0, self.owner_sleeps.0) = (Some(waker), true);
    }

    /// Takes the waker, because the owner will not sleep again.
    #[must_use]
    pub(super) const fn take_owner(&mut self) -> Option<Waker> {
        self.owner_sleeps.0 = false;
        self.owner.0.take()
    }
}
