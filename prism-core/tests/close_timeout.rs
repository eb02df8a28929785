//! RFC 6455 §7.1.1: whether the peer finishes closing. The test sets the time.

use core::time::Duration;

use bytes::Buf;
use prism_core::{CloseCode, ProtocolError, Role, State};

use crate::common::{
    clock::{ROLES, config, pings, s, started},
    close, error,
    frame::Frame,
    pair::Pair,
};

#[test]
fn an_unanswered_close_is_given_up_at_the_close_timeout() {
    for role in ROLES {
        let mut machine = started(role, s(0));
        assert!(machine.close(CloseCode::NORMAL, ""));
        assert_eq!(machine.ws.poll_timeout(), Some(s(0)), "fresh: due at once");
        machine.at(s(7)).unwrap();
        assert_eq!(machine.ws.poll_timeout(), Some(s(12)), "and counted from then");
        machine.at(Duration::from_millis(11_999)).unwrap();
        assert!(!machine.ws.wants_shutdown());
        assert_eq!(machine.at(s(12)), Err(ProtocolError::CloseTimeout));
        assert!(machine.ws.wants_shutdown() && !machine.ws.wants_read());
        assert_eq!((machine.state(), machine.ws.poll_timeout()), (State::Closed, None));
        assert_eq!(machine.sent(), [Frame::close(1000, "")], "and no second close frame");
        assert_eq!(
            machine.receive_frames([Frame::close(1000, "")]),
            [error(ProtocolError::CloseTimeout)]
        );
        assert_eq!(machine.ws.receive_eof(), Err(ProtocolError::CloseTimeout));
    }
}

#[test]
fn messages_do_not_extend_the_close_timeout() {
    for role in ROLES {
        let mut machine = started(role, s(0));
        assert!(machine.close(CloseCode::NORMAL, ""));
        for at in 0..5 {
            machine.at(s(at)).unwrap();
            assert_eq!(machine.receive_frames([Frame::text("one more"), Frame::ping("")]).len(), 2);
        }
        assert_eq!(machine.at(s(5)), Err(ProtocolError::CloseTimeout));
    }
}

#[test]
fn a_close_stops_the_keepalive() {
    for role in ROLES {
        let mut machine = started(role, s(0));
        machine.at(s(20)).unwrap();
        assert_eq!(pings(&mut machine), 1);
        assert!(machine.close(CloseCode::NORMAL, ""));
        machine.sent();
        machine.at(s(28)).unwrap();
        assert_eq!(machine.at(s(30)), Ok(()), "the ping is no longer judged");
        assert_eq!(machine.ws.poll_timeout(), Some(s(33)));
        assert_eq!(machine.sent(), []);
    }
}

#[test]
fn eof_is_awaited_for_the_close_timeout() {
    for role in ROLES {
        let mut machine = started(role, s(0));
        machine.receive_frames([Frame::close(1000, "")]);
        machine.at(s(3)).unwrap();
        assert_eq!(machine.ws.poll_timeout(), Some(s(8)));
        assert_eq!(machine.state(), State::Closing);
        assert_eq!(machine.at(s(8)), Ok(()), "closed properly: no error");
        assert!(machine.ws.wants_shutdown() && !machine.ws.wants_read());
        assert_eq!((machine.state(), machine.ws.poll_timeout()), (State::Closed, None));
        assert_eq!(machine.ws.receive_eof(), Ok(()));
    }
}

#[test]
fn an_answered_close_restarts_the_close_timeout() {
    for role in ROLES {
        let mut machine = started(role, s(0));
        assert!(machine.close(CloseCode::NORMAL, ""));
        machine.at(s(0)).unwrap();
        machine.receive_frames([Frame::close(1000, "")]);
        machine.at(s(4)).unwrap();
        assert_eq!(machine.ws.poll_timeout(), Some(s(9)));
        machine.at(s(8)).unwrap();
        assert_eq!(machine.state(), State::Closing);
        machine.at(s(9)).unwrap();
        assert_eq!(machine.state(), State::Closed);
    }
}

