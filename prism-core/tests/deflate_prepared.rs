//! RFC 7692 §7.2.1 for a message that is encoded once and sent to many connections.
#![cfg(feature = "deflate")]

use std::sync::Arc;

use bytes::BytesMut;
use prism_core::{
    Output, PreparedMessage, Role, WebSocket,
    deflate::{Codecs, Compressor, Deflate, DeflateParams},
};

use crate::common::{
    deflate::{agreements, bits, eager, json, no_takeover, noise, takeover},
    frame::{Frame, sent_by},
    machine::{Machine, quiet},
    pair::Pair,
    text,
};

fn long_text() -> String {
    (0..100).map(json).collect()
}

/// An output that keeps prepared messages apart.
#[derive(Default)]
struct Keeping {
    own: BytesMut,
    kept: Vec<PreparedMessage>,
}

impl Output for Keeping {
    fn buffer(&mut self) -> &mut BytesMut {
        &mut self.own
    }

    fn unsent_bytes(&self) -> usize {
        self.own.len()
    }

    fn append(&mut self, message: &PreparedMessage) {
        self.kept.push(message.clone());
    }
}

fn server(size: u8) -> Machine {
    let params = DeflateParams { server_max_window_bits: bits(size), ..takeover() };
    Machine::new(Role::Server, &quiet()).with_deflate(&eager(), params)
}

#[test]
fn a_prepared_message_arrives_on_connections_with_any_agreement() {
    let (long, short) = (long_text(), json(7));
    let messages = [PreparedMessage::new(&long), PreparedMessage::new(&short)];
    for params in agreements() {
        let mut pair = Pair::new(&quiet()).with_deflate(&eager(), params);
        let mut expected = Vec::new();
        // Prepared ones are in the history like others.
        for nth in 0..3 {
            for message in &messages {
                for machine in [&mut pair.client, &mut pair.server] {
                    machine.ws.send_prepared(message, &mut machine.out).unwrap();
                    machine.send(&json(nth)).unwrap();
                }
                let plain = std::str::from_utf8(message.payload()).unwrap();
                expected.extend([text(plain), text(&json(nth))]);
            }
        }
        pair.deliver();
        assert_eq!(pair.client.seen(), expected, "{params:?}");
        assert_eq!(pair.server.seen(), expected, "{params:?}");
    }
}

#[test]
fn connections_with_one_window_share_one_compressed_form() {
    let message = PreparedMessage::new(&long_text());
    let mut out = Keeping::default();
    for size in [15, 15, 12, 12] {
        server(size).ws.send_prepared(&message, &mut out).unwrap();
    }
    let places: Vec<_> = out.kept.iter().map(|kept| kept.frame().as_ptr()).collect();
    assert_eq!((places[0], places[2]), (places[1], places[3]));
    assert_ne!(places[0], places[2]);
    assert!(out.own.is_empty());
    for kept in out.kept {
        let [frame] = &sent_by(Role::Server, kept.frame())[..] else { panic!("one frame") };
        assert!(frame.is_compressed() && frame.payload.len() < message.payload().len() / 3);
    }
}

/// No distance can exceed the message, so a larger window changes nothing.
#[test]
fn a_short_message_has_one_form_for_all_windows() {
    let message = PreparedMessage::new(&json(3));
    assert!(message.payload().len() <= 256);
    let mut out = Keeping::default();
    (8..=15).for_each(|size| server(size).ws.send_prepared(&message, &mut out).unwrap());
    let first = out.kept[0].frame().as_ptr();
    assert!(out.kept.iter().all(|kept| kept.frame().as_ptr() == first));
}

#[test]
fn a_prepared_message_that_would_not_get_shorter_is_sent_as_it_is() {
    let plain = noise(1000);
    let message = PreparedMessage::new(&plain);
    for role in [Role::Server, Role::Client] {
        let mut machine = Machine::new(role, &quiet()).with_deflate(&eager(), takeover());
        machine.ws.send_prepared(&message, &mut machine.out).unwrap();
        assert_eq!(machine.sent(), [Frame::binary(&plain)]);
    }
    let short = "x".repeat(99);
    let message = PreparedMessage::new(&short);
    let deflate = Arc::new(Deflate::default().threshold(100));
    let mut machine = Machine::new(Role::Server, &quiet()).with_deflate(&deflate, no_takeover());
    machine.ws.send_prepared(&message, &mut machine.out).unwrap();
    assert_eq!(machine.sent(), [Frame::text(&short)]);
}

/// So that a message can be compressed before a lock is taken, and by several threads.
#[test]
fn a_message_is_compressed_once_by_any_number_of_threads() {
    let message = PreparedMessage::new(&long_text());
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut codecs = Codecs::new();
                (8..=15).for_each(|size| message.compress(&eager(), bits(size), &mut codecs));
            });
        }
    });
    let mut out = Keeping::default();
    server(15).ws.send_prepared(&message, &mut out).unwrap();
    server(15).ws.send_prepared(&message.clone(), &mut out).unwrap();
    assert_eq!(out.kept[0].frame().as_ptr(), out.kept[1].frame().as_ptr());
    assert_eq!(message, PreparedMessage::new(&long_text()), "its forms are no part of its value");
}

/// Tasks that share a compressor without takeover need no exclusive access to it.
#[test]
fn a_compressor_without_takeover_can_be_shared() {
    let message = PreparedMessage::new(&long_text());
    let mut codecs = Codecs::new();
    let with = Compressor::new(eager(), takeover(), Role::Server);
    assert!(with.compress_prepared_alone(&message, &mut codecs).is_none());
    let without = Compressor::new(eager(), no_takeover(), Role::Server);
    let mut out = BytesMut::new();
    let (_, mut outbound, _) = WebSocket::server(&quiet()).split();
    for _ in 0..2 {
        let compressed = without.compress_prepared_alone(&message, &mut codecs);
        outbound.send_compressed(compressed.expect("compressed"), &mut out).unwrap();
    }
    let mut client = Machine::client().with_deflate(&eager(), no_takeover());
    assert_eq!(client.receive(&out), [text(&long_text()), text(&long_text())]);
}

#[test]
fn without_an_agreement_a_compressed_message_is_sent_as_it_is() {
    let long = long_text();
    let message = PreparedMessage::new(&long);
    message.compress(&eager(), bits(15), &mut Codecs::new());
    for mut machine in Machine::both() {
        machine.ws.send_prepared(&message, &mut machine.out).unwrap();
        assert_eq!(machine.sent(), [Frame::text(&long)]);
    }
}
