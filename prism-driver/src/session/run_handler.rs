//! [`RunHandler`]: runs a handler's future while the connection goes on.
//!
//! Bytes keep leaving, so that a handler that waits for room in its own outbox gets it. Nothing is read: that is the
//! back-pressure.
//!
//! A close ends in time even while a handler runs, because the handler may be waiting for just that. When the close
//! timeout passes, the transport is dropped. Bytes that the peer has sent by then, perhaps its close frame, are
//! kept, and read when the handler is done.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use pin_project_lite::pin_project;
use prism_core::ProtocolError;

use crate::{
    connection::Connection,
    error::Failure,
    runtime::{contain::contain, turn::yielding},
    session::{
        deadline::{DeadlineTimer, Deadlines},
        driver::ConnectionDriver,
        events,
    },
};

pin_project! {
    /// Runs a handler's future to its end, whatever becomes of the connection meanwhile.
    pub(crate) struct RunHandler<'a, T, F> {
        driver: ConnectionDriver<'a, T>,
        #[pin]
        handler: F,
        // Whether the connection has failed meanwhile. The outbox keeps the failure: it is rare, and this is part of
        // every session.
        has_failed: bool,
        waits: Waits,
        // Whether our side of the transport has ended.
        shut: bool,
    }
}

/// Whether the handler has been polled, and what it waits for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Waits {
    No,
    Yes,
    /// It could go on, but lets others go first.
    ForItsTurn,
}

impl<'a, T: DeadlineTimer, F> RunHandler<'a, T, F> {
    pub(super) const fn new(
        connection: &'a Connection,
        deadlines: &'a mut Deadlines<T>,
        handler: F,
    ) -> Self {
        let driver = ConnectionDriver::new(connection, deadlines);
        Self { driver, handler, has_failed: false, waits: Waits::No, shut: false }
    }
}

impl<T: DeadlineTimer, F: Future<Output = ()>> Future for RunHandler<'_, T, F> {
    type Output = Result<(), Failure>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let (driver, mut handler) = (this.driver, this.handler);
        loop {
            let waited = std::mem::replace(this.waits, Waits::Yes);
            if waited != Waits::No {
                // The owner is polled, so it is awake.
                driver.connection.outbox().set_awake();
            }
            if waited == Waits::ForItsTurn {
                // The handler has woken the task. But a runtime may poll many tasks that are ready before it looks for
                // I/O.
                driver.deadlines.timer().yield_to_others(cx.waker());
            } else {
                match contain(|| handler.as_mut().poll(cx)) {
                    Some(Poll::Pending) if yielding::has_yielded() => {
                        *this.waits = Waits::ForItsTurn;
                    }
                    Some(Poll::Pending) => {}
                    Some(Poll::Ready(())) if !*this.has_failed => return Poll::Ready(Ok(())),
                    Some(Poll::Ready(())) => {
                        let failure = driver.connection.outbox().take_failure();
                        return Poll::Ready(failure.map_or(Ok(()), Err));
                    }
                    None => {
                        events::panicked(driver.connection);
                        let failure = driver.connection.outbox().take_failure();
                        return Poll::Ready(Err(failure.unwrap_or(Failure::HandlerPanicked)));
                    }
                }
            }
            if driver.connection.outbox().is_transport_gone() {
                driver.deadlines.timer().note_stuck(driver.connection);
                return Poll::Pending;
            }
            // The handler goes on, but from now on its sends fail: it is polled again to see that.
            match ready!(driver.poll_flush_and_shut(cx, this.shut)) {
                Ok(()) => driver.give_up(),
                Err(Failure::Protocol(ProtocolError::CloseTimeout)) => driver.give_up_unread(),
                Err(error) => {
                    driver.give_up();
                    *this.has_failed = true;
                    driver.connection.outbox().keep_failure(error);
                }
            }
        }
    }
}
