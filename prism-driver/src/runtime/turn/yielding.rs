//! Senders that yield. A handler that waits while it sends does not return to its session, so its session cannot end
//! the turn.

use std::cell::Cell;

use super::{batch_number, work};

thread_local! {
    static YIELD: Cell<Yield> = const { Cell::new(Yield::No) };
}

/// Whether a sender gives others a turn.
#[derive(Clone, Copy)]
pub(super) enum Yield {
    No,
    /// It has to, before it compresses more.
    Due,
    /// It does, so its session does not go on either.
    Begun,
}

/// Returns whether a sender should give others a turn before it compresses more. Then begins to count again, so that a
/// task that polls on nevertheless goes on. Code outside of sessions has no turns.
#[cold]
pub(crate) fn should_yield() -> bool {
    let is_due = work::is_used_up() && batch_number::is_in_session();
    if is_due {
        work::replace(work::Parts::default());
        YIELD.set(Yield::Due);
    }
    is_due
}

/// Returns whether a sender that found no room only has to yield.
#[cold]
pub(crate) fn begin_yield() -> bool {
    let is_due = matches!(YIELD.get(), Yield::Due);
    if is_due {
        YIELD.set(Yield::Begun);
    }
    is_due
}

/// Returns whether a sender has yielded since the last call.
#[cold]
pub(crate) fn has_yielded() -> bool {
    matches!(YIELD.replace(Yield::No), Yield::Begun)
}

pub(super) fn replace(next: Yield) -> Yield {
    YIELD.replace(next)
}
