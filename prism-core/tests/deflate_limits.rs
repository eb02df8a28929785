//! RFC 7692 §8 and RFC 6455 §10.4: what a compressed message may cost.
#![cfg(feature = "deflate")]

use std::sync::Arc;

use prism_core::{
    Message, ProtocolError, Role,
    deflate::{Codecs, Compressor, Deflate},
};

use crate::common::{
    Seen, binary,
    counting::{Counting, take_work},
    deflate::{
        EMPTY_FINAL, HELLO, NOTHING, bits, decode, eager, empty_dynamic, no_takeover, noise,
        stored, stored_message, takeover,
    },
    error,
    frame::{Claim, Frame},
    machine::{Machine, assert_fails, limited},
};

const ROLES: [Role; 2] = [Role::Server, Role::Client];
const LIMIT: usize = 10_000;
const TOO_BIG: ProtocolError = ProtocolError::MessageTooBig(LIMIT);

fn machines(limit: usize) -> impl Iterator<Item = Machine> {
    ROLES.into_iter().flat_map(move |role| {
        [takeover(), no_takeover()]
            .map(|params| Machine::new(role, &limited(limit)).with_deflate(&eager(), params))
    })
}

/// The payload of a compressed message.
fn compressed(plain: &[u8]) -> Vec<u8> {
    let deflate = Arc::new(Deflate::default().threshold(0).level(9));
    let mut codecs = Codecs::new();
    let compressor = Compressor::new(deflate, no_takeover(), Role::Server);
    let compressed = compressor.compress_alone(Message::Binary(plain), &mut codecs);
    compressed.expect("it gets shorter").payload().to_vec()
}

fn fragments(payload: &[u8], count: usize) -> Vec<Frame> {
    let pieces: Vec<_> = payload.chunks(payload.len().div_ceil(count)).collect();
    let last = pieces.len() - 1;
    let frame = |(nth, piece): (usize, &&[u8])| {
        let frame =
            if nth == 0 { Frame::binary(piece).compressed() } else { Frame::continuation(piece) };
        if nth == last { frame } else { frame.unfinished() }
    };
    pieces.iter().enumerate().map(frame).collect()
}

#[test]
fn a_compressed_message_of_exactly_the_limit_is_accepted() {
    for plain in [vec![7; LIMIT], noise(LIMIT)] {
        for payload in [stored_message(&plain), [&stored(&plain, true), NOTHING].concat()] {
            for mut machine in machines(LIMIT) {
                assert_eq!(machine.receive_frames(fragments(&payload, 1)), [binary(&plain)]);
                assert_eq!(machine.receive_frames(fragments(&payload, 7)), [binary(&plain)]);
            }
        }
    }
    let zeros = [0; LIMIT];
    for mut machine in machines(LIMIT) {
        assert_eq!(machine.receive_frames(fragments(&compressed(&zeros), 1)), [binary(zeros)]);
    }
}

#[test]
fn one_byte_over_the_limit_is_refused_with_1009() {
    for plain in [vec![7; LIMIT + 1], noise(LIMIT + 1)] {
        for payload in [stored_message(&plain), stored(&plain, true)] {
            for mut machine in machines(LIMIT) {
                let frame = Frame::binary(&payload).compressed().from(machine.peer());
                assert_fails(&mut machine, &frame.encoded(), TOO_BIG);
            }
        }
    }
    for mut machine in machines(LIMIT) {
        let seen = machine.receive_frames(fragments(&compressed(&[0; LIMIT + 1]), 3));
        assert_eq!(seen, [error(TOO_BIG)]);
    }
}

#[test]
fn the_limit_may_be_any_size() {
    for limit in [0, 1, 5] {
        for mut machine in machines(limit) {
            let fits = &HELLO_PLAIN[..limit];
            let frame = Frame::binary(stored_message(fits)).compressed();
            assert_eq!(machine.receive_frames([frame]), [binary(fits)]);
            let frame = Frame::binary(stored_message(&HELLO_PLAIN[..=limit])).compressed();
            let seen = machine.receive_frames([frame]);
            assert_eq!(seen, [error(ProtocolError::MessageTooBig(limit))]);
        }
    }
    for mut machine in machines(usize::MAX) {
        let zeros = vec![0; 3 << 20];
        assert_eq!(machine.receive_frames(fragments(&compressed(&zeros), 5)), [binary(zeros)]);
    }
}

const HELLO_PLAIN: &[u8] = b"Hello!";

/// A bomb of 1000:1 costs no more memory than an honest message of the limit.
#[test]
fn a_bomb_is_refused_in_the_memory_of_one_message() {
    const LIMIT: usize = 1 << 20;
    let bomb = compressed(&vec![0; 64 << 20]);
    assert!(bomb.len() < (64 << 20) / 1000, "{} bytes", bomb.len());
    for count in [1, 16] {
        for mut machine in machines(LIMIT) {
            let seen = machine.receive_frames(fragments(&bomb, count));
            assert_eq!(seen, [error(ProtocolError::MessageTooBig(LIMIT))], "{count} fragments");
            let capacity = machine.buffer.capacity();
            assert!(capacity <= LIMIT + 2 * bomb.len() + 1024, "{capacity} bytes");
        }
    }
}

