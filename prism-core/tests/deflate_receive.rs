//! RFC 7692 §6.2 and §7.2.2: receiving compressed messages.
#![cfg(feature = "deflate")]

use prism_core::{ProtocolError, Role, deflate::DeflateParams};

use crate::common::{
    Seen, binary,
    deflate::{
        EMPTY_FINAL, HELLO, HELLO_AGAIN, HELLO_FINAL, HELLO_IN_TWO, HELLO_STORED, HELLO_TEXT,
        NOTHING, decode, eager, no_takeover, noise, stored, stored_message, takeover,
    },
    error,
    frame::{Frame, encode_all},
    machine::{Machine, assert_fails, quiet},
    ping, text,
};

fn machines(params: DeflateParams) -> [Machine; 2] {
    [Role::Server, Role::Client]
        .map(|role| Machine::new(role, &quiet()).with_deflate(&eager(), params))
}

/// One of each role, with and without takeover.
fn all_machines() -> impl Iterator<Item = Machine> {
    machines(takeover()).into_iter().chain(machines(no_takeover()))
}

#[test]
fn the_examples_of_the_rfc_are_read() {
    for payload in [HELLO, HELLO_STORED, HELLO_FINAL, HELLO_IN_TWO] {
        for mut machine in all_machines() {
            let seen = machine.receive_frames([Frame::text(payload).compressed()]);
            assert_eq!(seen, [text(HELLO_TEXT)], "{payload:02x?}");
        }
    }
    // §7.2.3.1: in two fragments, of which only the first has the bit.
    for mut machine in all_machines() {
        let (first, second) = HELLO.split_at(3);
        let seen = machine.receive_frames([
            Frame::text(first).compressed().unfinished(),
            Frame::continuation(second),
        ]);
        assert_eq!(seen, [text(HELLO_TEXT)]);
    }
}

#[test]
fn a_message_may_refer_to_earlier_ones_only_with_takeover() {
    let frames = [Frame::text(HELLO).compressed(), Frame::text(HELLO_AGAIN).compressed()];
    for mut machine in machines(takeover()) {
        let seen = machine.receive_frames(frames.clone());
        assert_eq!(seen, [text(HELLO_TEXT), text(HELLO_TEXT)]);
    }
    for mut machine in machines(no_takeover()) {
        let seen = machine.receive_frames(frames.clone());
        assert_eq!(seen, [text(HELLO_TEXT), error(ProtocolError::InvalidDeflate)]);
    }
}

/// What one direction has agreed on says nothing about the other.
#[test]
fn takeover_is_agreed_for_each_direction() {
    let frames = [Frame::text(HELLO).compressed(), Frame::text(HELLO_AGAIN).compressed()];
    for of_server in [false, true] {
        let params = DeflateParams {
            server_no_context_takeover: !of_server,
            client_no_context_takeover: of_server,
            ..takeover()
        };
        for mut machine in machines(params) {
            let may_refer = (machine.peer() == Role::Server) == of_server;
            let seen = machine.receive_frames(frames.clone());
            assert_eq!(seen.last() == Some(&text(HELLO_TEXT)), may_refer, "{:?}", machine.role);
        }
    }
}

/// The sender's window has compressed messages only (RFC 7692 §7.1.1.1).
#[test]
fn an_uncompressed_message_is_no_part_of_the_window() {
    for mut machine in machines(takeover()) {
        let seen = machine.receive_frames([
            Frame::text(HELLO).compressed(),
            Frame::text("plain"),
            Frame::text("in fragments").unfinished(),
            Frame::continuation(""),
            Frame::ping("p"),
            Frame::text(HELLO_AGAIN).compressed(),
        ]);
        let hello = text(HELLO_TEXT);
        let plain = [text("plain"), text("in fragments"), ping("p")];
        assert_eq!(seen, [vec![hello.clone()], plain.to_vec(), vec![hello]].concat());
    }
}

#[test]
fn an_empty_message_may_be_compressed() {
    for mut machine in all_machines() {
        for payload in [NOTHING, EMPTY_FINAL, &[0x02, 0x00], &stored(b"", false), b""] {
            let frames = [Frame::text(payload).compressed(), Frame::binary(payload).compressed()];
            assert_eq!(machine.receive_frames(frames), [text(""), binary("")], "{payload:02x?}");
        }
        let fragments = [
            Frame::text("").compressed().unfinished(),
            Frame::continuation("").unfinished(),
            Frame::continuation(NOTHING),
        ];
        assert_eq!(machine.receive_frames(fragments), [text("")]);
    }
}

