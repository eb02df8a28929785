//! RFC 6455 §5.4: fragmented messages.

use prism_core::{Config, ProtocolError, Role};

use crate::common::{
    Seen, binary,
    clock::{s, started},
    error,
    frame::Frame,
    machine::{Machine, assert_fails, quiet},
    ping, pong, text,
};

#[test]
fn fragments_are_joined_into_one_message() {
    for mut machine in Machine::both() {
        let fragments = [
            Frame::text("One ").unfinished(),
            Frame::continuation("two ").unfinished(),
            Frame::continuation("3"),
        ];
        assert_eq!(machine.receive_frames(fragments), [text("One two 3")]);
        let fragments = [Frame::binary([1]).unfinished(), Frame::continuation([0xff, 0xfe])];
        assert_eq!(machine.receive_frames(fragments), [binary([1, 0xff, 0xfe])]);
    }
}

#[test]
fn a_message_is_delivered_with_its_last_fragment() {
    let mut client = Machine::client();
    assert_eq!(client.receive_frames([Frame::text("a").unfinished()]), []);
    assert_eq!(client.receive_frames([Frame::continuation("b").unfinished()]), []);
    assert_eq!(client.receive_frames([Frame::continuation("c")]), [text("abc")]);
    assert!(client.buffer.is_empty());
}

#[test]
fn control_frames_between_fragments_are_handled_at_once() {
    for mut machine in Machine::both() {
        assert_eq!(
            machine.receive_frames([Frame::text("Hel").unfinished(), Frame::ping("1")]),
            [ping("1")]
        );
        assert_eq!(machine.sent(), [Frame::pong("1")]);
        assert_eq!(machine.receive_frames([Frame::pong("2")]), [pong("2")]);
        assert_eq!(machine.receive_frames([Frame::continuation("lo").unfinished()]), []);
        let rest = [Frame::ping("3"), Frame::ping("4"), Frame::continuation("!")];
        assert_eq!(machine.receive_frames(rest), [ping("3"), ping("4"), text("Hello!")]);
        assert_eq!(machine.sent(), [Frame::pong("3"), Frame::pong("4")]);
    }
}

#[test]
fn a_control_frame_may_come_inside_a_character() {
    let euro = "€".as_bytes();
    let mut client = Machine::client();
    let seen = client.receive_frames([
        Frame::text(&euro[..1]).unfinished(),
        Frame::ping([0xff]),
        Frame::continuation(&euro[1..2]).unfinished(),
        Frame::pong("€"),
        Frame::continuation(&euro[2..]),
    ]);
    assert_eq!(seen, [ping([0xff]), pong("€"), text("€")]);
}

#[test]
fn a_close_frame_between_fragments_discards_the_message() {
    for mut machine in Machine::both() {
        let frames =
            [Frame::text("a").unfinished(), Frame::close(1001, "tired"), Frame::continuation("b")];
        assert_eq!(machine.receive_frames(frames), [crate::common::close(1001, "tired")]);
        assert_eq!(machine.sent(), [Frame::close(1001, "tired")]);
    }
}

#[test]
fn a_continuation_without_a_message_is_refused() {
    for frame in
        [Frame::continuation("x"), Frame::continuation("x").unfinished(), Frame::continuation("")]
    {
        for mut machine in Machine::both() {
            let wire = frame.clone().from(machine.peer()).encoded();
            assert_fails(&mut machine, &wire, ProtocolError::UnexpectedContinuation);
        }
    }
}

#[test]
fn a_continuation_after_a_finished_message_is_refused() {
    for begun in
        [vec![Frame::text("a")], vec![Frame::text("a").unfinished(), Frame::continuation("b")]]
    {
        for mut machine in Machine::both() {
            assert_eq!(machine.receive_frames(begun.clone()).len(), 1);
            let wire = Frame::continuation("c").from(machine.peer()).encoded();
            assert_fails(&mut machine, &wire, ProtocolError::UnexpectedContinuation);
        }
    }
}

#[test]
fn a_new_message_inside_a_fragmented_one_is_refused() {
    for inner in
        [Frame::text("b"), Frame::binary("b"), Frame::text("b").unfinished(), Frame::binary("")]
    {
        for outer in [Frame::text("a"), Frame::binary("a"), Frame::text("")] {
            for mut machine in Machine::both() {
                machine.receive_frames([outer.clone().unfinished(), Frame::ping("")]);
                let wire = inner.clone().from(machine.peer()).encoded();
                assert_fails(&mut machine, &wire, ProtocolError::InterleavedMessage);
            }
        }
    }
}

#[test]
fn the_first_fragment_determines_the_kind_of_the_message() {
    let mut client = Machine::client();
    let wrong_text = Frame::continuation([0xff]);
    assert_eq!(
        client.receive_frames([Frame::binary("").unfinished(), wrong_text.clone()]),
        [binary([0xff])]
    );
    let seen = client.receive_frames([Frame::text("").unfinished(), wrong_text]);
    assert_eq!(seen, [Seen::Error(ProtocolError::InvalidUtf8)]);
}

