//! Sending a message: [`Sending`] waits for room in the outbox, and [`finish`] makes sure that a message is sent from
//! it.

use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use prism_core::{Message, SendError};

use crate::{
    connection::{
        batch,
        compression::Compression,
        outgoing::{Lend, Outgoing},
        shared::Shared,
    },
    error::TrySendError,
    outbox::{
        locked::Locked,
        send::{AfterSend, WhenFull, for_sleeping_owner},
        source::Source,
    },
    runtime::{notice::Listening, turn::yielding, wakeups},
};

/// Sends a message, or follows the connection's policy if there is no room.
#[inline(always)] // The form of the message is known where a handler sends it.
pub(crate) fn send<M: Lend>(
    connection: &Arc<Shared>,
    message: &mut M,
    when_full: WhenFull,
) -> Result<(), TrySendError> {
    send_if_short(connection, message, when_full)
        .unwrap_or_else(|| send_source(connection, &mut message.lend(), when_full))
}

/// Sends a message that is copied as it is, as most are. Returns `None` for any other.
#[inline(always)] // The form of the message is known where a handler sends it.
fn send_if_short<M: Lend>(
    connection: &Arc<Shared>,
    message: &mut M,
    when_full: WhenFull,
) -> Option<Result<(), TrySendError>> {
    if connection.outbox.compresses() {
        return None;
    }
    let short = message.lend().as_short()?;
    Some(send_short(connection, short, when_full))
}

/// Sends a short message.
// Everything that this takes is in one function: a call, and the registers that it saves, would cost as much as the
// copy.
fn send_short(
    connection: &Arc<Shared>,
    message: Message<'_>,
    when_full: WhenFull,
) -> Result<(), TrySendError> {
    if let Some(state) = connection.outbox.append_short(message, when_full)?
        && state.owner_sleeps()
    {
        finish_for_sleeping_owner(connection, state);
    }
    Ok(())
}

/// Makes sure that what was sent on a connection whose owner sleeps is written.
#[inline(never)] // An echo has an owner that is awake.
fn finish_for_sleeping_owner(connection: &Arc<Shared>, mut state: Locked<'_>) {
    let remaining = for_sleeping_owner(&mut state);
    drop(state);
    // Of the messages that a turn sends to a connection, only the first leaves something to do.
    if !matches!(remaining, AfterSend::Nothing) {
        finish(connection, remaining);
    }
}

/// Sends any message. Returns `Full` if the sender has to wait for room, or to yield.
#[inline(never)] // Most messages are short.
fn send_source(
    connection: &Arc<Shared>,
    message: &mut Source<'_>,
    when_full: WhenFull,
) -> Result<(), TrySendError> {
    if let Some(compression) = connection.compression() {
        return send_compressed(connection, compression, message, when_full);
    }
    if let Some(state) = connection.outbox.append(message, when_full)?
        && state.owner_sleeps()
    {
        finish_for_sleeping_owner(connection, state);
    }
    Ok(())
}

#[inline(never)] // Few connections compress.
fn send_compressed(
    connection: &Arc<Shared>,
    compression: &Compression,
    message: &mut Source<'_>,
    when_full: WhenFull,
) -> Result<(), TrySendError> {
    // What leaves is short, so the outbox has room for much more than should be compressed at once.
    if when_full == WhenFull::Wait && yielding::should_yield() {
        return Err(TrySendError::Full);
    }
    finish(connection, compression.send(&connection.outbox, message, when_full)?);
    Ok(())
}

/// Makes sure that the contents of the connection's outbox are sent.
pub(crate) fn finish(connection: &Arc<Shared>, remaining: AfterSend) {
    match remaining {
        AfterSend::Nothing => {}
        AfterSend::WakeOwner(owner) => wakeups::wake(owner),
        AfterSend::AddToBatch => batch::add(connection),
        AfterSend::EnforceBudget => connection.outbox.enforce_budget(),
    }
}

/// The future of [`Connection::send`](crate::Connection::send), which sends the message once there is room. If it is
/// dropped while it waits, it has sent nothing.
// Not an `async fn`: it is part of most handlers' futures, so most connections hold one, and its size matters.
#[must_use = "nothing is sent until it is awaited"]
pub struct Sending<'c, M> {
    message: M,
    waiting: Waiting<'c>,
}

/// The part of a [`Sending`] that does not depend on the message's form.
struct Waiting<'c> {
    connection: &'c Arc<Shared>,
    /// Ready when there may be room.
    listening: Option<Listening>,
    order: WaitOrder,
    waited: bool,
}

/// How senders that wait for room are notified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WaitOrder {
    /// One at a time, in the order in which they came.
    Queued,
    /// All at once. For a future that nothing may poll for a long time, such as a sink's: in the queue it would block
    /// the senders behind it.
    Unqueued,
}

impl<'c, M> Sending<'c, M> {
    pub(crate) const fn new(connection: &'c Arc<Shared>, message: M, order: WaitOrder) -> Self {
        Self { message, waiting: Waiting { connection, listening: None, order, waited: false } }
    }
}

impl<M: fmt::Debug> fmt::Debug for Sending<'_, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sending")
            .field("message", &self.message)
            .field("waited", &self.waiting.waited)
            .finish_non_exhaustive()
    }
}

impl<M: Outgoing> Future for Sending<'_, M> {
    type Output = Result<(), SendError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { message, waiting } = self.get_mut();
        if waiting.listening.is_none()
            && let Some(sent) = send_if_short(waiting.connection, message, WhenFull::Wait)
        {
            if let Some(result) = waiting.result(sent) {
                return Poll::Ready(result);
            }
            waiting.listen_if_full();
        }
        waiting.poll_send(cx, &mut message.lend())
    }
}

impl Waiting<'_> {
    fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        message: &mut Source<'_>,
    ) -> Poll<Result<(), SendError>> {
        loop {
            if let Some(listening) = &mut self.listening {
                ready!(listening.as_mut().poll(cx));
                self.listening = None;
                self.waited = true;
            }
            let sent = send_source(self.connection, message, WhenFull::Wait);
            if let Some(result) = self.result(sent) {
                return Poll::Ready(result);
            }
            if yielding::begin_yield() {
                // This future may be dropped before it is polled again.
                self.pass_on();
                self.waited = false;
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            self.listen_if_full();
        }
    }

    /// Returns the result of the future, or `None` if the message found no room.
    #[inline(always)] // Most messages find room at once.
    fn result(&self, sent: Result<(), TrySendError>) -> Option<Result<(), SendError>> {
        match sent {
            Ok(()) => {
                self.pass_on();
                Some(Ok(()))
            }
            Err(TrySendError::Refused(error)) => Some(Err(error)),
            Err(TrySendError::Full) => None,
        }
    }

    fn listen_if_full(&mut self) {
        let listening = self.listen();
        // Room may have become available before we listened.
        if self.connection.outbox.is_full() {
            self.listening = Some(listening);
        }
    }

    fn listen(&self) -> Listening {
        let outbox = &self.connection.outbox;
        match self.order {
            WaitOrder::Queued => outbox.waiters().room.listen(),
            WaitOrder::Unqueued => outbox.waiters().progress.listen(),
        }
    }

    /// Notifies the next sender in the queue. Room is offered to one at a time, and each passes on the room that it
    /// leaves.
    fn pass_on(&self) {
        let outbox = &self.connection.outbox;
        if self.waited && self.order == WaitOrder::Queued && !outbox.is_full() {
            outbox.waiters().room.notify(1);
        }
    }
}
