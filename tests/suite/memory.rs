//! The memory of a connection, whatever its peer does. The allocator measures it, in a process
//! without other tests.

use std::{
    io::Write,
    sync::mpsc::{Sender, channel},
    time::Duration,
};

use super::support::{
    TIMEOUT,
    handlers::{Echo, Gate, recorder},
    own_process::{heap, in_own_process, peak_heap},
    pattern,
    peer::{BINARY, PING, Peer, TEXT},
    server::{TestServer, serve, serve_echo},
    wait_until,
};
use crate::prism::{
    Connection, Disconnect, Failure, Handler, Message, Options, ProtocolError, Reply, Request,
    ServerOptions, WhenSlow,
};

const MIB: usize = 1 << 20;

/// Runs a server that has allocated its threads and buffers already.
fn warmed_up(options: Options) -> TestServer {
    let server = serve_echo(options);
    let mut peer = server.open("/");
    peer.send(TEXT, b"warm");
    peer.expect(TEXT, b"warm");
    peer.close_and_expect_disconnect();
    server
}

/// Returns the header of a masked binary frame with this payload length.
fn claim(len: u64) -> Vec<u8> {
    [&[0x82, 0xff][..], &len.to_be_bytes(), &[0; 4]].concat()
}

#[test]
fn a_huge_claimed_length_gets_1009_and_costs_no_memory() {
    in_own_process(&a_huge_claimed_length_gets_1009_and_costs_no_memory, || {
        let server = warmed_up(Options::default());
        let cost = peak_heap(|| {
            for len in [1 << 62, 1 << 40, 2 << 30, 1 << 30, (1 << 20) + 1] {
                let mut peer = server.open("/");
                peer.write(&claim(len));
                peer.expect_close_with_reason(1009);
                peer.expect_end();
            }
        });
        assert!(cost < MIB, "it cost {cost} bytes");
    });
}

#[test]
fn without_limits_a_claimed_length_still_costs_no_memory() {
    in_own_process(&without_limits_a_claimed_length_still_costs_no_memory, || {
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
                let eof = ProtocolError::UnexpectedEof;
                let failed =
                    matches!(&ended, Disconnect::Failed(Failure::Protocol(e)) if *e == eof);
                assert!(failed, "{ended}");
                peer.expect_disconnect();
            }
        });
        assert!(cost < MIB, "it cost {cost} bytes");
        drop(server);
    });
}

#[test]
fn a_thousand_idle_connections_hold_no_buffers() {
    in_own_process(&a_thousand_idle_connections_hold_no_buffers, || {
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
        // This includes the buffers of the raw peers, of at most 16 KiB each.
        assert!(cost < 1000 * (16 << 10) + 8 * MIB, "{cost} bytes for 1000 connections");
        eprintln!("a thousand idle connections and their raw peers: {cost} bytes");
    });
}

#[test]
fn a_thousand_pending_connections_hold_no_buffers() {
    in_own_process(&a_thousand_pending_connections_hold_no_buffers, || {
        let (events, next_event) = channel();
        let gate = Gate::closed();
        let waits = Firehose { message: Vec::new(), when_slow: WhenSlow::Wait, gate, events };
        let server = serve(|server| server.websocket("/", Echo).websocket("/waits", waits));
        let mut peers = Vec::with_capacity(1000);
        let cost = peak_heap(|| {
            for _ in 0..500 {
                let mut in_handshake = server.dial();
                in_handshake.write(b"GET / HTTP/1.1\r\nHost: ");
                let mut in_on_connect = server.dial();
                let early = in_on_connect.encode(true, TEXT, b"sent with the request");
                in_on_connect.write(&[Peer::request("/waits").as_bytes(), &early].concat());
                in_on_connect.head();
                peers.extend([in_handshake, in_on_connect]);
                assert!(matches!(next_event.recv_timeout(TIMEOUT), Ok(Event::Connected)));
            }
        });
        // This includes the raw peers.
        assert!(cost < 4 * MIB, "{cost} bytes for 1000 connections");
        eprintln!("a thousand pending connections and their raw peers: {cost} bytes");
    });
}

