//! What a connection costs in memory, whatever its peer does. Measured by the allocator, in a process
//! where nothing else happens.

use std::{
    io::Write,
    sync::mpsc::{Sender, channel},
    time::Duration,
};

use super::support::{
    PATIENCE,
    alone::{alone, heap, peak_heap},
    handlers::{Echo, Gate, recorder},
    pattern,
    peer::{BINARY, PING, Peer, TEXT},
    server::{Running, serve, serve_echo},
};
use crate::prism::{
    Connection, Disconnect, Failure, Handler, Message, Options, ProtocolError, Reply, WhenSlow,
};

const MIB: usize = 1 << 20;

/// A server that has its threads, buffers and so on already.
fn warmed_up(options: Options) -> Running {
    let server = serve_echo(options);
    let mut peer = server.open("/");
    peer.send(TEXT, b"warm");
    peer.expect(TEXT, b"warm");
    peer.expect_gone_after_close();
    server
}

/// The start of a masked binary frame that claims to be this long.
fn claim(len: u64) -> Vec<u8> {
    [&[0x82, 0xff][..], &len.to_be_bytes(), &[0; 4]].concat()
}

#[test]
fn a_frame_that_claims_to_be_huge_is_refused_with_1009_and_costs_no_memory() {
    alone(&a_frame_that_claims_to_be_huge_is_refused_with_1009_and_costs_no_memory, || {
        let server = warmed_up(Options::default());
        let cost = peak_heap(|| {
            for len in [1 << 62, 1 << 40, 2 << 30, 1 << 30, (1 << 20) + 1] {
                let mut peer = server.open("/");
                peer.write(&claim(len));
                peer.expect_close_for_a_reason(1009);
                peer.expect_end();
            }
        });
        assert!(cost < MIB, "it cost {cost} bytes");
    });
}

#[test]
fn with_limits_off_a_claim_still_costs_no_more_than_what_comes() {
    alone(&with_limits_off_a_claim_still_costs_no_more_than_what_comes, || {
        let mut options = Options::default();
        options.protocol.max_message_size = usize::MAX;
        let server = warmed_up(options.clone());
        let (recorder, events) = recorder();
        let watched = serve(|server| server.options(options).websocket("/", recorder));
        let cost = peak_heap(|| {
            for len in [1 << 62, 1 << 40, 2 << 30, 1 << 30] {
                let mut peer = watched.open("/");
                events.connected();
                peer.write(&[claim(len), pattern(1000)].concat());
                peer.send_eof();
                let ended = events.ended();
                let gone = ProtocolError::UnexpectedEof;
                let failed =
                    matches!(&ended, Disconnect::Failed(Failure::Protocol(e)) if *e == gone);
                assert!(failed, "{ended}");
                peer.expect_gone();
            }
        });
        assert!(cost < MIB, "it cost {cost} bytes");
        drop(server);
    });
}

#[test]
fn a_thousand_idle_connections_hold_no_buffers() {
    alone(&a_thousand_idle_connections_hold_no_buffers, || {
        let server = warmed_up(Options::default());
        let mut peers = Vec::with_capacity(1000);
        let cost = peak_heap(|| {
            for _ in 0..1000 {
                let mut peer = server.open("/");
                peer.send(BINARY, &[1; 10_000]);
                peer.expect(BINARY, &[1; 10_000]);
                peers.push(peer);
            }
        });
        // The raw peers' own buffers, of 16 KiB at most, are in this as well.
        assert!(cost < 1000 * (16 << 10) + 8 * MIB, "{cost} bytes for 1000 connections");
        eprintln!("a thousand idle connections and their raw peers: {cost} bytes");
    });
}

