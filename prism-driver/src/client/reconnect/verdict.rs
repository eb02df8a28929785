//! Whether another attempt can help, after a connection has ended or an attempt has failed.

use std::time::Duration;

use prism_core::{CloseCode, HandshakeError, ProtocolError};

use crate::error::{
    Disconnect, Failure,
    connect::{ConnectError, Refusal},
};

/// Returns whether a failed attempt may succeed later.
pub(super) fn may_succeed_later(error: &ConnectError) -> bool {
    match error {
        ConnectError::Io(_) | ConnectError::TimedOut | ConnectError::Unreachable(_) => true,
        // The server has dropped the connection without an answer, as a busy one does.
        ConnectError::Handshake(error) => matches!(error, HandshakeError::UnexpectedEof),
        ConnectError::Refused(refusal) => {
            matches!(refusal.status, 408 | 425 | 429 | 500 | 502..=504)
        }
        // The address, the request or the trust are wrong, and stay so.
        _ => false,
    }
}

/// Returns how long the server asks clients to wait (RFC 9110 §10.2.3). A date is ignored: it would depend on both
/// clocks.
pub(super) fn asked_delay(error: &ConnectError) -> Option<Duration> {
    let ConnectError::Refused(refusal) = error else { return None };
    retry_after(refusal)
}

fn retry_after(refusal: &Refusal) -> Option<Duration> {
    refusal.header("Retry-After")?.trim().parse().ok().map(Duration::from_secs)
}

/// Returns whether a connection that ended in this way should be opened again.
pub(super) fn is_worth_another(end: &Disconnect) -> bool {
    match end {
        Disconnect::Peer { code, .. } => is_transient(*code),
        // Our own close is meant.
        Disconnect::Local { .. } => false,
        Disconnect::Failed(failure) => match failure {
            Failure::Aborted | Failure::HandlerPanicked | Failure::TaskDropped => false,
            // The server would do it again, or is told that we are wrong about the protocol.
            Failure::Protocol(error) => matches!(
                error,
                ProtocolError::CloseTimeout
                    | ProtocolError::KeepaliveTimeout
                    | ProtocolError::UnexpectedEof
            ),
            Failure::Evicted | Failure::Io(_) | Failure::ServerShutdown | Failure::WriteStalled => {
                true
            }
        },
    }
}

/// Returns whether a server that closes with this code may accept another connection (RFC 6455 §7.4.1, and IANA's
/// registry).
fn is_transient(code: CloseCode) -> bool {
    matches!(u16::from(code), 1001 | 1006 | 1011..=1014)
}
