//! `message_rate`: a peer that sends faster has to wait, but loses neither a message nor its connection.

use async_channel::{Receiver, bounded};
use futures_lite::future::or;
use prism_driver::{
    CloseCode, Connection, Disconnect, Handler, Message, Options, ProtocolError, Rate, Runtime,
    Server,
};
use prism_test::{Faults, Peer, Received, Sim};

use crate::common::{
    close, handlers::Log, http::shake_hands, ms, net::Net, s, serve, serve_handshake,
};

/// Logs each message, and when it was handled.
struct TimedLog(Sim, Log, async_channel::Sender<Connection>);

impl Handler for TimedLog {
    async fn on_connect(&self, connection: &Connection) {
        // Not every test needs it.
        let _ = self.2.try_send(connection.clone());
    }

    async fn on_message(&self, _: &Connection, message: Message<'_>) {
        self.1.add(format!("{} ms: {}", self.0.now().as_millis(), message.as_text().unwrap()));
    }
}

fn timed_log(sim: &Sim) -> (TimedLog, Log, Receiver<Connection>) {
    let (log, (hand, out)) = (Log::default(), bounded(1));
    (TimedLog(sim.clone(), log.clone(), hand), log, out)
}

fn limited(per_second: u32, burst: u32) -> Options {
    let mut options = Options::default();
    options.message_rate = Some(Rate { per_second, burst });
    options
}

fn connect(
    sim: &Sim,
    options: Options,
) -> (Peer, Faults, Receiver<Disconnect>, Log, Receiver<Connection>) {
    let (handler, log, out) = timed_log(sim);
    let (peer, faults, ended) = serve(sim, handler, options);
    (peer, faults, ended, log, out)
}

#[test]
fn a_burst_is_taken_at_once_and_the_rest_at_the_rate() {
    let sim = Sim::default();
    let (mut peer, _, _, log, _) = connect(&sim, limited(10, 3));
    sim.run(async {
        peer.send_together(&["a", "b", "c", "d", "e"]).await;
        sim.pass(s(1)).await;
    });
    assert_eq!(log.lines(), ["0 ms: a", "0 ms: b", "0 ms: c", "100 ms: d", "200 ms: e"]);
}

#[test]
fn a_pause_earns_at_most_one_burst() {
    let sim = Sim::default();
    let (mut peer, _, _, log, _) = connect(&sim, limited(10, 2));
    sim.run(async {
        peer.send_together(&["a", "b"]).await;
        sim.pass(ms(100)).await;
        peer.send_together(&["c", "d"]).await;
        sim.pass(s(15)).await;
        peer.send_together(&["e", "f", "g"]).await;
        sim.pass(s(1)).await;
    });
    let expected = [
        "0 ms: a",
        "0 ms: b",
        "100 ms: c",
        "200 ms: d",
        "15100 ms: e",
        "15100 ms: f",
        "15200 ms: g",
    ];
    assert_eq!(log.lines(), expected);
}

#[test]
fn a_peer_within_its_rate_never_waits() {
    let sim = Sim::default();
    let (mut peer, _, _, log, _) = connect(&sim, limited(10, 1));
    sim.run(async {
        for _ in 0..1000 {
            peer.send("x").await;
            sim.pass(ms(100)).await;
        }
    });
    let expected: Vec<_> = (0..1000).map(|n| format!("{} ms: x", 100 * n)).collect();
    assert_eq!(log.lines(), expected);
}

#[test]
fn a_peer_above_its_rate_is_slowed_and_loses_nothing() {
    let sim = Sim::default();
    let (mut peer, faults, _, log, _) = connect(&sim, limited(10, 1));
    let message = "x".repeat(10_000);
    sim.run(async {
        for _ in 0..100 {
            peer.send(&message).await;
        }
        sim.pass(s(1)).await;
        assert!(faults.to_server().unread() > 800_000, "{} bytes", faults.to_server().unread());
        sim.pass(s(9)).await;
        assert_eq!((log.lines().len(), faults.to_server().unread()), (100, 0));
    });
}

