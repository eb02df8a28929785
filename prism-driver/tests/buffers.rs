//! An idle connection holds no buffer, whatever has gone through it. Counted by the allocator; all
//! is one thread, so that what is counted is ours.

mod common;

use std::{future::pending, sync::Arc};

use allocation_counter::measure;
use common::{
    handed_out,
    handlers::Echo,
    http::{REQUEST, read_to_end},
    net::Net,
    peer::Seen,
    pipe::{End, Script},
    serve, serve_handshake,
    sim::Sim,
};
use futures_lite::AsyncWriteExt;
use prism_driver::{Connection, Handler, Message, Options, Rate, Runtime, Server};

const CONNECTIONS: i64 = 50;

/// Below any buffer that a connection has while it works: the task, the handle, and the pipe.
const IDLE: i64 = 4 << 10;

/// The same for one whose future is for its handshake as well.
const BEGUN: i64 = 8 << 10;

fn options() -> Options {
    let mut options = Options::default();
    options.protocol.max_message_size = 64 << 20;
    options
}

/// A connection that echoes messages and then is idle; nothing else of the test's own stays.
fn idle(sim: &Sim, messages: &[&[u8]]) -> End {
    let (mut peer, _, _) = serve(sim, Echo, options());
    sim.run(async {
        for message in messages {
            peer.send(*message).await;
            // Not compared by `assert_eq`, which would print megabytes.
            assert!(matches!(peer.next().await, Seen::Binary(echo) if echo == *message));
        }
        sim.settle().await;
    });
    peer.into_io()
}

/// How much each of many connections holds, begun like this.
fn held_by_each(begin: impl Fn(&Sim) -> End) -> i64 {
    let sim = Sim::default();
    // The first one fills the pool that they share.
    let first = begin(&sim);
    let mut others = Vec::with_capacity(CONNECTIONS as usize);
    let counted = measure(|| others.extend((0..CONNECTIONS).map(|_| begin(&sim))));
    drop((first, others));
    counted.bytes_current / CONNECTIONS
}

#[test]
fn a_connection_that_was_never_used_holds_no_buffer() {
    let held = held_by_each(|sim| idle(sim, &[]));
    assert!((1..IDLE).contains(&held), "{held} bytes each");
}

#[test]
fn a_connection_that_has_echoed_holds_no_buffer() {
    let held = held_by_each(|sim| idle(sim, &[&[7; 16 << 10]]));
    assert!((1..IDLE).contains(&held), "{held} bytes each");
}

#[test]
fn a_connection_that_waits_for_the_rest_of_a_frame_holds_what_has_come() {
    let held = held_by_each(|sim| {
        let (mut peer, _, _) = serve(sim, Echo, options());
        sim.run(async {
            // 1,000 of 65,535 bytes.
            peer.raw(b"\x82\xfe\xff\xff\0\0\0\0").await;
            peer.raw(&[7; 1_000]).await;
            sim.settle().await;
        });
        peer.into_io()
    });
    assert!((1_000..1_000 + IDLE).contains(&held), "{held} bytes each");
}

#[test]
fn connections_that_all_talk_at_the_same_time_do_not_all_hold_a_buffer() {
    const TALKERS: i64 = 1_000;
    let sim = Sim::default();
    let mut peers: Vec<_> = (0..TALKERS).map(|_| serve(&sim, Echo, options()).0).collect();
    let idle = measure(|| sim.run(sim.settle())).bytes_current;
    // As often as a session has to pause in one turn, and more.
    let counted = measure(|| {
        for _ in 0..100 {
            sim.run(async {
                for peer in &mut peers {
                    peer.send("hello").await;
                }
                sim.settle().await;
                for peer in &mut peers {
                    assert_eq!(peer.next().await, Seen::Text("hello".to_owned()));
                }
            });
        }
    });
    let held = (counted.bytes_max as i64 - idle) / TALKERS;
    assert!(held < 5 << 10, "{held} bytes each");
}

/// How much each of many connections holds, of which each has sent two messages, and one is not dealt
/// with yet.
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

/// Is never done with a message.
#[derive(Clone)]
struct Busy;

impl Handler for Busy {
    async fn on_message(&self, _: &Connection, _: Message<'_>) {
        pending::<()>().await;
    }
}

