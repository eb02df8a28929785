//! RFC 7692 in memory: once the codecs are warm, nothing is allocated for a message, and a connection
//! keeps no more than was agreed. The allocator counts.
#![cfg(feature = "deflate")]

use std::cell::RefCell;

use allocation_counter::measure;
use bytes::{Buf, BytesMut};
use prism_core::{
    Event, Inbound, Message, Outbound, RecvBuffer, Role, WebSocket,
    deflate::{Codecs, Compressor, Deflate, DeflateParams},
};

use crate::common::{
    deflate::{bits, eager, json, no_takeover, takeover},
    machine::{mask_keys, quiet},
};

thread_local! {
    static CODECS: RefCell<Codecs> = const { RefCell::new(Codecs::new()) };
}

/// One direction of a connection, with the codecs of the thread at both ends, and nothing that records.
struct Direction {
    compressor: Compressor,
    outbound: Outbound,
    inbound: Inbound,
    buffer: RecvBuffer,
    out: BytesMut,
}

impl Direction {
    /// From a server to a client, or the reverse.
    fn new(params: DeflateParams, to_client: bool) -> Self {
        let server = WebSocket::server(&quiet()).with_deflate(eager(), params);
        let client = WebSocket::client(&quiet(), mask_keys()).with_deflate(eager(), params);
        let (sender, receiver) = if to_client { (server, client) } else { (client, server) };
        let (_, outbound, compressor) = sender.split();
        let (inbound, ..) = receiver.split();
        Self {
            compressor: compressor.expect("agreed"),
            outbound,
            inbound: inbound.share_codecs(|use_codecs| CODECS.with_borrow_mut(use_codecs)),
            buffer: RecvBuffer::new(),
            out: BytesMut::new(),
        }
    }

    fn carry(&mut self, message: &str) {
        let Self { compressor, outbound, inbound, buffer, out } = self;
        CODECS.with_borrow_mut(|codecs| {
            let compressed = compressor.compress(Message::Text(message), codecs).expect("shorter");
            outbound.send_compressed(compressed, out).expect("open");
        });
        buffer.extend_from_slice(out);
        out.advance(out.len());
        let event = inbound.receive(buffer).expect("valid");
        assert_eq!(event, Some(Event::Message(Message::Text(message))));
        assert_eq!(inbound.receive(buffer), Ok(None));
    }
}

fn messages() -> Vec<String> {
    let long: String = (0..1000).map(json).collect();
    [200, 300, 1000, 10_000, 70_000].map(|len| long[..len].to_owned()).to_vec()
}

#[test]
fn nothing_is_allocated_for_a_message_once_the_codecs_are_warm() {
    for params in [takeover(), no_takeover(), narrow()] {
        for to_client in [true, false] {
            let mut direction = Direction::new(params, to_client);
            let messages = messages();
            let mut carry_all = || messages.iter().for_each(|message| direction.carry(message));
            carry_all();
            carry_all();
            let info = measure(|| (0..10).for_each(|_| carry_all()));
            assert_eq!((info.count_total, info.bytes_total), (0, 0), "{params:?}");
        }
    }
}

fn narrow() -> DeflateParams {
    DeflateParams {
        server_max_window_bits: bits(9),
        client_max_window_bits: bits(10),
        ..takeover()
    }
}

#[test]
fn a_whole_websocket_does_not_allocate_for_a_message_either() {
    let mut server = WebSocket::server(&quiet()).with_deflate(eager(), takeover());
    let mut client = WebSocket::client(&quiet(), mask_keys()).with_deflate(eager(), takeover());
    let (mut input, mut out, mut back) = (RecvBuffer::new(), BytesMut::new(), BytesMut::new());
    let messages = messages();
    let mut carry_all = || {
        for message in &messages {
            client.send(message, &mut out).expect("open");
            input.extend_from_slice(&out);
            out.advance(out.len());
            let event = server.receive(&mut input, &mut back).expect("valid");
            assert_eq!(event, Some(Event::Message(Message::Text(message))));
        }
    };
    carry_all();
    carry_all();
    let info = measure(|| (0..10).for_each(|_| carry_all()));
    assert_eq!((info.count_total, info.bytes_total), (0, 0));
}

/// What a connection keeps between two messages.
#[test]
fn a_connection_keeps_its_windows_and_nothing_else() {
    let kept = |params: DeflateParams| {
        let mut warm_up = Direction::new(params, true);
        (0..2).for_each(|_| messages().iter().for_each(|message| warm_up.carry(message)));
        let mut direction = Direction::new(params, true);
        let messages = messages();
        let info = measure(|| {
            messages.iter().for_each(|message| direction.carry(message));
            // The buffers are the driver's.
            direction.buffer = RecvBuffer::new();
            direction.out = BytesMut::new();
        });
        info.bytes_current
    };
    assert_eq!(kept(no_takeover()), 0);
    assert_eq!(kept(takeover()), 2 * (32 << 10), "at both ends");
    assert_eq!(kept(narrow()), 2 * 512);
}

/// With takeover, too, where a window cannot be larger than what the peer has.
#[test]
fn peers_that_demand_different_windows_share_four_compressors() {
    let params = |size| DeflateParams { server_max_window_bits: bits(size), ..takeover() };
    let mut directions: Vec<_> = (8..=15).map(|size| Direction::new(params(size), true)).collect();
    let messages = messages();
    let mut carry_all = || {
        for message in &messages {
            directions.iter_mut().for_each(|direction| direction.carry(message));
        }
    };
    carry_all();
    carry_all();
    let info = measure(carry_all);
    assert_eq!((info.count_total, info.bytes_total), (0, 0));
}

/// Routes can have levels of their own, and peers can demand different windows.
#[test]
fn a_thread_keeps_four_compressors_at_most() {
    let message = json(1).repeat(1000);
    let kept = |levels: u8| {
        let mut codecs = Codecs::new();
        let info = measure(|| {
            for level in 1..=levels {
                let deflate = Deflate::default().level(level).memory_level(9);
                let mut compressor = Compressor::new(deflate.into(), takeover(), Role::Server);
                assert!(compressor.compress(Message::Text(&message), &mut codecs).is_some());
            }
        });
        info.bytes_current
    };
    assert!(kept(3) < kept(4));
    assert_eq!(kept(4), kept(9));
    assert!(kept(9) < 2 << 20, "{}", kept(9));
}