#[test]
fn a_pending_authorization_costs_its_head_and_what_is_read_early() {
    in_own_process(&a_pending_authorization_costs_its_head_and_what_is_read_early, || {
        const COUNT: usize = 1000;
        for (running, early) in
            [(1, 0), (COUNT, 0), (COUNT, 3 << 10), (COUNT, 16 << 10), (COUNT, 1 << 16)]
        {
            let gate = Gate::closed();
            let passes = gate.clone();
            let server = serve(|server| {
                let options = ServerOptions::default().max_authorizations(running);
                let authorize = move |_: Request| {
                    let gate = passes.clone();
                    async move {
                        gate.pass().await;
                        Err::<(), _>(Reply::text(401, "no"))
                    }
                };
                server.options(options).authorize(authorize).websocket("/", Echo)
            });
            let request = [Peer::request("/").as_bytes(), &vec![0; early]].concat();
            let mut peers = Vec::with_capacity(COUNT);
            let cost = peak_heap(|| {
                for number in 1..=COUNT {
                    let mut peer = server.dial();
                    peer.write(&request);
                    peers.push(peer);
                    wait_until("it is accepted", || {
                        server.stats().counts().in_handshake == number as u64
                    });
                }
            }) / COUNT;
            eprintln!(
                "{running} authorizations run, with {early} early bytes: {cost} bytes for each"
            );
            assert!(cost < 4096 + early.min(16 << 10), "{cost} bytes with {early} early bytes");
            gate.open();
            server.stop();
        }
    });
}

/// Sends a message endlessly, once the gate is open, to peers that do not read. Where sends never
/// wait, it stops after many missed messages.
struct Firehose {
    message: Vec<u8>,
    when_slow: WhenSlow,
    gate: Gate,
    events: Sender<Event>,
}

enum Event {
    /// A client has connected.
    Connected,
    /// Sending has ended. The value is the largest number of buffered bytes.
    Done(usize),
}

impl Handler for Firehose {
    async fn on_connect(&self, connection: &Connection) {
        connection.set_when_slow(self.when_slow);
        self.events.send(Event::Connected).expect("the scenario waits");
        self.gate.pass().await;
        let mut most = 0;
        while connection.missed() < 10_000 && connection.send(&self.message).await.is_ok() {
            most = most.max(connection.buffered());
        }
        self.events.send(Event::Done(most)).expect("the scenario waits");
    }

