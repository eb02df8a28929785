//! [`ProxyError`]: why a proxy did not connect a client to a server.

use std::{borrow::Cow, error::Error, fmt, io};

use prism_core::HandshakeError;

use crate::{client::url::ServerAddress, error::refusal::Refusal};

/// The reason why a client has no connection through its proxy. The text names the proxy. It never shows the user name
/// or the password.
#[derive(Debug)]
#[non_exhaustive]
pub struct ProxyError {
    /// The proxy's host and port.
    pub proxy: String,
    /// What went wrong.
    pub failure: ProxyFailure,
}

/// What went wrong with a proxy.
#[derive(Debug)]
#[non_exhaustive]
pub enum ProxyFailure {
    /// The proxy closed the connection before it had answered.
    Closed,
    /// The proxy does not accept the user name and the password.
    CredentialsRejected,
    /// The proxy requires a user name and a password.
    CredentialsRequired,
    /// The proxy's answer violates its protocol. The text says how.
    InvalidAnswer(Cow<'static, str>),
    /// The connection to the proxy failed before it had answered.
    Io(io::Error),
    /// The HTTP proxy refused, with this response. A status of 403 usually means that the server or its port is not
    /// allowed, one of 502 to 504 that the proxy could not reach the server. The response's body is not read.
    Refused(Refusal),
    /// The proxy refused, with this reply of SOCKS5 (RFC 1928 §6).
    RefusedSocks(u8),
    /// The [connect timeout](crate::ClientOptions::connect_timeout) passed before the proxy had answered.
    TimedOut,
    /// Bytes of the proxy had arrived right after its answer, although a server of WebSockets does not speak first. A
    /// client that took them for the server's would let the proxy answer in its place.
    UnexpectedBytes,
    /// No connection to the proxy could be established within the [connect
    /// timeout](crate::ClientOptions::connect_timeout). The error names each address that was tried, with the reason.
    Unreachable(io::Error),
    /// The proxy requires another kind of authentication than a user name and a password.
    UnsupportedAuthentication,
}

impl ProxyError {
    /// Returns whether another attempt may succeed although nothing else has changed: if the proxy could not be reached
    /// or did not answer, or if it could not reach the server (a status of 408, 425, 429, 500, 502, 503 or 504, or a
    /// reply of 1, 3, 4, 5 or 6).
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        use ProxyFailure::*;
        match &self.failure {
            Closed | Io(_) | TimedOut | Unreachable(_) => true,
            Refused(refusal) => refusal.is_transient(),
            RefusedSocks(reply) => matches!(reply, 1 | 3..=6),
            CredentialsRejected
            | CredentialsRequired
            | InvalidAnswer(_)
            | UnexpectedBytes
            | UnsupportedAuthentication => false,
        }
    }
}

impl ProxyFailure {
    pub(crate) fn of(self, proxy: &ServerAddress) -> ProxyError {
        ProxyError { proxy: proxy.to_string(), failure: self }
    }
}

/// Returns what a reply of SOCKS5 means (RFC 1928 §6).
const fn meaning(reply: u8) -> &'static str {
    match reply {
        1 => "general failure",
        2 => "its rules do not allow the connection",
        3 => "the network cannot be reached",
        4 => "the host cannot be reached",
        5 => "the server refuses connections",
        6 => "the time to live has expired",
        7 => "it does not support the command CONNECT",
        8 => "it does not support this type of address",
        _ => "unknown reason",
    }
}

impl fmt::Display for ProxyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the proxy {} {}", self.proxy, self.failure)
    }
}

/// The end of a sentence that begins with the proxy.
impl fmt::Display for ProxyFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => f.write_str("closed the connection without an answer"),
            Self::CredentialsRejected => {
                f.write_str("does not accept the user name and the password")
            }
            Self::CredentialsRequired => f.write_str("requires a user name and a password"),
            Self::InvalidAnswer(error) => write!(f, "sent an invalid answer: {error}"),
            Self::Io(error) => write!(f, "did not answer: {error}"),
            Self::Refused(refusal) => {
                write!(f, "refused with status {}; expected 200", refusal.status)
            }
            Self::RefusedSocks(reply) => {
                write!(f, "refused with reply {reply}: {}", meaning(*reply))
            }
            Self::TimedOut => f.write_str("did not answer within the connect timeout"),
            Self::UnexpectedBytes => f.write_str("sent more than its answer"),
            Self::Unreachable(error) => write!(f, "cannot be reached: {error}"),
            Self::UnsupportedAuthentication => f.write_str(
                "requires another kind of authentication than a user name and a password",
            ),
        }
    }
}

impl Error for ProxyError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.failure {
            ProxyFailure::Io(error) | ProxyFailure::Unreachable(error) => Some(error),
            _ => None,
        }
    }
}

impl From<io::Error> for ProxyFailure {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<HandshakeError> for ProxyFailure {
    fn from(error: HandshakeError) -> Self {
        Self::InvalidAnswer(error.to_string().into())
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::{
        ProxyError,
        ProxyFailure::{self, *},
    };
    use crate::error::refusal::Refusal;

    fn is_transient(failure: ProxyFailure) -> bool {
        ProxyError { proxy: "proxy:80".into(), failure }.is_transient()
    }

    #[test]
    fn a_failure_is_transient_if_waiting_can_help() {
        let reset = || io::Error::from(io::ErrorKind::ConnectionReset);
        for failure in [Closed, Io(reset()), TimedOut, Unreachable(reset())] {
            assert!(is_transient(failure));
        }
        for failure in [
            CredentialsRejected,
            CredentialsRequired,
            InvalidAnswer("a".into()),
            UnexpectedBytes,
            UnsupportedAuthentication,
        ] {
            assert!(!is_transient(failure));
        }
        let refused = |status| {
            Refused(Refusal { status, headers: Vec::new(), body: Vec::new(), redirects: 0 })
        };
        let statuses: Vec<_> = (100..600).filter(|status| is_transient(refused(*status))).collect();
        assert_eq!(statuses, [408, 425, 429, 500, 502, 503, 504]);
        let replies: Vec<_> =
            (0..=255).filter(|reply| is_transient(RefusedSocks(*reply))).collect();
        assert_eq!(replies, [1, 3, 4, 5, 6]);
    }
}