#[test]
fn a_connection_whose_message_waits_holds_the_buffer_that_it_came_in_and_no_more() {
    let mut paced = options();
    paced.message_rate = Some(Rate { per_second: 1, burst: 1 });
    let paced = held_by_each_that_waits(Arc::new(Echo), &paced);
    let busy = held_by_each_that_waits(Busy, &options());
    for held in [paced, busy] {
        assert!((64 << 10..(64 << 10) + IDLE).contains(&held), "{held} bytes each");
    }
}

/// How much each of many holds that has begun like this. (What is unread lies in the pipe, and counts.)
fn held_by_each_that_begins(
    handler: impl Handler + Clone,
    with: &[u8],
    prepare: impl Fn(&Script),
) -> i64 {
    held_by_each(|sim| {
        let (mut io, script, _) = serve_handshake(sim, handler.clone(), Options::default());
        prepare(&script);
        sim.run(async {
            io.write_all(with).await.unwrap();
            sim.settle().await;
        });
        io
    })
}

/// Is never done with its welcome.
#[derive(Clone)]
struct Welcoming;

impl Handler for Welcoming {
    async fn on_connect(&self, _: &Connection) {
        pending::<()>().await;
    }

    async fn on_message(&self, _: &Connection, _: Message<'_>) {}
}

#[test]
fn who_is_in_the_handshake_holds_what_has_come_of_the_request() {
    let request = REQUEST.replace("abc", &"abc".repeat(1_000));
    let held = held_by_each_that_begins(Arc::new(Echo), &request.as_bytes()[..3_000], |_| ());
    assert!((3_000..3_000 + BEGUN).contains(&held), "{held} bytes each");
}

#[test]
fn who_is_welcomed_holds_no_buffer_however_much_came_behind_the_request() {
    let more = [REQUEST.as_bytes(), &[0; 20 << 10]].concat();
    let held = held_by_each_that_begins(Welcoming, &more, |_| ());
    assert!((20 << 10..(20 << 10) + BEGUN).contains(&held), "{held} bytes each");
}

#[test]
fn who_is_refused_holds_no_buffer_whether_it_takes_the_answer_or_not() {
    let page = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    let takes = held_by_each_that_begins(Arc::new(Echo), page, |_| ());
    let does_not =
        held_by_each_that_begins(Arc::new(Echo), page, |script| script.set_capacity_to_client(1));
    for held in [takes, does_not] {
        assert!((1..BEGUN).contains(&held), "{held} bytes each");
    }
}

#[test]
fn those_whom_a_server_refuses_at_the_same_time_take_no_buffer_each() {
    let sim = Sim::default();
    let net = Net::new(&sim);
    let server = sim.run(Server::bind_on(net.clone(), "127.0.0.1:0")).unwrap();
    sim.spawn(server.serve());
    sim.run(sim.settle());
    let refuse = |ends: &mut Vec<End>, count| {
        sim.run(async {
            for _ in 0..count {
                let (mut io, _) = net.knock().unwrap();
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
fn a_connection_that_comes_after_others_uses_their_buffers() {
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
    assert!(each < 32 << 10, "{each} bytes were allocated for each");
}

#[test]
fn the_memory_of_a_large_message_returns() {
    let large = vec![7; 10 << 20];
    let sim = Sim::default();
    let counted = measure(|| {
        let io = idle(&sim, &[&large]);
        std::mem::forget(io);
    });
    assert!(counted.bytes_max > 10 << 20, "it was there: {} bytes", counted.bytes_max);
    let held = counted.bytes_current;
    assert!(held < 1 << 20, "{held} bytes are still held");
}

#[test]
fn the_memory_of_an_outbox_that_was_full_returns() {
    let sim = Sim::default();
    let (mut peer, script, _, connection) = handed_out(&sim, options());
    let large = vec![7; 10 << 20];
    let counted = measure(|| {
        sim.run(async {
            script.set_capacity_to_client(0);
            connection.send(&large).await.unwrap();
            assert!(connection.buffered() > 10 << 20);
            script.set_capacity_to_client(1 << 20);
            assert!(matches!(peer.next().await, Seen::Binary(it) if it == large));
            sim.settle().await;
        });
        // The peer's own buffers are not what is counted.
        std::mem::forget(peer.into_io());
    });
    let held = counted.bytes_current;
    assert!(held < 1 << 20, "{held} bytes are still held");
}
