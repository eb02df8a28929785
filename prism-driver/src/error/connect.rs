//! [`ConnectError`]: why a client got no connection; [`Refusal`]: what a server said instead.

use std::{borrow::Cow, error::Error, fmt, io};

use prism_core::{HandshakeError, Headers, InvalidRequest, Response};

use crate::client::url::InvalidUrl;

/// Why a client got no connection.
///
/// It tells whether another attempt makes sense. What the server has decided is
/// [`Refused`](Self::Refused), however the server goes on, or goes away, after the status of its answer.
///
/// ```
/// use std::time::Duration;
/// use prism_driver::ConnectError;
///
/// /// How long to wait before the next attempt; `None`: the next one would end as this one did.
/// fn retry_after(error: &ConnectError) -> Option<Duration> {
///     match error {
///         // The line is bad, or the server restarts.
///         ConnectError::Unreachable(_) | ConnectError::Io(_) | ConnectError::TimedOut => {
///             Some(Duration::from_secs(1))
///         }
///         // It is busy, and may say for how long.
///         ConnectError::Refused(refusal) if matches!(refusal.status, 429 | 502..=504) => {
///             let seconds = refusal.header("Retry-After").and_then(|value| value.parse().ok());
///             Some(Duration::from_secs(seconds.unwrap_or(30)))
///         }
///         // A wrong token, a wrong path, a wrong URL, or something that is not a WebSocket server.
///         _ => None,
///     }
/// }
/// # assert!(retry_after(&ConnectError::TimedOut).is_some());
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum ConnectError {
    /// The answer is not that of a WebSocket server, or it ended before its head did.
    Handshake(HandshakeError),
    /// A header or sub-protocol cannot be sent.
    InvalidRequest(InvalidRequest),
    /// The URL is not one to connect to.
    InvalidUrl(InvalidUrl),
    /// The transport failed before the whole head of an answer came.
    Io(io::Error),
    /// The server refused: it asks for a login, redirects, has no such path ... Prism follows no
    /// redirect and answers no challenge: what the server said is in here, for you to act on.
    Refused(Refusal),
    /// The handshake timeout passed before the whole head of an answer came.
    TimedOut,
    /// The host has no address, or none at which somebody answered within the connect timeout. The
    /// error names each address that was tried.
    Unreachable(io::Error),
}

/// A server's answer other than "101 Switching Protocols".
///
/// It is given as soon as it is there, or a second after its status, with what has come of the rest. So
/// a server that never ends the body keeps nobody waiting, and hides nothing.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Refusal {
    /// The status, such as 401 or 302.
    pub status: u16,
    /// The header lines.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The start of the body, without the framing of chunks: 8 KiB of it, or what had come.
    pub body: Vec<u8>,
}

impl Refusal {
    /// Returns a header; several lines of it are joined as for
    /// [`Connection::header`](crate::Connection::header).
    #[must_use]
    pub fn header(&self, name: &str) -> Option<Cow<'_, str>> {
        Headers::join(name, self.values(name))
    }

    /// Returns the value of each line of a header, in their order: also of `Set-Cookie`, whose lines
    /// cannot be joined.
    pub fn header_all(&self, name: &str) -> impl Iterator<Item = Cow<'_, str>> {
        self.values(name).map(String::from_utf8_lossy)
    }

    fn values(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        let is_it = move |(own, _): &&(String, _)| own.eq_ignore_ascii_case(name);
        self.headers.iter().filter(is_it).map(|(_, value)| &**value)
    }
}

impl From<&Response<'_>> for Refusal {
    fn from(response: &Response<'_>) -> Self {
        let headers =
            response.headers().iter().map(|(name, value)| (name.to_owned(), value.to_vec()));
        Self {
            status: response.status(),
            headers: headers.collect(),
            body: response.body().to_vec(),
        }
    }
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Handshake(error) => write!(f, "not the answer of a WebSocket server: {error}"),
            Self::InvalidRequest(error) => fmt::Display::fmt(error, f),
            Self::InvalidUrl(error) => write!(f, "invalid URL: {error}"),
            Self::Io(error) => write!(f, "the transport failed during the handshake: {error}"),
            Self::Refused(refusal) => {
                write!(f, "the server refused with status {}; expected 101", refusal.status)
            }
            Self::TimedOut => f.write_str("the server did not answer within the handshake timeout"),
            Self::Unreachable(error) => write!(f, "the server cannot be reached: {error}"),
        }
    }
}

impl Error for ConnectError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Handshake(error) => Some(error),
            Self::InvalidRequest(error) => error.source(),
            Self::InvalidUrl(error) => Some(error),
            Self::Io(error) | Self::Unreachable(error) => Some(error),
            Self::Refused(_) | Self::TimedOut => None,
        }
    }
}

impl From<io::Error> for ConnectError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<HandshakeError> for ConnectError {
    fn from(error: HandshakeError) -> Self {
        Self::Handshake(error)
    }
}

impl From<InvalidRequest> for ConnectError {
    fn from(error: InvalidRequest) -> Self {
        Self::InvalidRequest(error)
    }
}

impl From<InvalidUrl> for ConnectError {
    fn from(error: InvalidUrl) -> Self {
        Self::InvalidUrl(error)
    }
}

impl From<Refusal> for ConnectError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}
