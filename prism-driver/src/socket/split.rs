//! [`SendHalf`] and [`RecvHalf`]: a [`Socket`](crate::Socket) for two tasks.

use std::{
    fmt,
    pin::Pin,
    sync::{Arc, OnceLock},
    task::{Context, Poll, ready},
};

use async_channel::Receiver;
use futures_util::{Sink, Stream};
use prism_core::{CloseCode, Message, OwnedMessage, SendError};

use crate::{
    connection::{
        Connection,
        send::{self, Sending, WaitOrder},
    },
    error::{Disconnect, Failure, TrySendError},
    outbox::{WhenFull, state::Outgoing},
    runtime::{
        notice::{DeferredWaker, Deferring},
        wakeups::hold_wakeups,
    },
};

/// The sending half of a [`Socket`](crate::Socket).
///
/// As a [`Sink`] it takes messages that own their payload, and fails when the connection is closing
/// or over. `flush` returns when all that it has taken has been written to the transport, `close`
/// when the close frame has. As with any sink, flush before you drop it: one message may be in it
/// for which there was no room yet, and what is sent past the sink may overtake that one. `start_send`
/// keeps all that it is given, in order: ask `poll_ready` first, or that may be much.
///
/// A `feed` that is dropped while it waits has sent nothing; a `send` of the sink's has sent its
/// message once or not at all. `flush` and `close` can be dropped, and called again.
pub struct SendHalf {
    connection: Arc<CloseOnDrop>,
    /// The sink has a message for which there was no room.
    sending: Option<Pending>,
    /// The sink is being flushed.
    flushing: Option<Pending>,
}

type Pending = Pin<Box<dyn Future<Output = Result<(), SendError>> + Send + Sync>>;

/// The receiving half of a [`Socket`](crate::Socket).
///
/// As a [`Stream`] it ends when the connection was closed, by either side. If the connection fails,
/// the failure is the last item. Its `next` is cancel-safe.
///
/// Dropped alone, it leaves the connection open: what comes is read, and forgotten.
pub struct RecvHalf {
    connection: Arc<CloseOnDrop>,
    messages: Pin<Box<Receiver<OwnedMessage>>>,
    /// Of the task that polls the stream.
    waker: Arc<DeferredWaker>,
    ended: Arc<OnceLock<Disconnect>>,
    /// Whether the stream has given the failure.
    failed: bool,
}

/// A connection that is closed when nobody holds this any more.
struct CloseOnDrop(Connection);

impl SendHalf {
    pub(crate) fn new(connection: Connection) -> Self {
        Self { connection: Arc::new(CloseOnDrop(connection)), sending: None, flushing: None }
    }

    /// Sends a message, after waiting for room in the outbox; see [`Connection::send`].
    /// Cancel-safe: dropped while it waits, it has sent nothing.
    ///
    /// # Errors
    /// [`SendError::Closed`] if the connection is closing or over.
    pub async fn send<'m>(&self, message: impl Into<Message<'m>>) -> Result<(), SendError> {
        self.connection().send(message).await
    }

    /// Closes the connection; the other half hears how it ended. Returns whether this call was the one
    /// that closed. See [`Connection::close`].
    pub fn close(&self, code: CloseCode, reason: &str) -> bool {
        self.connection().close(code, reason)
    }

    /// The connection's handle, to clone and to send with from elsewhere.
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

    fn start_send(mut self: Pin<&mut Self>, message: OwnedMessage) -> Result<(), SendError> {
        self.flushing = None;
        let before = self.sending.take();
        if before.is_none() {
            let outgoing = Outgoing::Message(message.as_message());
            match send::hand_over(self.connection().shared(), outgoing, WhenFull::Wait) {
                Ok(()) => return Ok(()),
                Err(TrySendError::Refused(error)) => return Err(error),
                Err(TrySendError::Full) => {}
            }
        }
        let connection = self.connection().clone();
        self.sending = Some(Box::pin(async move {
            // Only for whoever does not ask `poll_ready` first: in order, all the same.
            if let Some(before) = before {
                before.await?;
            }
            Sending::new(
                connection.shared(),
                Outgoing::Message(message.as_message()),
                WaitOrder::OutOfTurn,
            )
            .await
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
        // It may be closing already: then that close frame has to be written. A flush that was
        // begun before it does not count; one that begins anew waits no longer, as nothing follows.
        self.close(CloseCode::NORMAL, "");
        self.flushing = None;
        self.poll_flush(cx)
    }
}

impl RecvHalf {
    pub(crate) fn new(
        sending: &SendHalf,
        messages: Receiver<OwnedMessage>,
        ended: Arc<OnceLock<Disconnect>>,
    ) -> Self {
        let connection = sending.connection.clone();
        let messages = Box::pin(messages);
        Self { connection, messages, waker: Arc::default(), ended, failed: false }
    }

    /// The next message. Cancel-safe: a message is taken only when it is returned.
    ///
    /// # Errors
    /// Why the connection is over, when all that came before has been received. From then on each
    /// call says the same.
    pub async fn recv(&self) -> Result<OwnedMessage, Disconnect> {
        Deferring::new(self.messages.recv()).await.map_err(|_| self.ending())
    }

    /// The connection's handle, to clone and to send with.
    #[must_use]
    pub fn connection(&self) -> &Connection {
        &self.connection.0
    }

    fn ending(&self) -> Disconnect {
        // Nothing is set if the connection's task was dropped, with its runtime.
        self.ended.get().cloned().unwrap_or(Disconnect::Failed(Failure::TaskDropped))
    }
}

impl Stream for RecvHalf {
    type Item = Result<OwnedMessage, Failure>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Self { messages, waker, .. } = &mut *self;
        if let Some(message) = ready!(waker.poll(cx, |cx| messages.as_mut().poll_next(cx))) {
            return Poll::Ready(Some(Ok(message)));
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
        let _wakeups = hold_wakeups(); // the connection's task may wait for room
        self.messages.close();
    }
}

impl Drop for CloseOnDrop {
    fn drop(&mut self) {
        self.0.close(CloseCode::NORMAL, "");
    }
}
