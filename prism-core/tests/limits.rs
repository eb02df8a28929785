//! RFC 6455 §10.4 and §7.4.1 (1009): how large a message may be, and what an announced length
//! costs.

use prism_core::{Config, ProtocolError, Role};

use crate::common::{
    Seen, binary, error,
    frame::{Claim, Frame},
    machine::{Machine, assert_fails, limited},
    text,
};

const ROLES: [Role; 2] = [Role::Server, Role::Client];
const LIMIT: usize = 1000;
const TOO_BIG: ProtocolError = ProtocolError::MessageTooBig(LIMIT);

#[test]
fn a_message_of_exactly_the_limit_is_accepted() {
    for role in ROLES {
        let mut machine = Machine::new(role, &limited(LIMIT));
        let big = [7; LIMIT];
        assert_eq!(machine.receive_frames([Frame::binary(big)]), [binary(big)]);
        let halves = [Frame::binary(&big[..500]).unfinished(), Frame::continuation(&big[500..])];
        assert_eq!(machine.receive_frames(halves), [binary(big)]);
        let empty_end = [Frame::binary(big).unfinished(), Frame::continuation("")];
        assert_eq!(machine.receive_frames(empty_end), [binary(big)]);
        assert_eq!(machine.sent(), []);
    }
}

#[test]
fn a_message_over_the_limit_is_refused_by_its_header() {
    for role in ROLES {
        for frame in [Frame::text(""), Frame::binary(""), Frame::text("").unfinished()] {
            let mut machine = Machine::new(role, &limited(LIMIT));
            let claim = Claim::Bits16(LIMIT as u16 + 1);
            let header = frame.claiming(claim).from(machine.peer()).header();
            assert_fails(&mut machine, &header, TOO_BIG);
        }
    }
}

#[test]
fn a_message_over_the_limit_fails_with_its_headers_last_byte() {
    for role in ROLES {
        let mut machine = Machine::new(role, &limited(LIMIT));
        let claim = Claim::Bits64(1 << 20);
        let header = Frame::binary("").claiming(claim).from(machine.peer()).header();
        let (last, before) = header.split_last().unwrap();
        assert_eq!(machine.receive(before), []);
        assert_eq!(machine.receive(&[*last]), [error(TOO_BIG)]);
    }
}

#[test]
fn the_limit_applies_to_all_fragments_together() {
    for role in ROLES {
        let mut machine = Machine::new(role, &limited(LIMIT));
        let seen = machine.receive_frames([
            Frame::binary([1; 600]).unfinished(),
            Frame::continuation([2; 400]).unfinished(),
            Frame::continuation([]).unfinished(),
        ]);
        assert_eq!(seen, [], "full, but not over");
        let one_more = Frame::continuation([3]).from(machine.peer()).header();
        assert_fails(&mut machine, &one_more, TOO_BIG);
    }
}

#[test]
fn a_fragment_that_would_overflow_the_sum_is_refused() {
    for claim in [u64::MAX >> 1, (u64::MAX >> 1) - 5, 1 << 62, 1 << 32] {
        for role in ROLES {
            let mut machine = Machine::new(role, &limited(LIMIT));
            machine.receive_frames([Frame::binary([1; 600]).unfinished()]);
            let frame = Frame::continuation("").claiming(Claim::Bits64(claim));
            assert_fails(&mut machine, &frame.from(role_of_peer(role)).header(), TOO_BIG);
        }
    }
}

const fn role_of_peer(role: Role) -> Role {
    match role {
        Role::Server => Role::Client,
        Role::Client => Role::Server,
    }
}

#[test]
fn the_limit_applies_to_each_message() {
    for role in ROLES {
        let mut machine = Machine::new(role, &limited(LIMIT));
        for _ in 0..10 {
            let frames =
                [Frame::text("x".repeat(900)).unfinished(), Frame::continuation("y".repeat(100))];
            assert_eq!(machine.receive_frames(frames).len(), 1);
        }
    }
}

