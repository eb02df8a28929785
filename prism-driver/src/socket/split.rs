//! [`SendHalf`] and [`RecvHalf`]: a [`Socket`](crate::Socket) for two tasks.

use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use async_channel::Receiver;
use futures_util::{Sink, Stream};
use prism_core::{CloseCode, OwnedMessage, SendError};

use crate::{
    connection::{
        Connection,
        outgoing::Outgoing,
        send::{self, Sending, WaitOrder},
    },
    error::{Disconnect, Failure, TrySendError},
    outbox::send::WhenFull,
    runtime::{
        notice::{DeferredWaker, Deferring},
        wakeups::hold_wakeups,
    },
    socket::backlog::Backlog,
};

/// The sending half of a [`Socket`](crate::Socket).
///
/// If only this half is dropped, the connection stays open, and the other half goes on receiving.
///
/// It is also a [`Sink`] of messages that own their payload. As a sink it fails when the connection is closing or over.
/// `SinkExt::flush` completes when all messages given to the sink have been written to the transport, and
/// `SinkExt::close` when the close frame has been written. As with any sink:
///
/// - Flush it before you drop it. It may hold one message for which there was no room yet. A message that bypasses the
///   sink, such as one sent with [`SendHalf::send`](Self::send), may overtake that one.
/// - Call `poll_ready` before `start_send`. Otherwise `start_send` queues all messages that it is given, in order and
///   without a limit on their memory.
///
/// A `SinkExt::feed` that is dropped while it waits has sent nothing. A `SinkExt::send` that is dropped has sent its
/// message once or not at all. `SinkExt::flush` and `SinkExt::close` are cancel-safe: call them again.
pub struct SendHalf {
    connection: Arc<CloseOnDrop>,
    /// Sends the messages for which there was no room.
    sending: Option<Pending>,
    /// Flushes the connection.
    flushing: Option<Pending>,
}

type Pending = Pin<Box<dyn Future<Output = Result<(), SendError>> + Send + Sync>>;

/// The receiving half of a [`Socket`](crate::Socket).
///
/// It is also a [`Stream`], whose `next` is cancel-safe. The stream ends when the connection has been closed by either
/// side; [`recv`](Self::recv) then returns the code and the reason. If the connection fails, the [`Failure`] is the
/// last item.
///
/// If only this half is dropped, the connection stays open, and messages from the peer are read and discarded.
pub struct RecvHalf {
    connection: Arc<CloseOnDrop>,
    messages: Pin<Box<Receiver<OwnedMessage>>>,
    /// Wakes the task that polls the stream.
    waker: Arc<DeferredWaker>,
    backlog: Arc<Backlog>,
    /// Whether the stream has returned the failure.
    failed: bool,
}

/// A connection that is closed when both halves have been dropped.
struct CloseOnDrop(Connection);

impl SendHalf {
    pub(crate) fn new(connection: Connection) -> Self {
        Self { connection: Arc::new(CloseOnDrop(connection)), sending: None, flushing: None }
    }

    /// Sends a message in any [form](Outgoing), after waiting for room in the outbox; see [`Connection::send`].
    ///
    /// Cancel-safe: a future that is dropped while it waits has sent nothing.
    ///
    /// # Errors
    /// [`SendError::Closed`] if the connection is closing or over.
    pub fn send<M: Outgoing>(&self, message: M) -> Sending<'_, M> {
        self.connection().send(message)
    }

    /// Sends a message if the outbox has room for it now; see [`Connection::try_send`].
    ///
    /// # Errors
    /// [`TrySendError::Full`] if the outbox is full, or [`TrySendError::Refused`] if the connection is closing or over.
    pub fn try_send(&self, message: impl Outgoing) -> Result<(), TrySendError> {
        self.connection().try_send(message)
    }

    /// Closes the connection; see [`Connection::close`]. [`RecvHalf::recv`] still returns the messages that are waiting
    /// for it, and then how the connection ended. Returns whether this call closed the connection: `false` if it was
    /// already closing or over.
    pub fn close(&self, code: CloseCode, reason: &str) -> bool {
        self.connection().close(code, reason)
    }

    /// Returns the connection's handle. Clone it to send from elsewhere.
    #[must_use]
    pub fn connection(&self) -> &Connection {
        &self.connection.0
    }
}

