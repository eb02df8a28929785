//! RFC 6455 §5.5.2 and §7.1.1: is the peer alive, and does it finish closing? Time is what the test
//! says it is.

mod common;

use core::time::Duration;

use bytes::Buf;
use common::{
    Seen, close, error,
    frame::{Frame, PING},
    machine::{Machine, quiet},
    pair::Pair,
    ping, pong, text,
};
use prism_core::{CloseCode, Config, ProtocolError, Role, State};

const ROLES: [Role; 2] = [Role::Server, Role::Client];

const fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Pings every 20 s, waits 10 s for an answer, and 5 s for a close.
fn config() -> Config {
    let mut config = Config::default();
    config.ping_interval = Some(s(20));
    config.pong_timeout = s(10);
    config.close_timeout = s(5);
    config
}

/// A machine whose clock has been started at `now`.
fn started(role: Role, now: Duration) -> Machine {
    let mut machine = Machine::new(role, &config());
    machine.at(now).unwrap();
    machine
}

/// The pings that a machine has to say.
fn pings(machine: &mut Machine) -> usize {
    let said = machine.says();
    assert!(said.iter().all(|frame| frame.opcode() == PING), "{said:?}");
    said.len()
}

#[test]
fn a_fresh_deadline_is_due_at_once_and_starts_with_the_first_look_at_the_clock() {
    for role in ROLES {
        let mut machine = Machine::new(role, &config());
        assert_eq!(machine.ws.poll_timeout(), Some(s(0)));
        machine.at(s(1000)).unwrap();
        assert_eq!(machine.says(), [], "nothing is late, for nothing ran before");
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
            machine.hears_frames([Frame::pong("")]);
        }
    }
}

