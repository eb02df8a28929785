//! RFC 6455 §5.2: the frame, its length, its reserved bits, its opcode.

use bytes::BytesMut;
use prism_core::{Config, Message, Outbound, ProtocolError, Role, SendError};

use crate::common::{
    binary,
    frame::{BINARY, Claim, Frame},
    machine::{Machine, assert_fails, mask_keys},
    ping, pong, text,
};

/// Lengths around each change of form.
const EDGES: [usize; 10] = [0, 1, 124, 125, 126, 127, 128, 65_535, 65_536, 65_537];

/// A payload whose period is a prime, so that no part of it equals a shifted one.
fn bytes(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i % 251) as u8).collect()
}

#[test]
fn a_payload_of_any_length_arrives_unchanged() {
    for mut machine in Machine::both() {
        for len in EDGES {
            let payload = bytes(len);
            assert_eq!(machine.receive_frames([Frame::binary(&payload)]), [binary(&payload)]);
            let letters = "x".repeat(len);
            assert_eq!(machine.receive_frames([Frame::text(&letters)]), [text(&letters)]);
        }
    }
}

#[test]
fn a_sent_message_is_one_frame_with_the_shortest_length() {
    for mut machine in Machine::both() {
        for len in EDGES {
            let payload = bytes(len);
            machine.send(&payload).unwrap();
            assert_eq!(machine.sent(), [Frame::binary(&payload)]); // `sent` checks the form
        }
    }
}

#[test]
fn only_a_server_may_send_a_header_before_its_payload() {
    let config = Config::default();
    let mut server = Outbound::server(&config);
    let client = Outbound::client(&config, mask_keys());
    let text = "x".repeat(65_537);
    for len in EDGES {
        for message in [Message::Text(&text[..len]), Message::Binary(&text.as_bytes()[..len])] {
            let (mut whole, mut out) = (BytesMut::new(), BytesMut::new());
            server.send(message, &mut whole).expect("the connection is open");
            assert_eq!(client.send_header(message, &mut out), Ok(false));
            assert_eq!(server.send_header(message, &mut out), Ok(true));
            assert_eq!([&out[..], message.as_bytes()].concat(), whole);
        }
    }
    for mut closed in [server, client] {
        closed.receive_eof();
        let sent = closed.send_header("late".into(), &mut BytesMut::new());
        assert_eq!(sent, Err(SendError::Closed));
    }
}

