//! RFC 6455 §7.1.5: the peer's close frame says how a connection ended, even if a write failed
//! before that frame was read.

use prism_core::{CloseCode, ProtocolError, SendError, State};

use crate::common::{
    clock::{ROLES, s, started},
    close,
    frame::Frame,
    machine::Machine,
    ping, text,
};

#[test]
fn after_a_failed_write_messages_are_still_received() {
    for mut machine in Machine::both() {
        machine.ws.handle_write_error();
        assert_eq!(machine.state(), State::Closing);
        assert!(machine.ws.wants_read());
        let seen = machine.receive_frames([
            Frame::text("one"),
            Frame::ping("?"),
            Frame::text("two"),
            Frame::close(1000, "done"),
        ]);
        assert_eq!(seen, [text("one"), ping("?"), text("two"), close(1000, "done")]);
        assert_eq!(machine.sent(), [], "the transport takes nothing");
        assert_eq!(machine.ws.receive_eof(), Ok(()), "the peer had closed");
    }
}

#[test]
fn after_a_failed_write_nothing_can_be_sent() {
    for mut machine in Machine::both() {
        machine.ws.handle_write_error();
        assert_eq!(machine.send("late"), Err(SendError::Closed));
        assert_eq!(machine.ping(b""), Err(SendError::Closed));
        assert!(!machine.close(CloseCode::NORMAL, "late"));
        assert_eq!(machine.sent(), []);
    }
}

#[test]
fn after_a_failed_write_eof_without_a_close_is_an_error() {
    for mut machine in Machine::both() {
        machine.ws.handle_write_error();
        assert_eq!(machine.ws.receive_eof(), Err(ProtocolError::UnexpectedEof));
    }
}

#[test]
fn after_a_failed_write_the_peer_is_read_for_the_close_timeout() {
    for role in ROLES {
        let mut machine = started(role, s(0));
        machine.ws.handle_write_error();
        assert_eq!(machine.ws.poll_timeout(), Some(s(0)), "it starts with the next call");
        assert_eq!(machine.at(s(19)), Ok(()));
        assert_eq!(machine.ws.poll_timeout(), Some(s(24)));
        assert_eq!(machine.receive_frames([Frame::text("late")]), [text("late")]);
        assert_eq!(machine.at(s(24)), Ok(()));
        assert!(!machine.ws.wants_read());
        assert_eq!((machine.state(), machine.sent()), (State::Closed, Vec::new()));
    }
}

#[test]
fn a_failed_write_does_not_change_the_close_deadline() {
    for role in ROLES {
        let mut machine = started(role, s(0));
        assert!(machine.close(CloseCode::NORMAL, ""));
        machine.sent();
        machine.at(s(1)).unwrap();
        machine.ws.handle_write_error();
        assert_eq!(machine.ws.poll_timeout(), Some(s(6)));
        assert_eq!(machine.at(s(6)), Err(ProtocolError::CloseTimeout));
        machine.ws.handle_write_error();
        assert_eq!(machine.state(), State::Closed);
    }
}
