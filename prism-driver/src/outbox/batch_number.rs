//! The number of the current batch, which this thread's sends are added to, and how much work a session's
//! sends are. [`batch`](crate::connection::batch) writes the batches; an outbox only has to know whether it is already part
//! of the current one.
//!
//! While a thread ends, the destructors of its other thread-locals may still send, or drop a session, after the
//! thread-local of this module is gone. Such destructors count as code outside of sessions.

use std::{
    cell::Cell,
    sync::atomic::{AtomicU64, Ordering},
};

/// The number of the next batch. Batch 0 does not exist: an outbox that was in no batch has this number.
static NEXT: AtomicU64 = AtomicU64::new(1);

thread_local! {
    static SESSION_POLL: Cell<SessionPoll> = const { Cell::new(SessionPoll::None) };
    static DELIVERIES: Cell<usize> = const { Cell::new(0) };
    static YIELD: Cell<Yield> = const { Cell::new(Yield::No) };
}

/// The kind of code that runs on this thread.
#[derive(Clone, Copy)]
enum SessionPoll {
    /// Code outside of any session.
    None,
    /// A session that has sent nothing to other connections in this turn.
    Quiet,
    /// A session that has sent something to another connection, in the batch with this number.
    Numbered(u64),
}

/// The turn of a session, or other code, that the turn of another session interrupts.
#[derive(Clone, Copy)]
pub(crate) struct Interrupted {
    poll: SessionPoll,
    deliveries: usize,
    yielding: Yield,
}

/// How many messages to other connections a session may send before others get a turn, if all leave together with an earlier
/// one to the same connection. Those of a turn leave together, so a lower limit would not only divide the work, but add to it:
/// with this one, a turn passes sixteen messages on to ten thousand members of a room.
pub(crate) const DELIVERIES_PER_TURN: usize = 256 << 10;

/// How many of them cost as much as the first message of a turn to a connection, which has to be written to.
const DELIVERIES_PER_WRITE: usize = 4;

/// How many of them cost as much as compressing a byte.
const DELIVERIES_PER_BYTE: usize = 16;

/// Whether a sender gives others a turn.
#[derive(Clone, Copy)]
enum Yield {
    No,
    /// It has to, before it compresses more.
    Due,
    /// It does, so its session does not go on either.
    Begun,
}

/// Returns the number of the batch that the calling session adds to, or `None` outside of sessions.
pub(crate) fn current() -> Option<u64> {
    match SESSION_POLL.try_with(Cell::get).unwrap_or(SessionPoll::None) {
        SessionPoll::None => None,
        SessionPoll::Numbered(number) => Some(number),
        SessionPoll::Quiet => {
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            replace(SessionPoll::Numbered(number));
            Some(number)
        }
    }
}

/// Counts a message to a connection that sleeps, or that has no room for it. What a handler sends before it waits for
/// something else is not counted after that: others get a turn meanwhile.
pub(crate) fn count_delivery() {
    DELIVERIES.set(DELIVERIES.get() + DELIVERIES_PER_WRITE);
}

/// Counts a message to a connection that sleeps, and to which this turn has sent another one already.
pub(crate) fn count_further_delivery() {
    DELIVERIES.set(DELIVERIES.get() + 1);
}

/// Counts a message that is compressed. Code outside of sessions has no turns.
pub(crate) fn count_compressed(bytes: usize) {
    if bytes > 0 && is_in_session() {
        let deliveries = bytes.saturating_mul(DELIVERIES_PER_BYTE);
        DELIVERIES.set(DELIVERIES.get().saturating_add(deliveries));
    }
}

/// Returns whether a sender should give others a turn before it compresses more. Then begins to count again, so that a
/// task that polls on nevertheless goes on. Code outside of sessions has no turns.
#[cold]
pub(crate) fn should_yield() -> bool {
    let is_exhausted = DELIVERIES.get() >= DELIVERIES_PER_TURN && is_in_session();
    if is_exhausted {
        DELIVERIES.set(0);
        YIELD.set(Yield::Due);
    }
    is_exhausted
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

/// Returns how often this many messages have been counted in this turn of a session. Those that are left over are
/// counted again in the next call.
#[inline]
pub(crate) fn take_deliveries(per_unit: usize) -> usize {
    let count = DELIVERIES.get();
    if count < per_unit {
        return 0;
    }
    DELIVERIES.set(count % per_unit);
    count / per_unit
}

/// Begins a session's turn. Returns the turn that it interrupts, to be passed to [`leave`].
pub(crate) fn enter() -> Interrupted {
    Interrupted {
        poll: replace(SessionPoll::Quiet),
        deliveries: DELIVERIES.take(),
        yielding: YIELD.replace(Yield::No),
    }
}

/// Ends a session's turn. Returns whether the session has sent anything to others.
pub(crate) fn leave(interrupted: Interrupted) -> bool {
    DELIVERIES.set(interrupted.deliveries);
    YIELD.set(interrupted.yielding);
    matches!(replace(interrupted.poll), SessionPoll::Numbered(_))
}

fn is_in_session() -> bool {
    !matches!(SESSION_POLL.try_with(Cell::get), Ok(SessionPoll::None) | Err(_))
}

fn replace(next: SessionPoll) -> SessionPoll {
    SESSION_POLL.try_with(|poll| poll.replace(next)).unwrap_or(SessionPoll::None)
}
