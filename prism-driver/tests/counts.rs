//! A server's counters of its connections: what they carry, what they miss, how they end, how fast they answer.

use std::sync::Mutex;

use async_channel::{Receiver, Sender, unbounded};
use prism_driver::{
    CloseCode, Connection, ConnectionHandler, Disconnect, Handler, Message, Options, Reply,
    ServerStats, Socket, Traffic, per_connection, shared, socket,
};
use prism_test::{Faults, Peer, Received, Sim};

use crate::common::{
    handlers::Echo,
    http::{REQUEST, read_to_end, shake_hands},
    ms,
    net::Net,
    s,
    site::{ask, send},
};

/// The length of a message that its sender writes itself, at once.
const LARGE: usize = 20_000;

/// Obeys messages, and hands its connections out.
struct Obedient {
    hand: Sender<Connection>,
    all: Mutex<Vec<Connection>>,
}

impl Handler for Obedient {
    async fn on_connect(&self, connection: &Connection) {
        self.all.lock().unwrap().push(connection.clone());
        self.hand.send(connection.clone()).await.unwrap();
    }

    async fn on_message(&self, connection: &Connection, message: Message<'_>) {
        match message.as_text().unwrap() {
            "panic" => panic!("on purpose"),
            "close" => assert!(connection.close(CloseCode::GOING_AWAY, "")),
            "abort" => connection.abort(),
            "all" => {
                self.all.lock().unwrap().iter().for_each(|it| it.try_send("to all").unwrap());
            }
            "thousand" => (0..1000).for_each(|_| connection.try_send("x").unwrap()),
            "large" => connection.send(vec![7; LARGE]).await.unwrap(),
            _ => connection.send(message).await.unwrap(),
        }
    }
}

/// Starts a server without keepalive, so that a session which waits is not woken by it.
fn server(sim: &Sim, mut options: Options) -> (Net, ServerStats, Receiver<Connection>) {
    options.protocol.ping_interval = None;
    let net = Net::new(sim);
    let (hand, out) = unbounded();
    let stats = net.serve(|server| {
        let handler = Obedient { hand, all: Mutex::default() };
        server.websocket("/chat", shared(handler).options(options))
    });
    (net, stats, out)
}

async fn open(net: &Net) -> (Peer, Faults) {
    let (io, faults) = net.connect_raw().unwrap();
    (shake_hands(io).await, faults)
}

/// Returns the difference of two counts, as messages and bytes.
fn since(before: Traffic, now: Traffic) -> (u64, u64) {
    (now.messages - before.messages, now.bytes - before.bytes)
}

#[test]
fn what_is_received_and_sent_is_counted_when_the_session_waits() {
    let sim = Sim::default();
    let (net, stats, _out) = server(&sim, Options::default());
    sim.run(async {
        let (mut peer, _) = open(&net).await;
        sim.settle().await;
        let before = stats.counts();
        assert_eq!(before.received, Traffic::default(), "the request does not count");
        assert_eq!(before.sent.messages, 0);

        peer.send_together(&["hello", "you"]).await;
        sim.settle().await;
        let after = stats.counts();
        // A frame's header takes 2 bytes, and the client's mask takes 4 more.
        assert_eq!(since(before.received, after.received), (2, 8 + 2 * 6));
        assert_eq!(since(before.sent, after.sent), (2, 8 + 2 * 2));
    });
}

#[test]
fn what_arrives_with_the_request_is_counted_and_the_request_is_not() {
    let sim = Sim::default();
    let (net, stats, _out) = server(&sim, Options::default());
    sim.run(async {
        let frame = b"\x81\x85\0\0\0\0hello\x81";
        let (_io, _) = send(&net, [REQUEST.as_bytes(), frame].concat()).await;
        sim.settle().await;
        assert_eq!(since(Traffic::default(), stats.counts().received), (1, 12));
    });
}

#[test]
fn what_arrives_with_the_end_of_a_connection_is_counted() {
    let sim = Sim::default();
    let (net, stats, _out) = server(&sim, Options::default());
    sim.run(async {
        let (mut peer, _) = open(&net).await;
        peer.send_and_close(&["hello", "you"], 1000, "").await;
        peer.end().await;
        sim.settle().await;
        assert_eq!(stats.counts().received.messages, 2);
    });
}

