//! RFC 7692 §6.1 and §7.2.1: sending compressed messages.
#![cfg(feature = "deflate")]

use std::sync::Arc;

use bytes::BytesMut;
use prism_core::{
    CloseCode, Message, PreparedMessage, Role, SendError,
    deflate::{Codecs, Compressor, Deflate, DeflateParams},
};

use crate::common::{
    Seen, binary,
    deflate::{RSV1, agreements, bits, decode, eager, json, no_takeover, noise, takeover},
    frame::{Frame, sent_by},
    machine::{Machine, quiet},
    pair::Pair,
    text,
};

/// Long enough for any window, and compressible, also far back.
fn long_text() -> String {
    (0..1000).map(|nth| json(nth % 300)).collect()
}

fn machine(role: Role, params: DeflateParams) -> Machine {
    Machine::new(role, &quiet()).with_deflate(&eager(), params)
}

fn windows(params: DeflateParams, sender: Role) -> (usize, bool) {
    match sender {
        Role::Server => (params.server_max_window_bits.size(), !params.server_no_context_takeover),
        Role::Client => (params.client_max_window_bits.size(), !params.client_no_context_takeover),
    }
}

#[test]
fn a_compressed_message_is_one_frame_with_rsv1_and_without_its_last_four_bytes() {
    for role in [Role::Server, Role::Client] {
        let mut machine = machine(role, no_takeover());
        let message = "Hello ".repeat(20);
        machine.send(&message).unwrap();
        machine.send(message.as_bytes()).unwrap();
        let sent = machine.sent();
        assert_eq!(sent.iter().map(|frame| frame.first).collect::<Vec<_>>(), [0xc1, 0xc2]);
        for frame in sent {
            assert!(!frame.payload.ends_with(&[0, 0, 0xff, 0xff]));
            let decoded = decode(&frame.payload, &[]).expect("valid data");
            assert_eq!(decoded.plain, message.as_bytes());
            assert_eq!(decoded.final_blocks, 0, "a peer may stop at a final block");
        }
    }
}

#[test]
fn what_would_not_get_shorter_is_sent_as_it_is() {
    for params in [takeover(), no_takeover()] {
        let mut pair = Pair::new(&quiet()).with_deflate(&eager(), params);
        for len in [0, 1, 2, 3, 10, 100, 10_000, 100_000] {
            let plain = noise(len);
            pair.server.send(&plain).unwrap();
            let sent = sent_by(Role::Server, &pair.server.out);
            assert_eq!(sent, [Frame::binary(&plain)]);
            pair.deliver();
            assert_eq!(pair.client.seen(), [binary(plain)]);
        }
    }
}

#[test]
fn with_a_threshold_of_0_everything_is_compressed_that_is_not_empty() {
    let deflate = Arc::new(Deflate::default().threshold(0));
    for params in [takeover(), no_takeover()] {
        let mut pair = Pair::new(&quiet()).with_deflate(&deflate, params);
        for len in [1, 2, 3, 10, 100, 10_000, 100_000] {
            let plain = noise(len);
            pair.server.send(&plain).unwrap();
            let prepared = PreparedMessage::new(&plain);
            pair.server.ws.send_prepared(&prepared, &mut pair.server.out).unwrap();
            let sent = sent_by(Role::Server, &pair.server.out);
            assert!(sent.iter().all(Frame::is_compressed), "{len} bytes");
            pair.deliver();
            assert_eq!(pair.client.seen(), [binary(&plain), binary(&plain)]);
        }
        pair.server.send("").unwrap();
        assert_eq!(sent_by(Role::Server, &pair.server.out), [Frame::text("")]);
    }
}

#[test]
fn a_message_below_the_threshold_is_sent_as_it_is() {
    let deflate = Arc::new(Deflate::default().threshold(100));
    for role in [Role::Server, Role::Client] {
        let mut machine = Machine::new(role, &quiet()).with_deflate(&deflate, no_takeover());
        machine.send(&"x".repeat(99)).unwrap();
        machine.send(&"x".repeat(100)).unwrap();
        let is_compressed: Vec<_> = machine.sent().iter().map(Frame::is_compressed).collect();
        assert_eq!(is_compressed, [false, true]);
    }
    assert_eq!(Deflate::default().threshold, 512);
}