#[test]
fn empty_fragments_at_any_position_change_nothing() {
    for mut machine in Machine::both() {
        let seen = machine.receive_frames([
            Frame::text("").unfinished(),
            Frame::continuation("a").unfinished(),
            Frame::continuation("").unfinished(),
            Frame::continuation("b").unfinished(),
            Frame::continuation(""),
            Frame::binary("").unfinished(),
            Frame::continuation(""),
        ]);
        assert_eq!(seen, [text("ab"), binary("")]);
    }
}

/// The start of a message: a first fragment that is not empty, and then `count` empty ones.
fn empties(count: usize) -> Vec<Frame> {
    let mut frames = vec![Frame::text("a").unfinished()];
    frames.extend(vec![Frame::continuation("").unfinished(); count]);
    frames
}

#[test]
fn too_many_empty_fragments_in_a_row_are_refused() {
    for mut machine in Machine::both() {
        assert_eq!(machine.receive_frames(empties(32)), []);
        let one_more = Frame::continuation("").unfinished().from(machine.peer()).encoded();
        assert_fails(&mut machine, &one_more, ProtocolError::TooManyEmptyFragments);
    }
    let mut server = Machine::server();
    server.receive_frames(empties(33));
    assert_eq!(server.sent()[0].close_code(), Some(1008));
}

#[test]
fn payload_or_a_last_fragment_resets_the_count_of_empty_ones() {
    for mut machine in Machine::both() {
        let mut frames = empties(32);
        frames.push(Frame::continuation("b").unfinished());
        frames.extend(vec![Frame::continuation("").unfinished(); 32]);
        frames.push(Frame::continuation(""));
        frames.extend(empties(32));
        frames.push(Frame::continuation("c"));
        assert_eq!(machine.receive_frames(frames), [text("ab"), text("ac")]);
    }
}

#[test]
fn control_frames_do_not_reset_the_count_of_empty_fragments() {
    let mut server = Machine::new(Role::Server, &quiet().max_empty_fragments(2));
    let fragment = Frame::continuation("").unfinished();
    let seen = server.receive_frames([
        Frame::text("").unfinished(),
        fragment.clone(),
        Frame::ping(""),
        fragment,
    ]);
    assert_eq!(seen, [ping(""), Seen::Error(ProtocolError::TooManyEmptyFragments)]);
}

#[test]
fn empty_messages_do_not_count_as_empty_fragments() {
    let config = Config::default().max_empty_fragments(0);
    for role in [Role::Server, Role::Client] {
        let mut machine = Machine::new(role, &config);
        let seen = machine.receive_frames(vec![Frame::text(""); 100]);
        assert_eq!(seen, vec![text(""); 100]);
        let seen = machine.receive_frames([Frame::text("a").unfinished(), Frame::continuation("")]);
        assert_eq!(seen, [text("a")], "the last fragment may always be empty");
    }
}

#[test]
fn joining_pauses_after_as_many_fragments_as_the_caller_allows() {
    for mut machine in Machine::both() {
        let fragment = |payload| Frame::continuation(payload).unfinished();
        let more = ["b", "c", "d"].map(fragment);
        let frame_len = fragment("b").from(machine.peer()).encoded().len();
        machine.buffer.pause_after(2);
        machine.receive_frames([Frame::text("a").unfinished()].into_iter().chain(more));
        for left in [2, 1] {
            assert!(machine.buffer.is_paused());
            assert_eq!(machine.buffer.unparsed().len(), left * frame_len);
            machine.buffer.pause_after(3);
            machine.buffer.spend(2);
            assert!(!machine.buffer.is_paused());
            assert_eq!(machine.receive_buffered(), []);
        }
        machine.buffer.spend(1);
        assert_eq!(machine.receive_frames([Frame::continuation("e")]), []);
        machine.buffer.pause_after(1);
        assert_eq!(machine.receive_buffered(), [text("abcde")]);
    }
}

#[test]
fn a_paused_half_returns_no_message_even_if_one_has_arrived_in_one_piece() {
    for mut machine in Machine::both() {
        machine.buffer.pause_after(1);
        machine.buffer.spend(1);
        assert_eq!(machine.receive_frames([Frame::text("a"), Frame::text("b")]), []);
        assert!(machine.buffer.is_paused());
        machine.buffer.pause_after(1);
        assert_eq!(machine.receive_buffered(), [text("a"), text("b")], "neither is a fragment");
    }
}

#[test]
fn a_paused_half_repeats_its_error() {
    let mut machine = started(Role::Server, s(0));
    machine.at(s(20)).unwrap();
    machine.at(s(30)).unwrap_err();
    machine.buffer.pause_after(0);
    for _ in 0..2 {
        assert_eq!(machine.receive(b"late"), [error(ProtocolError::KeepaliveTimeout)]);
        assert!(machine.buffer.is_empty());
    }
}

#[test]
fn a_message_may_have_as_many_fragments_as_bytes() {
    for mut machine in Machine::both() {
        let count = 65_536;
        let mut frames = vec![Frame::binary([7]).unfinished()];
        frames.extend(vec![Frame::continuation([7]).unfinished(); count - 2]);
        frames.push(Frame::continuation([8]));
        let mut expected = vec![7; count];
        expected[count - 1] = 8;
        assert_eq!(machine.receive_frames(frames), [binary(expected)]);
    }
}
