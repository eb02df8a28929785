//! Ending a connection without any more ado.

use std::sync::atomic::Ordering;

use crate::{
    error::Failure,
    outbox::{Outbox, state::Cut, wake_all},
    runtime::{contain::contain, wakeups},
};

impl Outbox {
    /// Ends the connection: its transport is gone when this returns, and whoever waits for the end has
    /// been told, or is being told by somebody else. Its owner learns it when it would sleep.
    pub(crate) fn cut(&self, cut: Cut) {
        let mut state = self.lock();
        state.cut.get_or_insert(cut);
        self.closed.store(true, Ordering::Release);
        let (io, owner) = (state.give_up(), state.owner.take());
        self.announce_end(state);
        // Whatever a transport does when it is dropped, the owner has to learn of it.
        contain(|| drop(io));
        if let Some(owner) = owner {
            wakeups::wake(owner);
        }
    }

    /// Ends the connection if its place in the budget still has this number, and returns whether it has.
    /// What is unsent is gone when this returns. The rest of an abort, that is to drop the transport and to
    /// run the hooks, is left to the owner, which has to be [told](Self::wake_evicted): a thread that sends
    /// may hold locks that those need.
    pub(crate) fn evict(&self, number: u64) -> bool {
        let mut state = self.lock();
        let is_counted = state.budget_entry().is_some_and(|entry| entry.number() == number);
        if is_counted {
            state.cut.get_or_insert(Cut::Eviction);
            state.give_up_sending();
            self.closed.store(true, Ordering::Release);
        }
        is_counted
    }

    /// Wakes the owner of a connection that was evicted, and those who wait for room.
    pub(crate) fn wake_evicted(&self) {
        wake_all(self.lock());
    }

    /// If it was cut: how it failed, whatever else came of it.
    pub(crate) fn failure_by_cut(&self) -> Option<Failure> {
        self.lock().cut.map(Failure::from)
    }
}
