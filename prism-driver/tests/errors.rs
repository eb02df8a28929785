//! What an error was caused by, for those who report the whole chain.

use std::{error::Error, io, sync::Arc};

use prism_driver::{AcceptError, ConnectError, Disconnect, Failure, HandshakeError, ProtocolError};

fn reset() -> io::Error {
    io::ErrorKind::ConnectionReset.into()
}

/// The kind of the error of the transport that caused this one.
fn cause(error: &dyn Error) -> Option<io::ErrorKind> {
    Some(error.source()?.downcast_ref::<io::Error>()?.kind())
}

#[test]
fn a_transport_that_failed_is_the_cause() {
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
fn a_handshake_that_failed_is_the_cause() {
    let error = ConnectError::Handshake(HandshakeError::UnexpectedEof);
    let cause = error.source().and_then(|cause| cause.downcast_ref());
    assert_eq!(cause, Some(&HandshakeError::UnexpectedEof));
}

#[test]
fn what_says_nothing_of_its_own_is_not_told_twice() {
    let failure = Failure::Protocol(ProtocolError::CloseTimeout);
    assert_eq!(failure.to_string(), ProtocolError::CloseTimeout.to_string());
    assert!(failure.source().is_none());
    assert!(Disconnect::Failed(failure).source().is_none());
}