#[test]
fn a_thousand_that_have_not_begun_hold_no_buffers() {
    alone(&a_thousand_that_have_not_begun_hold_no_buffers, || {
        let (told, tell) = channel();
        let gate = Gate::closed();
        let waits = Firehose { message: Vec::new(), when_slow: WhenSlow::Wait, gate, told };
        let server = serve(|server| server.websocket("/", Echo).websocket("/waits", waits));
        let mut peers = Vec::with_capacity(1000);
        let cost = peak_heap(|| {
            for _ in 0..500 {
                let mut in_handshake = server.dial();
                in_handshake.write(b"GET / HTTP/1.1\r\nHost: ");
                let mut in_on_connect = server.dial();
                let early = in_on_connect.encode(true, TEXT, b"what comes behind the request");
                in_on_connect.write(&[Peer::request("/waits").as_bytes(), &early].concat());
                in_on_connect.head();
                peers.extend([in_handshake, in_on_connect]);
                assert!(matches!(tell.recv_timeout(PATIENCE), Ok(Told::Come)));
            }
        });
        // The raw peers are in this as well.
        assert!(cost < 4 * MIB, "{cost} bytes for 1000 connections");
        eprintln!("a thousand that have not begun, and their raw peers: {cost} bytes");
    });
}

/// Sends a message without an end, as soon as it may, to peers that do not read; or, where it never has
/// to wait, until many have been missed.
struct Firehose {
    message: Vec<u8>,
    when_slow: WhenSlow,
    gate: Gate,
    told: Sender<Told>,
}

enum Told {
    /// That somebody has come.
    Come,
    /// That somebody has gone; and how much of the outbox was used at most.
    Gone(usize),
}

impl Handler for Firehose {
    async fn on_connect(&self, connection: &Connection) {
        self.told.send(Told::Come).expect("the scenario waits");
        self.gate.pass().await;
        let mut most = 0;
        while connection.missed() < 10_000 && connection.send(&self.message).await.is_ok() {
            most = most.max(connection.buffered());
        }
        self.told.send(Told::Gone(most)).expect("the scenario waits");
    }

