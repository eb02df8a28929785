//! Batching: a session writes to the connections that its handler sent to.
//!
//! A handler that sends to a thousand connections would wake a thousand tasks, each for one write. Instead, its session
//! writes for those tasks that sleep, when its turn (a poll) ends. By then everything sent during the turn has
//! gathered, and leaves in one write per connection. A task is woken only if its transport does not take everything.
//!
//! After 64 writes other tasks get a turn. The session does not continue before everything that it sent has been
//! written, so a handler that publishes too fast slows itself down.

use std::{
    cell::RefCell,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use pin_project_lite::pin_project;

use crate::{
    connection::shared::Shared,
    outbox::repeats,
    runtime::turn::{self, Interrupted},
};

/// How many connections a session writes to before other tasks get a turn.
const WRITES_PER_TURN: usize = 64;

thread_local! {
    /// The connections to write to. A stack, because a session may be polled within another's turn.
    static ADDED: RefCell<Vec<Arc<Shared>>> = const { RefCell::new(Vec::new()) };
}

/// Adds a connection to the list that the caller's turn writes to at its end.
pub(crate) fn add(connection: &Arc<Shared>) {
    let push = |added: &RefCell<Vec<_>>| added.borrow_mut().push(connection.clone());
    if ADDED.try_with(push).is_err() {
        // The thread is ending, and no turn will write.
        connection.outbox.write_batch();
    }
}

pin_project! {
    /// A session that is polled in turns. Each turn ends by writing to the connections that the session sent to.
    pub(crate) struct InBatches<S> {
        #[pin]
        session: S,
        unwritten: Unwritten,
    }
}

impl<S> InBatches<S> {
    pub(crate) const fn new(session: S) -> Self {
        Self { session, unwritten: Unwritten(None) }
    }
}

/// Polls a future in turns, as a session is polled: at the end of each poll, writes what the future has sent to
/// connections that sleep, to 64 of them at most. As long as more are left, a poll only writes, and the future does not
/// go on. When this is dropped, it writes to all that are left. For tasks that send to many connections.
pub fn in_batches<F: Future>(future: F) -> impl Future<Output = F::Output> {
    InBatches::new(future)
}

impl<S: Future> Future for InBatches<S> {
    type Output = S::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<S::Output> {
        let this = self.project();
        let unwritten = this.unwritten;
        let mut poll = Poll::Pending;
        unwritten.write(WRITES_PER_TURN);
        if unwritten.is_empty() {
            let turn = BatchGuard::new(unwritten);
            poll = this.session.poll(cx);
            drop(turn);
            unwritten.write(WRITES_PER_TURN);
        }
        if !unwritten.is_empty() {
            cx.waker().wake_by_ref();
        }
        poll
    }
}

/// A turn, from beginning to end. At the end it moves the connections that the session has sent to into `unwritten`.
struct BatchGuard<'a> {
    unwritten: &'a mut Unwritten,
    outer: Interrupted,
    /// How many of the added connections belong to the outer turn.
    outer_count: usize,
}

impl<'a> BatchGuard<'a> {
    fn new(unwritten: &'a mut Unwritten) -> Self {
        let outer_count = ADDED.try_with(|added| added.borrow().len()).unwrap_or(0);
        Self { unwritten, outer: turn::begin(), outer_count }
    }
}

impl Drop for BatchGuard<'_> {
    #[inline]
    fn drop(&mut self) {
        if turn::end(self.outer) {
            self.take_added();
        }
        repeats::forget();
    }
}

impl BatchGuard<'_> {
    #[inline(never)]
    fn take_added(&mut self) {
        let drain =
            |added: &RefCell<Vec<_>>| added.borrow_mut().drain(self.outer_count..).collect();
        self.unwritten.0 = ADDED.try_with(drain).ok().map(Box::new);
    }
}

/// Connections that still have to be written to, whatever happens to the session. Boxed, because most sessions never
/// have any, and no session has them for long.
#[expect(clippy::box_collection, reason = "a session's size is every idle connection's memory")]
struct Unwritten(Option<Box<Vec<Arc<Shared>>>>);

impl Unwritten {
    const fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    #[inline]
    fn write(&mut self, limit: usize) {
        if !self.is_empty() {
            self.write_some(limit);
        }
    }

    fn write_some(&mut self, limit: usize) {
        let Some(connections) = &mut self.0 else { return };
        let kept = connections.len().saturating_sub(limit);
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
