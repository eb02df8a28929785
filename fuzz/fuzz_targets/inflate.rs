//! Sends any data as compressed messages: no panic, the limit holds, the work is linear, memory too, and the
//! result is that of the decoder of the tests.
#![no_main]

use std::sync::Arc;

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use prism_core::{ProtocolError, Role, deflate::Deflate};
use prism_fuzz::{
    common::{
        Seen,
        counting::{CALL, Counting, take_work},
        deflate::{decode, empty_dynamic, no_takeover, stored, takeover},
        frame::Frame,
        machine::{Machine, limited},
    },
    cut,
};

#[derive(Arbitrary, Debug)]
struct Case {
    limit: u16,
    takes_over: bool,
    /// What is in the window, repeated this many times.
    before: (Vec<u8>, u8),
    parts: Vec<Part>,
    cuts: Vec<u16>,
}

#[derive(Arbitrary, Debug)]
enum Part {
    Raw(Vec<u8>),
    Stored(Vec<u8>, bool),
    /// Final blocks that are empty.
    Empty(u8),
    /// Blocks without content that bring codes of their own.
    Codes(u16),
}

fuzz_target!(|input: Case| {
    let payload: Vec<_> = input.parts.iter().take(32).flat_map(bytes).collect();
    let limit = usize::from(input.limit);
    let params = if input.takes_over { takeover() } else { no_takeover() };
    let deflate = Arc::new(Deflate::default().engine(&Counting));
    let mut machine = Machine::new(Role::Client, &limited(limit)).with_deflate(&deflate, params);
    let mut before = input.before.0.repeat(input.before.1.into());
    before.truncate(limit);
    let first = [&stored(&before, false)[..], &[0]].concat();
    let seen = machine.receive_frames([Frame::binary(first).compressed()]);
    assert_eq!(seen, [Seen::Binary(before.clone())]);
    let history = if input.takes_over { &before[..] } else { &[] };

    take_work();
    let seen = machine.receive_frames(fragments(&payload, &input.cuts));
    let work = take_work();
    // A call is a block, or the beginning after a final one. Of short blocks, 16 count as one.
    let most_calls = 16 * (4096 + limit / 64) + 100 + payload.len() / 256;
    let most_copied = 40 * (32 << 10) + 64 * payload.len() + 2 * limit;
    assert!(work <= most_copied + CALL * most_calls, "{work}");
    let bound = 2 * (2 * payload.len() + 10 * input.cuts.len() + before.len() + limit) + 4096;
    assert!(machine.buffer.capacity() <= bound, "{} > {bound}", machine.buffer.capacity());

    let [seen] = &seen[..] else { panic!("one event, but {seen:?}") };
    match seen {
        Seen::Binary(plain) => {
            assert!(plain.len() <= limit);
            if payload.is_empty() {
                assert_eq!(plain, b"");
            } else {
                let decoded = decode(&payload, &history[history.len().saturating_sub(32 << 10)..]);
                assert_eq!(*plain, decoded.expect("valid data").plain);
            }
        }
        Seen::Error(
            ProtocolError::InvalidDeflate
            | ProtocolError::MessageTooBig(_)
            | ProtocolError::TooManyBlocks
            | ProtocolError::TooManyEmptyFragments,
        ) => {}
        other => panic!("{other:?}"),
    }
});

fn bytes(part: &Part) -> Vec<u8> {
    match part {
        Part::Raw(bytes) => bytes.clone(),
        Part::Stored(plain, is_final) => stored(plain, *is_final),
        Part::Empty(count) => [3, 0].repeat((*count).into()),
        Part::Codes(count) => empty_dynamic((count % 2048).into()),
    }
}

fn fragments(payload: &[u8], cuts: &[u16]) -> Vec<Frame> {
    let mut frames: Vec<_> = cut(payload, cuts)
        .into_iter()
        .map(|piece| Frame::continuation(piece).unfinished())
        .collect();
    frames[0].first |= 0x42;
    frames.last_mut().expect("at least one").first |= 0x80;
    frames
}
