//! RFC 7692 as a property: whatever is agreed, and however messages are sent and cut, they arrive.
#![cfg(feature = "deflate")]

use std::sync::Arc;

use prism_core::{OwnedMessage, PreparedMessage, ProtocolError, Role, deflate::Deflate};
use proptest::{collection::vec, prelude::*, sample::Index};

use crate::common::{
    Seen,
    deflate::{agreements, decode, no_takeover, takeover},
    error,
    frame::{Frame, encode_all},
    machine::{Machine, limited, quiet},
    pair::Pair,
};

/// Few different bytes, often the same sequence again: what can be compressed.
fn payload() -> impl Strategy<Value = Vec<u8>> {
    let piece = vec(b'a'..b'd', 1..40);
    let repeated = (piece, 1..30_usize).prop_map(|(piece, times)| piece.repeat(times));
    prop_oneof![
        vec(repeated, 0..12).prop_map(|pieces| pieces.concat()),
        vec(any::<u8>(), 0..300),
        (vec(any::<u8>(), 1..300), 1..200_usize).prop_map(|(piece, times)| piece.repeat(times)),
    ]
}

#[derive(Clone, Debug)]
enum Way {
    Compressed,
    Plain,
    Prepared,
}

fn act() -> impl Strategy<Value = (bool, Way, bool, Vec<u8>)> {
    let way =
        prop_oneof![3 => Just(Way::Compressed), 1 => Just(Way::Plain), 1 => Just(Way::Prepared)];
    (any::<bool>(), way, any::<bool>(), payload())
}

fn perform(machine: &mut Machine, way: &Way, message: &OwnedMessage) {
    match way {
        Way::Compressed => machine.send(message),
        Way::Plain => machine.ws.send_plain(message, &mut machine.out),
        Way::Prepared => machine.ws.send_prepared(&PreparedMessage::new(message), &mut machine.out),
    }
    .expect("the connection is open");
}

fn seen(message: &OwnedMessage) -> Seen {
    match message {
        OwnedMessage::Text(text) => Seen::Text(text.clone()),
        OwnedMessage::Binary(bytes) => Seen::Binary(bytes.clone()),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..Default::default() })]

    #[test]
    fn messages_arrive_under_any_agreement(
        agreement: Index, level in 0..11_u8, memory_level in 0..11_u8, threshold in 0..300_usize,
        acts in vec(act(), 1..20), size in 1..5000_usize,
    ) {
        let params = agreements().nth(agreement.index(256)).unwrap();
        let deflate = Deflate::default().level(level).memory_level(memory_level).threshold(threshold);
        let mut pair = Pair::new(&quiet()).with_deflate(&Arc::new(deflate), params);
        let (mut to_client, mut to_server) = (Vec::new(), Vec::new());
        for (by_client, way, is_text, payload) in acts {
            let message = match String::from_utf8(payload) {
                Ok(text) if is_text => OwnedMessage::Text(text),
                Ok(text) => OwnedMessage::Binary(text.into()),
                Err(error) => OwnedMessage::Binary(error.into_bytes()),
            };
            let (machine, expected) = if by_client {
                (&mut pair.client, &mut to_server)
            } else {
                (&mut pair.server, &mut to_client)
            };
            perform(machine, &way, &message);
            expected.push(seen(&message));
        }
        pair.deliver_in_pieces(size);
        prop_assert_eq!(pair.client.seen(), to_client);
        prop_assert_eq!(pair.server.seen(), to_server);
    }

    #[test]
    fn a_compressed_message_may_be_fragmented_anywhere(
        payload in payload(), cuts in vec(any::<Index>(), 0..6), takes_over: bool,
    ) {
        let params = if takes_over { takeover() } else { no_takeover() };
        let deflate = Arc::new(Deflate::default().threshold(0));
        let mut server = Machine::new(Role::Server, &quiet()).with_deflate(&deflate, params);
        let mut client = Machine::new(Role::Client, &quiet()).with_deflate(&deflate, params);
        server.send(&payload).unwrap();
        let frame = server.sent().remove(0);
        let mut at: Vec<_> = cuts.iter().map(|cut| cut.index(frame.payload.len() + 1)).collect();
        at.extend([0, frame.payload.len()]);
        at.sort_unstable();
        let mut frames: Vec<_> = at
            .windows(2)
            .map(|cut| Frame::continuation(&frame.payload[cut[0]..cut[1]]).unfinished())
            .flat_map(|fragment| [fragment, Frame::ping("between")])
            .collect();
        frames.pop();
        frames[0].first |= frame.first & 0x4f;
        frames.last_mut().unwrap().first |= 0x80;
        let mut events = client.receive_frames(frames);
        events.retain(|seen| !matches!(seen, Seen::Ping(_)));
        prop_assert_eq!(events, [Seen::Binary(payload)]);
    }

    /// Whatever the payload is, it is judged as by the decoder of the tests.
    #[test]
    fn any_payload_is_read_or_refused_as_the_rfc_says(
        payload in prop_oneof![vec(any::<u8>(), 1..60), deflated()], flips in vec((any::<Index>(), 0..8_u8), 0..3),
    ) {
        const LIMIT: usize = 100_000;
        let mut payload = payload;
        for (at, bit) in flips {
            let at = at.index(payload.len());
            payload[at] ^= 1 << bit;
        }
        let deflate = Arc::new(Deflate::default());
        let mut client =
            Machine::new(Role::Client, &limited(LIMIT)).with_deflate(&deflate, no_takeover());
        let stream = encode_all(Role::Server, [Frame::binary(&payload).compressed()]);
        let events = client.receive(&stream);
        match decode(&payload, &[]) {
            Some(decoded) if decoded.plain.len() <= LIMIT => {
                // The decoder of the tests is less strict about unused codes and about the end.
                let refused = [error(ProtocolError::InvalidDeflate)];
                prop_assert!(events == [Seen::Binary(decoded.plain)] || events == refused, "{events:?}");
            }
            Some(_) => prop_assert!(matches!(events[..], [Seen::Error(_)])),
            None => prop_assert_eq!(events, [error(ProtocolError::InvalidDeflate)]),
        }
    }
}

/// The payload of a compressed message.
fn deflated() -> impl Strategy<Value = Vec<u8>> {
    payload().prop_map(|plain| {
        let deflate = Arc::new(Deflate::default().threshold(0).level(6));
        let mut server = Machine::new(Role::Server, &quiet()).with_deflate(&deflate, no_takeover());
        server.send(&plain).unwrap();
        let payload = server.sent().remove(0).payload;
        if payload.is_empty() { vec![0] } else { payload }
    })
}
