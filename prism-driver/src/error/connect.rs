//! [`ConnectError`]: why a client could not open a connection.

use std::{error::Error, fmt, io};

use prism_core::{HandshakeError, InvalidRequest};

#[cfg(feature = "tls")]
use crate::tls::error::TlsError;
use crate::{
    client::{
        proxy::{error::ProxyError, server::InvalidProxy},
        redirects::InvalidRedirect,
        url::InvalidUrl,
    },
    error::refusal::Refusal,
};

/// The reason why a client could not open a connection.
///
/// It shows whether another attempt is worthwhile. Once a final status other than 101 has arrived, the error is
/// [`Refused`](Self::Refused), even if the transport then fails or stalls, or the rest of the response is malformed.
/// (If it is a redirect that the client would have [followed](crate::Client::redirects), but must not, the error is
/// [`Redirect`](Self::Redirect).) The other errors mean that no such status arrived from the last server that was
/// asked. [`Reconnect`](crate::Reconnect) acts on them by itself. In a loop of your own:
///
/// ```
/// use std::time::Duration;
/// # use prism_driver::{ConnectError, HandshakeError};
/// /// Returns how long to wait before the next attempt, or `None` if that would fail in the same way.
/// fn retry_after(error: &ConnectError) -> Option<Duration> {
///     match error {
///         // The network is unreliable, or the server is restarting.
///         ConnectError::Unreachable(_) | ConnectError::Io(_) | ConnectError::TimedOut => {
///             Some(Duration::from_secs(1))
///         }
///         // The proxy, if there is one.
///         ConnectError::Proxy(error) if error.is_transient() => Some(Duration::from_secs(1)),
///         // The server dropped the handshake without an answer, as a busy one does.
///         ConnectError::Handshake(HandshakeError::UnexpectedEof) => Some(Duration::from_secs(1)),
///         // The server is busy, and may say for how long.
///         ConnectError::Refused(refusal) if matches!(refusal.status, 429 | 502..=504) => {
///             let seconds = refusal.header("Retry-After").and_then(|value| value.parse().ok());
///             Some(Duration::from_secs(seconds.unwrap_or(30)))
///         }
///         // The token, the path or the URL is wrong, or this is not a WebSocket server.
///         _ => None,
///     }
/// }
/// # assert!(retry_after(&ConnectError::TimedOut).is_some());
/// # assert!(retry_after(&HandshakeError::UnexpectedEof.into()).is_some());
/// # assert!(retry_after(&HandshakeError::NotHttp.into()).is_none());
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum ConnectError {
    /// The response is not a valid acceptance of the handshake, or the server closed the transport without accepting or
    /// refusing.
    Handshake(HandshakeError),
    /// The URL of a proxy is invalid or not supported.
    InvalidProxy(InvalidProxy),
    /// A header or subprotocol of the request is invalid. (An invalid host or path is an invalid URL.)
    InvalidRequest(InvalidRequest),
    /// The URL is invalid, or needs TLS.
    InvalidUrl(InvalidUrl),
    /// The transport failed with an I/O error during the handshake.
    Io(io::Error),
    /// The [proxy](crate::Client::proxy) cannot be reached, or did not connect the client to the server.
    Proxy(ProxyError),
    /// The server redirects the client to where it must not go.
    Redirect(InvalidRedirect),
    /// The server refused: it requires a login, redirects, does not know the path, and so on. Prism follows no
    /// redirects, except as many as [`Client::redirects`](crate::Client::redirects) allows, and answers no challenges.
    /// The variant contains the response, so that you can act on it.
    Refused(Refusal),
    /// The TLS handshake failed, usually because the server's certificate is not trusted. The error says which server
    /// that was, why, and [whether](TlsError::is_transient) another attempt may help.
    #[cfg(feature = "tls")]
    Tls(TlsError),
    /// The [handshake timeout](crate::Options::handshake_timeout) passed before the server had accepted or refused.
    TimedOut,
    /// The host name could not be resolved, or no connection to any of its addresses could be established within the
    /// [connect timeout](crate::ClientOptions::connect_timeout). The error names each address that was tried, with the
    /// reason.
    Unreachable(io::Error),
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Handshake(error) => write!(f, "invalid handshake response: {error}"),
            Self::InvalidProxy(error) => write!(f, "invalid proxy: {error}"),
            Self::InvalidRequest(error) => fmt::Display::fmt(error, f),
            Self::InvalidUrl(error) => write!(f, "invalid URL: {error}"),
            Self::Io(error) => write!(f, "the transport failed during the handshake: {error}"),
            Self::Proxy(error) => fmt::Display::fmt(error, f),
            Self::Redirect(error) => write!(f, "the server redirects, but {error}"),
            Self::Refused(refusal) => {
                write!(f, "the server refused with status {}; expected 101", refusal.status)?;
                match refusal.redirects {
                    0 => Ok(()),
                    1 => f.write_str(" (after one redirect)"),
                    count => write!(f, " (after {count} redirects)"),
                }
            }
            #[cfg(feature = "tls")]
            Self::Tls(error) => fmt::Display::fmt(error, f),
            Self::TimedOut => f.write_str("the server did not answer within the handshake timeout"),
            Self::Unreachable(error) => write!(f, "the server cannot be reached: {error}"),
        }
    }
}

impl Error for ConnectError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Handshake(error) => Some(error),
            Self::InvalidProxy(error) => Some(error),
            Self::InvalidRequest(error) => error.source(),
            Self::InvalidUrl(error) => Some(error),
            Self::Io(error) | Self::Unreachable(error) => Some(error),
            Self::Proxy(error) => error.source(),
            Self::Redirect(error) => Some(error),
            #[cfg(feature = "tls")]
            Self::Tls(error) => error.source(),
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

impl From<InvalidProxy> for ConnectError {
    fn from(error: InvalidProxy) -> Self {
        Self::InvalidProxy(error)
    }
}

impl From<ProxyError> for ConnectError {
    fn from(error: ProxyError) -> Self {
        Self::Proxy(error)
    }
}

impl From<InvalidRedirect> for ConnectError {
    fn from(error: InvalidRedirect) -> Self {
        Self::Redirect(error)
    }
}

impl From<InvalidUrl> for ConnectError {
    fn from(error: InvalidUrl) -> Self {
        Self::InvalidUrl(error)
    }
}

#[cfg(feature = "tls")]
impl ConnectError {
    /// Creates the error of a handshake with this server, of which a transport with TLS has reported a failure.
    pub(crate) fn of_tls(error: io::Error, server: &str) -> Self {
        TlsError::of_handshake(&error, server).map_or(Self::Io(error), Self::Tls)
    }
}

#[cfg(feature = "tls")]
impl From<TlsError> for ConnectError {
    fn from(error: TlsError) -> Self {
        Self::Tls(error)
    }
}

impl From<Refusal> for ConnectError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}
