//! Ending a connection at once, without a close handshake.
//!
//! The calling thread tears the connection down: it drops the transport, runs the hooks, and wakes the waiting tasks.
//! It does not leave that to the connection's task, which may be running a slow handler. The task learns of the
//! end when it would next sleep. An [eviction](Outbox::evict) is the exception: its caller only frees the unsent bytes.

use crate::{
    error::Failure,
    outbox::{Outbox, state::Cut, wake_all},
    runtime::{contain::contain, wakeups},
};

impl Outbox {
    /// Ends the connection. When this returns, its transport is gone, and the tasks that wait for the end have been
    /// woken, or are being woken by another thread.
    pub(crate) fn cut(&self, cut: Cut) {
        let mut state = self.lock();
        state.cut.get_or_insert(cut);
        self.flags.set_closed();
        // Only an owner that sleeps is woken. The waker of one that is awake is not needed any more.
        let (io, owner) = (state.give_up(), state.take_sleeping_owner());
        let kept = state.take_owner();
        self.announce_end(state);
        contain(|| drop(kept));
        // Whatever a transport does when it is dropped, the owner has to learn of the end.
        contain(|| drop(io));
        if let Some(owner) = owner {
            wakeups::wake(owner);
        }
    }

    /// Ends the connection if its entry in the budget still has this number, and returns whether it has. When this
    /// returns, the unsent bytes are gone. The rest of an abort, which is to drop the transport and to run the hooks,
    /// is left to the owner, which has to be [woken](Self::wake_evicted): a thread that sends may hold locks that
    /// transport and hooks need.
    pub(crate) fn evict(&self, number: u64) -> bool {
        let mut state = self.lock();
        let is_counted = state.budget_entry().is_some_and(|entry| entry.number() == number);
        if is_counted {
            state.cut.get_or_insert(Cut::Eviction);
            state.give_up_sending();
            self.flags.set_closed_as_too_slow();
        }
        is_counted
    }

    /// Wakes the owner of a connection that was evicted, and the tasks that wait for room.
    pub(crate) fn wake_evicted(&self) {
        wake_all(self.lock());
    }

    /// Returns how the connection was cut, if it was, whatever else has happened to it.
    pub(crate) fn failure_by_cut(&self) -> Option<Failure> {
        self.lock().cut.map(Failure::from)
    }
}
