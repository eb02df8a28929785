//! RFC 6455 §5 as properties: what is sent arrives, however it is cut, fragmented and mixed with
//! control frames; and garbage ends a connection in an orderly way.

use prism_core::{OwnedMessage, Role, State, apply_mask};
use proptest::{collection::vec, prelude::*, sample::Index};

use crate::common::{
    Seen,
    frame::{Frame, encode_all, masked, parse, sent_by},
    machine::{Machine, limited, quiet},
    pair::Pair,
};

/// A message of the application.
fn message() -> impl Strategy<Value = OwnedMessage> {
    prop_oneof![
        // Any characters at all, so that fragments and cuts divide them.
        vec(any::<char>(), 0..60).prop_map(|chars| OwnedMessage::Text(chars.into_iter().collect())),
        vec(any::<u8>(), 0..300).prop_map(OwnedMessage::Binary),
        (any::<u8>(), 65_500..65_600_usize)
            .prop_map(|(byte, len)| OwnedMessage::Binary(vec![byte; len])),
    ]
}

fn seen(message: &OwnedMessage) -> Seen {
    match message {
        OwnedMessage::Text(text) => Seen::Text(text.clone()),
        OwnedMessage::Binary(bytes) => Seen::Binary(bytes.clone()),
    }
}

fn role() -> impl Strategy<Value = Role> {
    prop_oneof![Just(Role::Server), Just(Role::Client)]
}

/// Where a fragment ends, and the control frame after it, if any.
type Cut = (Index, Option<Frame>);

/// Returns the fragments of a message that is divided by these cuts, and the expected events.
fn fragmented(message: &OwnedMessage, cuts: &[Cut]) -> (Vec<Frame>, Vec<Seen>) {
    let bytes = message.as_message().as_bytes();
    let mut at: Vec<_> = cuts.iter().map(|(cut, _)| cut.index(bytes.len() + 1)).collect();
    at.sort_unstable();
    at.push(bytes.len());
    let (mut frames, mut events, mut from) = (Vec::new(), Vec::new(), 0);
    for (i, to) in at.into_iter().enumerate() {
        let opcode = match message {
            _ if i > 0 => 0,
            OwnedMessage::Text(_) => 1,
            OwnedMessage::Binary(_) => 2,
        };
        let frame = Frame::new(opcode, &bytes[from..to]);
        from = to;
        let Some((_, control)) = cuts.get(i) else {
            frames.push(frame);
            break;
        };
        frames.push(frame.unfinished());
        if let Some(control) = control {
            let payload = control.payload.clone();
            let is_ping = control.opcode() == crate::common::frame::PING;
            events.push(if is_ping { Seen::Ping(payload) } else { Seen::Pong(payload) });
            frames.push(control.clone());
        }
    }
    events.push(seen(message));
    (frames, events)
}

fn control() -> impl Strategy<Value = Frame> {
    let payload = || vec(any::<u8>(), 0..126);
    prop_oneof![payload().prop_map(Frame::ping), payload().prop_map(Frame::pong)]
}

/// Messages, each with the cuts between its fragments.
fn conversation() -> impl Strategy<Value = Vec<(OwnedMessage, Vec<Cut>)>> {
    vec((message(), vec((any::<Index>(), prop::option::of(control())), 0..8)), 1..6)
}