    async fn on_message(&self, _: &Connection, _: Message<'_>) {}

    fn when_slow(&self, _: &Connection) -> WhenSlow {
        self.when_slow
    }
}

/// What readers that stop cost, with messages of this length: less than a mark and a message each.
fn readers_stop(len: usize, when_slow: WhenSlow) {
    const READERS: usize = 50;
    let mut options = Options::default();
    options.write_timeout = Duration::from_secs(1);
    let mark = options.high_water_mark;
    let (told, tell) = channel();
    let tell = || tell.recv_timeout(PATIENCE).expect("something happens");
    let gate = Gate::closed();
    let message = vec![b'x'; len];
    let hose = Firehose { message, when_slow, gate: gate.clone(), told };
    let server =
        serve(|server| server.options(options).websocket("/", Echo).websocket("/hose", hose));
    let mut echo = server.open("/");
    let peers: Vec<Peer> = (0..READERS).map(|_| server.open("/hose")).collect();
    for _ in &peers {
        assert!(matches!(tell(), Told::Come));
    }
    let cost = peak_heap(|| {
        gate.open();
        echo.send(TEXT, b"and the others are served");
        echo.expect(TEXT, b"and the others are served");
        for _ in &peers {
            let Told::Gone(most) = tell() else { panic!("nobody else comes") };
            // Messages that can be dropped count more than their bytes.
            let least = if when_slow == WhenSlow::DropOldest { 1 } else { mark };
            assert!((least..mark + len + 14).contains(&most), "{most} bytes were waiting");
        }
    });
    eprintln!("{READERS} readers that stop, {when_slow:?}, messages of {len} bytes: {cost} bytes");
    // A sixteenth more, so that buffers do not grow with each message; and whatever else there is.
    let most = READERS * (mark + len) * 17 / 16 + MIB / 2;
    assert!(cost < most, "it cost {cost} bytes, and {most} were to be enough");
}

#[test]
fn readers_that_stop_cost_a_mark_each() {
    alone(&readers_that_stop_cost_a_mark_each, || readers_stop(100, WhenSlow::Wait));
}

#[test]
fn readers_that_stop_cost_a_mark_and_a_message_each() {
    alone(&readers_that_stop_cost_a_mark_and_a_message_each, || {
        readers_stop(32 << 10, WhenSlow::Wait);
    });
}

#[test]
fn readers_that_stop_cost_a_mark_and_a_large_message_each() {
    alone(&readers_that_stop_cost_a_mark_and_a_large_message_each, || {
        readers_stop(200 << 10, WhenSlow::Wait);
    });
}

#[test]
fn readers_that_stop_cost_a_mark_each_whatever_they_are_to_miss() {
    alone(&readers_that_stop_cost_a_mark_each_whatever_they_are_to_miss, || {
        for when_slow in [WhenSlow::DropNewest, WhenSlow::DropOldest, WhenSlow::Close] {
            for len in [1, 100, 32 << 10] {
                readers_stop(len, when_slow);
            }
        }
    });
}

const READERS: usize = 100;

/// A server with a page, to which as many as that ask for it and read its head only; and how much memory
/// that takes.
fn page_readers(page: impl Fn() -> Reply + Send + Sync + 'static) -> (Running, Vec<Peer>, usize) {
    let server = serve(|server| server.get("/", move |_| page()));
    let mut peers = Vec::with_capacity(READERS);
    let mut ask = || {
        let mut peer = server.dial();
        peer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
        assert_eq!(peer.head().status, 200);
        peers.push(peer);
    };
    ask(); // so that threads, buffers and so on are there already
    let cost = peak_heap(|| (1..READERS).for_each(|_| ask()));
    eprintln!("{READERS} slow readers of a page, and their raw peers: {cost} bytes");
    (server, peers, cost)
}

#[test]
fn slow_readers_of_a_page_share_it() {
    alone(&slow_readers_of_a_page_share_it, || {
        let page = Reply::html(vec![b'x'; MIB]);
        let (_server, peers, cost) = page_readers(move || page.clone());
        // The raw peers' own buffers, of 16 KiB at most, are in this as well.
        assert!(cost < READERS * (20 << 10) + MIB / 2, "it cost {cost} bytes");
        drop(peers);
    });
}

#[test]
fn a_page_is_held_once_while_it_is_sent_and_not_at_all_when_it_was_taken() {
    alone(&a_page_is_held_once_while_it_is_sent_and_not_at_all_when_it_was_taken, || {
        let before = heap();
        let (server, mut peers, cost) = page_readers(|| Reply::html(vec![b'x'; MIB]));
        assert!(cost < READERS * (MIB + (20 << 10)) + MIB / 2, "it cost {cost} bytes");
        for peer in &mut peers {
            peer.take_input();
            let rest = std::io::copy(&mut peer.stream, &mut std::io::sink()).expect("the rest");
            assert!(rest > 0, "the page was taken before");
        }
        // They are all still there, and so is what the server has for each of them.
        let held = heap() - before;
        assert!(held < READERS * (20 << 10) + MIB / 2, "{held} bytes are held");
        drop((server, peers));
    });
}

#[test]
fn a_peer_that_pings_and_does_not_read_costs_one_outbox() {
    alone(&a_peer_that_pings_and_does_not_read_costs_one_outbox, || {
        let mut options = Options::default();
        options.write_timeout = Duration::from_secs(1);
        let server = warmed_up(options.clone());
        let mut peer = server.open("/");
        let pings = peer.encode(true, PING, &[b'p'; 125]).repeat(512);
        let cost = peak_heap(|| {
            // The server goes on reading while its pongs are stuck; then it gives the peer up.
            for _ in 0..4096 {
                if peer.stream.write_all(&pings).is_err() {
                    break;
                }
            }
        });
        assert!(cost < 2 * MIB, "it cost {cost} bytes");
        peer.expect_gone();
        let mut other = server.open("/");
        other.send(TEXT, b"still here");
        other.expect(TEXT, b"still here");
    });
}
