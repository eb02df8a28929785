//! [`Ended`]: what a client that reconnects has lost, and whether another attempt can help.

use std::{error::Error, fmt};

use prism_core::{CloseCode, HandshakeError, ProtocolError};

use crate::{
    client::proxy::error::ProxyFailure,
    error::{Disconnect, Failure, connect::ConnectError, refusal::Refusal},
};

/// What has ended: an attempt to connect, or a connection.
#[derive(Debug)]
#[non_exhaustive]
pub enum Ended {
    /// No connection could be opened.
    Attempt(ConnectError),
    /// The function given to [`before_each`](crate::Reconnect::before_each) has failed with this error.
    BeforeEach(Box<dyn Error + Send + Sync>),
    /// The application has closed or aborted the connection, which then ended in this way; `None` if it was closed
    /// [through the handle](crate::ReconnectHandle::close) while there was no connection.
    Closed(Option<Disconnect>),
    /// The connection has failed, or the server has closed it, or [`WhenSlow::Close`](crate::WhenSlow::Close) has.
    Disconnected(Disconnect),
}

impl Ended {
    /// Returns whether another attempt may succeed although nothing else has changed:
    ///
    /// - The server could not be reached, did not answer in time, dropped the handshake without an answer, or refused
    ///   with 408, 425, 429, 500, 502, 503 or 504.
    /// - The proxy was [in the way](crate::ProxyError::is_transient), for the same kinds of reasons.
    /// - What arrived was not TLS, the server's certificate has expired or is not valid yet, or the server refused the
    ///   TLS handshake with an alert that [may pass](crate::docs::final_ends#tls).
    /// - The connection has failed. (Exceptions: a panic of the handler; a violation of the protocol by the server,
    ///   which would do so again; and the end of the runtime.)
    /// - The server has closed the connection with 1001, 1011, 1012, 1013 or 1014.
    /// - [`WhenSlow::Close`](crate::WhenSlow::Close) has closed the connection, with 1013, because the server did not
    ///   read.
    /// - The function given to [`before_each`](crate::Reconnect::before_each) has failed, unless its error is a
    ///   [`ConnectError`], which counts like that of an attempt.
    ///
    /// Everything else is final: a wrong address, a server that is not trusted for another reason or does not trust
    /// this client, another status or close code, and a close by the application, however the connection then ended.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Attempt(error) => is_transient_error(error),
            Self::BeforeEach(_) => true,
            Self::Closed(_) => false,
            Self::Disconnected(Disconnect::Peer { code, .. } | Disconnect::Local { code, .. }) => {
                is_transient_code(*code)
            }
            Self::Disconnected(Disconnect::Failed(failure)) => is_transient_failure(failure),
        }
    }

    /// Returns the close code of the connection, as [`Disconnect::code`] does; `None` if there was no connection.
    #[must_use]
    pub fn close_code(&self) -> Option<u16> {
        match self {
            Self::Disconnected(reason) | Self::Closed(Some(reason)) => Some(reason.code()),
            Self::Attempt(_) | Self::BeforeEach(_) | Self::Closed(None) => None,
        }
    }

    /// Returns the response with which the server, or the proxy, has refused.
    pub(super) const fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Attempt(ConnectError::Refused(refusal)) => Some(refusal),
            Self::Attempt(ConnectError::Proxy(error)) => match &error.failure {
                ProxyFailure::Refused(refusal) => Some(refusal),
                _ => None,
            },
            _ => None,
        }
    }

    /// Returns this as what ended when the application closed through the handle, even if something else was faster.
    pub(super) fn closed(self) -> Self {
        match self {
            Self::Closed(reason) => Self::Closed(reason),
            Self::Disconnected(reason) => Self::Closed(Some(reason)),
            Self::Attempt(_) | Self::BeforeEach(_) => Self::Closed(None),
        }
    }

    /// Returns the status with which the server has refused, such as 401 or 503; `None` if it has not refused. (That of
    /// a proxy is in its [error](crate::ProxyFailure::Refused).)
    #[must_use]
    pub const fn status(&self) -> Option<u16> {
        match self {
            Self::Attempt(ConnectError::Refused(refusal)) => Some(refusal.status),
            _ => None,
        }
    }
}

// This lists all errors, so that a new one has to be decided on.
const fn is_transient_error(error: &ConnectError) -> bool {
    match error {
        ConnectError::Io(_) | ConnectError::TimedOut | ConnectError::Unreachable(_) => true,
        // A server that is too busy, or restarts, may drop a handshake. Any other error means that this is no WebSocket
        // server.
        ConnectError::Handshake(error) => matches!(error, HandshakeError::UnexpectedEof),
        ConnectError::Refused(refusal) => refusal.is_transient(),
        ConnectError::Proxy(error) => error.is_transient(),
        ConnectError::InvalidProxy(_)
        | ConnectError::InvalidRequest(_)
        | ConnectError::InvalidUrl(_)
        | ConnectError::Redirect(_) => false,
        #[cfg(feature = "tls")]
        ConnectError::Tls(error) => error.is_transient(),
    }
}

const fn is_transient_failure(failure: &Failure) -> bool {
    use ProtocolError::{CloseTimeout, KeepaliveTimeout, UnexpectedEof};
    match failure {
        Failure::Aborted | Failure::HandlerPanicked | Failure::TaskDropped => false,
        Failure::Protocol(error) => {
            matches!(error, CloseTimeout | KeepaliveTimeout | UnexpectedEof)
        }
        Failure::Evicted | Failure::Io(_) | Failure::ServerShutdown | Failure::WriteStalled => true,
    }
}

