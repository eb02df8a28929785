//! An idle connection holds no buffer, whatever has passed through it. The allocator counts the
//! bytes, in one thread, so that only our own allocations count.

use std::{future::pending, sync::Arc};

use allocation_counter::measure;
use async_channel::{Sender, bounded};
use futures_lite::AsyncWriteExt;
use prism_driver::{
    Connection, ConnectionHandler, Handler, Message, Options, Rate, Runtime, Server,
};
use prism_test::{Faults, PipeEnd, Received, Sim};

use crate::common::{
    handed_out,
    handlers::Echo,
    http::{REQUEST, read_to_end},
    net::Net,
    serve, serve_handshake,
};

const CONNECTIONS: i64 = 50;

/// The task, the handle and the pipe: less than any buffer of a connection at work.
const IDLE: i64 = 4 << 10;

/// The same for a connection whose future includes the handshake.
const BEGUN: i64 = 8 << 10;

fn options() -> Options {
    let mut options = Options::default();
    options.protocol.max_message_size = 64 << 20;
    options
}

/// Opens a connection that echoes these messages and then is idle. Only the peer's transport remains of
/// the test's own memory.
fn idle(sim: &Sim, messages: &[&[u8]]) -> PipeEnd {
    let (mut peer, _, _) = serve(sim, Echo, options());
    sim.run(async {
        for message in messages {
            peer.send(*message).await;
            // `assert_eq!` would print megabytes.
            assert!(matches!(peer.next().await, Received::Binary(echo) if echo == *message));
        }
        sim.settle().await;
    });
    peer.into_io()
}

/// Returns how many bytes each of many connections holds that were opened by `begin`.
fn held_by_each(begin: impl Fn(&Sim) -> PipeEnd) -> i64 {
    let sim = Sim::default();
    // The first one fills the shared pool.
    let first = begin(&sim);
    let mut others = Vec::with_capacity(CONNECTIONS as usize);
    let counted = measure(|| others.extend((0..CONNECTIONS).map(|_| begin(&sim))));
    drop((first, others));
    counted.bytes_current / CONNECTIONS
}

#[test]
fn an_unused_connection_holds_no_buffer() {
    let held = held_by_each(|sim| idle(sim, &[]));
    assert!((1..IDLE).contains(&held), "{held} bytes each");
}

#[test]
fn an_idle_connection_holds_no_buffer_after_an_echo() {
    let held = held_by_each(|sim| idle(sim, &[&[7; 16 << 10]]));
    assert!((1..IDLE).contains(&held), "{held} bytes each");
}

#[test]
fn a_partial_frame_holds_only_the_bytes_received() {
    let held = held_by_each(|sim| {
        let (mut peer, _, _) = serve(sim, Echo, options());
        sim.run(async {
            // 1,000 of 65,535 bytes of payload.
            peer.raw(b"\x82\xfe\xff\xff\0\0\0\0").await;
            peer.raw(&[7; 1_000]).await;
            sim.settle().await;
        });
        peer.into_io()
    });
    assert!((1_000..1_000 + IDLE).contains(&held), "{held} bytes each");
}

#[test]
fn a_long_message_that_has_not_arrived_holds_at_most_twice_the_bytes_received() {
    for arrived in [70 << 10, 130 << 10, 250 << 10, 300 << 10, 600 << 10] {
        let held = held_by_each(|sim| {
            let (mut peer, faults, _) = serve(sim, Echo, options());
            faults.to_server().set_capacity(1 << 20);
            sim.run(async {
                // Some of 1,000,000 bytes.
                peer.raw(b"\x82\xff\0\0\0\0\0\x0f\x42\x40\0\0\0\0").await;
                peer.raw(&vec![7; arrived]).await;
                sim.settle().await;
            });
            peer.into_io()
        });
        let arrived = arrived as i64;
        assert!((arrived..2 * arrived + (20 << 10)).contains(&held), "{held} bytes for {arrived}");
    }
}

#[test]
fn active_connections_share_buffers() {
    const TALKERS: i64 = 1_000;
    let sim = Sim::default();
    let mut peers: Vec<_> = (0..TALKERS).map(|_| serve(&sim, Echo, options()).0).collect();
    let idle = measure(|| sim.run(sim.settle())).bytes_current;
    // Often enough that each session has to yield.
    let counted = measure(|| {
        for _ in 0..100 {
            sim.run(async {
                for peer in &mut peers {
                    peer.send("hello").await;
                }
                sim.settle().await;
                for peer in &mut peers {
                    assert_eq!(peer.next().await, Received::Text("hello".to_owned()));
                }
            });
        }
    });
    let held = (counted.bytes_max as i64 - idle) / TALKERS;
    assert!(held < 5 << 10, "{held} bytes each");
}

