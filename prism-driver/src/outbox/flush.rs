//! Waiting until everything that was sent has been written.

use std::task::Poll;

use prism_core::SendError;

use crate::outbox::{
    Outbox,
    state::{Written, noop_waker},
    wake_all,
};

impl Outbox {
    /// Waits until the bytes that are unsent now have been written, whatever is sent later. Bytes that the transport
    /// takes at once are written here, because the caller may be blocking the task that would write them.
    pub(crate) async fn flush(&self) -> Result<(), SendError> {
        let waiters = self.waiters(); // these keep the count of written bytes alive
        let end = {
            let mut state = self.lock();
            state.written() + state.lost() + state.unsent_bytes() as u64
        };
        let done = || {
            let mut state = self.lock();
            // Dropped messages are never written; then the end is when nothing is left.
            state.written() >= end || (state.unsent_bytes() == 0 && state.lost() == 0)
        };
        self.write_now();
        waiters.progress.wait_until(|| done() || self.lock().lost() > 0).await;
        if done() { Ok(()) } else { Err(SendError::Closed) }
    }

    /// Writes the unsent bytes, as far as the transport takes them, on behalf of the owner.
    fn write_now(&self) {
        let mut state = self.lock();
        // If the transport is to wake the owner, it must not be polled with another waker.
        if state.blocked || state.is_idle() {
            return;
        }
        if state.owner_sleeps() {
            drop(state);
            return self.write_batch();
        }
        // The owner is awake, and will see the rest.
        let before = state.unsent_bytes();
        let written = state.write_for_owner(&noop_waker());
        if written == Poll::Ready(Written::Failed) {
            wake_all(state);
        } else if state.unsent_bytes() < before {
            self.unlock_and_notify(state);
        }
    }
}