#[test]
fn control_frames_are_never_compressed() {
    for role in [Role::Server, Role::Client] {
        let mut machine = machine(role, takeover());
        machine.ping(&[7; 125]).unwrap();
        machine.pong(&[7; 125]).unwrap();
        assert!(machine.close(CloseCode::NORMAL, &"x".repeat(123)));
        assert!(machine.sent().iter().all(|frame| frame.first & RSV1 == 0));
    }
}

#[test]
fn send_plain_does_not_compress() {
    for role in [Role::Server, Role::Client] {
        let mut machine = machine(role, takeover());
        let message = "secret ".repeat(100);
        machine.ws.send_plain(&message, &mut machine.out).unwrap();
        assert_eq!(machine.sent(), [Frame::text(&message)]);
    }
}

/// A peer with a window of the agreed size must be able to read everything.
#[test]
fn no_distance_exceeds_the_agreed_window() {
    let long = long_text();
    for level in [1, 2, 3, 6, 9] {
        let deflate = Arc::new(Deflate::default().threshold(0).level(level));
        for size in 8..=15 {
            for is_taken_over in [false, true] {
                let params = DeflateParams {
                    server_max_window_bits: bits(size),
                    server_no_context_takeover: !is_taken_over,
                    ..takeover()
                };
                let mut server =
                    Machine::new(Role::Server, &quiet()).with_deflate(&deflate, params);
                let window = 1 << size;
                let (mut history, mut farthest) = (Vec::new(), 0);
                for len in
                    [window + window / 2, 60, window - 1, window, window + 1, 300, 2 * window]
                {
                    let message = &long[..len];
                    server.send(message).unwrap();
                    let [frame] = &server.sent()[..] else { panic!("one frame") };
                    assert!(frame.is_compressed(), "{len} bytes");
                    let decoded = decode(&frame.payload, &history).expect("valid data");
                    assert_eq!(decoded.plain, message.as_bytes());
                    assert!(decoded.max_distance <= window, "{} > {window}", decoded.max_distance);
                    farthest = farthest.max(decoded.max_distance);
                    if is_taken_over {
                        history.extend_from_slice(message.as_bytes());
                        history.drain(..history.len().saturating_sub(window));
                    }
                }
                assert!(farthest > window / 16, "{farthest}: the window is used, level {level}");
            }
        }
    }
}

#[test]
fn with_takeover_similar_messages_get_much_shorter() {
    let lens = |params| {
        let mut server = machine(Role::Server, params);
        (0..10).for_each(|nth| server.send(&json(nth)).unwrap());
        server.sent().iter().map(|frame| frame.payload.len()).sum::<usize>()
    };
    let (with, without) = (lens(takeover()), lens(no_takeover()));
    assert!(2 * with < without, "{with} bytes with takeover, and {without} without");
}

#[test]
fn every_agreement_carries_long_and_short_messages() {
    let long = long_text();
    for params in agreements() {
        let mut pair = Pair::new(&quiet()).with_deflate(&eager(), params);
        let messages: Vec<_> =
            [10, 300, 3000, 40_000, 0, 700].iter().map(|&len| &long[..len]).collect();
        for message in &messages {
            pair.client.send(*message).unwrap();
            pair.server.send(*message).unwrap();
        }
        pair.deliver();
        let expected: Vec<_> = messages.iter().map(|message| text(message)).collect();
        assert_eq!(pair.client.seen(), expected, "{params:?}");
        assert_eq!(pair.server.seen(), expected, "{params:?}");
    }
}

