//! [`Sending`]: a message, and the wait for room in an outbox.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use prism_core::SendError;

use crate::{
    connection::Connection,
    error::TrySendError,
    outbox::{Patience, state::Outgoing},
    runtime::notice::Listening,
};

/// What [`Connection::send`] gives: it sends the message when there is room. Dropped while it waits,
/// it has sent nothing.
// Written by hand, because it is part of most handlers' futures, and so of each connection's memory.
#[derive(Debug)]
#[must_use = "nothing is sent before it is awaited"]
pub struct Sending<'c, 'm> {
    connection: &'c Connection,
    message: Outgoing<'m>,
    queue: Queue,
    /// What it waits for.
    noticed: Option<Listening>,
    waited: bool,
}

/// How those who wait for room hear of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Queue {
    /// One after the other, in the order in which they came.
    InTurn,
    /// All at once. For a future that may lie unpolled for long, as a sink's does: in the queue it
    /// would keep the room from everybody behind it.
    OutOfTurn,
}

impl<'c, 'm> Sending<'c, 'm> {
    pub(crate) const fn new(
        connection: &'c Connection,
        message: Outgoing<'m>,
        queue: Queue,
    ) -> Self {
        Self { connection, message, queue, noticed: None, waited: false }
    }

    fn listen(&self) -> Listening {
        let outbox = self.connection.outbox();
        match self.queue {
            Queue::InTurn => outbox.notices().room.listen(),
            Queue::OutOfTurn => outbox.notices().progress.listen(),
        }
    }

    /// Room is given to one waiter at a time; each passes on what it left.
    fn pass_on(&self) {
        let outbox = self.connection.outbox();
        if self.waited && self.queue == Queue::InTurn && !outbox.is_full() {
            outbox.notices().room.notify(1);
        }
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
            match self.connection.hand_over(self.message, Patience::Waits) {
                Ok(()) => {
                    self.pass_on();
                    return Poll::Ready(Ok(()));
                }
                Err(TrySendError::Refused(error)) => return Poll::Ready(Err(error)),
                Err(TrySendError::Full) => {}
            }
            let noticed = self.listen();
            // There may have come room before we listened.
            if self.connection.outbox().is_full() {
                self.noticed = Some(noticed);
            }
        }
    }
}
