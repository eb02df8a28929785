//! [`Socket`]: a connection to `send` and `recv` on, for those who need no handler.

use std::sync::{Arc, OnceLock};

use async_channel::{Receiver, Sender};
use prism_core::{CloseCode, Message, OwnedMessage, SendError};

use crate::{
    connection::Connection,
    handler::{Disconnect, Failure, Handler},
};

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
#[derive(Debug)]
pub struct Socket {
    connection: Connection,
    messages: Receiver<OwnedMessage>,
    ended: Arc<OnceLock<Disconnect>>,
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
        let inbox = Inbox { messages: sender, ended: ended.clone() };
        (Self { connection, messages, ended }, inbox)
    }

    /// Sends a message, after waiting for room in the outbox; see [`Connection::send`].
    ///
    /// # Errors
    /// [`SendError::Closed`] if the connection is closing or over.
    pub async fn send<'m>(&self, message: impl Into<Message<'m>>) -> Result<(), SendError> {
        self.connection.send(message).await
    }

    /// The next message. Cancel-safe: a message is taken only when it is returned.
    ///
    /// # Errors
    /// Why the connection is over, when all that came before has been received. From then on each
    /// call says the same.
    pub async fn recv(&self) -> Result<OwnedMessage, Disconnect> {
        match self.messages.recv().await {
            Ok(message) => Ok(message),
            Err(_) => Err(self.outcome()),
        }
    }

    /// Closes the connection and returns how it ended, when the peer has agreed. Messages that were
    /// not received are dropped.
    ///
    /// # Errors
    /// If it is closing already, or the reason can not be sent.
    pub async fn close(&self, code: CloseCode, reason: &str) -> Result<Disconnect, SendError> {
        self.connection.close(code, reason)?;
        while self.messages.recv().await.is_ok() {}
        Ok(self.outcome())
    }

    /// The connection's handle, to clone and to send with from elsewhere.
    #[must_use]
    pub const fn connection(&self) -> &Connection {
        &self.connection
    }

    fn outcome(&self) -> Disconnect {
        // Nothing is set if the connection's task was dropped, with its runtime.
        self.ended.get().cloned().unwrap_or(Disconnect::Failed(Failure::CutOff))
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        // It may be closing or over already.
        let _ = self.connection.close(CloseCode::NORMAL, "");
    }
}

impl Handler for Inbox {
    async fn on_message(&self, _: &Connection, message: Message<'_>) {
        // It fails when the socket was dropped: the connection is closing then.
        let _ = self.messages.send(message.into_owned()).await;
    }

    async fn on_disconnect(&self, _: &Connection, reason: Disconnect) {
        let _ = self.ended.set(reason);
        self.messages.close();
    }
}