/// RFC 7692 §7.1.1.1: the window has compressed messages only. So it does not matter what is sent as it
/// is in between.
#[test]
fn uncompressed_messages_may_come_between_compressed_ones() {
    for params in [takeover(), no_takeover()] {
        for role in [Role::Server, Role::Client] {
            let mut sender = machine(role, params);
            let mut history = Vec::new();
            let (window, takes_over) = windows(params, role);
            for nth in 0..40 {
                let plain = noise(1000 + nth);
                sender.send(&plain).unwrap();
                sender.ws.send_plain(&json(nth), &mut sender.out).unwrap();
                sender.send(&json(nth)).unwrap();
                let [incompressible, uncompressed, compressed] = &sender.sent()[..] else {
                    panic!("three frames")
                };
                assert_eq!(*incompressible, Frame::binary(&plain));
                assert_eq!(*uncompressed, Frame::text(json(nth)));
                // Decoded with exactly the window that the peer has.
                let decoded = decode(&compressed.payload, &history).expect("valid data");
                assert_eq!(decoded.plain, json(nth).as_bytes());
                if takes_over {
                    history.extend(decoded.plain);
                    history.drain(..history.len().saturating_sub(window));
                }
            }
        }
    }
}

/// A message that was compressed and not sent is not in the peer's window.
#[test]
fn a_compressed_message_that_is_not_sent_does_no_harm() {
    let mut pair = Pair::new(&quiet()).with_deflate(&eager(), takeover());
    let ws = prism_core::WebSocket::server(&quiet()).with_deflate(eager(), takeover());
    let (_, mut outbound, compressor) = ws.split();
    let (mut compressor, mut codecs) = (compressor.expect("agreed"), Codecs::new());
    for nth in 0..40 {
        let dropped = json(1000 + nth);
        assert!(compressor.compress(Message::Text(&dropped), &mut codecs).is_some());
        let sent = json(2000 + nth).replace("position", &format!("{dropped:?}"));
        let compressed = compressor.compress(Message::Text(&sent), &mut codecs).unwrap();
        outbound.send_compressed(compressed, &mut pair.server.out).unwrap();
        pair.deliver();
        assert_eq!(pair.client.seen(), [text(&sent)], "{nth}");
    }
}

#[test]
fn a_refused_message_is_no_part_of_the_history() {
    let ws = prism_core::WebSocket::server(&quiet()).with_deflate(eager(), takeover());
    let (_, mut outbound, compressor) = ws.split();
    let (mut compressor, mut codecs) = (compressor.expect("agreed"), Codecs::new());
    let (message, mut out) = (json(1), BytesMut::new());
    let first = compressor.compress(Message::Text(&message), &mut codecs).unwrap();
    let first_payload = first.payload().to_vec();
    outbound.close(CloseCode::NORMAL, "", &mut out);
    assert_eq!(outbound.send_compressed(first, &mut out), Err(SendError::Closed));
    let again = compressor.compress(Message::Text(&message), &mut codecs).unwrap();
    assert_eq!(again.payload(), first_payload, "it refers to nothing");
    assert_eq!(outbound.send_compressed_header(again, &mut out), Err(SendError::Closed));
    assert_eq!(sent_by(Role::Server, &out).len(), 1, "the close frame");
}

#[test]
fn a_payload_may_be_sent_apart_from_its_header() {
    for role in [Role::Server, Role::Client] {
        let mut receiver =
            machine(if role == Role::Server { Role::Client } else { Role::Server }, takeover());
        let (_, mut outbound, compressor) = machine(role, takeover()).ws.split();
        let (mut compressor, mut codecs) = (compressor.expect("agreed"), Codecs::new());
        for nth in 0..5 {
            let (message, mut out) = (json(nth), BytesMut::new());
            let compressed = compressor.compress(Message::Text(&message), &mut codecs).unwrap();
            let payload = outbound.send_compressed_header(compressed, &mut out).unwrap();
            assert_eq!(payload.is_some(), role == Role::Server, "a client has to mask it");
            out.extend_from_slice(payload.unwrap_or_default());
            assert_eq!(receiver.receive(&out), [text(&message)]);
        }
    }
}

