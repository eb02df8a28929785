//! [`Socket`]: a connection to `send` and `recv` on, for those who need no handler.

use std::{
    borrow::Cow,
    fmt,
    pin::Pin,
    sync::{Arc, OnceLock},
    task::{Context, Poll},
};

use async_channel::Sender;
use futures_lite::future::or;
use futures_util::{Sink, Stream};
use prism_core::{CloseCode, Message, OwnedHeaders, OwnedMessage, SendError};

use crate::{
    connection::Connection,
    error::{Disconnect, Failure},
    handler::Handler,
    runtime::{notice::Deferring, wakeups::hold_wakeups},
    socket::split::{RecvHalf, SendHalf},
};

pub(crate) mod split;

/// How many received messages wait for [`Socket::recv`]; then the peer is not read any more.
const WAITING: usize = 16;

/// A connection to `send` and `recv` on. A task of its own answers pings and sends what was sent,
/// whether or not you are in a call.
///
/// While 16 messages wait for [`recv`](Self::recv) nothing more is read, no ping and no close frame
/// either: receive, or drop the socket. Dropped, it closes the connection with 1000; that too is
/// the task's work, so before you end the runtime, call [`close`](Self::close) and wait for it.
///
/// ```no_run
/// # async fn example(socket: prism_driver::Socket) -> Result<(), Box<dyn std::error::Error>> {
/// socket.send("hello").await?;
/// println!("{:?}", socket.recv().await?);
/// # Ok(()) }
/// ```
///
/// To send and receive in two tasks, [`split`](Self::split) it. It is a [`Stream`] and a [`Sink`],
/// too, and so are its halves.
pub struct Socket {
    sending: SendHalf,
    receiving: RecvHalf,
    /// The connection forgets them as soon as its task runs.
    headers: Option<OwnedHeaders>,
}

/// The handler behind a [`Socket`].
pub(crate) struct Inbox {
    messages: Sender<OwnedMessage>,
    ended: Arc<OnceLock<Disconnect>>,
}

impl Socket {
    /// A socket, and the handler that has to run on its connection.
    pub(crate) fn new(connection: Connection) -> (Self, Inbox) {
        let (sender, messages) = async_channel::bounded(WAITING);
        let ended = Arc::new(OnceLock::new());
        let headers = connection.outbox().take_headers();
        let inbox = Inbox { messages: sender, ended: ended.clone() };
        let sending = SendHalf::new(connection);
        let receiving = RecvHalf::new(&sending, messages, ended);
        (Self { sending, receiving, headers }, inbox)
    }

    /// Sends a message, after waiting for room in the outbox; see [`Connection::send`].
    /// Cancel-safe: dropped while it waits, it has sent nothing.
    ///
    /// # Errors
    /// [`SendError::Closed`] if the connection is closing or over.
    pub async fn send<'m>(&self, message: impl Into<Message<'m>>) -> Result<(), SendError> {
        self.sending.send(message).await
    }

    /// The next message. Cancel-safe: a message is taken only when it is returned.
    ///
    /// # Errors
    /// Why the connection is over, when all that came before has been received. From then on each
    /// call says the same.
    pub async fn recv(&self) -> Result<OwnedMessage, Disconnect> {
        self.receiving.recv().await
    }

    /// Closes the connection and returns how it ended, when the peer has agreed. If it is closing
    /// already, this only waits. Messages that were not received are dropped.
    ///
    /// Cancel-safe: dropped while it waits, it has closed the connection all the same.
    pub async fn close(&self, code: CloseCode, reason: &str) -> Disconnect {
        self.sending.close(code, reason);
        loop {
            if let Err(ending) = self.recv().await {
                return ending;
            }
        }
    }

    /// Returns a header of the server's answer to the handshake; several lines of it are joined as
    /// for [`Connection::header`]. The socket keeps them; its halves do not.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<Cow<'_, str>> {
        self.headers.as_ref()?.as_headers().joined(name)
    }

    /// Returns the value of each line of a header of the server's answer, in their order: also of
    /// `Set-Cookie`, whose lines cannot be joined.
    pub fn header_all(&self, name: &str) -> impl Iterator<Item = Cow<'_, str>> {
        self.headers.iter().flat_map(move |headers| headers.as_headers().all_text(name))
    }

    /// The connection's handle, to clone and to send with from elsewhere.
    #[must_use]
    pub fn connection(&self) -> &Connection {
        self.sending.connection()
    }

    /// Two halves, for two tasks. The connection is closed with 1000 when both are dropped.
    ///
    /// ```no_run
    /// # async fn example(socket: prism_driver::Socket) -> Result<(), Box<dyn std::error::Error>> {
    /// let (sending, receiving) = socket.split();
    /// let talk = async { sending.send("hello").await };
    /// let listen = async { while let Ok(message) = receiving.recv().await { println!("{message:?}") } };
    /// # let _ = (talk, listen);
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn split(self) -> (SendHalf, RecvHalf) {
        (self.sending, self.receiving)
    }
}

/// As [`RecvHalf`]'s.
impl Stream for Socket {
    type Item = Result<OwnedMessage, Failure>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Pin::new(&mut self.receiving).poll_next(cx)
    }
}

/// As [`SendHalf`]'s.
impl Sink<OwnedMessage> for Socket {
    type Error = SendError;

    fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        Pin::new(&mut self.sending).poll_ready(cx)
    }

    fn start_send(mut self: Pin<&mut Self>, message: OwnedMessage) -> Result<(), SendError> {
        Pin::new(&mut self.sending).start_send(message)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        Pin::new(&mut self.sending).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        Pin::new(&mut self.sending).poll_close(cx)
    }
}

impl fmt::Debug for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Socket").field(self.connection()).finish()
    }
}

impl Handler for Inbox {
    async fn on_message(&self, connection: &Connection, message: Message<'_>) {
        let deliver = async {
            // It fails when nobody receives any more.
            let _ = Deferring::new(self.messages.send(message.into_owned())).await;
        };
        // Who has closed is owed no more messages, and must not wait for somebody to receive them.
        or(deliver, connection.outbox().closed_by_us()).await;
    }

    async fn on_disconnect(&self, _: &Connection, reason: Disconnect) {
        let _ = self.ended.set(reason);
        self.close();
    }
}

impl Inbox {
    /// There will be no more messages.
    fn close(&self) {
        let _wakeups = hold_wakeups(); // somebody may wait for one
        self.messages.close();
    }
}

impl Drop for Inbox {
    fn drop(&mut self) {
        self.close();
    }
}
