//! [`Handler`]: what an application does with its connections.

use std::{error::Error, fmt, io, sync::Arc};

use prism_core::{CloseCode, Message, ProtocolError};

use crate::{connection::Connection, options::when_slow::WhenSlow};

/// What an application does with the connections of a route. One instance serves them all.
///
/// Write plain `async fn`s:
///
/// ```
/// use prism_driver::{Connection, Handler, Message};
///
/// struct Echo;
///
/// impl Handler for Echo {
///     async fn on_message(&self, connection: &Connection, message: Message<'_>) {
///         let _ = connection.send(message).await; // fails only if the connection is closing
///     }
/// }
/// ```
///
/// What may be relied on is [the contract](crate#the-contract). An `Arc` of a handler is a handler
/// too, so that you can keep one to call your own methods from elsewhere.
pub trait Handler: Send + Sync + 'static {
    /// What becomes of messages for a peer that does not keep up. Asked once, before all else; by
    /// default, [`send`](Connection::send) waits. After a panic in here nothing else of the handler is
    /// called, and the connection is closed with 1011.
    fn when_slow(&self, connection: &Connection) -> WhenSlow {
        let _ = connection;
        WhenSlow::Wait
    }

    /// A connection is open. Runs before any message; may send.
    fn on_connect(&self, connection: &Connection) -> impl Future<Output = ()> + Send {
        let _ = connection;
        async {}
    }

    /// A message has come. While this runs, nothing more is read from this connection.
    fn on_message(
        &self,
        connection: &Connection,
        message: Message<'_>,
    ) -> impl Future<Output = ()> + Send;

    /// The connection is over. Runs once, last.
    fn on_disconnect(
        &self,
        connection: &Connection,
        reason: Disconnect,
    ) -> impl Future<Output = ()> + Send {
        let _ = (connection, reason);
        async {}
    }
}

impl<H: Handler> Handler for Arc<H> {
    fn when_slow(&self, connection: &Connection) -> WhenSlow {
        H::when_slow(self, connection)
    }

    fn on_connect(&self, connection: &Connection) -> impl Future<Output = ()> + Send {
        H::on_connect(self, connection)
    }

    fn on_message(
        &self,
        connection: &Connection,
        message: Message<'_>,
    ) -> impl Future<Output = ()> + Send {
        H::on_message(self, connection, message)
    }

    fn on_disconnect(
        &self,
        connection: &Connection,
        reason: Disconnect,
    ) -> impl Future<Output = ()> + Send {
        H::on_disconnect(self, connection, reason)
    }
}

/// Why a connection is over.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Disconnect {
    /// The peer closed it with this code and reason.
    Peer {
        /// The peer's code; [`CloseCode::NO_STATUS`] if it gave none.
        code: CloseCode,
        /// The peer's reason, often empty.
        reason: String,
    },
    /// We closed it with this code and reason, and the peer agreed.
    Local {
        /// Our code.
        code: CloseCode,
        /// Our reason.
        reason: String,
    },
    /// It failed.
    Failed(Failure),
}

/// How a connection failed.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Failure {
    /// We [aborted](Connection::abort) it.
    Aborted,
    /// The server's shutdown did not wait any longer.
    CutOff,
    /// The server held [too much](crate::ServerOptions::max_buffered) for peers that did not take it, and
    /// this peer had taken nothing for longest.
    Evicted,
    /// The handler panicked. The peer was told 1011.
    HandlerPanicked,
    /// The transport failed.
    Io(Arc<io::Error>),
    /// The peer broke the protocol, went silent, or left without a close frame.
    Protocol(ProtocolError),
    /// The peer took no byte of what waited for it for as long as the [write
    /// timeout](crate::Options::write_timeout), or fewer than the [least
    /// rate](crate::Options::min_write_rate).
    WriteStalled,
}

impl Failure {
    /// Whether the transport ended by itself, or was given up because the peer did not end it.
    pub(crate) const fn is_end_of_transport(&self) -> bool {
        use ProtocolError::{CloseTimeout, UnexpectedEof};
        matches!(self, Self::Io(_) | Self::Protocol(CloseTimeout | UnexpectedEof))
    }
}

impl Disconnect {
    /// The code, as a browser would report it: 1005 for a close frame without a code, 1006 if the
    /// connection failed.
    #[must_use]
    pub fn code(&self) -> u16 {
        match self {
            Self::Peer { code, .. } | Self::Local { code, .. } => (*code).into(),
            Self::Failed(_) => 1006,
        }
    }

    /// The reason in the close frame, or what went wrong.
    #[must_use]
    pub fn reason(&self) -> String {
        match self {
            Self::Peer { reason, .. } | Self::Local { reason, .. } => reason.clone(),
            Self::Failed(failure) => failure.to_string(),
        }
    }
}

impl fmt::Display for Disconnect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (who, code, reason) = match self {
            Self::Peer { code, reason } => ("the peer", code, reason),
            Self::Local { code, reason } => ("us", code, reason),
            Self::Failed(failure) => return fmt::Display::fmt(failure, f),
        };
        write!(f, "closed by {who} with {code}")?;
        // The reason is the peer's text: escaped, so that it can not forge a line in a log.
        if reason.is_empty() { Ok(()) } else { write!(f, " ({})", reason.escape_debug()) }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Aborted => f.write_str("aborted by us"),
            Self::CutOff => f.write_str("cut off by the server's shutdown"),
            Self::Evicted => f.write_str("the server held too much for peers that do not read"),
            Self::HandlerPanicked => f.write_str("the handler panicked"),
            Self::Io(error) => write!(f, "the transport failed: {error}"),
            Self::Protocol(error) => fmt::Display::fmt(error, f),
            Self::WriteStalled => f.write_str("the peer stopped reading, or reads too slowly"),
        }
    }
}

impl Error for Disconnect {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            // This says what the failure says.
            Self::Failed(failure) => failure.source(),
            Self::Peer { .. } | Self::Local { .. } => None,
        }
    }
}

impl Error for Failure {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Io(error) => Some(&**error),
            Self::Protocol(error) => error.source(),
            Self::Aborted
            | Self::CutOff
            | Self::Evicted
            | Self::HandlerPanicked
            | Self::WriteStalled => None,
        }
    }
}

impl From<ProtocolError> for Failure {
    fn from(error: ProtocolError) -> Self {
        Self::Protocol(error)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Io(Arc::new(error))
    }
}