#[test]
fn no_message_is_lost_where_a_turn_ends() {
    let sim = Sim::default();
    let (net, stats, _out) = server(&sim, Options::default());
    sim.run(async {
        let (mut peer, _) = open(&net).await;
        let mut sent = 0;
        // A turn ends after about 240 messages.
        for count in 200..300 {
            peer.send_together(&vec!["x"; count]).await;
            sent += count as u64;
            sim.settle().await;
            assert_eq!(stats.counts().received.messages, sent, "after {count} in a row");
        }
    });
}

#[test]
fn a_large_message_and_very_many_small_ones_are_counted() {
    let sim = Sim::default();
    let (net, stats, _out) = server(&sim, Options::default());
    sim.run(async {
        let (mut peer, _) = open(&net).await;
        sim.settle().await;
        let before = stats.counts().sent;
        peer.send("large").await;
        sim.settle().await;
        assert_eq!(since(before, stats.counts().sent), (1, LARGE as u64 + 4));

        let before = stats.counts().sent;
        peer.send("thousand").await;
        sim.settle().await;
        assert_eq!(since(before, stats.counts().sent), (1000, 3000));
    });
}

#[test]
fn what_others_send_to_a_sleeping_connection_is_counted() {
    let sim = Sim::default();
    let (net, stats, out) = server(&sim, Options::default());
    sim.run(async {
        let (_sleeping, _) = open(&net).await;
        let connection = out.recv().await.unwrap();
        let (mut busy, _) = open(&net).await;
        sim.settle().await;
        let before = stats.counts().sent;
        connection.try_send("from outside of any handler").unwrap();
        sim.settle().await;
        assert_eq!(since(before, stats.counts().sent).0, 1);

        connection.try_send([0; LARGE]).unwrap();
        sim.settle().await;
        assert_eq!(since(before, stats.counts().sent).0, 2);

        // The sender's session writes, and the others sleep on.
        busy.send("all").await;
        sim.settle().await;
        assert_eq!(since(before, stats.counts().sent).0, 2 + 2);
    });
}

#[test]
fn what_is_lost_with_a_connection_has_been_counted_as_sent_when_it_ends() {
    let sim = Sim::default();
    let (net, stats, out) = server(&sim, Options::default());
    sim.run(async {
        let (_peer, faults) = open(&net).await;
        let connection = out.recv().await.unwrap();
        sim.settle().await;
        let before = stats.counts().sent;
        faults.to_client().stall();
        (0..3).for_each(|_| connection.try_send("never written").unwrap());
        sim.settle().await;
        (0..3).for_each(|_| connection.try_send("never written").unwrap());
        connection.abort();
        sim.settle().await;
        assert_eq!(since(before, stats.counts().sent), (6, 0));
    });
}

#[test]
fn missed_messages_are_counted_at_once_also_while_the_session_sleeps() {
    let sim = Sim::default();
    let mut options = Options::default();
    options.high_water_mark = 100;
    let (net, stats, out) = server(&sim, options);
    sim.run(async {
        let (_peer, faults) = open(&net).await;
        let connection = out.recv().await.unwrap();
        faults.to_client().stall();
        let sent = (0..10).filter(|_| connection.try_send([0; 50]).is_ok()).count();
        assert_eq!((sent, connection.missed()), (2, 8));
        assert_eq!(stats.counts().missed, 8);
    });
}

#[test]
fn each_end_is_counted_by_what_ended_the_connection() {
    let sim = Sim::default();
    let (net, stats, _out) = server(&sim, Options::default());
    sim.run(async {
        for code in [1000, 1000, 1001, 1011, 3500, 4999] {
            open(&net).await.0.close(code, "").await;
        }
        for message in ["panic", "close", "abort"] {
            let (mut peer, _) = open(&net).await;
            peer.send(message).await;
            peer.all().await;
        }
        open(&net).await.0.raw(&[0xff; 20]).await;
        drop(open(&net).await);
        let (mut silent, _) = open(&net).await;
        silent.raw(&[0x88, 0x80, 0, 0, 0, 0]).await; // a close frame without a code
        sim.pass(s(30)).await;
    });
    let counts = stats.counts();
    let ends = counts.ends;
    assert_eq!((ends.by_peer.normal, ends.by_peer.going_away), (2, 1));
    assert_eq!((ends.by_peer.error, ends.by_peer.no_status), (1, 1));
    assert_eq!((ends.by_peer.registered, ends.by_peer.private), (1, 1));
    assert_eq!(ends.by_us.going_away, 1);
    assert_eq!((ends.failed.handler_panicked, ends.failed.aborted), (1, 1));
    assert_eq!((ends.failed.protocol, ends.failed.gone), (1, 1));
    assert_eq!((ends.total(), counts.closed, counts.open), (12, 12, 0));
}