#[test]
fn control_frames_may_come_between_the_fragments() {
    for mut machine in all_machines() {
        let mut frames = vec![Frame::text(&HELLO[..1]).compressed().unfinished(), Frame::ping("1")];
        for byte in &HELLO[1..] {
            frames.push(Frame::continuation([*byte]).unfinished());
            frames.push(Frame::ping("2"));
        }
        frames.push(Frame::continuation(""));
        let seen = machine.receive_frames(frames);
        let (last, pings) = seen.split_last().unwrap();
        assert_eq!(*last, text(HELLO_TEXT));
        assert_eq!(pings.len(), HELLO.len());
        assert!(pings.iter().all(|seen| matches!(seen, Seen::Ping(_))));
    }
}

/// RFC 7692 §6.1: only the first frame of a data message may have RSV1. RFC 6455 §5.2: without an
/// agreement none may.
#[test]
fn rsv1_anywhere_else_is_refused() {
    let first = Frame::text(&HELLO[..3]).compressed().unfinished();
    let wrong = [
        vec![Frame::ping("x").compressed()],
        vec![Frame::pong("").compressed()],
        vec![Frame::close(1000, "").compressed()],
        vec![first.clone(), Frame::continuation(&HELLO[3..]).compressed()],
        vec![first.clone(), Frame::ping("x").compressed()],
        vec![Frame::text("plain").unfinished(), Frame::continuation("").compressed()],
        vec![Frame::continuation(HELLO).compressed()],
        vec![Frame::text(HELLO).compressed().flip(0x20)],
        vec![Frame::text(HELLO).compressed().flip(0x10)],
    ];
    for frames in wrong {
        for mut machine in all_machines() {
            let bytes = encode_all(machine.peer(), frames.clone());
            assert_fails(&mut machine, &bytes, ProtocolError::ReservedBits);
        }
    }
    for mut machine in all_machines() {
        let interleaved =
            encode_all(machine.peer(), [first.clone(), Frame::text(HELLO).compressed()]);
        assert_fails(&mut machine, &interleaved, ProtocolError::InterleavedMessage);
    }
    for mut machine in Machine::both() {
        let bytes = Frame::text(HELLO).compressed().from(machine.peer()).encoded();
        assert_fails(&mut machine, &bytes, ProtocolError::ReservedBits);
    }
}

#[test]
fn corrupt_data_is_refused_with_1007() {
    let corrupt: [&[u8]; 9] = [
        &[0x06],                               // a block of the reserved type
        &[0xff; 20],                           // the same, and final
        &[0x00, 0x05, 0x00, 0xfa, 0xfe, 0x48], // a length and its complement do not match
        &[0x04, 0xff, 0xff, 0xff],             // impossible codes
        HELLO_AGAIN,                           // refers to what is not there
        b"plain text",
        &[HELLO_FINAL, &[0xff, 0xff]].concat(),
        &[EMPTY_FINAL, &[0x06]].concat(),
        &[EMPTY_FINAL, HELLO_AGAIN].concat(),
    ];
    for payload in corrupt {
        for frame in [Frame::text(payload), Frame::binary(payload)] {
            for mut machine in all_machines() {
                let bytes = frame.clone().compressed().from(machine.peer()).encoded();
                assert_fails(&mut machine, &bytes, ProtocolError::InvalidDeflate);
            }
        }
    }
    assert_eq!(ProtocolError::InvalidDeflate.close_code().map(u16::from), Some(1007));
}

/// DEFLATE without a final block does not show where it ends. A message that lacks its end must not be
/// taken for a shorter one.
#[test]
fn an_incomplete_message_is_refused() {
    let long = stored_message(&noise(300));
    for payload in [HELLO, HELLO_STORED, HELLO_IN_TWO, &long] {
        for len in 1..payload.len() {
            let complete = decode(&payload[..len], &[]).is_some();
            for mut machine in machines(no_takeover()) {
                let frame = Frame::binary(&payload[..len]).compressed();
                let seen = machine.receive_frames([frame]);
                let is_refused = seen == [error(ProtocolError::InvalidDeflate)];
                assert_eq!(is_refused, !complete, "{len} bytes of {payload:02x?}: {seen:?}");
            }
        }
    }
}

