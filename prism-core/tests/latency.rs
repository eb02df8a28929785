//! How long the peer takes to answer the keepalive's pings (RFC 6455 §5.5.2, RFC 6298 §2). The test
//! sets the time.

use core::time::Duration;

use prism_core::{CloseCode, Latency, Role};

use crate::common::{
    Seen,
    clock::{ROLES, config, s, started},
    frame::{Frame, PING},
    machine::{Machine, quiet},
    pair::Pair,
    pong,
};

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// The next ping of the keepalive, at `now`.
fn ping_at(machine: &mut Machine, now: Duration) -> Vec<u8> {
    machine.at(now).unwrap();
    let [ping] = &machine.sent()[..] else { panic!("one ping at {now:?}") };
    assert_eq!(ping.opcode(), PING);
    ping.payload.clone()
}

/// Receives a pong at `now`. Returns whether it was measured.
fn pong_at(machine: &mut Machine, payload: &[u8], now: Duration) -> bool {
    assert_eq!(machine.receive_frames([Frame::pong(payload)]), [pong(payload)]);
    machine.ws.handle_pong(payload, now)
}

fn last_and_smoothed(machine: &Machine) -> Option<(Duration, Duration)> {
    machine.ws.latency().map(|Latency { last, smoothed, .. }| (last, smoothed))
}

#[test]
fn the_round_trip_of_a_ping_is_measured_between_two_ends() {
    let mut pair = Pair::new(&config().ping_interval(Some(s(20))));
    pair.server.at(s(0)).unwrap();
    assert_eq!(pair.server.ws.latency(), None);
    pair.server.at(s(20)).unwrap();
    pair.deliver();
    let [Seen::Pong(payload)] = &pair.server.seen()[..] else { panic!("a pong") };
    assert_eq!(pair.server.ws.latency(), None, "the time of the pong is not known yet");
    assert!(pair.server.ws.handle_pong(payload, s(20) + ms(70)));
    assert_eq!(last_and_smoothed(&pair.server), Some((ms(70), ms(70))));
    assert_eq!(pair.client.ws.latency(), None, "each end measures its own pings");
}

#[test]
fn round_trips_are_smoothed() {
    for role in ROLES {
        let mut machine = started(role, s(100));
        let trips = [(80, 80), (160, 90), (10, 80), (80, 80), (0, 70)];
        for (at, (last, smoothed)) in (120..).step_by(20).zip(trips) {
            let payload = ping_at(&mut machine, s(at));
            assert!(pong_at(&mut machine, &payload, s(at) + ms(last)));
            // A microsecond is the least.
            let last = ms(last).max(Duration::from_micros(1));
            assert_eq!(last_and_smoothed(&machine), Some((last, ms(smoothed))), "at {at} s");
        }
    }
}

#[test]
fn a_late_ping_is_measured_from_when_it_is_written() {
    let mut server = started(Role::Server, s(0));
    let payload = ping_at(&mut server, s(1000));
    assert!(pong_at(&mut server, &payload, s(1001)));
    assert_eq!(last_and_smoothed(&server), Some((s(1), s(1))));
}

#[test]
fn duplicate_and_unsolicited_pongs_change_nothing() {
    for role in ROLES {
        let mut machine = started(role, s(0));
        assert!(!pong_at(&mut machine, &[0, 0, 0, 0], s(1)), "before the first ping");
        assert!(!pong_at(&mut machine, &[0, 0, 0, 1], s(2)), "a ping that is guessed");
        let payload = ping_at(&mut machine, s(20));
        for other in [&b""[..], b"hello", &payload[..3], &[&payload[..], &[0]].concat()] {
            assert!(!pong_at(&mut machine, other, s(21)), "{other:?}");
        }
        assert_eq!(machine.ws.latency(), None);
        assert!(pong_at(&mut machine, &payload, s(22)));
        for later in 23..26 {
            assert!(!pong_at(&mut machine, &payload, s(later)), "a duplicate");
        }
        assert_eq!(last_and_smoothed(&machine), Some((s(2), s(2))));
    }
}

#[test]
fn a_pong_to_an_earlier_ping_changes_nothing() {
    let mut server = Machine::new(Role::Server, &config().pong_timeout(s(60)));
    server.at(s(0)).unwrap();
    let first = ping_at(&mut server, s(20));
    let second = ping_at(&mut server, s(40));
    assert!(!pong_at(&mut server, &first, s(41)));
    assert_eq!(server.ws.latency(), None);
    assert!(pong_at(&mut server, &second, s(43)));
    assert!(!pong_at(&mut server, &first, s(44)));
    assert_eq!(last_and_smoothed(&server), Some((s(3), s(3))));
}