/// A sender that drops messages from its queue gives up takeover.
#[test]
fn without_takeover_messages_refer_to_nothing_and_may_be_dropped() {
    let mut client = machine(Role::Client, takeover());
    let (_, mut outbound, compressor) = machine(Role::Server, takeover()).ws.split();
    let mut compressor = compressor.expect("agreed");
    assert!(compressor.takes_over());
    let mut codecs = Codecs::new();
    assert!(compressor.compress_alone(Message::Text(&json(1)), &mut codecs).is_none());
    compressor = compressor.without_takeover();
    assert!(!compressor.takes_over());
    for nth in 0..20 {
        let (message, mut out) = (json(nth), BytesMut::new());
        let compressed = compressor.compress_alone(Message::Text(&message), &mut codecs);
        outbound.send_compressed(compressed.expect("compressed"), &mut out).unwrap();
        if nth % 3 != 0 {
            assert_eq!(client.receive(&out), [text(&message)]);
        }
    }
}

#[test]
fn a_closed_connection_refuses_messages_of_any_kind() {
    for role in [Role::Server, Role::Client] {
        let mut machine = machine(role, takeover());
        machine.close(CloseCode::NORMAL, "");
        machine.sent();
        for message in [json(1), String::new()] {
            assert_eq!(machine.send(&message), Err(SendError::Closed));
            let plain = machine.ws.send_plain(&message, &mut machine.out);
            assert_eq!(plain, Err(SendError::Closed));
        }
        assert_eq!(machine.sent(), []);
    }
}

/// One set of codecs serves connections with any settings, in any order.
#[test]
fn connections_share_codecs() {
    let mut codecs = Codecs::new();
    let mut ends: Vec<_> = agreements()
        .step_by(7)
        .enumerate()
        .map(|(nth, params)| {
            let deflate = Arc::new(Deflate::default().threshold(0).level(nth as u8 % 12));
            let compressor = Compressor::new(deflate, params, Role::Server);
            let (_, outbound, _) = prism_core::WebSocket::server(&quiet()).split();
            (compressor, outbound, machine(Role::Client, params))
        })
        .collect();
    let long = long_text();
    for len in [5000, 200, 600, 5001] {
        for (compressor, outbound, client) in &mut ends {
            let (message, mut out) = (&long[..len], BytesMut::new());
            match compressor.compress(Message::Text(message), &mut codecs) {
                Some(compressed) => outbound.send_compressed(compressed, &mut out).unwrap(),
                None => panic!("it gets shorter"),
            }
            let seen: Vec<Seen> = client.receive(&out);
            assert_eq!(seen, [text(message)]);
        }
    }
}

/// A message to clients with windows of every size is compressed four times at most.
#[test]
fn odd_windows_share_the_forms_of_a_prepared_message() {
    let prepared = PreparedMessage::new(&long_text());
    let mut codecs = Codecs::new();
    let mut compressed = Vec::new();
    for size in 8..=15 {
        let params = DeflateParams { server_max_window_bits: bits(size), ..no_takeover() };
        let compressor = Compressor::new(eager(), params, Role::Server);
        let form = compressor.compress_prepared_alone(&prepared, &mut codecs).unwrap();
        let decoded = decode(form.payload(), &[]).expect("valid data");
        assert_eq!(decoded.plain, prepared.payload());
        assert!(decoded.max_distance <= 1 << size);
        compressed.push(codecs.take_compressed() > 0);
    }
    assert_eq!(compressed, [true, true, false, false, true, false, false, true]);
}

/// A connection may prepare any message, so that it compresses it once for several peers.
#[test]
fn a_prepared_message_is_compressed_as_the_message_itself() {
    let long = long_text();
    let mut codecs = Codecs::new();
    for size in 8..=15 {
        let params = DeflateParams { server_max_window_bits: bits(size), ..no_takeover() };
        let compressor = Compressor::new(eager(), params, Role::Server);
        for len in [100, 1 << size, (1 << size) + 1, 20_000] {
            let message = Message::Text(&long[..len]);
            let direct =
                compressor.compress_alone(message, &mut codecs).unwrap().payload().to_vec();
            let prepared = PreparedMessage::new(message);
            let form = compressor.compress_prepared_alone(&prepared, &mut codecs).unwrap();
            assert_eq!(form.payload(), direct, "{len} bytes, window of 2^{size}");
        }
    }
}
