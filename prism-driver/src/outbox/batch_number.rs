//! Which batch of sends the code that runs on this thread adds to. See [`batch`](crate::connection::batch), which
//! writes the batches; an outbox only has to know whether it is part of the current one already.

use std::{
    cell::Cell,
    sync::atomic::{AtomicU64, Ordering},
};

/// The number of the next batch. No outbox is part of batch 0.
static NEXT: AtomicU64 = AtomicU64::new(1);

thread_local! {
    static TURN: Cell<Turn> = const { Cell::new(Turn::None) };
}

/// What runs on this thread.
#[derive(Clone, Copy)]
pub(crate) enum Turn {
    /// No session.
    None,
    /// A session that has sent nothing to others yet.
    Quiet,
    /// A session that has sent something, in the batch with this number.
    Numbered(u64),
}

/// Returns the number of the batch that the calling session adds to; `None` outside of sessions.
pub(crate) fn current() -> Option<u64> {
    match TURN.get() {
        Turn::None => None,
        Turn::Numbered(number) => Some(number),
        Turn::Quiet => {
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            TURN.set(Turn::Numbered(number));
            Some(number)
        }
    }
}

/// Begins a session's turn. Returns the turn that it interrupts, to be given to [`leave`].
pub(crate) fn enter() -> Turn {
    TURN.replace(Turn::Quiet)
}

/// Ends a session's turn.
pub(crate) fn leave(interrupted: Turn) {
    TURN.set(interrupted);
}

/// Returns whether the session of this turn has sent anything to others.
pub(crate) fn has_sent() -> bool {
    matches!(TURN.get(), Turn::Numbered(_))
}
