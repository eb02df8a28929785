//! [`EndedSession`]: what a session did, checked against the contract of handlers.

use prism_core::{Config, Role, deflate::DeflateParams};
use prism_driver::{AcceptError, Disconnect, Failure, OwnedMessage, ProtocolError};

use crate::{
    LIMIT,
    common::{
        Seen,
        deflate::eager,
        frame::{BINARY, CLOSE, PING, PONG, TEXT, sent_by},
        machine::{Machine, limited, quiet},
    },
    drive::whole_frames,
    handler::Record,
};

/// What serving returned; `None` if the session was dropped.
pub type Ending = Option<Result<Disconnect, AcceptError>>;

/// Everything that both sides know of a session after its end.
pub struct EndedSession<'a> {
    /// What the handler has seen and done.
    pub record: &'a Record,
    /// The length of the request with which the session began; 0 without a handshake.
    pub head: usize,
    /// What the handshake has agreed on for compression.
    pub params: Option<DeflateParams>,
    /// The bytes that the server has received.
    pub given: &'a [u8],
    /// The bytes that the peer has received.
    pub received: &'a [u8],
    /// Whether the peer has ended its side.
    pub over: bool,
    /// Whether the transport may have failed, or not taken all that was written.
    pub faulty: bool,
}

impl EndedSession<'_> {
    /// Checks the contract.
    ///
    /// # Panics
    /// If the session does not meet it.
    pub fn judge(&self, ending: Ending) {
        let record = self.record;
        assert_eq!(record.ended, usize::from(record.connected));
        let mut machine = self.machine(Role::Server, &limited(LIMIT));
        let seen = machine.receive(self.given.get(self.head..).unwrap_or_default());
        let messages: Vec<_> = seen.iter().filter_map(message).collect();
        assert!(messages.starts_with(&record.heard), "each message, once and in order");
        let all_heard = messages.len() == record.heard.len() || record.closed.is_some();
        if !record.connected {
            // The session was dropped early, or the handshake failed.
            assert!(!matches!(ending, Some(Ok(_))) && record.heard.is_empty());
            return;
        }
        let written = self.judge_output(&seen, &record.accepted);
        let Some(ending) = ending else { return };
        let reason = ending.expect("no handler without a handshake");
        let told = record.reason.as_ref().expect("the handler was told");
        assert_eq!(format!("{told:?}"), format!("{reason:?}"));
        match reason {
            Disconnect::Peer { code, reason } => {
                assert_eq!(seen.last(), Some(&Seen::Close(code.into(), reason)));
                assert!(all_heard && (written || self.faulty));
            }
            Disconnect::Local { code, reason } => {
                assert_eq!(record.closed, Some((code, reason)));
                assert!(matches!(seen.last(), Some(Seen::Close(..))));
                assert!(written || self.faulty);
            }
            Disconnect::Failed(failure) => self.judge_failure(&failure, &seen, all_heard),
            _ => panic!("unknown reason: {reason}"),
        }
    }

    fn judge_failure(&self, failure: &Failure, seen: &[Seen], all_heard: bool) {
        match failure {
            Failure::Aborted => assert!(self.record.aborted),
            Failure::HandlerPanicked => assert!(self.record.panicked),
            Failure::Io(_) | Failure::WriteStalled => assert!(self.faulty),
            Failure::Protocol(ProtocolError::UnexpectedEof) => {
                assert!(self.over && (all_heard || self.faulty));
            }
            Failure::Protocol(ProtocolError::KeepaliveTimeout | ProtocolError::CloseTimeout) => {}
            Failure::Protocol(error) => {
                assert_eq!(seen.last(), Some(&Seen::Error(*error)));
                assert!(all_heard);
            }
            _ => panic!("unexpected failure: {failure}"),
        }
    }

    /// Returns a machine that has agreed on the same.
    fn machine(&self, role: Role, config: &Config) -> Machine {
        let machine = Machine::new(role, config);
        match self.params {
            Some(params) => machine.with_deflate(&eager(), params),
            None => machine,
        }
    }

    /// Checks that the peer has received whole frames: accepted messages in order, answers to pings, and
    /// nothing after a close frame. Returns whether it has received everything, with a close frame.
    fn judge_output(&self, seen: &[Seen], accepted: &[OwnedMessage]) -> bool {
        let mut received = self.received;
        if self.head > 0 {
            let end = received.windows(4).position(|end| end == b"\r\n\r\n");
            received = end.map_or(&[], |end| &received[end + 4..]);
        }
        let frames = sent_by(Role::Server, whole_frames(received));
        let mut peer = self.machine(Role::Client, &quiet());
        let (mut sent, mut pings) = (accepted.iter(), seen.iter());
        for (i, frame) in frames.iter().enumerate() {
            match frame.opcode() {
                TEXT | BINARY => {
                    let received = peer.receive_frames([frame.clone()]);
                    let received: Vec<_> = received.iter().filter_map(message).collect();
                    assert_eq!(received.first(), sent.next(), "{frame:?}");
                }
                PONG => {
                    let asked = |seen: &Seen| *seen == Seen::Ping(frame.payload.clone());
                    assert!(pings.any(asked), "each pong answers a ping");
                }
                PING => {}
                _ => assert!(frame.opcode() == CLOSE && i + 1 == frames.len(), "{frames:?}"),
            }
        }
        sent.len() == 0 && frames.last().is_some_and(|frame| frame.opcode() == CLOSE)
    }
}

fn message(seen: &Seen) -> Option<OwnedMessage> {
    match seen {
        Seen::Text(text) => Some(OwnedMessage::Text(text.clone())),
        Seen::Binary(bytes) => Some(OwnedMessage::Binary(bytes.clone())),
        _ => None,
    }
}