#[test]
fn the_examples_of_section_5_7_are_understood() {
    let mut client = Machine::client();
    assert_eq!(client.receive(b"\x81\x05Hello"), [text("Hello")]);
    assert_eq!(client.receive(b"\x01\x03Hel\x80\x02lo"), [text("Hello")]);
    assert_eq!(client.receive(b"\x89\x05Hello"), [ping("Hello")]);
    assert_eq!(client.receive(&[b"\x82\x7e\x01\x00", &[7; 256][..]].concat()), [binary([7; 256])]);
    let long = [&b"\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00"[..], &[7; 65_536]].concat();
    assert_eq!(client.receive(&long), [binary(vec![7; 65_536])]);

    let mut server = Machine::server();
    assert_eq!(server.receive(b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"), [text("Hello")]);
    assert_eq!(server.receive(b"\x8a\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"), [pong("Hello")]);
}

#[test]
fn many_messages_in_one_read_are_delivered_in_order() {
    for mut machine in Machine::both() {
        let names: Vec<_> = (0..100).map(|i| format!("message {i}")).collect();
        let seen = machine.receive_frames(names.iter().map(Frame::text));
        assert_eq!(seen, names.iter().map(|name| text(name)).collect::<Vec<_>>());
        assert!(machine.buffer.is_empty());
    }
}

#[test]
fn a_length_that_fits_a_shorter_form_is_refused() {
    for claim in [Claim::Bits16(0), Claim::Bits16(1), Claim::Bits16(125)]
        .into_iter()
        .chain([0, 125, 126, 65_535].map(Claim::Bits64))
    {
        for mut machine in Machine::both() {
            let header = Frame::binary([]).from(machine.peer()).claiming(claim).header();
            assert_fails(&mut machine, &header, ProtocolError::NonMinimalLength);
        }
    }
}

#[test]
fn a_length_with_its_top_bit_set_is_refused() {
    for len in [1 << 63, (1 << 63) + 5, u64::MAX] {
        for mut machine in Machine::both() {
            let frame = Frame::binary([]).from(machine.peer()).claiming(Claim::Bits64(len));
            assert_fails(&mut machine, &frame.header(), ProtocolError::LengthOverflow);
        }
    }
}

#[test]
fn any_reserved_bit_in_any_frame_is_refused() {
    for bits in (0x10..=0x70).step_by(0x10) {
        let first = Frame::text("a").unfinished();
        let frames = [
            vec![Frame::text("x").flip(bits)],
            vec![Frame::binary("x").flip(bits)],
            vec![first.clone().flip(bits)],
            vec![first.clone(), Frame::continuation("x").flip(bits)],
            vec![Frame::ping("x").flip(bits)],
            vec![Frame::pong("x").flip(bits)],
            vec![first, Frame::ping("x").flip(bits)],
            vec![Frame::close(1000, "").flip(bits)],
        ];
        for frames in frames {
            for mut machine in Machine::both() {
                let wire = crate::common::frame::encode_all(machine.peer(), frames.clone());
                assert_fails(&mut machine, &wire, ProtocolError::ReservedBits);
            }
        }
    }
}

#[test]
fn an_undefined_opcode_is_refused() {
    for opcode in (3..=7).chain(11..=15) {
        for mut machine in Machine::both() {
            let whole = Frame::new(opcode, "x").from(machine.peer());
            assert_fails(&mut machine, &whole.encoded(), ProtocolError::ReservedOpcode(opcode));
        }
        for mut machine in Machine::both() {
            let fragment = Frame::new(opcode, []).unfinished().from(machine.peer());
            assert_fails(&mut machine, &fragment.encoded(), ProtocolError::ReservedOpcode(opcode));
        }
    }
}

#[test]
fn errors_in_the_first_two_bytes_are_found_with_these_two() {
    let wrong = [
        ([0x83, 0x80], ProtocolError::ReservedOpcode(3)),
        ([0xa2, 0xfe], ProtocolError::ReservedBits),
        ([0x92, 0xff], ProtocolError::ReservedBits),
        ([0x09, 0x80], ProtocolError::FragmentedControl),
    ];
    for (header, error) in wrong {
        assert_fails(&mut Machine::server(), &header, error);
    }
}

#[test]
fn a_frame_is_delivered_with_its_last_byte() {
    for mut machine in Machine::both() {
        for frame in [Frame::text("Hello"), Frame::binary(bytes(200)), Frame::ping("Hello")] {
            let wire = frame.from(machine.peer()).encoded();
            let (last, before) = wire.split_last().unwrap();
            assert_eq!(machine.receive(before), []);
            assert_eq!(machine.receive(&[*last]).len(), 1);
        }
    }
}

#[test]
fn an_empty_frame_is_complete_with_its_header() {
    assert_eq!(Machine::client().receive(&[0x81, 0]), [text("")]);
    assert_eq!(Machine::client().receive(&[0x82, 0]), [binary("")]);
    assert_eq!(Machine::server().receive(&[0x82, 0x80, 1, 2, 3, 4]), [binary("")]);
}

#[test]
fn a_sent_message_has_the_kind_that_the_caller_chose() {
    let mut server = Machine::server();
    server.send("text").unwrap();
    server.send(b"bin").unwrap();
    server.send(&vec![0xff; 3]).unwrap();
    assert_eq!(
        server.sent(),
        [Frame::text("text"), Frame::binary("bin"), Frame::binary([0xff; 3])]
    );
}

/// The other tests rely on the parser in `common`, so it must not be lenient itself.
#[test]
#[should_panic(expected = "in its shortest form")]
fn the_parser_of_the_tests_refuses_a_non_minimal_length() {
    let wire = Frame::new(BINARY, [1; 3]).claiming(Claim::Bits16(3)).encoded();
    crate::common::frame::sent_by(Role::Server, &wire);
}
