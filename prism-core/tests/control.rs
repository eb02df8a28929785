//! RFC 6455 §5.5: control frames, ping and pong.

use std::time::Duration;

use bytes::{Buf, BytesMut};
use prism_core::{CloseCode, CloseFrame, Config, Event, Outbound, ProtocolError, Role, SendError};

use crate::common::{
    frame::{Claim, Frame, PING, PONG},
    machine::{Machine, assert_fails, quiet},
    pair::Pair,
    ping, pong,
};

#[test]
fn a_ping_is_answered_with_its_payload() {
    for mut machine in Machine::both() {
        for payload in [&b""[..], b"x", b"\xff\x00\xfe", &[7; 125]] {
            assert_eq!(machine.receive_frames([Frame::ping(payload)]), [ping(payload)]);
            assert_eq!(machine.sent(), [Frame::pong(payload)]);
        }
    }
}

#[test]
fn pings_are_answered_in_order() {
    for mut machine in Machine::both() {
        let names = (0..50).map(|i| format!("{i}"));
        machine.receive_frames(names.clone().map(Frame::ping));
        assert_eq!(machine.sent(), names.map(Frame::pong).collect::<Vec<_>>());
    }
}

#[test]
fn an_unsolicited_pong_is_not_answered() {
    for mut machine in Machine::both() {
        assert_eq!(machine.receive_frames([Frame::pong("here I am")]), [pong("here I am")]);
        assert_eq!(machine.sent(), []);
    }
}

#[test]
fn a_pong_precedes_what_is_sent_later() {
    let mut server = Machine::server();
    server.receive_frames([Frame::ping("1"), Frame::text("question")]);
    server.send("answer").unwrap();
    assert_eq!(server.sent(), [Frame::pong("1"), Frame::text("answer")]);
}

#[test]
fn a_ping_returns_a_pong() {
    let mut pair = Pair::new(&quiet());
    pair.client.ping(b"are you there?").unwrap();
    pair.server.ping(b"and you?").unwrap();
    pair.deliver();
    assert_eq!(pair.server.seen(), [ping("are you there?"), pong("and you?")]);
    assert_eq!(pair.client.seen(), [ping("and you?"), pong("are you there?")]);
}

#[test]
fn a_control_frame_over_125_bytes_is_refused_by_its_header() {
    for frame in [Frame::ping(""), Frame::pong(""), Frame::close(1000, "")] {
        for (claim, len) in [
            (Claim::Bits16(126), 126),
            (Claim::Bits16(65_535), 65_535),
            (Claim::Bits64(65_536), 65_536),
            (Claim::Bits64(1 << 62), 1 << 62),
        ] {
            for mut machine in Machine::both() {
                let header = frame.clone().claiming(claim).from(machine.peer()).header();
                assert_fails(&mut machine, &header, ProtocolError::ControlTooLong(len));
            }
        }
    }
}

#[test]
fn a_fragmented_control_frame_is_refused() {
    for frame in [Frame::ping("x"), Frame::pong(""), Frame::close(1000, "")] {
        for mut machine in Machine::both() {
            let wire = frame.clone().unfinished().from(machine.peer()).encoded();
            assert_fails(&mut machine, &wire, ProtocolError::FragmentedControl);
        }
        for mut machine in Machine::both() {
            machine.receive_frames([Frame::binary("a").unfinished()]);
            let wire = frame.clone().unfinished().from(machine.peer()).encoded();
            assert_fails(&mut machine, &wire, ProtocolError::FragmentedControl);
        }
    }
}

#[test]
fn a_ping_or_pong_that_is_too_long_is_not_sent() {
    for mut machine in Machine::both() {
        assert_eq!(machine.ping(&[0; 126]), Err(SendError::ControlTooLong(126)));
        assert_eq!(machine.pong(&[0; 1000]), Err(SendError::ControlTooLong(1000)));
        assert_eq!(machine.sent(), []);
        machine.ping(&[1; 125]).unwrap();
        machine.pong(&[2; 125]).unwrap();
        assert_eq!(machine.sent(), [Frame::ping([1; 125]), Frame::pong([2; 125])]);
    }
}

#[test]
fn a_ping_after_our_close_frame_is_not_answered() {
    for mut machine in Machine::both() {
        assert!(machine.close(CloseCode::NORMAL, ""));
        machine.sent();
        assert_eq!(machine.receive_frames([Frame::ping("x")]), [ping("x")]);
        assert_eq!(machine.sent(), []);
        assert_eq!(machine.ping(b""), Err(SendError::Closed));
        assert_eq!(machine.pong(b""), Err(SendError::Closed));
    }
}

/// Above 64 KiB of unsent output only the newest pong is kept.
const MARK: usize = 64 << 10;

