//! RFC 6455 §5.5.1 and §7: the close frame and the close handshake.

use prism_core::{CloseCode, ProtocolError, SendError, State};

use crate::common::{
    Seen, close, error,
    frame::Frame,
    machine::{Machine, assert_fails, limited, quiet},
    pair::Pair,
    ping, text,
};

fn pair() -> Pair {
    Pair::new(&quiet())
}

#[test]
fn a_client_echoes_the_code_and_reason_of_a_server() {
    let mut pair = pair();
    assert!(pair.server.close(CloseCode::GOING_AWAY, "maintenance"));
    assert_eq!(pair.states(), [State::Open, State::Closing]);
    pair.deliver();
    assert_eq!(pair.client.seen(), [close(1001, "maintenance")]);
    assert_eq!(pair.server.seen(), [close(1001, "maintenance")]);
    assert_eq!(pair.states(), [State::Closed; 2]);
}

#[test]
fn a_server_echoes_the_code_and_reason_of_a_client() {
    let mut pair = pair();
    assert!(pair.client.close(CloseCode::NORMAL, "done"));
    pair.deliver();
    assert_eq!(pair.server.seen(), [close(1000, "done")]);
    assert_eq!(pair.client.seen(), [close(1000, "done")]);
    assert_eq!(pair.states(), [State::Closed; 2]);
}

#[test]
fn both_ends_may_close_at_the_same_time() {
    let mut pair = pair();
    assert!(pair.client.close(CloseCode::NORMAL, "c"));
    assert!(pair.server.close(CloseCode::GOING_AWAY, "s"));
    pair.deliver();
    assert_eq!(pair.client.seen(), [close(1001, "s")], "and no echo of its own close");
    assert_eq!(pair.server.seen(), [close(1000, "c")]);
    assert_eq!(pair.states(), [State::Closed; 2]);
}

#[test]
fn messages_sent_before_a_close_arrive_before_it() {
    let mut pair = pair();
    pair.server.send("one").unwrap();
    pair.server.send("two").unwrap();
    assert!(pair.server.close(CloseCode::NORMAL, ""));
    pair.deliver();
    assert_eq!(pair.client.seen(), [text("one"), text("two"), close(1000, "")]);
}

#[test]
fn messages_arrive_until_the_close_frame_of_the_peer() {
    for mut machine in Machine::both() {
        assert!(machine.close(CloseCode::NORMAL, ""));
        assert!(machine.ws.wants_read());
        let seen = machine.receive_frames([
            Frame::text("on"),
            Frame::text("its w").unfinished(),
            Frame::continuation("ay"),
            Frame::close(1000, ""),
        ]);
        assert_eq!(seen, [text("on"), text("its way"), close(1000, "")]);
        assert_eq!(machine.sent(), [Frame::close(1000, "")], "ours, and no second one");
    }
}

#[test]
fn nothing_is_sent_after_a_close_frame_of_either_end() {
    for mut machine in Machine::both() {
        assert!(machine.close(CloseCode::NORMAL, ""));
        assert_eq!(machine.sent().len(), 1);
        assert_silent(&mut machine);
    }
    for mut machine in Machine::both() {
        machine.receive_frames([Frame::close(1000, "")]);
        assert_eq!(machine.sent().len(), 1);
        assert_silent(&mut machine);
    }
}

#[track_caller]
fn assert_silent(machine: &mut Machine) {
    assert_eq!(machine.send("late"), Err(SendError::Closed));
    assert_eq!(machine.ping(b""), Err(SendError::Closed));
    assert_eq!(machine.pong(b""), Err(SendError::Closed));
    assert!(!machine.close(CloseCode::NORMAL, ""));
    assert!(!machine.close(CloseCode::NO_STATUS, "another"));
    machine.receive_frames([Frame::ping("x"), Frame::close(1000, ""), Frame::close(1000, "")]);
    assert_eq!(machine.sent(), []);
}

#[test]
fn everything_after_a_close_frame_is_discarded_unread() {
    for mut machine in Machine::both() {
        let frames =
            [Frame::close(1000, "end"), Frame::text("late"), Frame::ping(""), Frame::new(15, [])];
        assert_eq!(machine.receive_frames(frames), [close(1000, "end")]);
        assert_eq!(machine.receive(&[0xff; 1000]), []);
        assert!(machine.buffer.is_empty());
        assert_eq!(machine.sent(), [Frame::close(1000, "end")]);
    }
}

#[test]
fn an_empty_close_frame_means_no_status_and_is_echoed() {
    for mut machine in Machine::both() {
        assert_eq!(machine.receive_frames([Frame::empty_close()]), [close(1005, "")]);
        assert_eq!(machine.sent(), [Frame::empty_close()]);
    }
    for mut machine in Machine::both() {
        assert!(machine.close(CloseCode::NO_STATUS, ""));
        assert_eq!(machine.sent(), [Frame::empty_close()]);
    }
}