    async fn on_message(&self, _: &Connection, _: Message<'_>) {}
}

/// Asserts that a reader that stops costs less than the mark and one message of this length.
fn assert_stalled_readers_cost(len: usize, when_slow: WhenSlow) {
    const READERS: usize = 50;
    let mut options = Options::default();
    options.write_timeout = Duration::from_secs(1);
    let mark = options.high_water_mark;
    let (events, next_event) = channel();
    let next_event = || next_event.recv_timeout(TIMEOUT).expect("another event");
    let gate = Gate::closed();
    let message = vec![b'x'; len];
    let hose = Firehose { message, when_slow, gate: gate.clone(), events };
    let server =
        serve(|server| server.options(options).websocket("/", Echo).websocket("/hose", hose));
    let mut echo = server.open("/");
    let peers: Vec<Peer> = (0..READERS).map(|_| server.open("/hose")).collect();
    for _ in &peers {
        assert!(matches!(next_event(), Event::Connected));
    }
    let cost = peak_heap(|| {
        gate.open();
        echo.send(TEXT, b"others are still served");
        echo.expect(TEXT, b"others are still served");
        for _ in &peers {
            let Event::Done(most) = next_event() else { panic!("an unexpected connection") };
            // A message that can be dropped counts more than its bytes.
            let least = if when_slow == WhenSlow::DropOldest { 1 } else { mark };
            assert!((least..mark + len + 14).contains(&most), "{most} bytes were buffered");
        }
    });
    eprintln!("{READERS} stalled readers, {when_slow:?}, messages of {len} bytes: {cost} bytes");
    // Buffers grow in steps of a sixteenth. The rest is for everything else in the process.
    let most = READERS * (mark + len) * 17 / 16 + MIB / 2;
    assert!(cost < most, "expected less than {most} bytes, but it cost {cost}");
}

#[test]
fn stalled_readers_cost_a_mark_each() {
    in_own_process(&stalled_readers_cost_a_mark_each, || {
        assert_stalled_readers_cost(100, WhenSlow::Wait);
    });
}

#[test]
fn stalled_readers_cost_a_mark_and_a_message_each() {
    in_own_process(&stalled_readers_cost_a_mark_and_a_message_each, || {
        assert_stalled_readers_cost(32 << 10, WhenSlow::Wait);
    });
}

#[test]
fn stalled_readers_cost_a_mark_and_a_large_message_each() {
    in_own_process(&stalled_readers_cost_a_mark_and_a_large_message_each, || {
        assert_stalled_readers_cost(200 << 10, WhenSlow::Wait);
    });
}

#[test]
fn stalled_readers_cost_a_mark_each_in_every_slow_mode() {
    in_own_process(&stalled_readers_cost_a_mark_each_in_every_slow_mode, || {
        for when_slow in [WhenSlow::DropNewest, WhenSlow::DropOldest, WhenSlow::Close] {
            for len in [1, 100, 32 << 10] {
                assert_stalled_readers_cost(len, when_slow);
            }
        }
    });
}

const READERS: usize = 100;

/// Runs a server with a page, and [`READERS`] peers that request the page and read only its head.
/// Returns the server, the peers, and the memory that they take.
fn page_readers(
    page: impl Fn() -> Reply + Send + Sync + 'static,
) -> (TestServer, Vec<Peer>, usize) {
    let server = serve(|server| server.get("/", move |_| page()));
    let mut peers = Vec::with_capacity(READERS);
    let mut ask = || {
        let mut peer = server.dial();
        peer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
        assert_eq!(peer.head().status, 200);
        peers.push(peer);
    };
    ask(); // allocates threads and buffers that are not to be measured
    let cost = peak_heap(|| (1..READERS).for_each(|_| ask()));
    eprintln!("{READERS} slow readers of a page, and their raw peers: {cost} bytes");
    (server, peers, cost)
}

#[test]
fn slow_readers_share_one_copy_of_a_page() {
    in_own_process(&slow_readers_share_one_copy_of_a_page, || {
        let page = Reply::html(vec![b'x'; MIB]);
        let (_server, peers, cost) = page_readers(move || page.clone());
        // This includes the buffers of the raw peers, of at most 16 KiB each.
        assert!(cost < READERS * (20 << 10) + MIB / 2, "it cost {cost} bytes");
        drop(peers);
    });
}

#[test]
fn a_page_is_held_once_and_freed_when_it_was_sent() {
    in_own_process(&a_page_is_held_once_and_freed_when_it_was_sent, || {
        let before = heap();
        let (server, mut peers, cost) = page_readers(|| Reply::html(vec![b'x'; MIB]));
        assert!(cost < READERS * (MIB + (20 << 10)) + MIB / 2, "it cost {cost} bytes");
        for peer in &mut peers {
            peer.take_input();
            let rest = std::io::copy(&mut peer.stream, &mut std::io::sink()).expect("the rest");
            assert!(rest > 0, "the peer had received the whole page before");
        }
        // All peers are still connected, and so is the server's state for each of them.
        let held = heap() - before;
        assert!(held < READERS * (20 << 10) + MIB / 2, "{held} bytes are held");
        drop((server, peers));
    });
}

#[test]
fn unread_pongs_cost_one_outbox() {
    in_own_process(&unread_pongs_cost_one_outbox, || {
        let mut options = Options::default();
        options.write_timeout = Duration::from_secs(1);
        let server = warmed_up(options.clone());
        let mut peer = server.open("/");
        let pings = peer.encode(true, PING, &[b'p'; 125]).repeat(512);
        let cost = peak_heap(|| {
            // The server reads on while its pongs are stuck, until the write timeout.
            for _ in 0..4096 {
                if peer.stream.write_all(&pings).is_err() {
                    break;
                }
            }
        });
        assert!(cost < 2 * MIB, "it cost {cost} bytes");
        peer.expect_disconnect();
        let mut other = server.open("/");
        other.send(TEXT, b"still here");
        other.expect(TEXT, b"still here");
    });
}
