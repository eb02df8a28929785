//! RFC 6455 §5.5.2: whether the peer is alive. The test sets the time.

use core::time::Duration;

use bytes::Buf;
use prism_core::{ProtocolError, Role, State};

use crate::common::{
    Seen,
    clock::{ROLES, config, pings, s, started},
    error,
    frame::Frame,
    machine::{Machine, quiet},
    pair::Pair,
    ping, pong, text,
};

#[test]
fn a_deadline_starts_with_the_first_handle_timeout() {
    for role in ROLES {
        let mut machine = Machine::new(role, &config());
        assert_eq!(machine.ws.poll_timeout(), Some(s(0)));
        machine.at(s(1000)).unwrap();
        assert_eq!(machine.sent(), [], "nothing is late before it has started");
        assert_eq!(machine.ws.poll_timeout(), Some(s(1020)));
    }
}

#[test]
fn an_idle_peer_is_pinged_at_each_interval() {
    for role in ROLES {
        let mut machine = started(role, s(0));
        machine.at(s(19)).unwrap();
        assert_eq!(pings(&mut machine), 0);
        for at in [20, 40, 60] {
            machine.at(s(at)).unwrap();
            assert_eq!(pings(&mut machine), 1, "at {at} s");
            machine.receive_frames([Frame::pong("")]);
        }
    }
}

#[test]
fn two_idle_ends_stay_connected_for_days() {
    let mut pair = Pair::new(&config());
    pair.advance(s(3 * 24 * 60 * 60));
    assert_eq!(pair.states(), [State::Open; 2]);
    let per_end = 3 * 24 * 60 * 3;
    for machine in [&mut pair.client, &mut pair.server] {
        let seen = machine.seen();
        let count = |wanted: fn(&Seen) -> bool| seen.iter().filter(|seen| wanted(seen)).count();
        assert_eq!(count(|seen| matches!(seen, Seen::Ping(_))), per_end);
        assert_eq!(count(|seen| matches!(seen, Seen::Pong(_))), per_end);
        assert_eq!(seen.len(), 2 * per_end);
    }
}

#[test]
fn without_pings_nothing_is_due() {
    let mut pair = Pair::new(&quiet());
    assert_eq!(pair.next_timeout(), None);
    pair.advance(s(1_000_000));
    assert_eq!((pair.client.seen(), pair.server.seen()), (vec![], vec![]));
}

#[test]
fn a_peer_that_stays_silent_after_a_ping_is_dead() {
    for role in ROLES {
        let mut machine = started(role, s(0));
        machine.at(s(20)).unwrap();
        assert_eq!(pings(&mut machine), 1);
        assert_eq!(machine.ws.poll_timeout(), Some(s(30)));
        machine.at(Duration::from_millis(29_999)).unwrap();
        assert_eq!(machine.at(s(30)), Err(ProtocolError::KeepaliveTimeout));
        assert_eq!(machine.sent()[0].close_code(), Some(1011));
        assert_eq!(machine.state(), State::Closing);
        assert_eq!(machine.receive_buffered(), [error(ProtocolError::KeepaliveTimeout)], "fused");
        let late = machine.receive_frames([Frame::text("late")]);
        assert_eq!(late, [error(ProtocolError::KeepaliveTimeout)]);
        assert_eq!(machine.ws.receive_eof(), Err(ProtocolError::KeepaliveTimeout));
    }
}

#[test]
fn both_ends_notice_a_lost_connection() {
    let mut pair = Pair::new(&config());
    pair.advance(s(65));
    pair.client.seen();
    pair.server.seen();
    pair.cut = true;
    pair.advance(s(24));
    assert_eq!(pair.states(), [State::Open; 2], "the pings of second 80 have until 90");
    pair.advance(s(2));
    for machine in [&mut pair.client, &mut pair.server] {
        assert_eq!(machine.seen(), [error(ProtocolError::KeepaliveTimeout)]);
    }
    pair.advance(s(5));
    assert_eq!(pair.states(), [State::Closed; 2]);
    assert_eq!(pair.next_timeout(), None);
}

#[test]
fn anything_received_after_a_ping_counts_as_an_answer() {
    let whole = |frame: Frame| frame.masked().encoded();
    let signs = [
        whole(Frame::pong("not even the right one")),
        whole(Frame::ping("")),
        whole(Frame::text("hello")),
        whole(Frame::binary([1; 50]))[..20].to_vec(),
        vec![0x81],
    ];
    for sign in signs {
        let mut server = started(Role::Server, s(0));
        server.at(s(20)).unwrap();
        server.receive(&sign);
        server.at(s(30)).unwrap();
        assert_eq!((server.state(), server.ws.poll_timeout()), (State::Open, Some(s(40))));
    }
}

#[test]
fn bytes_received_before_a_ping_do_not_answer_it() {
    for role in ROLES {
        let mut machine = started(role, s(0));
        machine.receive_frames([Frame::text("hello")]);
        machine.at(s(20)).unwrap();
        machine.at(s(29)).unwrap();
        assert_eq!(machine.at(s(30)), Err(ProtocolError::KeepaliveTimeout));
    }
}