#[test]
fn a_close_frame_of_one_byte_is_refused() {
    for mut machine in Machine::both() {
        let wire = Frame::new(8, [3]).from(machine.peer()).encoded();
        assert_fails(&mut machine, &wire, ProtocolError::TruncatedCloseCode);
    }
}

/// §7.4.1, §7.4.2 and the registry of §11.7: the codes that may appear in a close frame.
fn may_travel(code: u16) -> bool {
    matches!(code, 1000 | 1001 | 1002 | 1003 | 1007..=1014 | 3000..=4999)
}

#[test]
fn exactly_the_valid_close_codes_are_accepted_and_echoed() {
    for code in 0..=u16::MAX {
        let mut client = Machine::client();
        let frame = Frame::close(code, "why");
        if may_travel(code) {
            assert_eq!(client.receive_frames([frame]), [close(code, "why")]);
            assert_eq!(client.sent(), [Frame::close(code, "why")]);
        } else {
            let refused = ProtocolError::InvalidCloseCode(code);
            assert_eq!(client.receive_frames([frame]), [error(refused)]);
            assert_eq!(client.sent()[0].close_code(), Some(1002));
        }
        assert_eq!(CloseCode::new(code).is_some(), may_travel(code), "{code} can be made to send");
    }
}

#[test]
fn a_reason_of_123_bytes_arrives_whole() {
    let reason = format!("{}é", "r".repeat(121));
    let mut pair = pair();
    assert!(pair.client.close(CloseCode::POLICY_VIOLATION, &reason));
    pair.deliver();
    assert_eq!(pair.server.seen(), [close(1008, &reason)]);
}

#[test]
fn close_cuts_a_long_reason_at_a_character_boundary() {
    for (reason, sent) in [
        ("r".repeat(124), "r".repeat(123)),
        (format!("{}é", "r".repeat(122)), "r".repeat(122)),
        ("🦀".repeat(1000), "🦀".repeat(30)),
    ] {
        let mut pair = pair();
        assert!(pair.client.close(CloseCode::POLICY_VIOLATION, &reason));
        pair.deliver();
        assert_eq!(pair.server.seen(), [close(1008, &sent)]);
    }
}

#[test]
fn close_drops_a_reason_without_a_code() {
    for mut machine in Machine::both() {
        assert!(machine.close(CloseCode::NO_STATUS, "why"));
        assert_eq!(machine.sent(), [Frame::empty_close()]);
    }
}

#[test]
fn a_reason_that_is_not_utf_8_is_refused() {
    for reason in [&b"\xff"[..], b"ok\xc0\x80", b"cut \xe2\x82", b"\xed\xa0\x80"] {
        for mut machine in Machine::both() {
            let wire = Frame::close(1000, reason).from(machine.peer()).encoded();
            assert_fails(&mut machine, &wire, ProtocolError::InvalidCloseReason);
        }
    }
}

#[test]
fn every_error_sends_its_code_to_the_peer() {
    let long_text = Frame::text("x".repeat(11));
    let empties =
        [vec![Frame::text("").unfinished()], vec![Frame::continuation("").unfinished(); 40]]
            .concat();
    let wrong = [
        (1002, vec![Frame::text("").flip(0x40)]),
        (1002, vec![Frame::new(7, "")]),
        (1002, vec![Frame::ping("").unfinished()]),
        (1002, vec![Frame::continuation("")]),
        (1002, vec![Frame::text("").unfinished(), Frame::text("")]),
        (1002, vec![Frame::new(8, "x")]),
        (1002, vec![Frame::close(1006, "")]),
        (1002, vec![Frame::ping([0; 126])]),
        (1007, vec![Frame::text([0xff])]),
        (1007, vec![Frame::text([0xff]).unfinished()]),
        (1007, vec![Frame::close(1000, [0xff])]),
        (1008, empties),
        (1009, vec![long_text]),
    ];
    for (code, frames) in wrong {
        for role in [prism_core::Role::Server, prism_core::Role::Client] {
            let mut machine = Machine::new(role, &limited(10));
            let seen = machine.receive_frames(frames.clone());
            let [Seen::Error(error)] = seen[..] else { panic!("{frames:?} gave {seen:?}") };
            let sent = machine.sent();
            let [told] = &sent[..] else { panic!("expected one close frame, not {sent:?}") };
            assert_eq!(told.close_code(), Some(code), "{frames:?}");
            assert_eq!(told.payload[2..], *error.to_string().as_bytes(), "with the reason as text");
        }
    }
}