/// In one frame, and in fragments, for which the buffer has grown by halves.
#[test]
fn a_message_that_cannot_be_compressed_takes_little_more_than_twice_the_limit() {
    const LIMIT: usize = 1 << 20;
    let plain = noise(LIMIT);
    let blocks: Vec<_> = plain.chunks(120).flat_map(|block| stored(block, false)).collect();
    let payload = [&blocks[..], NOTHING].concat();
    // With 28, the payload takes most memory beyond its length.
    for count in [1, 28, 64] {
        for mut machine in machines(LIMIT) {
            let mut seen = Vec::new();
            for frame in fragments(&payload, count) {
                seen.extend(machine.receive_frames([frame]));
            }
            assert!(seen == [binary(&plain)], "{count} fragments");
            let capacity = machine.buffer.capacity();
            assert!(capacity <= LIMIT * 22 / 10, "{capacity} bytes, {count} fragments");
        }
    }
}

/// While a compressed message arrives, it takes the memory of the bytes that have arrived.
#[test]
fn an_unfinished_message_is_not_decompressed() {
    let bomb = compressed(&vec![0; 1 << 20]);
    for mut machine in machines(1 << 20) {
        let frame = Frame::binary(&bomb).compressed().from(machine.peer()).encoded();
        assert_eq!(machine.receive(&frame[..frame.len() - 1]), []);
        assert!(machine.buffer.capacity() <= 2 * frame.len(), "{}", machine.buffer.capacity());
    }
}

/// What cannot be compressed grows by five bytes for every 64 KiB or less.
#[test]
fn a_compressed_frame_may_exceed_the_limit_a_little() {
    let plain = noise(LIMIT);
    let blocks: Vec<_> = plain.chunks(50).flat_map(|block| stored(block, false)).collect();
    let payload = [&blocks[..], NOTHING].concat();
    assert!(payload.len() > LIMIT * 109 / 100);
    for mut machine in machines(LIMIT) {
        assert_eq!(machine.receive_frames(fragments(&payload, 1)), [binary(&plain)]);
        assert_eq!(machine.receive_frames(fragments(&payload, 20)), [binary(&plain)]);
    }
}

#[test]
fn a_compressed_frame_far_over_the_limit_is_refused_by_its_header() {
    let most = LIMIT + LIMIT / 8 + 64;
    for (len, is_refused) in [(most, false), (most + 1, true)] {
        for mut machine in machines(LIMIT) {
            let frame = Frame::text("").compressed().claiming(Claim::Bits16(len as u16));
            let header = frame.from(machine.peer()).header();
            if is_refused {
                assert_fails(&mut machine, &header, TOO_BIG);
            } else {
                assert_eq!(machine.receive(&header), []);
            }
        }
    }
}

#[test]
fn the_limit_of_an_uncompressed_frame_stays_exact() {
    for mut machine in machines(LIMIT) {
        let claim = Claim::Bits16(LIMIT as u16 + 1);
        let header = Frame::text("").claiming(claim).from(machine.peer()).header();
        assert_fails(&mut machine, &header, TOO_BIG);
    }
}

/// Returns what a message does, and the bytes that were read, written and copied for it.
fn work_of(payload: &[u8]) -> (Seen, usize) {
    let deflate = Arc::new(Deflate::default().engine(&Counting));
    let mut machine =
        Machine::new(Role::Client, &limited(1 << 20)).with_deflate(&deflate, takeover());
    // The window is full.
    machine.receive_frames([Frame::binary(stored_message(&noise(40_000))).compressed()]);
    take_work();
    let seen = machine.receive_frames([Frame::binary(payload).compressed()]);
    assert_eq!(seen.len(), 1);
    (seen[0].clone(), take_work())
}

/// Half a million final blocks fit into a MiB. To copy 32 KiB for each would take 16 GB.
#[test]
fn half_a_million_final_blocks_take_linear_time() {
    let payload = EMPTY_FINAL.repeat(500_000);
    let (seen, work) = work_of(&payload);
    assert_eq!(seen, error(ProtocolError::TooManyBlocks));
    assert!(work <= 40 * payload.len(), "{work}");
    assert_eq!(ProtocolError::TooManyBlocks.close_code().map(u16::from), Some(1008));
}

#[test]
fn a_message_may_have_32_final_blocks_and_one_for_each_kib() {
    for (filling, allowed) in [(0, 32), (2000, 34), (20_000, 51)] {
        let filling = stored(&noise(filling), false);
        for (count, is_accepted) in [(allowed, true), (allowed + 1, false)] {
            let payload = [&EMPTY_FINAL.repeat(count), &filling, HELLO].concat();
            let (seen, _) = work_of(&payload);
            assert_eq!(matches!(seen, Seen::Binary(_)), is_accepted, "{count} final blocks");
        }
    }
}