fn config() -> ProptestConfig {
    ProptestConfig { cases: 300, failure_persistence: None, ..Default::default() }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn fragmented_messages_arrive_however_they_are_cut(
        role in role(), conversation in conversation(), sizes in vec(1..5000_usize, 1..20),
    ) {
        let mut machine = Machine::new(role, &quiet());
        let (mut frames, mut expected) = (Vec::new(), Vec::new());
        for (message, cuts) in &conversation {
            let (of_message, events) = fragmented(message, cuts);
            frames.extend(of_message);
            expected.extend(events);
        }
        let stream = encode_all(machine.peer(), frames);
        let mut rest = &stream[..];
        let mut seen = Vec::new();
        for size in sizes.iter().cycle() {
            let (piece, behind) = rest.split_at(rest.len().min(*size));
            seen.extend(machine.receive(piece));
            rest = behind;
            if rest.is_empty() {
                break;
            }
        }
        prop_assert!(machine.buffer.is_empty());
        let answers: Vec<_> = expected
            .iter()
            .filter_map(|seen| if let Seen::Ping(p) = seen { Some(Frame::pong(p)) } else { None })
            .collect();
        prop_assert_eq!(machine.sent(), answers);
        prop_assert_eq!(seen, expected);
    }

    #[test]
    fn messages_arrive_and_can_be_echoed(
        messages in vec(message(), 1..8), size in 1..3000_usize,
    ) {
        let mut pair = Pair::new(&quiet());
        let expected: Vec<_> = messages.iter().map(seen).collect();
        for message in &messages {
            pair.client.send(message).unwrap();
        }
        pair.deliver_in_pieces(size);
        let at_server = pair.server.seen();
        prop_assert_eq!(&at_server, &expected);
        for seen in &at_server {
            match seen {
                Seen::Text(text) => pair.server.send(text),
                Seen::Binary(bytes) => pair.server.send(bytes),
                other => panic!("{other:?}"),
            }.unwrap();
        }
        pair.deliver_in_pieces(size);
        prop_assert_eq!(pair.client.seen(), expected);
    }

    #[test]
    fn garbage_is_refused_in_an_orderly_way(
        role in role(), pieces in vec(vec(any::<u8>(), 0..40), 0..20),
    ) {
        assert_orderly(role, &pieces);
    }

    #[test]
    fn nearly_valid_streams_end_in_an_orderly_way(
        role in role(),
        frames in vec((any::<u8>(), any::<bool>(), vec(any::<u8>(), 0..130)), 0..20),
        flip in any::<(Index, u8)>(),
        size in 1..100_usize,
    ) {
        let sender = if role == Role::Server { Role::Client } else { Role::Server };
        let frames = frames.into_iter().map(|(first, plausible, payload)| {
            let opcode = if plausible { first % 3 } else { first & 0x0f };
            Frame { first: first & 0x80 | opcode, ..Frame::new(0, payload) }
        });
        let mut stream = encode_all(sender, frames);
        if !stream.is_empty() {
            let at = flip.0.index(stream.len());
            stream[at] ^= flip.1;
        }
        let pieces: Vec<_> = stream.chunks(size).map(<[u8]>::to_vec).collect();
        assert_orderly(role, &pieces);
    }

    #[test]
    fn masking_in_pieces_is_the_xor_of_the_rfc(
        bytes in vec(any::<u8>(), 0..300), key: [u8; 4], at: [Index; 2],
    ) {
        let mut at = at.map(|at| at.index(bytes.len() + 1));
        at.sort_unstable();
        let mut pieces = bytes.clone();
        let turned = apply_mask(&mut pieces[..at[0]], key);
        let turned = apply_mask(&mut pieces[at[0]..at[1]], turned);
        apply_mask(&mut pieces[at[1]..], turned);
        prop_assert_eq!(&pieces, &masked(&bytes, key));
        apply_mask(&mut pieces, key);
        prop_assert_eq!(pieces, bytes, "twice is nothing");
    }

    #[test]
    fn a_close_with_any_reason_completes(reason in "\\PC{0,30}", code in 3000..5000_u16) {
        let mut pair = Pair::new(&quiet());
        let code = prism_core::CloseCode::new(code).unwrap();
        prop_assert!(reason.len() <= 123);
        assert!(pair.client.close(code, &reason));
        pair.deliver_in_pieces(3);
        prop_assert_eq!(pair.server.seen(), [Seen::Close(code.into(), reason)]);
        prop_assert_eq!(pair.states(), [State::Closed; 2]);
    }
}

/// Checks that the pieces cause no panic, at most one error, which then repeats, nothing but valid
/// frames in the output, and no more memory than the bytes justify.
fn assert_orderly(role: Role, pieces: &[Vec<u8>]) {
    const LIMIT: usize = 500;
    let mut machine = Machine::new(role, &limited(LIMIT));
    let mut failed = None;
    let mut fed = 0;
    for piece in pieces {
        fed += piece.len();
        let seen = machine.receive(piece);
        assert!(machine.buffer.capacity() <= 4 * fed.min(LIMIT + 14 + 130) + 256);
        let error = seen.iter().find(|seen| matches!(seen, Seen::Error(_))).cloned();
        if failed.is_some() {
            assert_eq!(seen, failed.iter().cloned().collect::<Vec<_>>(), "fused");
        }
        failed = failed.or(error);
    }
    let out = machine.out.clone();
    let sent = sent_by(role, &out);
    let closes = sent.iter().filter(|frame| frame.opcode() == crate::common::frame::CLOSE).count();
    assert_eq!(closes, usize::from(machine.state() != State::Open), "{sent:?}");
    assert!(closes == 0 || sent.last().is_some_and(|frame| frame.opcode() == 8), "{sent:?}");
    let told = sent.last().filter(|_| closes > 0).and_then(Frame::close_code);
    if let Some(Seen::Error(error)) = failed {
        assert_eq!(told, error.close_code().map(u16::from));
    }
    assert_eq!(parse(&out).len(), sent.len());
}