#[test]
fn two_idle_ends_keep_each_other_alive_for_days() {
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
fn two_ends_that_do_not_ping_have_nothing_to_wait_for() {
    let mut pair = Pair::new(&quiet());
    assert_eq!(pair.next_timeout(), None);
    pair.advance(s(1_000_000));
    assert_eq!((pair.client.seen(), pair.server.seen()), (vec![], vec![]));
}

#[test]
fn a_peer_that_is_silent_after_a_ping_is_taken_for_dead() {
    for role in ROLES {
        let mut machine = started(role, s(0));
        machine.at(s(20)).unwrap();
        assert_eq!(pings(&mut machine), 1);
        assert_eq!(machine.ws.poll_timeout(), Some(s(30)));
        machine.at(Duration::from_millis(29_999)).unwrap();
        assert_eq!(machine.at(s(30)), Err(ProtocolError::KeepaliveTimeout));
        assert_eq!(machine.says()[0].close_code(), Some(1011));
        assert_eq!(machine.state(), State::Closing);
        assert_eq!(machine.receives(), [error(ProtocolError::KeepaliveTimeout)], "fused");
        let late = machine.hears_frames([Frame::text("late")]);
        assert_eq!(late, [error(ProtocolError::KeepaliveTimeout)]);
        assert_eq!(machine.ws.receive_eof(), Err(ProtocolError::KeepaliveTimeout));
    }
}

#[test]
fn a_cut_cable_is_noticed_by_both_ends() {
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
fn anything_heard_after_a_ping_shows_that_the_peer_lives() {
    let whole = |frame: Frame| frame.masked().wire();
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
        server.hears(&sign);
        server.at(s(30)).unwrap();
        assert_eq!((server.state(), server.ws.poll_timeout()), (State::Open, Some(s(40))));
    }
}

#[test]
fn what_was_heard_before_the_ping_is_no_answer_to_it() {
    for role in ROLES {
        let mut machine = started(role, s(0));
        machine.hears_frames([Frame::text("hello")]);
        machine.at(s(20)).unwrap();
        machine.at(s(29)).unwrap();
        assert_eq!(machine.at(s(30)), Err(ProtocolError::KeepaliveTimeout));
    }
}

#[test]
fn a_busy_peer_is_pinged_too_so_that_proxies_see_traffic_both_ways() {
    let mut server = started(Role::Server, s(0));
    for at in 1..=60 {
        assert_eq!(server.hears_frames([Frame::text("busy")]), [text("busy")]);
        server.at(s(at)).unwrap();
    }
    assert_eq!(pings(&mut server), 3);
}

#[test]
fn bytes_that_lie_unfinished_in_the_input_are_heard_once_and_not_at_each_look() {
    for role in ROLES {
        let mut machine = started(role, s(0));
        assert_eq!(machine.hears(&[0x81]), [], "half a header, and then nothing");
        machine.at(s(20)).unwrap();
        for at in 21..30 {
            assert_eq!(machine.receives(), [], "the driver looks again");
            machine.at(s(at)).unwrap();
        }
        assert_eq!(machine.at(s(30)), Err(ProtocolError::KeepaliveTimeout));
    }
}

#[test]
fn a_look_at_the_clock_that_comes_late_pings_once_and_goes_on_from_there() {
    for role in ROLES {
        let mut machine = started(role, s(0));
        machine.at(s(1000)).unwrap();
        assert_eq!(pings(&mut machine), 1, "not one for each interval missed");
        assert_eq!(machine.ws.poll_timeout(), Some(s(1010)));
        machine.hears_frames([Frame::pong("")]);
        machine.at(s(1019)).unwrap();
        assert_eq!(machine.ws.poll_timeout(), Some(s(1020)));
    }
}

#[test]
fn a_look_at_the_clock_that_comes_early_does_nothing() {
    for role in ROLES {
        let mut machine = started(role, s(0));
        for millis in (0..20_000).step_by(7) {
            machine.at(Duration::from_millis(millis)).unwrap();
        }
        assert_eq!(machine.says(), []);
        assert_eq!(machine.ws.poll_timeout(), Some(s(20)));
    }
}

#[test]
fn a_wait_longer_than_the_interval_counts_from_the_first_ping_without_an_answer() {
    let mut config = config();
    config.pong_timeout = s(50);
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
fn keepalive_pings_differ_and_need_no_pong_of_their_own() {
    let mut server = started(Role::Server, s(0));
    let mut payloads = Vec::new();
    for round in 1..=5 {
        server.at(s(20 * round)).unwrap();
        payloads.extend(server.says().into_iter().map(|frame| frame.payload));
        server.hears_frames([Frame::ping("I live")]);
        server.says();
    }
    assert_eq!(payloads.len(), 5);
    payloads.sort();
    payloads.dedup();
    assert_eq!(payloads.len(), 5);
}

#[test]
fn where_too_much_is_unsent_no_ping_is_added_and_silence_still_shows() {
    let mut server = started(Role::Server, s(0));
    server.send(&vec![0; 100_000]).unwrap();
    let unsent = server.out.len();
    server.at(s(20)).unwrap();
    assert_eq!(server.out.len(), unsent);
    assert_eq!(server.at(s(30)), Err(ProtocolError::KeepaliveTimeout));
}

#[test]
fn the_end_of_all_time_is_no_overflow() {
    for role in ROLES {
        let mut machine = started(role, s(0));
        machine.at(Duration::MAX).unwrap();
        machine.hears_frames([Frame::pong(""), Frame::close(1000, "")]);
        machine.at(Duration::MAX).unwrap();
        let due = machine.ws.poll_timeout().unwrap();
        assert!(due > Duration::from_secs(584 * 365 * 24 * 60 * 60), "{due:?}");
    }
}

#[test]
fn a_close_that_is_not_answered_in_time_is_given_up() {
    for role in ROLES {
        let mut machine = started(role, s(0));
        machine.close(CloseCode::NORMAL, "").unwrap();
        assert_eq!(machine.ws.poll_timeout(), Some(s(0)), "fresh: due at once");
        machine.at(s(7)).unwrap();
        assert_eq!(machine.ws.poll_timeout(), Some(s(12)), "and counted from then");
        machine.at(Duration::from_millis(11_999)).unwrap();
        assert!(!machine.ws.wants_shutdown());
        assert_eq!(machine.at(s(12)), Err(ProtocolError::CloseTimeout));
        assert!(machine.ws.wants_shutdown() && !machine.ws.wants_read());
        assert_eq!((machine.state(), machine.ws.poll_timeout()), (State::Closed, None));
        assert_eq!(machine.says(), [Frame::close(1000, "")], "and no second close frame");
        assert_eq!(
            machine.hears_frames([Frame::close(1000, "")]),
            [error(ProtocolError::CloseTimeout)]
        );
        assert_eq!(machine.ws.receive_eof(), Err(ProtocolError::CloseTimeout));
    }
}

#[test]
fn messages_do_not_put_off_the_close_timeout() {
    for role in ROLES {
        let mut machine = started(role, s(0));
        machine.close(CloseCode::NORMAL, "").unwrap();
        for at in 0..5 {
            machine.at(s(at)).unwrap();
            assert_eq!(machine.hears_frames([Frame::text("one more"), Frame::ping("")]).len(), 2);
        }
        assert_eq!(machine.at(s(5)), Err(ProtocolError::CloseTimeout));
    }
}

#[test]
fn closing_stops_the_keepalive() {
    for role in ROLES {
        let mut machine = started(role, s(0));
        machine.at(s(20)).unwrap();
        assert_eq!(pings(&mut machine), 1);
        machine.close(CloseCode::NORMAL, "").unwrap();
        machine.says();
        machine.at(s(28)).unwrap();
        assert_eq!(machine.at(s(30)), Ok(()), "no judgement of the ping any more");
        assert_eq!(machine.ws.poll_timeout(), Some(s(33)));
        assert_eq!(machine.says(), []);
    }
}

#[test]
fn after_the_close_handshake_the_end_of_the_transport_is_waited_for_but_not_for_ever() {
    for role in ROLES {
        let mut machine = started(role, s(0));
        machine.hears_frames([Frame::close(1000, "")]);
        machine.at(s(3)).unwrap();
        assert_eq!(machine.ws.poll_timeout(), Some(s(8)));
        assert_eq!(machine.state(), State::Closing);
        assert_eq!(machine.at(s(8)), Ok(()), "well closed: no error");
        assert!(machine.ws.wants_shutdown() && !machine.ws.wants_read());
        assert_eq!((machine.state(), machine.ws.poll_timeout()), (State::Closed, None));
        assert_eq!(machine.ws.receive_eof(), Ok(()));
    }
}

#[test]
fn after_an_error_the_transport_is_given_up_in_time() {
    for role in ROLES {
        let mut machine = started(role, s(0));
        machine.hears_frames([Frame::new(3, "")]);
        machine.at(s(1)).unwrap();
        assert_eq!(machine.at(s(6)), Ok(()));
        assert_eq!(machine.state(), State::Closed);
        assert_eq!(machine.receives(), [error(ProtocolError::ReservedOpcode(3))], "still fused");
    }
}

#[test]
fn a_peer_that_still_takes_what_was_sent_before_the_close_frame_is_not_late() {
    for role in ROLES {
        let mut machine = started(role, s(0));
        machine.send(&vec![0; 10_000]).unwrap();
        machine.close(CloseCode::NORMAL, "").unwrap();
        for at in [0, 5, 10, 15] {
            assert_eq!(machine.at(s(at)), Ok(()), "it has taken something since");
            machine.out.advance(1);
        }
        assert_eq!(machine.at(s(20)), Ok(()));
        assert_eq!(machine.at(s(25)), Err(ProtocolError::CloseTimeout), "it takes nothing more");
    }
}

#[test]
fn a_peer_that_talks_on_after_its_error_or_its_close_does_not_put_off_the_end() {
    for role in ROLES {
        for last_words in [Frame::new(3, ""), Frame::close(1000, "")] {
            let mut machine = started(role, s(0));
            machine.hears_frames([last_words]);
            for at in 1..6 {
                machine.at(s(at)).unwrap();
                machine.hears_frames([Frame::text("I go on and on")]);
            }
            assert_eq!(machine.at(s(6)), Ok(()));
            assert_eq!(machine.state(), State::Closed);
        }
    }
}

#[test]
fn a_pair_closes_in_no_time_when_both_answer() {
    let mut pair = Pair::new(&config());
    pair.advance(s(1));
    pair.server.close(CloseCode::GOING_AWAY, "night").unwrap();
    pair.advance(s(0));
    assert_eq!(pair.states(), [State::Closed; 2]);
    assert_eq!(pair.client.seen(), [close(1001, "night")]);
    assert_eq!(pair.next_timeout(), None);
}

#[test]
fn pings_of_the_application_and_of_the_keepalive_do_not_disturb_each_other() {
    let mut pair = Pair::new(&config());
    pair.advance(s(10));
    pair.client.ping(b"mine").unwrap();
    pair.advance(s(1));
    assert_eq!((pair.server.seen(), pair.client.seen()), (vec![ping("mine")], vec![pong("mine")]));
    pair.advance(s(100));
    assert_eq!(pair.states(), [State::Open; 2]);
}

#[test]
fn a_peer_that_takes_a_byte_now_and_then_does_not_put_the_end_off_for_ever() {
    for role in ROLES {
        let mut machine = started(role, s(0));
        machine.ws.send("far more than a byte at a time takes", &mut machine.out).unwrap();
        machine.close(CloseCode::NORMAL, "").unwrap();
        machine.at(s(0)).unwrap();
        for at in 1..24 {
            machine.out.advance(1);
            assert_eq!(machine.at(s(5 * at)), Ok(()), "it takes what it was sent");
        }
        machine.out.advance(1);
        assert_eq!(machine.at(s(120)), Err(ProtocolError::CloseTimeout));
    }
}

#[test]
fn nor_does_one_that_has_answered_the_close_frame_however_late() {
    // Its answer sets the deadline anew as well, if that may still be.
    for answers in [10, 23] {
        let mut machine = started(Role::Server, s(0));
        machine.ws.send("far more than a byte at a time takes", &mut machine.out).unwrap();
        machine.close(CloseCode::NORMAL, "").unwrap();
        machine.at(s(0)).unwrap();
        for at in 1..=24 {
            machine.out.advance(1);
            machine.at(s(5 * at)).unwrap();
            if at == answers {
                machine.hears_frames([Frame::close(1000, "")]);
                machine.at(s(5 * at + 4)).unwrap();
            }
            let expected = if at < 24 { State::Closing } else { State::Closed };
            assert_eq!(machine.state(), expected, "at {} s", 5 * at);
        }
    }
}