impl Sink<OwnedMessage> for SendHalf {
    type Error = SendError;

    fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        let Some(sending) = &mut self.sending else { return Poll::Ready(Ok(())) };
        let outcome = ready!(sending.as_mut().poll(cx));
        self.sending = None;
        Poll::Ready(outcome)
    }

    fn start_send(mut self: Pin<&mut Self>, mut message: OwnedMessage) -> Result<(), SendError> {
        self.flushing = None;
        let before = self.sending.take();
        if before.is_none() {
            match send::send(self.connection().shared(), &mut message, WhenFull::Wait) {
                Ok(()) => return Ok(()),
                Err(TrySendError::Refused(error)) => return Err(error),
                Err(TrySendError::Full) => {}
            }
        }
        let connection = self.connection().clone();
        self.sending = Some(Box::pin(async move {
            // Set only if `poll_ready` was not called first. The order is kept nevertheless.
            if let Some(before) = before {
                before.await?;
            }
            Sending::new(connection.shared(), message, WaitOrder::Unqueued).await
        }));
        Ok(())
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        ready!(self.as_mut().poll_ready(cx))?;
        let connection = self.connection().clone();
        let flush = || -> Pending { Box::pin(async move { connection.flush().await }) };
        let outcome = ready!(self.flushing.get_or_insert_with(flush).as_mut().poll(cx));
        self.flushing = None;
        Poll::Ready(outcome)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        ready!(self.as_mut().poll_ready(cx))?;
        // If the connection is closing already, the earlier close frame has to be written. A flush that began before
        // the close frame does not include it. A new flush does, and takes no longer, because nothing follows.
        self.close(CloseCode::NORMAL, "");
        self.flushing = None;
        self.poll_flush(cx)
    }
}

impl RecvHalf {
    pub(crate) fn new(
        sender: &SendHalf,
        messages: Receiver<OwnedMessage>,
        backlog: Arc<Backlog>,
    ) -> Self {
        let connection = sender.connection.clone();
        let messages = Box::pin(messages);
        Self { connection, messages, waker: Arc::default(), backlog, failed: false }
    }

    /// Receives the next message. Cancel-safe: if the future is dropped while it waits, no message is lost.
    ///
    /// # Errors
    /// The reason why the connection ended, once all messages have been received. Each further call returns the same
    /// error.
    pub async fn recv(&self) -> Result<OwnedMessage, Disconnect> {
        let received = Deferring::new(self.messages.recv()).await;
        received.map(|message| self.take(message)).map_err(|_| self.ending())
    }

    /// Returns the connection's handle. Clone it to send from elsewhere.
    #[must_use]
    pub fn connection(&self) -> &Connection {
        &self.connection.0
    }

    /// Makes room for the next message.
    fn take(&self, message: OwnedMessage) -> OwnedMessage {
        self.backlog.remove(message.as_bytes().len());
        message
    }

    fn ending(&self) -> Disconnect {
        // The handler sets no reason if the connection's task is dropped, as it is with its runtime.
        self.backlog.ended.get().cloned().unwrap_or(Disconnect::Failed(Failure::TaskDropped))
    }
}

impl Stream for RecvHalf {
    type Item = Result<OwnedMessage, Failure>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Self { messages, waker, .. } = &mut *self;
        if let Some(message) = ready!(waker.poll(cx, |cx| messages.as_mut().poll_next(cx))) {
            return Poll::Ready(Some(Ok(self.take(message))));
        }
        match self.ending() {
            Disconnect::Failed(failure) if !self.failed => {
                self.failed = true;
                Poll::Ready(Some(Err(failure)))
            }
            _ => Poll::Ready(None),
        }
    }
}

impl fmt::Debug for SendHalf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SendHalf").field(self.connection()).finish()
    }
}

impl fmt::Debug for RecvHalf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RecvHalf").field(self.connection()).finish()
    }
}

impl Drop for RecvHalf {
    fn drop(&mut self) {
        let _wakeups = hold_wakeups(); // the connection's task may be waiting for room
        self.messages.close();
        self.backlog.stop();
    }
}

impl Drop for CloseOnDrop {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.close(CloseCode::INTERNAL_ERROR, "internal error");
        } else {
            self.0.close(CloseCode::NORMAL, "");
        }
    }
}
