//! [`Locked`]: the lock on the state of an outbox.

use std::ops::{Deref, DerefMut};

use crate::{
    outbox::{state::OutboxState, sync::MutexGuard},
    runtime::wakeups,
};

/// The locked state of an outbox. Dropping this unlocks the state, and then drops the application's bytes that the
/// outbox has released.
pub(crate) struct Locked<'a> {
    // Fields are dropped in this order.
    state: MutexGuard<'a, OutboxState>,
    _released: DropsReleased,
}

/// A guard whose destructor drops the application's bytes that outboxes have released. This may run application code.
struct DropsReleased;

impl<'a> Locked<'a> {
    pub(super) const fn new(state: MutexGuard<'a, OutboxState>) -> Self {
        Self { state, _released: DropsReleased }
    }
}

impl Deref for Locked<'_> {
    type Target = OutboxState;

    fn deref(&self) -> &OutboxState {
        &self.state
    }
}

impl DerefMut for Locked<'_> {
    fn deref_mut(&mut self) -> &mut OutboxState {
        &mut self.state
    }
}

impl Drop for DropsReleased {
    #[inline]
    fn drop(&mut self) {
        wakeups::drop_released();
    }
}
