//! What a session sends to other connections, and writes to them by itself.
//!
//! A handler that sends to a thousand connections would wake a thousand tasks, to each for one
//! write. Instead the session that it runs in writes for those that sleep, when its turn (a poll)
//! ends: by then everything that it has to send them has gathered, and leaves in one write each.
//! Only a connection that can not take it all at once has its task woken.

use std::{
    cell::RefCell,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use pin_project_lite::pin_project;

use crate::{
    connection::shared::Shared,
    outbox::{
        batch_number::{self, Turn},
        repeats,
    },
};

/// How many connections a session writes to before other tasks get a turn.
const WRITES_PER_TURN: usize = 64;

thread_local! {
    /// The connections to write to. A stack: a session may be polled within another's turn.
    static ADDED: RefCell<Vec<Arc<Shared>>> = const { RefCell::new(Vec::new()) };
}

/// Has the turn that the caller runs in write to a connection.
pub(crate) fn add(connection: &Arc<Shared>) {
    let push = |added: &RefCell<Vec<_>>| added.borrow_mut().push(connection.clone());
    if ADDED.try_with(push).is_err() {
        // The thread ends: nobody gathers any more.
        connection.outbox.write_batch();
    }
}

pin_project! {
    /// A session that is polled in turns, each of which writes to whomever it has sent to.
    pub(crate) struct InTurns<S> {
        #[pin]
        session: S,
        unwritten: Unwritten,
    }
}

impl<S> InTurns<S> {
    pub(crate) const fn new(session: S) -> Self {
        Self { session, unwritten: Unwritten(None) }
    }
}

impl<S: Future> Future for InTurns<S> {
    type Output = S::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<S::Output> {
        let this = self.project();
        let unwritten = this.unwritten;
        let mut poll = Poll::Pending;
        // The session does not go on before what it has sent is on its way.
        unwritten.write(WRITES_PER_TURN);
        if unwritten.is_empty() {
            let turn = TurnGuard::new();
            poll = this.session.poll(cx);
            *unwritten = turn.added();
            unwritten.write(WRITES_PER_TURN);
        }
        if !unwritten.is_empty() {
            cx.waker().wake_by_ref();
        }
        poll
    }
}

/// A turn, from its beginning to its end.
struct TurnGuard {
    outer: Turn,
    /// How many of the added connections are the outer turn's.
    outer_count: usize,
}

impl TurnGuard {
    fn new() -> Self {
        let outer_count = ADDED.try_with(|added| added.borrow().len()).unwrap_or(0);
        Self { outer: batch_number::enter(), outer_count }
    }

    fn added(&self) -> Unwritten {
        if batch_number::has_sent() {
            let drain =
                |added: &RefCell<Vec<_>>| added.borrow_mut().drain(self.outer_count..).collect();
            Unwritten(ADDED.try_with(drain).ok().map(Box::new))
        } else {
            Unwritten(None)
        }
    }
}

impl Drop for TurnGuard {
    fn drop(&mut self) {
        // There are none left, unless the session has panicked.
        drop(self.added());
        batch_number::leave(self.outer);
        repeats::forget();
    }
}

/// Connections that are still to be written to, whatever becomes of the session. Boxed: most
/// sessions never have any, and none for long.
#[expect(clippy::box_collection, reason = "a session's size is every idle connection's memory")]
struct Unwritten(Option<Box<Vec<Arc<Shared>>>>);

impl Unwritten {
    const fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    fn write(&mut self, most: usize) {
        let Some(connections) = &mut self.0 else { return };
        let kept = connections.len().saturating_sub(most);
        for connection in connections.drain(kept..) {
            connection.outbox.write_batch();
        }
        if kept == 0 {
            self.0 = None;
        }
    }
}

impl Drop for Unwritten {
    fn drop(&mut self) {
        self.write(usize::MAX);
    }
}