/// RFC 7692 §7.2.3.4. Some peers end each message, or each fragment, with a final block.
#[test]
fn final_blocks_are_read_wherever_they_are() {
    let final_stored = |plain: &str| stored(plain.as_bytes(), true);
    for (payload, plain) in [
        (HELLO_FINAL.to_vec(), "Hello"),
        (HELLO_FINAL[..7].to_vec(), "Hello"), // without the empty block behind it
        (final_stored("stored"), "stored"),
        ([&HELLO_FINAL[..7], HELLO_STORED].concat(), "HelloHello"),
        ([&HELLO_FINAL[..7], HELLO_AGAIN].concat(), "HelloHello"), // refers to before the final block
        ([final_stored("a"), final_stored("b"), final_stored("c")].concat(), "abc"),
        ([EMPTY_FINAL, EMPTY_FINAL, HELLO].concat(), "Hello"),
    ] {
        for mut machine in all_machines() {
            let seen = machine.receive_frames([Frame::text(&payload).compressed()]);
            assert_eq!(seen, [text(plain)], "{payload:02x?}");
        }
    }
}

/// The window outlives a final block: in the message, and from one message to the next.
#[test]
fn the_history_outlives_a_final_block() {
    for mut machine in machines(takeover()) {
        let seen = machine.receive_frames([
            Frame::text(&HELLO_FINAL[..7]).compressed(),
            Frame::text(HELLO_AGAIN).compressed(),
            Frame::text([EMPTY_FINAL, HELLO_AGAIN].concat()).compressed(),
            Frame::text([&stored(b"Hel", true)[..], NOTHING].concat()).compressed(),
        ]);
        let hello = text(HELLO_TEXT);
        assert_eq!(seen, [hello.clone(), hello.clone(), hello, text("Hel")]);
    }
}

/// The last 32 KiB before a block may be in this message, in the ones before, or in both.
#[test]
fn after_a_final_block_a_message_may_refer_to_all_of_the_window() {
    // A reference to 3 bytes at the distance 32768, in a block with fixed codes: length code 257 in
    // seven bits, distance code 29 in five, thirteen extra bits, all set, and the end of the block.
    let farthest = || {
        let reversed = |code: u64, len: u32| code.reverse_bits() >> (64 - len);
        let bits = 1 << 1 | reversed(1, 7) << 3 | reversed(29, 5) << 10 | 0x1fff << 15;
        bits.to_le_bytes()[..5].to_vec()
    };
    let all = noise(50_000);
    for in_message in [0, 1, 3, 1000, 32_767, 32_768, 40_000] {
        for mut machine in machines(takeover()) {
            let before = stored_message(&all[..40_000]);
            assert_eq!(machine.receive_frames([Frame::binary(before).compressed()]).len(), 1);
            let here = &all[all.len() - in_message..];
            let payload = [stored(here, true), EMPTY_FINAL.to_vec(), farthest()].concat();
            let seen = machine.receive_frames([Frame::binary(payload).compressed()]);
            let stream = [&all[..40_000], here].concat();
            let from = stream.len() - 32_768;
            let expected = [here, &stream[from..from + 3]].concat();
            assert_eq!(seen, [binary(expected)], "{in_message}");
        }
    }
}

#[test]
fn compressed_text_has_to_be_utf_8() {
    for wrong in [&b"\xff"[..], b"a\xc3", b"\xe2\x82", b"\xed\xa0\x80"] {
        for mut machine in all_machines() {
            let frame = Frame::text(stored_message(wrong)).compressed();
            let bytes = frame.from(machine.peer()).encoded();
            assert_fails(&mut machine, &bytes, ProtocolError::InvalidUtf8);
        }
        for mut machine in all_machines() {
            let frame = Frame::binary(stored_message(wrong)).compressed();
            assert_eq!(machine.receive_frames([frame]), [binary(wrong)]);
        }
    }
}

#[test]
fn many_messages_in_one_read_are_all_delivered() {
    for mut machine in all_machines() {
        let message = stored_message(&noise(5000));
        let frames = (0..40).flat_map(|nth| {
            [Frame::binary(&message).compressed(), Frame::text(format!("plain {nth}"))]
        });
        let seen = machine.receive_frames(frames);
        assert_eq!(seen.len(), 80);
        for (nth, pair) in seen.chunks(2).enumerate() {
            assert_eq!(pair, [binary(noise(5000)), text(&format!("plain {nth}"))]);
        }
        assert!(machine.buffer.is_empty());
    }
}