#[test]
fn a_pong_to_an_earlier_application_ping_is_not_mistaken() {
    // As numbers in an order of their own, the first one being the keepalive's next.
    for own in [&[1][..], &[1, 2, 3], &[3, 2, 1], &[u32::MAX, 1, 7], &[1 << 31, 1]] {
        let mut server = started(Role::Server, s(0));
        for payload in own.iter().map(|number| number.to_be_bytes()) {
            server.ping(&payload).unwrap();
        }
        server.sent();
        let payload = ping_at(&mut server, s(20));
        for earlier in own.iter().map(|number| number.to_be_bytes()) {
            assert!(!pong_at(&mut server, &earlier, s(21)), "{earlier:?} is not {payload:?}");
        }
        assert!(pong_at(&mut server, &payload, s(22)), "{payload:?} after {own:?}");
        assert_eq!(last_and_smoothed(&server), Some((s(2), s(2))));
    }
}

#[test]
fn a_later_application_ping_with_equal_payload_does_no_harm() {
    let mut server = started(Role::Server, s(0));
    let payload = ping_at(&mut server, s(20));
    server.ping(&payload).unwrap();
    server.ping(&[0xff; 4]).unwrap();
    server.ping(&[0x70; 4]).unwrap();
    assert!(pong_at(&mut server, &payload, s(21)), "pongs come in the order of the pings");
    assert!(!pong_at(&mut server, &payload, s(22)), "the pong to the application's ping");
    assert_eq!(last_and_smoothed(&server), Some((s(1), s(1))));
}

#[test]
fn a_ping_that_was_not_sent_has_no_round_trip() {
    let mut server = Machine::new(Role::Server, &config().pong_timeout(s(60)));
    server.at(s(0)).unwrap();
    let first = ping_at(&mut server, s(20));
    server.send(&vec![0; 100_000]).unwrap();
    let unsent = server.out.len();
    server.at(s(40)).unwrap();
    assert_eq!(server.out.len(), unsent, "too much is unsent for a ping");
    for number in 0..4_u32 {
        assert!(!pong_at(&mut server, &number.to_be_bytes(), s(41)), "{number}, or {first:?}");
    }
    assert_eq!(server.ws.latency(), None);
    server.sent();
    let payload = ping_at(&mut server, s(60));
    assert!(pong_at(&mut server, &payload, s(61)));
    assert_eq!(last_and_smoothed(&server), Some((s(1), s(1))));
}

#[test]
fn the_latency_remains_while_closing_but_nothing_is_added() {
    let mut server = started(Role::Server, s(0));
    let payload = ping_at(&mut server, s(20));
    assert!(pong_at(&mut server, &payload, s(21)));
    let payload = ping_at(&mut server, s(40));
    assert!(server.close(CloseCode::NORMAL, ""));
    assert!(!pong_at(&mut server, &payload, s(45)));
    assert_eq!(last_and_smoothed(&server), Some((s(1), s(1))));
}

#[test]
fn without_keepalive_nothing_is_measured() {
    for role in ROLES {
        let mut machine = Machine::new(role, &quiet());
        machine.at(s(0)).unwrap();
        machine.ping(&[0, 0, 0, 1]).unwrap();
        assert!(!pong_at(&mut machine, &[0, 0, 0, 1], s(1)));
        assert_eq!(machine.ws.latency(), None);
    }
}

#[test]
fn any_time_is_accepted() {
    for (sent, received) in [(s(20), s(0)), (s(20), Duration::MAX), (Duration::MAX, Duration::MAX)]
    {
        let mut server = started(Role::Server, s(0));
        let payload = ping_at(&mut server, sent);
        assert!(pong_at(&mut server, &payload, received), "{sent:?}, {received:?}");
        assert!(server.ws.latency().is_some_and(|latency| latency.last < s(72 * 60)));
    }
}

/// Every idle connection has one.
#[test]
#[cfg(target_pointer_width = "64")]
fn a_connection_takes_little_memory() {
    use prism_core::{Inbound, Outbound, WebSocket};

    assert!(size_of::<Inbound>() <= 48);
    assert!(size_of::<Outbound>() <= 72);
    assert!(size_of::<WebSocket>() <= 128);
}