/// Does nothing with its messages.
struct Ignore;

impl Handler for Ignore {
    async fn on_message(&self, _: &Connection, _: Message<'_>) {}
}

#[test]
fn sessions_whose_turn_is_over_hold_at_most_twice_the_bytes_received() {
    const ARRIVED: usize = 72 << 10;
    let sim = Sim::default();
    let mut peers: Vec<_> = (0..=CONNECTIONS).map(|_| serve(&sim, Ignore, options()).0).collect();
    // Messages that use up nearly all of a turn, and the beginning of one that claims to be long.
    let mut bytes = b"\x82\x80\0\0\0\0".repeat(230);
    bytes.extend(b"\x82\xff\0\0\0\0\0\x0f\x42\x40\0\0\0\0");
    bytes.resize(ARRIVED, 0);
    sim.run(async {
        sim.settle().await;
        for peer in &mut peers {
            peer.raw(&bytes).await;
        }
        assert!(sim.tick(), "the first one fills the shared pool");
        let counted = measure(|| assert!((0..CONNECTIONS).all(|_| sim.tick())));
        let held = counted.bytes_current / CONNECTIONS;
        assert!(held <= 2 * ARRIVED as i64 + IDLE, "{held} bytes each");
        assert!((0..=CONNECTIONS).all(|_| sim.tick()), "each goes on in its next turn");
    });
}

/// Returns how many bytes each of many connections holds whose second message still waits for the
/// handler.
fn held_by_each_that_waits(handler: impl Handler + Clone, options: &Options) -> i64 {
    held_by_each(|sim| {
        let (mut peer, _, _) = serve(sim, handler.clone(), options.clone());
        sim.run(async {
            peer.send_together(&["one", "another"]).await;
            sim.settle().await;
        });
        peer.into_io()
    })
}

/// Never returns from `on_message`.
#[derive(Clone)]
struct Busy;

impl Handler for Busy {
    async fn on_message(&self, _: &Connection, _: Message<'_>) {
        pending::<()>().await;
    }
}

#[test]
fn a_waiting_message_holds_only_the_buffer_it_arrived_in() {
    let mut limited = options();
    limited.message_rate = Some(Rate { per_second: 1, burst: 1 });
    let limited = held_by_each_that_waits(Arc::new(Echo), &limited);
    let busy = held_by_each_that_waits(Busy, &options());
    for held in [limited, busy] {
        assert!((64 << 10..(64 << 10) + IDLE).contains(&held), "{held} bytes each");
    }
}

/// Returns how many bytes each of many connections holds whose peer has sent `with`. Unread bytes are
/// in the pipe, and count.
fn held_by_each_that_begins(
    handler: impl Handler + Clone,
    with: &[u8],
    prepare: impl Fn(&Faults),
) -> i64 {
    held_by_each(|sim| {
        let (mut io, faults, _) = serve_handshake(sim, handler.clone(), Options::default());
        prepare(&faults);
        sim.run(async {
            io.write_all(with).await.unwrap();
            sim.settle().await;
        });
        io
    })
}

/// Never returns from `on_connect`.
#[derive(Clone)]
struct BusyConnecting;

impl Handler for BusyConnecting {
    async fn on_connect(&self, _: &Connection) {
        pending::<()>().await;
    }