#[test]
fn a_busy_peer_is_pinged_too() {
    let mut server = started(Role::Server, s(0));
    for at in 1..=60 {
        assert_eq!(server.receive_frames([Frame::text("busy")]), [text("busy")]);
        server.at(s(at)).unwrap();
    }
    assert_eq!(pings(&mut server), 3);
}

#[test]
fn unfinished_bytes_count_once_as_an_answer() {
    for role in ROLES {
        let mut machine = started(role, s(0));
        assert_eq!(machine.receive(&[0x81]), [], "half a header, and then nothing");
        machine.at(s(20)).unwrap();
        for at in 21..30 {
            assert_eq!(machine.receive_buffered(), [], "the driver calls it again");
            machine.at(s(at)).unwrap();
        }
        assert_eq!(machine.at(s(30)), Err(ProtocolError::KeepaliveTimeout));
    }
}

#[test]
fn a_late_handle_timeout_pings_once() {
    for role in ROLES {
        let mut machine = started(role, s(0));
        machine.at(s(1000)).unwrap();
        assert_eq!(pings(&mut machine), 1, "not one for each interval missed");
        assert_eq!(machine.ws.poll_timeout(), Some(s(1010)));
        machine.receive_frames([Frame::pong("")]);
        machine.at(s(1019)).unwrap();
        assert_eq!(machine.ws.poll_timeout(), Some(s(1020)));
    }
}

#[test]
fn an_early_handle_timeout_does_nothing() {
    for role in ROLES {
        let mut machine = started(role, s(0));
        for millis in (0..20_000).step_by(7) {
            machine.at(Duration::from_millis(millis)).unwrap();
        }
        assert_eq!(machine.sent(), []);
        assert_eq!(machine.ws.poll_timeout(), Some(s(20)));
    }
}

#[test]
fn a_long_timeout_counts_from_the_first_unanswered_ping() {
    let config = config().pong_timeout(s(50));
    for role in ROLES {
        let mut machine = Machine::new(role, &config);
        for at in [0, 20, 40, 60] {
            machine.at(s(at)).unwrap();
        }
        assert_eq!(pings(&mut machine), 3);
        machine.at(s(69)).unwrap();
        assert_eq!(machine.at(s(70)), Err(ProtocolError::KeepaliveTimeout));
    }
}

#[test]
fn keepalive_pings_differ_and_need_no_matching_pong() {
    let mut server = started(Role::Server, s(0));
    let mut payloads = Vec::new();
    for round in 1..=5 {
        server.at(s(20 * round)).unwrap();
        payloads.extend(server.sent().into_iter().map(|frame| frame.payload));
        server.receive_frames([Frame::ping("I live")]);
        server.sent();
    }
    assert_eq!(payloads.len(), 5);
    payloads.sort();
    payloads.dedup();
    assert_eq!(payloads.len(), 5);
}

#[test]
fn with_much_unsent_silence_counts_without_a_ping() {
    let mut server = started(Role::Server, s(0));
    server.send(&vec![0; 100_000]).unwrap();
    let unsent = server.out.len();
    server.at(s(20)).unwrap();
    assert_eq!(server.out.len(), unsent);
    assert_eq!(server.at(s(30)), Err(ProtocolError::KeepaliveTimeout));
}

#[test]
fn a_peer_that_takes_much_slowly_is_alive() {
    let mut server = started(Role::Server, s(0));
    server.send(&vec![0; 10_000_000]).unwrap();
    for at in 1..=45 {
        server.out.advance(200_000);
        server.at(s(at)).unwrap();
    }
    let unsent = server.out.len();
    server.at(s(60)).unwrap();
    assert_eq!(server.out.len(), unsent, "a ping would only wait behind all that");
    assert_eq!(server.at(s(70)), Err(ProtocolError::KeepaliveTimeout), "it has stopped");
}

#[test]
fn a_peer_that_is_alive_for_all_the_caller_knows_is_not_given_up() {
    let mut server = started(Role::Server, s(0));
    server.send(&vec![0; 100_000]).unwrap();
    for at in (20..=60).step_by(10) {
        server.ws.note_alive(); // the output was taken and filled up again
        server.at(s(at)).unwrap();
    }
    assert_eq!(server.at(s(70)), Err(ProtocolError::KeepaliveTimeout));
}

#[test]
fn the_largest_time_does_not_overflow() {
    for role in ROLES {
        let mut machine = started(role, s(0));
        machine.at(Duration::MAX).unwrap();
        machine.receive_frames([Frame::pong(""), Frame::close(1000, "")]);
        machine.at(Duration::MAX).unwrap();
        let due = machine.ws.poll_timeout().unwrap();
        assert!(due > Duration::from_secs(584 * 365 * 24 * 60 * 60), "{due:?}");
    }
}

#[test]
fn application_pings_do_not_disturb_the_keepalive() {
    let mut pair = Pair::new(&config());
    pair.advance(s(10));
    pair.client.ping(b"mine").unwrap();
    pair.advance(s(1));
    assert_eq!((pair.server.seen(), pair.client.seen()), (vec![ping("mine")], vec![pong("mine")]));
    pair.advance(s(100));
    assert_eq!(pair.states(), [State::Open; 2]);
}