#[test]
fn a_failed_connection_is_given_up_at_the_close_timeout() {
    for role in ROLES {
        let mut machine = started(role, s(0));
        machine.receive_frames([Frame::new(3, "")]);
        machine.at(s(1)).unwrap();
        assert_eq!(machine.at(s(6)), Ok(()));
        assert_eq!(machine.state(), State::Closed);
        assert_eq!(
            machine.receive_buffered(),
            [error(ProtocolError::ReservedOpcode(3))],
            "still fused"
        );
    }
}

#[test]
fn the_close_timeout_is_extended_while_the_peer_reads() {
    for role in ROLES {
        let mut machine = started(role, s(0));
        machine.send(&vec![0; 10_000]).unwrap();
        assert!(machine.close(CloseCode::NORMAL, ""));
        for at in [0, 5, 10, 15] {
            assert_eq!(machine.at(s(at)), Ok(()), "it has read something since");
            machine.out.advance(1);
        }
        assert_eq!(machine.at(s(20)), Ok(()));
        assert_eq!(machine.at(s(25)), Err(ProtocolError::CloseTimeout), "it has stopped reading");
    }
}

#[test]
fn bytes_after_an_error_or_a_close_do_not_delay_the_end() {
    for role in ROLES {
        for last_words in [Frame::new(3, ""), Frame::close(1000, "")] {
            let mut machine = started(role, s(0));
            machine.receive_frames([last_words]);
            for at in 1..6 {
                machine.at(s(at)).unwrap();
                machine.receive_frames([Frame::text("I go on and on")]);
            }
            assert_eq!(machine.at(s(6)), Ok(()));
            assert_eq!(machine.state(), State::Closed);
        }
    }
}

#[test]
fn a_close_takes_no_time_when_both_ends_answer() {
    let mut pair = Pair::new(&config());
    pair.advance(s(1));
    assert!(pair.server.close(CloseCode::GOING_AWAY, "night"));
    pair.advance(s(0));
    assert_eq!(pair.states(), [State::Closed; 2]);
    assert_eq!(pair.client.seen(), [close(1001, "night")]);
    assert_eq!(pair.next_timeout(), None);
}

#[test]
fn a_trickling_reader_cannot_delay_a_close_forever() {
    for role in ROLES {
        let mut machine = started(role, s(0));
        machine.ws.send("far more than a byte at a time takes", &mut machine.out).unwrap();
        assert!(machine.close(CloseCode::NORMAL, ""));
        machine.at(s(0)).unwrap();
        for at in 1..24 {
            machine.out.advance(1);
            assert_eq!(machine.at(s(5 * at)), Ok(()), "it still reads");
        }
        machine.out.advance(1);
        assert_eq!(machine.at(s(120)), Err(ProtocolError::CloseTimeout));
    }
}

#[test]
fn a_peer_that_reads_a_kilobyte_a_second_gets_everything() {
    for (each_time, gets_all) in [(5 * 1024, true), (5 * 1024 - 1, false)] {
        let mut machine = started(Role::Server, s(0));
        machine.ws.send(&[7; 1 << 20], &mut machine.out).unwrap();
        assert!(machine.close(CloseCode::NORMAL, ""));
        machine.at(s(0)).unwrap();
        let ended = (1..).find(|at| {
            let taken = each_time.min(machine.out.len());
            machine.out.advance(taken);
            machine.at(s(5 * at)).is_err()
        });
        // The peer has one more close timeout to answer the close frame.
        let expected = if gets_all { (1 << 20) / (5 * 1024) + 2 } else { 24 };
        assert_eq!(ended, Some(expected));
        assert_eq!(machine.out.is_empty(), gets_all);
    }
}

#[test]
fn an_answer_of_a_trickling_reader_does_not_delay_the_end() {
    // The answer restarts the deadline as well, if it may still be extended.
    for answers in [10, 23] {
        let mut machine = started(Role::Server, s(0));
        machine.ws.send("far more than a byte at a time takes", &mut machine.out).unwrap();
        assert!(machine.close(CloseCode::NORMAL, ""));
        machine.at(s(0)).unwrap();
        for at in 1..=24 {
            machine.out.advance(1);
            machine.at(s(5 * at)).unwrap();
            if at == answers {
                machine.receive_frames([Frame::close(1000, "")]);
                machine.at(s(5 * at + 4)).unwrap();
            }
            let expected = if at < 24 { State::Closing } else { State::Closed };
            assert_eq!(machine.state(), expected, "at {} s", 5 * at);
        }
    }
}