    async fn on_message(&self, _: &Connection, _: Message<'_>) {}
}

#[test]
fn a_handshake_holds_only_the_bytes_received() {
    let request = REQUEST.replace("abc", &"abc".repeat(1_000));
    let held = held_by_each_that_begins(Arc::new(Echo), &request.as_bytes()[..3_000], |_| ());
    assert!((3_000..3_000 + BEGUN).contains(&held), "{held} bytes each");
}

#[test]
fn on_connect_holds_no_buffer_whatever_follows_the_request() {
    let more = [REQUEST.as_bytes(), &[0; 20 << 10]].concat();
    let held = held_by_each_that_begins(BusyConnecting, &more, |_| ());
    assert!((20 << 10..(20 << 10) + BEGUN).contains(&held), "{held} bytes each");
}

#[test]
fn a_refused_peer_holds_no_buffer_whether_or_not_it_reads() {
    let page = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    let takes = held_by_each_that_begins(Arc::new(Echo), page, |_| ());
    let does_not =
        held_by_each_that_begins(Arc::new(Echo), page, |faults| faults.to_client().set_capacity(1));
    for held in [takes, does_not] {
        assert!((1..BEGUN).contains(&held), "{held} bytes each");
    }
}

#[test]
fn simultaneous_refusals_do_not_take_a_buffer_each() {
    let sim = Sim::default();
    let net = Net::new(&sim);
    let server = sim.run(Server::bind_on(net.clone(), "127.0.0.1:0")).unwrap();
    sim.spawn(server.serve());
    sim.run(sim.settle());
    let refuse = |ends: &mut Vec<PipeEnd>, count| {
        sim.run(async {
            for _ in 0..count {
                let (mut io, _) = net.connect_raw().unwrap();
                io.write_all(REQUEST.as_bytes()).await.unwrap();
                ends.push(io);
            }
            sim.settle().await;
        });
    };
    let (mut first, mut others) = (Vec::new(), Vec::with_capacity(CONNECTIONS as usize));
    refuse(&mut first, 1);
    let counted = measure(|| refuse(&mut others, CONNECTIONS));
    for mut io in first.into_iter().chain(others) {
        assert!(sim.run(read_to_end(&mut io)).starts_with("HTTP/1.1 404 "));
    }
    let most = counted.bytes_max / CONNECTIONS as u64;
    assert!((1..BEGUN as u64).contains(&most), "{most} bytes each");
}

#[test]
fn a_new_connection_reuses_the_buffers_of_earlier_ones() {
    let sim = Sim::default();
    drop(idle(&sim, &[b"hello"]));
    sim.run(sim.settle());
    let counted = measure(|| {
        for _ in 0..CONNECTIONS {
            drop(idle(&sim, &[b"hello"]));
            sim.run(sim.settle());
        }
    });
    let each = counted.bytes_total / CONNECTIONS as u64;
    assert!(each < 32 << 10, "{each} bytes allocated for each");
}

#[test]
fn the_memory_of_a_large_message_is_released() {
    let large = vec![7; 10 << 20];
    let sim = Sim::default();
    let counted = measure(|| {
        let io = idle(&sim, &[&large]);
        std::mem::forget(io);
    });
    assert!(counted.bytes_max > 10 << 20, "the message was held: {} bytes", counted.bytes_max);
    let held = counted.bytes_current;
    assert!(held < 1 << 20, "{held} bytes are still held");
}

#[test]
fn the_memory_of_a_full_outbox_is_released() {
    let sim = Sim::default();
    let (mut peer, faults, _, connection) = handed_out(&sim, options());
    let large = vec![7; 10 << 20];
    let counted = measure(|| {
        sim.run(async {
            faults.to_client().set_capacity(0);
            connection.send(&large).await.unwrap();
            assert!(connection.buffered() > 10 << 20);
            faults.to_client().set_capacity(1 << 20);
            assert!(matches!(peer.next().await, Received::Binary(it) if it == large));
            sim.settle().await;
        });
        // The peer's own buffers do not count.
        std::mem::forget(peer.into_io());
    });
    let held = counted.bytes_current;
    assert!(held < 1 << 20, "{held} bytes are still held");
}

/// Hands its connection out, and never returns from `on_wake`.
struct BusyWaking(Sender<Connection>);

impl ConnectionHandler for BusyWaking {
    async fn on_connect(&mut self, connection: &Connection) {
        self.0.send(connection.clone()).await.unwrap();
    }

    async fn on_message(&mut self, _: &Connection, _: Message<'_>) {}

    async fn on_wake(&mut self, _: &Connection) {
        pending::<()>().await;
    }
}

#[test]
fn on_wake_holds_no_buffer() {
    let held = held_by_each(|sim| {
        let (hand, out) = bounded(1);
        let (peer, _, _) = serve(sim, BusyWaking(hand), options());
        sim.run(async {
            let connection = out.recv().await.unwrap();
            sim.settle().await;
            connection.wake();
            sim.settle().await;
        });
        peer.into_io()
    });
    assert!((1..IDLE).contains(&held), "{held} bytes each");
}
