//! The reasons why a connection ended ([`Disconnect`]), was never opened ([`AcceptError`], [`ConnectError`]), or did
//! not take a message ([`TrySendError`]).
//!
//! [`ConnectError`]: connect::ConnectError

use std::{error::Error, fmt, io, sync::Arc};

use prism_core::{CloseCode, ProtocolError, SendError};

pub(crate) mod connect;
pub(crate) mod refusal;

/// The reason why a connection ended. [Close codes](crate::docs::close_codes) lists what leads to each, and
/// [Troubleshooting](crate::docs::troubleshooting) what to do.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Disconnect {
    /// The peer closed the connection, with this code and reason.
    Peer {
        /// The peer's code; [`CloseCode::NO_STATUS`] if it gave none.
        code: CloseCode,
        /// The peer's reason, often empty.
        reason: String,
    },
    /// This side closed the connection first, with this code and reason, and the peer sent a close frame as well.
    Local {
        /// The code that was sent.
        code: CloseCode,
        /// The reason that was sent.
        reason: String,
    },
    /// The connection failed.
    Failed(Failure),
}

/// The way in which a connection failed.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Failure {
    /// The application [aborted](crate::Connection::abort) the connection.
    Aborted,
    /// The server held [too much](crate::ServerOptions::max_buffered) data for peers that did not take it, and this
    /// peer had gone the longest without taking any.
    Evicted,
    /// The handler panicked, and the connection was closed with 1011.
    HandlerPanicked,
    /// The transport failed.
    Io(Arc<io::Error>),
    /// The peer broke the protocol, went silent, or left without a close frame.
    Protocol(ProtocolError),
    /// The server shut down, and the connection did not end within the [grace
    /// period](crate::ServerOptions::shutdown_grace).
    ServerShutdown,
    /// The task behind a [`Socket`](crate::Socket) or a [`ConnectionTask`](crate::ConnectionTask) was dropped, as
    /// happens when its runtime shuts down.
    TaskDropped,
    /// For the whole [write timeout](crate::Options::write_timeout), the peer took none of the data that was waiting,
    /// or it took that data more slowly than the [minimum rate](crate::Options::min_write_rate).
    WriteStalled,
}

impl Failure {
    /// Returns whether the transport ended by itself, or was given up because the peer did not end it.
    pub(crate) const fn is_end_of_transport(&self) -> bool {
        use ProtocolError::{CloseTimeout, UnexpectedEof};
        matches!(self, Self::Io(_) | Self::Protocol(CloseTimeout | UnexpectedEof))
    }
}

impl Disconnect {
    /// Returns the close code as a browser would report it: 1005 for a close frame without a code, and 1006 if the
    /// connection failed.
    #[must_use]
    pub fn code(&self) -> u16 {
        match self {
            Self::Peer { code, .. } | Self::Local { code, .. } => (*code).into(),
            Self::Failed(_) => 1006,
        }
    }

    /// Returns the reason in the close frame or, if the connection failed, a description of the failure.
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
        let (side, code, reason) = match self {
            Self::Peer { code, reason } => ("the peer", code, reason),
            Self::Local { code, reason } => ("us", code, reason),
            Self::Failed(failure) => return fmt::Display::fmt(failure, f),
        };
        write!(f, "closed by {side} with {code}")?;
        // The reason is the peer's text: escaped, so that it cannot forge a line in a log.
        if reason.is_empty() { Ok(()) } else { write!(f, " ({})", reason.escape_debug()) }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Aborted => f.write_str("aborted by us"),
            Self::Evicted => {
                f.write_str("evicted: the server held too much for peers that do not read")
            }
            Self::HandlerPanicked => f.write_str("the handler panicked"),
            Self::Io(error) => write!(f, "the transport failed: {error}"),
            Self::Protocol(error) => fmt::Display::fmt(error, f),
            Self::ServerShutdown => f.write_str("the server shut down before it had closed"),
            Self::TaskDropped => f.write_str("the connection's task was dropped with its runtime"),
            Self::WriteStalled => f.write_str("the peer stopped reading, or reads too slowly"),
        }
    }
}

impl Error for Disconnect {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            // This displays as the failure does, so its source is the failure's.
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
            | Self::Evicted
            | Self::HandlerPanicked
            | Self::ServerShutdown
            | Self::TaskDropped
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

/// The reason why a message could not be sent at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrySendError {
    /// The outbox already holds as many bytes as the [high-water mark](crate::Options::high_water_mark). The message
    /// can be sent later, when the peer has taken some.
    Full,
    /// The message can never be sent, for this reason.
    Refused(SendError),
}

impl fmt::Display for TrySendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full => f.write_str("the outbox is full"),
            Self::Refused(error) => fmt::Display::fmt(error, f),
        }
    }
}

impl Error for TrySendError {}

/// The reason why a server did not open a connection.
#[derive(Debug)]
#[non_exhaustive]
pub enum AcceptError {
    /// The transport failed or ended before the request was complete.
    Io(io::Error),
    /// The request was answered with this status, and no connection was opened.
    Refused(u16),
}

impl fmt::Display for AcceptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => write!(f, "the transport failed: {error}"),
            Self::Refused(status) => write!(f, "the request was answered with {status}"),
        }
    }
}

impl Error for AcceptError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Io(error) => Some(error),
            Self::Refused(_) => None,
        }
    }
}

impl From<io::Error> for AcceptError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}
