//! Sending a message: [`hand_over`], and [`Sending`], which waits for room in the outbox first.

use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use prism_core::SendError;

use crate::{
    connection::{batch, shared::Shared},
    error::TrySendError,
    outbox::{AfterSend, WhenFull, state::Outgoing},
    runtime::{notice::Listening, wakeups},
};

/// Puts a message into the connection's outbox, and sees to it that it leaves.
pub(crate) fn hand_over(
    connection: &Arc<Shared>,
    message: Outgoing<'_>,
    when_full: WhenFull,
) -> Result<(), TrySendError> {
    finish_send(connection, connection.outbox.send(message, when_full)?);
    Ok(())
}

/// Puts a ping into the connection's outbox, and sees to it that it leaves.
pub(super) fn ping(connection: &Arc<Shared>, payload: &[u8]) -> Result<(), TrySendError> {
    finish_send(connection, connection.outbox.try_ping(payload)?);
    Ok(())
}

fn finish_send(connection: &Arc<Shared>, rest: AfterSend) {
    match rest {
        AfterSend::Nothing => {}
        AfterSend::WakeOwner(owner) => wakeups::wake(owner),
        AfterSend::AddToBatch => batch::add(connection),
        AfterSend::EnforceBudget => enforce_budget(connection),
    }
}

/// Apart from the rest, which is inlined where handlers send.
#[cold]
fn enforce_budget(connection: &Shared) {
    connection.outbox.enforce_budget();
}

/// What [`Connection::send`](crate::Connection::send) returns: it sends the message when there is room. Dropped while it waits,
/// it has sent nothing.
// Written by hand, because it is part of most handlers' futures, and so of each connection's memory.
#[must_use = "nothing is sent before it is awaited"]
pub struct Sending<'c, 'm> {
    connection: &'c Arc<Shared>,
    message: Outgoing<'m>,
    order: WaitOrder,
    /// What it waits for.
    noticed: Option<Listening>,
    waited: bool,
}

/// How those who wait for room hear of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WaitOrder {
    /// One after the other, in the order in which they came.
    InTurn,
    /// All at once. For a future that may lie unpolled for long, as a sink's does: in the queue it
    /// would keep the room from everybody behind it.
    OutOfTurn,
}

impl<'c, 'm> Sending<'c, 'm> {
    pub(crate) const fn new(
        connection: &'c Arc<Shared>,
        message: Outgoing<'m>,
        order: WaitOrder,
    ) -> Self {
        Self { connection, message, order, noticed: None, waited: false }
    }

    fn listen(&self) -> Listening {
        let outbox = &self.connection.outbox;
        match self.order {
            WaitOrder::InTurn => outbox.waiters().room.listen(),
            WaitOrder::OutOfTurn => outbox.waiters().progress.listen(),
        }
    }

    /// Room is given to one waiter at a time; each passes on what it left.
    fn pass_on(&self) {
        let outbox = &self.connection.outbox;
        if self.waited && self.order == WaitOrder::InTurn && !outbox.is_full() {
            outbox.waiters().room.notify(1);
        }
    }
}

impl fmt::Debug for Sending<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { message, waited, .. } = self;
        f.debug_struct("Sending")
            .field("message", message)
            .field("waited", waited)
            .finish_non_exhaustive()
    }
}

impl Future for Sending<'_, '_> {
    type Output = Result<(), SendError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        loop {
            if let Some(noticed) = &mut self.noticed {
                ready!(noticed.as_mut().poll(cx));
                self.noticed = None;
                self.waited = true;
            }
            match hand_over(self.connection, self.message, WhenFull::Wait) {
                Ok(()) => {
                    self.pass_on();
                    return Poll::Ready(Ok(()));
                }
                Err(TrySendError::Refused(error)) => return Poll::Ready(Err(error)),
                Err(TrySendError::Full) => {}
            }
            let noticed = self.listen();
            // There may have come room before we listened.
            if self.connection.outbox.is_full() {
                self.noticed = Some(noticed);
            }
        }
    }
}
