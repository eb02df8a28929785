//! [`Socket`]: a connection to send and receive on, without a handler.
//!
//! Behind it is a handler, [`Inbox`], that puts messages into a channel. So the connection has a task of its own, which
//! answers pings while the application receives nothing. That costs an allocation for each message, because a message
//! in a channel has to own its payload. A handler of the application borrows it instead.

use std::{
    borrow::Cow,
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use async_channel::Sender;
use futures_lite::future::or;
use futures_util::{Sink, Stream};
use prism_core::{CloseCode, Message, OwnedHeaders, OwnedMessage, SendError};

#[cfg(feature = "tls")]
use crate::tls::info::TlsInfo;
use crate::{
    connection::{Connection, outgoing::Outgoing, send::Sending},
    error::{Disconnect, Failure, TrySendError},
    handler::Handler,
    runtime::{notice::Deferring, wakeups::hold_wakeups},
    socket::{
        backlog::{Backlog, MAX_MESSAGES},
        split::{RecvHalf, SendHalf},
    },
};

pub(crate) mod backlog;
pub(crate) mod split;

/// A connection to send and receive on, without a handler. [`Client::connect`](crate::Client::connect) returns a
/// socket, and a server passes one to the function of each [`socket`](crate::socket) route.
///
/// ```no_run
/// # async fn example(socket: prism_driver::Socket) -> Result<(), Box<dyn std::error::Error>> {
/// socket.send("hello").await?;
/// println!("{:?}", socket.recv().await?);
/// # Ok(()) }
/// ```
///
/// To send and receive in two tasks, [`split`](Self::split) it. A socket is also a [`Stream`] and a [`Sink`]; of its
/// halves, [`RecvHalf`] is a `Stream`, and [`SendHalf`] a `Sink`.
///
/// # The task behind it
///
/// The connection runs in a task of its own, which answers pings and writes what was sent, whether or not you are
/// calling a method. At most 16 messages, of 64 KiB in total or one longer message, wait for [`recv`](Self::recv).
/// While the next message does not fit, that task reads nothing, neither pings nor a close frame, and the keepalive
/// does not hold the peer's silence against it. So keep receiving, or drop the socket.
///
/// Dropping a socket closes the connection with 1000, or with 1011 if it is dropped by a panic. That task does the
/// close handshake as well, so before you shut the runtime down, call [`close`](Self::close) and await it.
#[doc(alias("WebSocket", "WebSocketStream"))]
pub struct Socket {
    sender: SendHalf,
    receiver: RecvHalf,
    /// The headers of the handshake. The connection drops its own as soon as its task runs.
    headers: Option<OwnedHeaders>,
    #[cfg(feature = "tls")]
    tls: Option<Arc<TlsInfo>>,
}

/// The handler behind a [`Socket`].
pub(crate) struct Inbox {
    messages: Sender<OwnedMessage>,
    backlog: Arc<Backlog>,
}

impl Socket {
    /// Creates a socket, and the handler that has to run on its connection.
    pub(crate) fn new(connection: Connection) -> (Self, Inbox) {
        let (inbox_sender, messages) = async_channel::bounded(MAX_MESSAGES);
        let backlog = Arc::<Backlog>::default();
        #[cfg(feature = "tls")]
        let tls = connection.outbox().tls();
        let headers = connection.outbox().take_headers();
        let inbox = Inbox { messages: inbox_sender, backlog: backlog.clone() };
        let sender = SendHalf::new(connection);
        let receiver = RecvHalf::new(&sender, messages, backlog);
        let socket = Self {
            sender,
            receiver,
            headers,
            #[cfg(feature = "tls")]
            tls,
        };
        (socket, inbox)
    }

    /// Sends a message in any [form](Outgoing), after waiting for room in the outbox; see [`Connection::send`].
    ///
    /// Cancel-safe: a future that is dropped while it waits has sent nothing.
    ///
    /// # Errors
    /// [`SendError::Closed`] if the connection is closing or over.
    pub fn send<M: Outgoing>(&self, message: M) -> Sending<'_, M> {
        self.sender.send(message)
    }

    /// Sends a message if the outbox has room for it now; see [`Connection::try_send`].
    ///
    /// # Errors
    /// [`TrySendError::Full`] if the outbox is full, or [`TrySendError::Refused`] if the connection is closing or over.
    pub fn try_send(&self, message: impl Outgoing) -> Result<(), TrySendError> {
        self.sender.try_send(message)
    }

    /// Receives the next message. Cancel-safe: if the future is dropped while it waits, no message is lost.
    ///
    /// # Errors
    /// The reason why the connection ended, once all messages have been received. Each further call returns the same
    /// error.
    pub async fn recv(&self) -> Result<OwnedMessage, Disconnect> {
        self.receiver.recv().await
    }

    /// Closes the connection, waits for the peer's answer, and returns how the connection ended. Messages that were not
    /// received are discarded. If the connection is already closing or over, this only waits.
    ///
    /// Cancel-safe: if the future is dropped while it waits, the connection is closed all the same.
    pub async fn close(&self, code: CloseCode, reason: &str) -> Disconnect {
        self.sender.close(code, reason);
        loop {
            if let Err(ending) = self.recv().await {
                return ending;
            }
        }
    }

    /// Returns a header of the opening request or, on a client, of the response to it. Its name is not case-sensitive.
    /// Several lines are joined as for [`Connection::header`]. The headers are lost when the socket is
    /// [split](Self::split).
    #[must_use]
    pub fn header(&self, name: &str) -> Option<Cow<'_, str>> {
        self.headers.as_ref()?.as_headers().joined(name)
    }

    /// Returns the values of all lines of a header, in order; otherwise like [`header`](Self::header). Use this for
    /// `Set-Cookie`, whose lines cannot be separated again once they are joined.
    pub fn header_all(&self, name: &str) -> impl Iterator<Item = Cow<'_, str>> {
        self.headers.iter().flat_map(move |headers| headers.as_headers().all_text(name))
    }

    /// Returns what the TLS handshake has agreed on, with the certificates of the peer; `None` without TLS, and over a
    /// [stream](crate::Client::connect_stream) with TLS of its own. Lost, as the headers are, when the socket is
    /// [split](Self::split).
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn tls(&self) -> Option<&TlsInfo> {
        self.tls.as_deref()
    }

    /// Returns the connection's handle. Clone it to send from elsewhere.
    #[must_use]
    pub fn connection(&self) -> &Connection {
        self.sender.connection()
    }

    /// Splits the socket into two halves, for two tasks. The connection is closed with 1000 when both are dropped.
    ///
    /// ```no_run
    /// # async fn example(socket: prism_driver::Socket) -> Result<(), Box<dyn std::error::Error>> {
    /// let (sender, receiver) = socket.split();
    /// let talk = async { sender.send("hello").await };
    /// let listen = async { while let Ok(message) = receiver.recv().await { println!("{message:?}") } };
    /// # let _ = (talk, listen);
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn split(self) -> (SendHalf, RecvHalf) {
        (self.sender, self.receiver)
    }
}