/// A connection that received pings numbered from 0 to `count`, and whose peer reads nothing.
fn flooded(role: Role, count: u32) -> Machine {
    let mut machine = Machine::new(role, &quiet());
    for i in 0..count {
        machine.receive_frames([numbered(PING, i)]);
    }
    machine
}

fn numbered(opcode: u8, i: u32) -> Frame {
    Frame::new(opcode, [&i.to_be_bytes()[..], &[0; 121]].concat())
}

#[test]
fn a_flood_of_pings_takes_no_more_than_the_pong_mark() {
    for role in [Role::Server, Role::Client] {
        let machine = flooded(role, 10_000);
        assert!(machine.out.len() > MARK, "each ping up to there has its pong");
        assert!(machine.out.len() <= MARK + 125 + 6, "{} bytes unsent", machine.out.len());
        assert!(machine.out.capacity() <= 4 * MARK, "{} bytes held", machine.out.capacity());
    }
}

#[test]
fn the_newest_pong_of_a_flood_follows_the_sent_output() {
    for role in [Role::Server, Role::Client] {
        let mut machine = flooded(role, 10_000);
        let sent = machine.sent();
        let first = (0..).map(|i| numbered(PONG, i)).take(sent.len());
        assert_eq!(sent, first.collect::<Vec<_>>(), "the first ones, in order");
        assert_eq!(machine.receive_buffered(), [], "nothing new is received ...");
        assert_eq!(machine.sent(), [numbered(PONG, 9_999)], "... and the held pong is sent");
        assert_eq!(machine.receive_buffered(), []);
        assert_eq!(machine.sent(), [], "once");
    }
}

#[test]
fn a_held_pong_waits_until_the_output_is_at_the_mark() {
    let mut server = flooded(Role::Server, 10_000);
    let before = server.out.len();
    let over = before - MARK;
    server.out.advance(over - 1);
    server.receive_buffered();
    assert_eq!(server.out.len(), MARK + 1, "still above");
    server.out.advance(1);
    server.receive_buffered();
    assert_eq!(server.out.len(), MARK + 127, "the held pong, of 125 bytes");
}

#[test]
fn a_new_ping_is_answered_after_the_held_pong() {
    let mut server = flooded(Role::Server, 10_000);
    server.sent();
    server.receive_frames([Frame::ping("new")]);
    assert_eq!(server.sent(), [numbered(PONG, 9_999), Frame::pong("new")]);
}

#[test]
fn pings_after_a_large_message_are_answered_up_to_a_kilobyte() {
    let mut server = Machine::server();
    server.send(&vec![0; MARK + 1]).unwrap();
    server.receive_frames([Frame::ping("1"), Frame::ping("2")]);
    assert_eq!(server.sent()[1..], [Frame::pong("1"), Frame::pong("2")]);

    server.send(&vec![0; MARK + 1]).unwrap();
    let message = server.out.len();
    server.receive_frames((0..100).map(|i| numbered(PING, i)));
    assert!(server.out.len() < message + 1024 + 2 * 127, "{} bytes unsent", server.out.len());
    server.sent();
    server.at(Duration::from_secs(1)).unwrap();
    assert_eq!(server.sent(), [numbered(PONG, 99)], "the newest, once the output has been sent");
}

#[test]
fn a_held_pong_is_never_sent_after_a_close_frame() {
    for mut machine in [flooded(Role::Server, 10_000), flooded(Role::Client, 10_000)] {
        assert!(machine.close(CloseCode::NORMAL, ""));
        assert_eq!(machine.sent().last(), Some(&Frame::close(1000, "")));
        machine.receive_buffered();
        assert_eq!(machine.sent(), []);
    }
    for mut machine in [flooded(Role::Server, 10_000), flooded(Role::Client, 10_000)] {
        machine.receive_frames([Frame::close(1001, "")]);
        assert_eq!(machine.sent().last(), Some(&Frame::close(1001, "")));
        machine.receive_buffered();
        assert_eq!(machine.sent(), []);
    }
    for mut machine in [flooded(Role::Server, 10_000), flooded(Role::Client, 10_000)] {
        let wrong = Frame::new(3, "").from(machine.peer()).encoded();
        assert_fails(&mut machine, &wrong, ProtocolError::ReservedOpcode(3));
    }
}

#[test]
fn the_answer_to_an_event_that_no_peer_can_send_is_legal() {
    let (mut outbound, mut out) = (Outbound::server(&Config::default()), BytesMut::new());
    outbound.answer(&Event::Ping(&[0; 126]), &mut out);
    assert!(out.is_empty(), "a pong would have to be as long");
    let frame = CloseFrame { code: CloseCode::NORMAL, reason: &"x".repeat(200) };
    outbound.answer(&Event::Close(frame), &mut out);
    assert_eq!(out[..], [&b"\x88\x7d\x03\xe8"[..], &[b'x'; 123]].concat());
}