#[test]
fn control_frames_do_not_count_for_the_limit() {
    for role in ROLES {
        let mut machine = Machine::new(role, &limited(10));
        let long = "x".repeat(125);
        let seen = machine.receive_frames([
            Frame::text("01234").unfinished(),
            Frame::ping(&long),
            Frame::continuation("56789"),
        ]);
        assert_eq!(seen, [crate::common::ping(long), text("0123456789")]);
    }
}

#[test]
fn a_limit_of_zero_allows_empty_messages() {
    for role in ROLES {
        let mut machine = Machine::new(role, &limited(0));
        assert_eq!(machine.receive_frames([Frame::text(""), Frame::binary("")]).len(), 2);
        let seen = machine.receive_frames([Frame::text("x")]);
        assert_eq!(seen, [error(ProtocolError::MessageTooBig(0))]);
    }
}

#[test]
fn the_default_limit_is_one_mebibyte() {
    assert_eq!(Config::default().max_message_size, 1 << 20);
    for mut machine in Machine::both() {
        let claim = Claim::Bits64((1 << 20) + 1);
        let header = Frame::text("").claiming(claim).from(machine.peer()).header();
        assert_fails(&mut machine, &header, ProtocolError::MessageTooBig(1 << 20));
    }
}

#[test]
fn sent_messages_have_no_limit() {
    for role in ROLES {
        let mut machine = Machine::new(role, &limited(10));
        machine.send(&[1; 100]).unwrap();
        assert_eq!(machine.sent(), [Frame::binary([1; 100])]);
    }
}

#[test]
fn without_a_limit_an_announced_length_takes_no_memory() {
    for claim in [1 << 20, 1 << 32, 1 << 62, u64::MAX >> 1] {
        for role in ROLES {
            let mut machine = Machine::new(role, &limited(usize::MAX));
            let frame = Frame::binary("").claiming(Claim::Bits64(claim));
            assert_eq!(machine.receive(&frame.from(machine.peer()).header()), []);
            assert!(machine.buffer.is_empty(), "a header is nothing to keep");
            assert!(machine.buffer.capacity() <= 32, "{} bytes", machine.buffer.capacity());
            // What arrives of it is kept, and takes no more memory than that.
            assert_eq!(machine.receive(&[1; 3]), []);
            assert_eq!(machine.receive(&[2; 100]), []);
            assert!(machine.buffer.capacity() <= 512, "{} bytes", machine.buffer.capacity());
        }
    }
}

#[test]
fn without_a_limit_an_invalid_length_is_still_refused() {
    for role in ROLES {
        let mut machine = Machine::new(role, &limited(usize::MAX));
        let frame = Frame::text("").claiming(Claim::Bits64(1 << 63));
        let header = frame.from(machine.peer()).header();
        assert_fails(&mut machine, &header, ProtocolError::LengthOverflow);
    }
}

#[test]
fn without_a_limit_the_sum_of_lengths_cannot_overflow() {
    for role in ROLES {
        let mut machine = Machine::new(role, &limited(usize::MAX));
        machine.receive_frames([Frame::binary([1; 100]).unfinished()]);
        let frame = Frame::continuation("").claiming(Claim::Bits64(u64::MAX >> 1));
        assert_eq!(machine.receive(&frame.from(machine.peer()).encoded()), []);
        assert_eq!(machine.receive(&[1; 1000]), []);
        assert_eq!(machine.state(), prism_core::State::Open);
    }
}

#[test]
fn a_trickling_message_takes_a_small_multiple_of_its_bytes() {
    for role in ROLES {
        let mut machine = Machine::new(role, &limited(usize::MAX));
        let frame = Frame::text("").claiming(Claim::Bits64(1 << 40)).masked_with([0; 4]);
        let mut header = frame.header();
        if role == Role::Client {
            header = Frame { key: None, ..frame }.header();
        }
        machine.receive(&header);
        for arrived in 1..=200_000 {
            assert_eq!(machine.receive(b"x"), []);
            assert!(machine.buffer.capacity() <= 2 * arrived + 64, "{arrived} bytes came");
        }
    }
}