#[test]
fn an_error_after_our_close_frame_sends_no_second_one() {
    for mut machine in Machine::both() {
        assert!(machine.close(CloseCode::NORMAL, ""));
        machine.sent();
        let seen = machine.receive_frames([Frame::new(3, "")]);
        assert_eq!(seen, [error(ProtocolError::ReservedOpcode(3))]);
        assert_eq!(machine.sent(), []);
        assert_eq!(machine.receive_frames([Frame::close(1000, "")]), seen, "fused");
    }
}

#[test]
fn messages_are_delivered_up_to_the_wrong_frame() {
    for mut machine in Machine::both() {
        let frames = [Frame::text("ok"), Frame::ping("1"), Frame::new(3, ""), Frame::text("no")];
        let refused = error(ProtocolError::ReservedOpcode(3));
        assert_eq!(machine.receive_frames(frames), [text("ok"), ping("1"), refused]);
        assert_eq!(machine.sent()[0], Frame::pong("1"));
    }
}

/// §7.1.1: the server ends TCP first, and the client waits for that.
#[test]
fn a_server_shuts_the_transport_down_first() {
    let [mut server, mut client] = Machine::both();
    for machine in [&mut server, &mut client] {
        assert!(!machine.ws.wants_shutdown(), "open");
        assert!(machine.close(CloseCode::NORMAL, ""));
        assert!(!machine.ws.wants_shutdown(), "unanswered");
        machine.receive_frames([Frame::close(1000, "")]);
        assert!(machine.ws.wants_read(), "to see the other's end");
        assert_eq!(machine.state(), State::Closing);
    }
    assert!(server.ws.wants_shutdown());
    assert!(!client.ws.wants_shutdown());
    client.ws.receive_eof().unwrap();
    assert!(client.ws.wants_shutdown() && !client.ws.wants_read());
    assert_eq!(client.state(), State::Closed);
}

#[test]
fn a_closed_or_failed_server_shuts_down_and_a_client_waits() {
    let endings = [Frame::close(1000, ""), Frame::new(3, "")];
    for frame in endings {
        for mut machine in Machine::both() {
            machine.receive_frames([frame.clone()]);
            let is_server = machine.role == prism_core::Role::Server;
            assert_eq!(machine.ws.wants_shutdown(), is_server, "{frame:?}");
            assert!(machine.ws.wants_read());
        }
    }
}

#[test]
fn eof_without_a_close_frame_is_an_error() {
    for mut machine in Machine::both() {
        assert_eq!(machine.ws.receive_eof(), Err(ProtocolError::UnexpectedEof));
        assert_eq!(machine.state(), State::Closed);
        assert!(machine.ws.wants_shutdown() && !machine.ws.wants_read());
        let late = machine.receive_frames([Frame::text("late")]);
        assert_eq!(late, [error(ProtocolError::UnexpectedEof)], "fused");
        assert_eq!(machine.send("late"), Err(SendError::Closed));
        assert_eq!(machine.sent(), [], "the peer is gone");
        assert_eq!(machine.ws.receive_eof(), Err(ProtocolError::UnexpectedEof));
        assert_eq!(machine.ws.poll_timeout(), None);
    }
}

#[test]
fn eof_inside_a_message_or_before_the_answer_is_an_error() {
    for mut machine in Machine::both() {
        machine.receive_frames([Frame::text("half").unfinished()]);
        assert_eq!(machine.ws.receive_eof(), Err(ProtocolError::UnexpectedEof));
    }
    for mut machine in Machine::both() {
        assert!(machine.close(CloseCode::NORMAL, ""));
        assert_eq!(machine.ws.receive_eof(), Err(ProtocolError::UnexpectedEof));
    }
}

#[test]
fn eof_after_a_close_frame_is_not_an_error() {
    for mut machine in Machine::both() {
        machine.receive_frames([Frame::close(1000, "")]);
        assert_eq!(machine.ws.receive_eof(), Ok(()));
        assert_eq!(machine.ws.receive_eof(), Ok(()), "again");
        assert_eq!(machine.receive_buffered(), []);
        assert_eq!(machine.state(), State::Closed);
    }
}

#[test]
fn eof_after_an_error_returns_that_error() {
    for mut machine in Machine::both() {
        machine.receive_frames([Frame::new(3, "")]);
        assert_eq!(machine.ws.receive_eof(), Err(ProtocolError::ReservedOpcode(3)));
        assert_eq!(machine.receive_buffered(), [error(ProtocolError::ReservedOpcode(3))]);
    }
}

#[test]
fn state_tells_the_progress_of_the_connection() {
    for mut machine in Machine::both() {
        assert_eq!(machine.state(), State::Open);
        machine.receive_frames([Frame::close(1000, "")]);
        assert_eq!(machine.state(), State::Closing);
        machine.ws.receive_eof().unwrap();
        assert_eq!(machine.state(), State::Closed);
    }
}