/// A block without content that brings its own codes takes as long as thousands of bytes of content.
#[test]
fn blocks_without_content_are_refused_with_1008() {
    let stored_empty = [0, 0, 0, 0xff, 0xff].repeat(200_000);
    let fixed_empty = [0x02, 0x08, 0x20, 0x80, 0x00].repeat(200_000); // four blocks of ten bits
    let dynamic = empty_dynamic(80_000);
    let few = [&empty_dynamic(9), NOTHING].concat();
    assert_eq!(decode(&few, &[]).expect("valid data").plain, b"");
    for blocks in [&stored_empty, &fixed_empty, &dynamic] {
        let (seen, work) = work_of(&[blocks, HELLO].concat());
        assert_eq!(seen, error(ProtocolError::TooManyBlocks));
        assert!(work <= 20 * blocks.len(), "{work}");
    }
}

/// The blocks in the last 4 KiB of the payload are not counted.
#[test]
fn a_message_may_have_4096_blocks_and_one_for_each_64_bytes() {
    let tail = stored(&noise(5000), false);
    for (content, allowed) in [(5000, 4096 + 78), (100_000, 4096 + 1562)] {
        let filling = stored(&noise(content - 5000), false);
        for (count, is_accepted) in [(allowed - 200, true), (allowed + 200, false)] {
            let payload = [&filling, &empty_dynamic(count)[..], &tail, NOTHING].concat();
            let (seen, _) = work_of(&payload);
            assert_eq!(matches!(seen, Seen::Binary(_)), is_accepted, "{count} blocks");
        }
    }
}

/// A peer may send a message piece by piece, and flush after each (with zlib, `Z_SYNC_FLUSH`).
#[test]
fn a_message_that_is_flushed_every_few_bytes_is_accepted() {
    let hello = [HELLO, &[0, 0, 0xff, 0xff]].concat();
    for count in [100, 10_000] {
        let (seen, _) = work_of(&[&hello.repeat(count), NOTHING].concat());
        assert!(seen == binary("Hello".repeat(count)), "{count} flushes");
    }
}

/// The lines cannot be compressed, so each is a block, and the flush after it another one.
#[test]
fn a_message_that_is_flushed_after_every_line_is_accepted() {
    for (len, count) in [(20, 5_000), (40, 9_000), (70, 14_000)] {
        let line = noise(len);
        let flushed = [&stored(&line, false)[..], &[0, 0, 0, 0xff, 0xff]].concat();
        let (seen, _) = work_of(&[&flushed.repeat(count), NOTHING].concat());
        assert!(seen == binary(line.repeat(count)), "{count} lines of {len} bytes");
    }
}

/// zlib with the least memory, which ends blocks after 127 symbols.
#[test]
fn the_shortest_blocks_of_zlib_are_accepted() {
    let plain: Vec<_> = noise(1 << 20).iter().map(|byte| b'a' + byte % 16).collect();
    let deflate = Arc::new(Deflate::default().memory_level(1));
    let mut codecs = Codecs::new();
    let compressor = Compressor::new(deflate, no_takeover(), Role::Server);
    let compressed = compressor.compress_alone(Message::Binary(&plain), &mut codecs);
    let (seen, _) = work_of(compressed.expect("it gets shorter").payload());
    assert!(seen == binary(plain));
}

/// A turn ends after 32 KiB of payload, even if that is no content.
#[test]
fn a_payload_without_content_ends_the_turn() {
    let payload = [&empty_dynamic(350), NOTHING].concat();
    assert!((4030..4060).contains(&payload.len()), "{} bytes", payload.len());
    let mut machine =
        Machine::new(Role::Server, &limited(1 << 20)).with_deflate(&eager(), no_takeover());
    let frame = Frame::binary(&payload).compressed().from(machine.peer()).encoded();
    machine.buffer.extend_from_slice(&frame.repeat(20));
    let mut turns = Vec::new();
    while turns.iter().sum::<usize>() < 20 {
        machine.buffer.pause_after(2048);
        turns.push(machine.receive_buffered().len());
    }
    assert_eq!(turns, [9, 9, 2]);
}

#[test]
fn many_messages_keep_the_memory_of_one() {
    for mut machine in machines(1 << 20) {
        let payload = compressed(&vec![0; 200_000]);
        for _ in 0..50 {
            let seen = machine.receive_frames([Frame::binary(&payload).compressed()]);
            assert!(matches!(&seen[..], [Seen::Binary(bytes)] if bytes.len() == 200_000));
            assert!(machine.buffer.is_empty());
        }
        assert!(machine.buffer.capacity() <= 500_000, "{} bytes", machine.buffer.capacity());
    }
}

/// A peer may exceed the window that it has agreed to within one message. That costs nothing, because
/// the whole message is in memory.
#[test]
fn a_smaller_window_limits_what_is_kept_only() {
    let params = prism_core::deflate::DeflateParams {
        server_max_window_bits: bits(8),
        client_max_window_bits: bits(8),
        ..takeover()
    };
    let plain = noise(3000).repeat(2);
    let payload = compressed(&plain);
    for role in ROLES {
        let mut machine = Machine::new(role, &limited(LIMIT)).with_deflate(&eager(), params);
        assert_eq!(machine.receive_frames(fragments(&payload, 1)), [binary(&plain)]);
    }
}