#[test]
fn pongs_queued_behind_messages_do_not_count_as_missing() {
    let sim = Sim::default();
    let (mut peer, _, ended, log, _) = connect(&sim, limited(1, 1));
    sim.run(async {
        // An hour's worth of messages, all at once. The pongs queue behind them.
        for n in 0..3600 {
            peer.send(&n.to_string()).await;
        }
        let listening = async { panic!("expected only pings: {:?}", peer.next_but_pings().await) };
        or(listening, sim.pass(s(3600))).await;
        assert_eq!(log.lines().len(), 3600);
        assert!(ended.is_empty());
    });
}

#[test]
fn a_dead_peer_is_found_once_its_messages_are_taken() {
    let sim = Sim::default();
    let (mut peer, _, ended, log, _) = connect(&sim, limited(1, 1));
    sim.run(async {
        for n in 0..60 {
            peer.send(&n.to_string()).await;
        }
        peer.mute();
        let reason = ended.recv().await.unwrap();
        let dead = ProtocolError::KeepaliveTimeout.to_string();
        assert_eq!((reason.reason(), log.lines().len()), (dead, 60));
        assert!(sim.now() < s(60 + 20 + 20 + 5 + 1), "{:?}", sim.now());
    });
}

#[test]
fn our_close_ignores_the_rate_and_stops_the_handler() {
    let sim = Sim::default();
    let (mut peer, _, ended, log, out) = connect(&sim, limited(1, 1));
    sim.run(async {
        peer.send_together(&["a", "b", "c"]).await;
        let connection = out.recv().await.unwrap();
        sim.pass(ms(500)).await;
        assert!(connection.close(CloseCode::NORMAL, "enough"));
        assert_eq!((peer.next().await, sim.now()), (close(1000, "enough"), ms(500)));
        // The peer's answer does not wait for the rate.
        assert!(matches!(peer.next().await, Received::End(Ok(()))));
        drop(peer);
        assert_eq!(ended.recv().await.unwrap().code(), 1000);
        assert_eq!(sim.now(), ms(500));
    });
    assert_eq!(log.lines(), ["0 ms: a"]);
}

#[test]
fn a_rate_of_zero_counts_as_one() {
    let sim = Sim::default();
    let (mut peer, _, _, log, _) = connect(&sim, limited(0, 0));
    sim.run(async {
        peer.send_together(&["a", "b"]).await;
        sim.pass(s(2)).await;
    });
    assert_eq!(log.lines(), ["0 ms: a", "1000 ms: b"]);
}

#[test]
fn without_a_rate_messages_are_taken_as_they_arrive() {
    let sim = Sim::default();
    let (mut peer, _, _, log, _) = connect(&sim, Options::default());
    sim.run(async {
        for _ in 0..10_000 {
            peer.send("x").await;
        }
        sim.settle().await;
    });
    assert_eq!(log.lines(), vec!["0 ms: x"; 10_000]);
}

#[test]
fn every_kind_of_server_applies_the_rate() {
    let expected = ["0 ms: a", "500 ms: b"];

    let sim = Sim::default();
    let (handler, log, _out) = timed_log(&sim);
    let (io, _, _) = serve_handshake(&sim, handler, limited(2, 1));
    sim.run(async {
        shake_hands(io).await.send_together(&["a", "b"]).await;
        sim.pass(s(2)).await;
    });
    assert_eq!(log.lines(), expected, "serve_stream");

    let sim = Sim::default();
    let net = Net::new(&sim);
    let (handler, log, _out) = timed_log(&sim);
    let bound = sim.run(Server::bind_on(net.clone(), "127.0.0.1:0")).unwrap();
    sim.spawn(bound.options(limited(2, 1)).websocket("/chat", handler).serve());
    sim.run(async {
        shake_hands(net.connect_raw().unwrap().0).await.send_together(&["a", "b"]).await;
        sim.pass(s(2)).await;
    });
    assert_eq!(log.lines(), expected, "Server");
}
