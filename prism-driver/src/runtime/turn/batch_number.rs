//! The number of the current batch, which this thread's sends are added to. [`batch`](crate::connection::batch) writes
//! the batches; an outbox only has to know whether it is already part of the current one.

use std::{
    cell::Cell,
    sync::atomic::{AtomicU64, Ordering},
};

/// The number of the next batch. Batch 0 does not exist: an outbox that was in no batch has this number.
static NEXT: AtomicU64 = AtomicU64::new(1);

thread_local! {
    static SENDER: Cell<Sender> = const { Cell::new(Sender::Other) };
}

/// The code that runs on this thread.
#[derive(Clone, Copy)]
pub(super) enum Sender {
    /// Code outside of any session.
    Other,
    /// A session that has sent nothing to other connections in this turn.
    QuietSession,
    /// A session that has sent something to another connection, in the batch with this number.
    Session(u64),
}

/// Returns the number of the batch that the calling session adds to, or `None` outside of sessions.
pub(crate) fn current() -> Option<u64> {
    match SENDER.try_with(Cell::get).unwrap_or(Sender::Other) {
        Sender::Other => None,
        Sender::Session(number) => Some(number),
        Sender::QuietSession => {
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            replace(Sender::Session(number));
            Some(number)
        }
    }
}

pub(super) fn is_in_session() -> bool {
    !matches!(SENDER.try_with(Cell::get), Ok(Sender::Other) | Err(_))
}

pub(super) fn replace(next: Sender) -> Sender {
    SENDER.try_with(|sender| sender.replace(next)).unwrap_or(Sender::Other)
}
