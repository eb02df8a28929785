//! [`run_handler`]: runs a handler's future while the connection goes on.
//!
//! Bytes keep leaving, so that a handler that waits for room in its own outbox gets it. Nothing is read: that is the
//! back-pressure.
//!
//! A close ends in time even while a handler runs, because the handler may be waiting for just that. When the close
//! timeout passes, the transport is dropped. Bytes that the peer has sent by then, perhaps its close frame, are
//! kept, and read when the handler is done.

use std::{
    future::poll_fn,
    mem,
    pin::Pin,
    task::{Context, Poll, ready},
};

use prism_core::ProtocolError;

use crate::{
    connection::Connection,
    error::Failure,
    outbox::batch_number,
    runtime::contain::contain,
    session::{
        deadline::{DeadlineTimer, Deadlines},
        driver::ConnectionDriver,
        events,
    },
};

/// Runs a handler's future to its end, whatever becomes of the connection meanwhile. (The future is pinned by the caller:
/// as an argument, it would be part of this function's future twice.)
pub(super) async fn run_handler<T: DeadlineTimer, F: Future<Output = ()>>(
    connection: &Connection,
    deadlines: &mut Deadlines<T>,
    mut handler: Pin<&mut F>,
) -> Result<(), Failure> {
    match poll_first(handler.as_mut()).await {
        Some(Poll::Ready(())) => Ok(()),
        first => run_on(connection, deadlines, handler, first).await,
    }
}

/// Polls a handler's future once. Most are ready then. Returns `None` if it panics.
pub(super) fn poll_first<F: Future<Output = ()>>(
    mut handler: Pin<&mut F>,
) -> impl Future<Output = Option<Poll<()>>> {
    poll_fn(move |cx| Poll::Ready(contain(|| handler.as_mut().poll(cx))))
}

/// Runs a handler's future that was not ready [at once](poll_first).
#[cold]
pub(super) fn run_on<'a, T: DeadlineTimer, F: Future<Output = ()>>(
    connection: &'a Connection,
    deadlines: &'a mut Deadlines<T>,
    handler: Pin<&'a mut F>,
    first: Option<Poll<()>>,
) -> impl Future<Output = Result<(), Failure>> + use<'a, T, F> {
    let driver = ConnectionDriver::new(connection, deadlines);
    let waits = Waits::ForAnything;
    WaitingHandler { driver, handler, polled: Some(first), failure: None, waits, shut: false }
}

/// A handler that waits, and the connection, which goes on.
struct WaitingHandler<'a, T, F> {
    driver: ConnectionDriver<'a, T>,
    handler: Pin<&'a mut F>,
    /// The result of a poll that nothing has followed from yet.
    polled: Option<Option<Poll<()>>>,
    /// Boxed: a failure is rare, and this is part of every session.
    failure: Option<Box<Failure>>,
    waits: Waits,
    /// Whether our side of the transport has ended.
    shut: bool,
}

/// What a handler waits for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Waits {
    ForAnything,
    /// It could go on, but lets others go first.
    ForItsTurn,
}

impl Waits {
    /// Returns what a handler waits for that has just returned `Pending`.
    fn of_pending() -> Self {
        if batch_number::has_yielded() { Self::ForItsTurn } else { Self::ForAnything }
    }
}

impl<T: DeadlineTimer, F: Future<Output = ()>> Future for WaitingHandler<'_, T, F> {
    type Output = Result<(), Failure>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let driver = &mut this.driver;
        loop {
            let polled = match this.polled.take() {
                Some(first) => Some(first),
                None => {
                    // The owner is polled, so it is awake.
                    driver.connection.outbox().set_awake();
                    let waited = mem::replace(&mut this.waits, Waits::ForAnything);
                    (waited == Waits::ForAnything)
                        .then(|| contain(|| this.handler.as_mut().poll(cx)))
                }
            };
            match polled {
                // The handler has woken the task. But a runtime may poll many tasks that are ready before it looks for
                // I/O.
                None => driver.deadlines.timer().yield_to_others(cx.waker()),
                Some(Some(Poll::Pending)) => this.waits = Waits::of_pending(),
                Some(Some(Poll::Ready(()))) => {
                    return Poll::Ready(
                        this.failure.take().map_or(Ok(()), |failure| Err(*failure)),
                    );
                }
                Some(None) => {
                    events::panicked(driver.connection);
                    let failure = this.failure.take();
                    return Poll::Ready(Err(failure.map_or(Failure::HandlerPanicked, |it| *it)));
                }
            }
            if driver.connection.outbox().is_transport_gone() {
                driver.deadlines.timer().note_stuck(driver.connection);
                return Poll::Pending;
            }
            // The handler goes on, but from now on its sends fail: it is polled again to see that.
            match ready!(driver.poll_flush_and_shut(cx, &mut this.shut)) {
                Ok(()) => driver.give_up(),
                Err(Failure::Protocol(ProtocolError::CloseTimeout)) => driver.give_up_unread(),
                Err(error) => {
                    driver.give_up();
                    this.failure.get_or_insert_with(|| Box::new(error));
                }
            }
        }
    }
}
