//! The sources of errors, for applications that report the whole chain.

use std::{error::Error, io, sync::Arc};

use prism_driver::{
    AcceptError, CloseCode, ConnectError, Disconnect, Failure, HandshakeError, ProtocolError,
};

fn reset() -> io::Error {
    io::ErrorKind::ConnectionReset.into()
}

/// Returns the kind of the transport's error that caused this one.
fn cause(error: &dyn Error) -> Option<io::ErrorKind> {
    Some(error.source()?.downcast_ref::<io::Error>()?.kind())
}

#[test]
fn a_transport_failure_is_the_source() {
    let failure = Failure::Io(Arc::new(reset()));
    let ending = Disconnect::Failed(failure.clone());
    let all: [&dyn Error; 5] = [
        &AcceptError::Io(reset()),
        &ConnectError::Io(reset()),
        &ConnectError::Unreachable(reset()),
        &failure,
        &ending,
    ];
    for error in all {
        assert_eq!(cause(error), Some(io::ErrorKind::ConnectionReset), "{error}");
    }
}

#[test]
fn a_handshake_failure_is_the_source() {
    let error = ConnectError::Handshake(HandshakeError::UnexpectedEof);
    let cause = error.source().and_then(|cause| cause.downcast_ref());
    assert_eq!(cause, Some(&HandshakeError::UnexpectedEof));
}

#[test]
fn a_transparent_error_is_not_repeated_as_its_source() {
    let failure = Failure::Protocol(ProtocolError::CloseTimeout);
    assert_eq!(failure.to_string(), ProtocolError::CloseTimeout.to_string());
    assert!(failure.source().is_none());
    assert!(Disconnect::Failed(failure).source().is_none());
}

/// Errors are logged, and the peer chooses the reason of its close frame.
#[test]
fn a_peer_cannot_forge_a_log_line() {
    let reason = "bye)\r\n2026-01-01 admin logged in\u{1b}[2K\0\u{202e}\u{2028}".to_owned();
    let ending = Disconnect::Peer { code: CloseCode::NORMAL, reason };
    for shown in [ending.to_string(), format!("{ending:?}")] {
        let forged = |c: char| c.is_control() || matches!(c, '\u{202e}' | '\u{2028}');
        assert!(!shown.contains(forged), "{}", shown.escape_default());
        assert!(shown.contains("admin logged in"), "the text is escaped, not lost");
    }
}