/// Panics when it is told to, and when its connection has ended.
struct Fragile;

impl ConnectionHandler for Fragile {
    async fn on_message(&mut self, _: &Connection, _: Message<'_>) {
        panic!("on purpose");
    }

    async fn on_disconnect(&mut self, _: &Connection, _: Disconnect) {
        panic!("on purpose");
    }
}

#[test]
fn each_panic_of_the_application_is_counted() {
    let sim = Sim::default();
    let net = Net::new(&sim);
    let stats = net.serve(|server| {
        server
            .websocket("/chat", per_connection(|_| Fragile))
            .websocket("/make", per_connection(|_| -> Fragile { panic!("on purpose") }))
            .websocket("/socket", socket(async |_: Socket| panic!("on purpose")))
    });
    let mut panics = Vec::new();
    for target in ["/chat", "/make", "/socket"] {
        sim.run(async {
            let (_, io, _) = ask(&net, target, "").await;
            let mut peer = Peer::new(io);
            peer.send("a message").await;
            peer.all().await;
            drop(peer);
            sim.settle().await;
        });
        panics.push(stats.counts().panics);
    }
    assert_eq!(panics, [2, 3, 4]);
}

#[test]
fn round_trips_of_the_keepalive_are_counted() {
    let sim = Sim::default();
    let net = Net::new(&sim);
    let stats = net.serve(|server| server.websocket("/chat", Echo));
    sim.run(async {
        let (mut peer, _) = open(&net).await;
        sim.pass(s(20)).await;
        // The peer answers when it looks.
        sim.pass(ms(40)).await;
        assert_eq!(peer.next().await, Received::Ping);
        sim.settle().await;
    });
    let round_trips = stats.counts().round_trips;
    assert_eq!(round_trips.count(), 1);
    assert_eq!(round_trips.buckets[5], 1, "between 25 and 50 ms: {round_trips:?}");
    assert_eq!(round_trips.sum, ms(40));
}

#[test]
fn the_counters_are_served_as_openmetrics() {
    let sim = Sim::default();
    let net = Net::new(&sim);
    let stats = net.serve(|server| {
        let stats = server.stats();
        let server = server.get("/metrics", move |_| stats.openmetrics());
        server.websocket("/chat", Echo).get("/other", |_| Reply::new(204))
    });
    let page = sim.run(async {
        let (mut peer, _) = open(&net).await;
        peer.send("hello").await;
        assert_eq!(peer.next().await, Received::Text("hello".to_owned()));
        peer.close(4000, "").await;
        peer.all().await;
        drop(peer);
        let request = "GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n";
        let (mut io, _) = send(&net, request).await;
        read_to_end(&mut io).await
    });
    let (head, body) = page.split_once("\r\n\r\n").unwrap();
    let content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    assert!(head.to_lowercase().contains(&format!("content-type: {content_type}")), "{head}");
    for line in [
        "# TYPE prism_sent_messages counter",
        "prism_sent_messages_total 1",
        "# UNIT prism_received_bytes bytes",
        "prism_connections_open 0",
        "prism_handshakes_total{result=\"opened\"} 1",
        "prism_connections_ended_total{by=\"peer\",how=\"private\"} 1",
        "prism_ping_round_trip_seconds_bucket{le=\"1.0\"} 0",
        "prism_ping_round_trip_seconds_bucket{le=\"+Inf\"} 0",
        "prism_ping_round_trip_seconds_sum 0.0",
    ] {
        assert!(body.lines().any(|it| it == line), "{line} is not in:\n{body}");
    }
    assert!(body.ends_with("# EOF\n"));
    assert_eq!(stats.counts().pages, 1);
}