/// Returns whether a server may accept another connection after a close with this code (RFC 6455 §7.4.1, and IANA's
/// registry: 1012 is "service restart", 1013 "try again later", 1014 "bad gateway").
fn is_transient_code(code: CloseCode) -> bool {
    matches!(u16::from(code), 1001 | 1011..=1014)
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Attempt(error) => fmt::Display::fmt(error, f),
            Self::BeforeEach(error) => write!(f, "the attempt could not be prepared: {error}"),
            Self::Closed(Some(reason @ Disconnect::Failed(_))) => {
                write!(f, "closed by us, without an answer: {reason}")
            }
            Self::Closed(None) => f.write_str("closed by us while there was no connection"),
            Self::Closed(Some(reason)) | Self::Disconnected(reason) => fmt::Display::fmt(reason, f),
        }
    }
}

impl Error for Ended {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            // These display as the error in them, so their source is that error's.
            Self::Attempt(error) => error.source(),
            Self::Closed(Some(reason)) | Self::Disconnected(reason) => reason.source(),
            Self::BeforeEach(error) => Some(&**error),
            Self::Closed(None) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use prism_core::{CloseCode, HandshakeError, ProtocolError};

    use super::Ended;
    use crate::{
        client::url::Url,
        error::{Disconnect, Failure, connect::ConnectError, refusal::Refusal},
    };

    fn refused(status: u16) -> Ended {
        Ended::Attempt(
            Refusal { status, headers: Vec::new(), body: Vec::new(), redirects: 0 }.into(),
        )
    }

    #[test]
    fn a_status_is_transient_only_if_waiting_can_help() {
        for status in [408, 425, 429, 500, 502, 503, 504] {
            assert!(refused(status).is_transient(), "{status}");
        }
        for status in [200, 301, 302, 400, 401, 403, 404, 410, 426, 451, 501, 505] {
            assert!(!refused(status).is_transient(), "{status}");
        }
        assert_eq!((refused(401).status(), refused(401).close_code()), (Some(401), None));
    }

    #[test]
    fn an_attempt_is_transient_unless_the_address_or_the_server_is_wrong() {
        let io = || std::io::Error::from(std::io::ErrorKind::ConnectionReset);
        for (error, expected) in [
            (ConnectError::Io(io()), true),
            (ConnectError::TimedOut, true),
            (ConnectError::Unreachable(io()), true),
            (HandshakeError::UnexpectedEof.into(), true),
            (HandshakeError::NotHttp.into(), false),
            (HandshakeError::InvalidAccept.into(), false),
            (prism_core::InvalidRequest::Host.into(), false),
            (Url::parse("http://example.org/").unwrap_err().into(), false),
        ] {
            let text = error.to_string();
            assert_eq!(Ended::Attempt(error).is_transient(), expected, "{text}");
        }
        assert!(Ended::BeforeEach("no token".into()).is_transient());
    }

    #[test]
    fn a_close_code_is_transient_only_if_the_server_may_accept_another_connection() {
        let closed = |code| {
            let code = CloseCode::new(code).expect("a valid code");
            Ended::Disconnected(Disconnect::Peer { code, reason: String::new() })
        };
        for code in [1001, 1011, 1012, 1013, 1014] {
            assert!(closed(code).is_transient(), "{code}");
            assert_eq!(closed(code).close_code(), Some(code));
        }
        for code in [1000, 1002, 1003, 1007, 1008, 1009, 1010, 3000, 4000, 4999] {
            assert!(!closed(code).is_transient(), "{code}");
        }
        let code = CloseCode::NO_STATUS;
        let silent = Ended::Disconnected(Disconnect::Peer { code, reason: String::new() });
        assert!(!silent.is_transient());
    }

    #[test]
    fn a_failure_is_transient_unless_it_would_happen_again() {
        use ProtocolError::{
            CloseTimeout, InvalidUtf8, KeepaliveTimeout, MessageTooBig, UnexpectedEof,
        };
        for (failure, expected) in [
            (std::io::Error::from(std::io::ErrorKind::ConnectionReset).into(), true),
            (CloseTimeout.into(), true),
            (KeepaliveTimeout.into(), true),
            (UnexpectedEof.into(), true),
            (Failure::WriteStalled, true),
            (Failure::Evicted, true),
            (InvalidUtf8.into(), false),
            (MessageTooBig(1).into(), false),
            (Failure::HandlerPanicked, false),
            (Failure::TaskDropped, false),
            (Failure::Aborted, false),
        ] {
            let ended = Ended::Disconnected(Disconnect::Failed(failure));
            assert_eq!(
                (ended.is_transient(), ended.close_code()),
                (expected, Some(1006)),
                "{ended}"
            );
        }
    }

    #[test]
    fn a_close_by_this_side_is_final_however_the_connection_ends() {
        let failed = Disconnect::Failed(ProtocolError::UnexpectedEof.into());
        let ended = Ended::Closed(Some(failed));
        assert!(!ended.is_transient());
        assert!(ended.to_string().starts_with("closed by us, without an answer: "), "{ended}");
        assert!(!Ended::Closed(None).is_transient());
    }
}