/// Receives a message by reads, as from a socket, and returns the largest size of the buffer. Asserts
/// that the buffer is at most twice as large as the bytes received, or 1.5 times from 256 KiB on.
fn receives_by_reads(wire: &[u8], len: usize) -> usize {
    const READ: usize = 16 << 10;
    let mut machine = Machine::server();
    let (mut come, mut most, mut seen) = (0, 0, Vec::new());
    for read in wire.chunks(READ) {
        machine.buffer.spare(READ)[..read.len()].copy_from_slice(read);
        machine.buffer.received(read.len());
        come += read.len();
        let capacity = machine.buffer.capacity();
        let enough = if come < 256 << 10 { come * 2 } else { come + come / 2 };
        assert!(capacity <= enough + 2 * READ, "{capacity} bytes for {come}");
        most = most.max(capacity);
        seen.extend(machine.receive_buffered());
    }
    assert!(matches!(&seen[..], [Seen::Binary(bytes)] if bytes.len() == len));
    most
}

#[test]
fn growth_stays_linear_if_nothing_is_parsed_meanwhile() {
    let mut machine = Machine::server();
    let wire = Frame::binary(vec![7; 100_000]).masked().encoded();
    // The message is incomplete: its last byte is missing.
    machine.receive(&wire[..wire.len() - 1]);
    let (mut capacity, mut moves) = (machine.buffer.capacity(), 0);
    for _ in 0..1 << 20 {
        machine.buffer.extend_from_slice(b"x");
        let grown = machine.buffer.capacity();
        moves += u32::from(grown != capacity);
        capacity = grown;
    }
    assert!(moves < 20, "{moves} times");
}

#[test]
fn a_message_at_the_limit_takes_little_more_than_its_length() {
    // A buffer that only doubles would hold 2 MiB and more.
    let len = (1 << 20) - 1;
    let payload = vec![7; len];
    let whole = Frame::binary(&payload).masked().encoded();
    let most = receives_by_reads(&whole, len);
    assert!(most <= len + (32 << 10), "{most} bytes at the most");
}

#[test]
fn a_fragmented_message_takes_at_most_1_5_times_its_bytes() {
    let len = (1 << 20) - 1;
    let payload = vec![7; len];
    for size in [1000, 4096, 64 << 10, 300_000, len - 1] {
        let mut pieces = payload.chunks(size);
        let mut wire = Frame::binary(pieces.next().unwrap()).unfinished().masked().encoded();
        let count = pieces.len();
        for (nth, piece) in pieces.enumerate() {
            let frame = Frame::continuation(piece);
            let frame = if nth + 1 < count { frame.unfinished() } else { frame };
            wire.extend(frame.masked().encoded());
        }
        let most = receives_by_reads(&wire, len);
        assert!(most <= len * 3 / 2 + (32 << 10), "{most} bytes at the most, by {size}");
    }
}

#[test]
fn a_thousand_big_messages_take_the_memory_of_one() {
    for role in ROLES {
        let mut machine = Machine::new(role, &limited(100_000));
        let payload = vec![1; 100_000];
        let wire = Frame::binary(&payload).from(machine.peer()).encoded();
        for _ in 0..1000 {
            let mut seen = Vec::new();
            for piece in wire.chunks(4096) {
                seen.extend(machine.receive(piece));
            }
            assert!(matches!(&seen[..], [Seen::Binary(bytes)] if bytes.len() == 100_000));
            assert!(machine.buffer.is_empty());
        }
        assert!(machine.buffer.capacity() <= 300_000, "{} bytes", machine.buffer.capacity());
    }
}
