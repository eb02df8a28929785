//! The fields of an outbox's state that only [`owner_waker`](super) changes.

use std::task::Waker;

/// The waker of the owner, if there is one.
#[derive(Default)]
pub(crate) struct OwnerWaker(pub(super) Option<Waker>);

/// Whether the owner sleeps. (One type for this and the waker would make every connection a word larger.)
#[derive(Default)]
pub(crate) struct OwnerSleeps(pub(super) bool);

impl OwnerSleeps {
    #[inline]
    pub(crate) const fn get(&self) -> bool {
        self.0
    }
}
