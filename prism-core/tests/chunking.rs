//! RFC 6455 §5.2 does not mention reads: TCP may cut a stream anywhere. However the bytes arrive,
//! whole, one by one, or cut anywhere, the events and the output are the same.

use prism_core::{RecvBuffer, State};
use proptest::prelude::*;

use crate::common::{
    Seen,
    machine::Machine,
    vectors::{Vector, vectors},
};

/// Streams up to this length are cut everywhere; longer ones at both ends and in some places
/// between.
const SHORT: usize = 700;

/// Everything that a stream does to a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Outcome {
    seen: Vec<Seen>,
    sent: Vec<u8>,
    state: State,
    wants_shutdown: bool,
    /// What [`WebSocket::receive_eof`](prism_core::WebSocket::receive_eof) then returns.
    end: Option<Seen>,
}

fn receive<'a>(vector: &Vector, pieces: impl IntoIterator<Item = &'a [u8]>) -> Outcome {
    let mut machine = vector.machine();
    let mut seen = Vec::new();
    for piece in pieces {
        read_into(&mut machine, piece);
        for event in machine.receive_buffered() {
            if let (Some(first @ Seen::Error(_)), Seen::Error(_)) = (seen.last(), &event) {
                assert_eq!(*first, event, "fused: the same error from then on");
            } else {
                assert!(
                    !matches!(seen.last(), Some(Seen::Error(_) | Seen::Close(..))),
                    "{event:?}"
                );
                seen.push(event);
            }
        }
    }
    Outcome {
        seen,
        state: machine.state(),
        wants_shutdown: machine.ws.wants_shutdown(),
        end: machine.ws.receive_eof().err().map(Seen::Error),
        sent: machine.out.into(),
    }
}

/// Reads like a socket, which leaves arbitrary memory behind the bytes.
fn read_into(machine: &mut Machine, piece: &[u8]) {
    let spare = machine.buffer.spare(piece.len() + 8);
    spare[..piece.len()].copy_from_slice(piece);
    spare[piece.len()..][..8].fill(0xff);
    machine.buffer.received(piece.len());
}

#[track_caller]
fn assert_same(vector: &Vector, whole: &Outcome, pieces: &[&[u8]]) {
    let cut = receive(vector, pieces.iter().copied());
    if cut != *whole {
        let lens: Vec<_> = pieces.iter().map(|piece| piece.len()).take(20).collect();
        panic!("{}: in pieces of {lens:?} bytes\n  {cut:?}\nbut whole\n  {whole:?}", vector.name);
    }
}

fn whole(vector: &Vector) -> Outcome {
    receive(vector, [&vector.bytes[..]])
}

/// The places at which a stream of this length is cut.
fn places(len: usize) -> impl Iterator<Item = usize> {
    (0..=len).filter(move |&at| len <= SHORT || at < 24 || at + 24 > len || at % 4999 == 0)
}

#[test]
fn the_result_is_the_same_byte_by_byte() {
    for vector in vectors() {
        let pieces: Vec<_> = vector.bytes.chunks(1).collect();
        assert_same(&vector, &whole(&vector), &pieces);
    }
}

#[test]
fn the_result_is_the_same_in_small_pieces() {
    for vector in vectors() {
        let whole = whole(&vector);
        for size in (2..20).chain([125, 126, 127, 4096]) {
            let pieces: Vec<_> = vector.bytes.chunks(size).collect();
            assert_same(&vector, &whole, &pieces);
        }
    }
}

#[test]
fn the_result_is_the_same_cut_in_two_anywhere() {
    for vector in vectors() {
        let whole = whole(&vector);
        for at in places(vector.bytes.len()) {
            let (first, second) = vector.bytes.split_at(at);
            assert_same(&vector, &whole, &[first, second]);
        }
    }
}

#[test]
fn the_result_is_the_same_with_empty_reads() {
    for vector in vectors() {
        let pieces: Vec<_> = vector.bytes.chunks(3).flat_map(|piece| [piece, &[]]).collect();
        assert_same(&vector, &whole(&vector), &pieces);
    }
}

/// A driver may keep an unfinished message in a small buffer, and read into a large one.
#[test]
fn the_result_is_the_same_when_the_buffer_changes() {
    for vector in vectors() {
        let mut machine = vector.machine();
        let mut other = RecvBuffer::new();
        let mut seen = Vec::new();
        for piece in vector.bytes.chunks(vector.bytes.len() / 50 + 1) {
            machine.buffer.move_to(&mut other);
            core::mem::swap(&mut machine.buffer, &mut other);
            read_into(&mut machine, piece);
            seen.extend(machine.receive_buffered());
        }
        seen.dedup_by(|next, seen| matches!(seen, Seen::Error(_)) && next == seen);
        let whole = whole(&vector);
        assert_eq!((seen, machine.out.to_vec()), (whole.seen, whole.sent), "{}", vector.name);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..Default::default() })]

    #[test]
    fn the_result_is_the_same_cut_in_three_anywhere(which: prop::sample::Index, cuts: [prop::sample::Index; 2]) {
        let all = short_vectors();
        let vector = which.get(all);
        let len = vector.bytes.len() + 1;
        let mut at = cuts.map(|cut| cut.index(len));
        at.sort_unstable();
        let pieces = [&vector.bytes[..at[0]], &vector.bytes[at[0]..at[1]], &vector.bytes[at[1]..]];
        assert_same(vector, &whole(vector), &pieces);
    }
}

fn short_vectors() -> &'static [Vector] {
    static SHORT_ONES: std::sync::LazyLock<Vec<Vector>> = std::sync::LazyLock::new(|| {
        vectors().into_iter().filter(|vector| vector.bytes.len() <= 5000).collect()
    });
    &SHORT_ONES
}

/// The tests above are only as good as their streams, which must cover everything.
#[test]
fn the_streams_cover_every_event_and_every_error_of_a_peer() {
    let mut names: Vec<String> = vectors()
        .iter()
        .flat_map(|vector| whole(vector).seen)
        .map(|seen| {
            let shown = format!("{seen:?}").replace("Error(", "");
            shown.split('(').next().unwrap_or_default().trim_end_matches(')').to_owned()
        })
        .collect();
    names.sort();
    names.dedup();
    let mut all = vec![
        "Binary",
        "Close",
        "ControlTooLong",
        "FragmentedControl",
        "InterleavedMessage",
        "InvalidCloseCode",
        "InvalidCloseReason",
        "InvalidUtf8",
        "LengthOverflow",
        "MaskedFrame",
        "MessageTooBig",
        "NonMinimalLength",
        "Ping",
        "Pong",
        "ReservedBits",
        "ReservedOpcode",
        "Text",
        "TooManyEmptyFragments",
        "TruncatedCloseCode",
        "UnexpectedContinuation",
        "UnmaskedFrame",
    ];
    if cfg!(feature = "deflate") {
        all.extend(["InvalidDeflate", "TooManyBlocks"]);
        all.sort_unstable();
    }
    assert_eq!(names, all);
}

/// A failure names its stream by nothing else.
#[test]
fn the_streams_are_many_and_have_distinct_names() {
    let mut names: Vec<_> = vectors().into_iter().map(|vector| vector.name).collect();
    let count = names.len();
    assert!(count >= 300, "{count}");
    names.sort();
    names.dedup();
    assert_eq!(names.len(), count);
}