/// The same as the stream of [`RecvHalf`].
impl Stream for Socket {
    type Item = Result<OwnedMessage, Failure>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Pin::new(&mut self.receiver).poll_next(cx)
    }
}

/// The same as the sink of [`SendHalf`].
impl Sink<OwnedMessage> for Socket {
    type Error = SendError;

    fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        Pin::new(&mut self.sender).poll_ready(cx)
    }

    fn start_send(mut self: Pin<&mut Self>, message: OwnedMessage) -> Result<(), SendError> {
        Pin::new(&mut self.sender).start_send(message)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        Pin::new(&mut self.sender).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        Pin::new(&mut self.sender).poll_close(cx)
    }
}

impl fmt::Debug for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Socket").field(self.connection()).finish()
    }
}

impl Handler for Inbox {
    async fn on_message(&self, connection: &Connection, message: Message<'_>) {
        let len = message.as_bytes().len();
        let deliver = async {
            self.backlog.until_room(len, || self.messages.is_closed()).await;
            self.backlog.add(len);
            // This fails once the receiver is gone.
            let _ = Deferring::new(self.messages.send(message.into_owned())).await;
        };
        // After a local close, no more messages are delivered. Closing must not wait for the receiver.
        or(deliver, connection.outbox().closed_by_us()).await;
    }

    async fn on_disconnect(&self, _: &Connection, reason: Disconnect) {
        let _ = self.backlog.ended.set(reason);
        self.close();
    }
}

impl Inbox {
    /// Ends the messages: the receiver learns that there will be no more.
    fn close(&self) {
        let _wakeups = hold_wakeups(); // the receiver may be waiting
        self.messages.close();
    }
}

impl Drop for Inbox {
    fn drop(&mut self) {
        self.close();
    }
}
