//! Shutting a server down: few connections are closed at once, many in steps; then the server waits for
//! them.

use std::{pin::pin, time::Duration};

use async_channel::{Receiver, Sender, bounded};
use futures_lite::future::poll_once;
use prism_driver::{
    Connection, Disconnect, Handler, Message, Options, Runtime, Server, ServerOptions, Shutdown,
};
use prism_test::{Peer, Received, Sim};

use crate::common::{handlers::Log, http::shake_hands, ms, net::Net, s, site::serve_until_closed};

/// Logs when each connection was closed.
struct CloseTimes(Sim, Log);

impl Handler for CloseTimes {
    async fn on_message(&self, _: &Connection, _: Message<'_>) {}

    async fn on_disconnect(&self, _: &Connection, reason: Disconnect) {
        self.1.add(format!("{}: {}", self.0.now().as_millis(), reason.code()));
    }
}

/// Returns how many connections closed, failed, and were cut.
const fn counts(outcome: Shutdown) -> (usize, usize, usize) {
    (outcome.closed, outcome.failed, outcome.cut)
}

struct TestServer {
    sim: Sim,
    net: Net,
    ended: Log,
    stop: Sender<()>,
    outcome: Receiver<Shutdown>,
}

/// Starts a server that shuts down when `stop` is closed.
fn start(options: impl Into<ServerOptions>) -> TestServer {
    let (sim, ended) = (Sim::default(), Log::default());
    let net = Net::new(&sim);
    let bound = sim.run(Server::bind_on(net.clone(), "127.0.0.1:0")).unwrap();
    let server = bound.options(options).websocket("/chat", CloseTimes(sim.clone(), ended.clone()));
    let (stop, outcome) = serve_until_closed(&sim, server);
    TestServer { sim, net, ended, stop, outcome }
}

impl TestServer {
    async fn open(&self, count: usize) -> Vec<Peer> {
        let mut peers = Vec::new();
        for _ in 0..count {
            peers.push(shake_hands(self.net.connect_raw().unwrap().0).await);
        }
        peers
    }

    /// Shuts down while each peer answers. Returns how many were closed at which time, in milliseconds.
    fn shut_down(&self, peers: Vec<Peer>) -> Vec<(u64, usize)> {
        let (all, sim) = (peers.len(), &self.sim);
        for mut peer in peers {
            let sim = sim.clone();
            sim.clone().spawn(async move {
                let going_away = Received::Close(1001, "the server is shutting down".to_owned());
                assert_eq!(peer.next_but_pings().await, going_away);
                drop(peer);
            });
        }
        self.stop.close();
        let outcome = sim.run(async { self.outcome.recv().await.unwrap() });
        assert_eq!(counts(outcome), (all, 0, 0));
        let mut moments: Vec<(u64, usize)> = Vec::new();
        for line in self.ended.lines() {
            let (at, code) = line.split_once(": ").unwrap();
            assert_eq!(code, "1001");
            let at = at.parse().unwrap();
            match moments.last_mut() {
                Some((last, count)) if *last == at => *count += 1,
                _ => moments.push((at, 1)),
            }
        }
        moments
    }
}

#[test]
fn up_to_64_connections_are_closed_at_once() {
    let server = start(Options::default());
    let peers = server.sim.run(server.open(64));
    assert_eq!(server.shut_down(peers), [(0, 64)]);
    assert_eq!(server.sim.now(), s(0), "the server ends at once");
}

#[test]
fn more_connections_are_closed_64_every_50_ms() {
    let server = start(Options::default());
    let peers = server.sim.run(server.open(200));
    assert_eq!(server.shut_down(peers), [(0, 64), (50, 64), (100, 64), (150, 8)]);
}

#[test]
fn very_many_are_closed_in_100_equal_steps_over_5_s() {
    let server = start(Options::default());
    let peers = server.sim.run(server.open(6_600));
    let steps: Vec<_> = (0..100).map(|step| (50 * step, 66)).collect();
    assert_eq!(server.shut_down(peers), steps);
}

#[test]
fn the_spread_is_at_most_half_the_grace_time() {
    let mut options = ServerOptions::default();
    options.shutdown_grace = s(1);
    let server = start(options);
    let peers = server.sim.run(server.open(200));
    assert_eq!(server.shut_down(peers), [(0, 64), (5, 64), (10, 64), (15, 8)]);
}

#[test]
fn without_a_spread_all_are_closed_at_once() {
    let mut options = ServerOptions::default();
    options.shutdown_spread = Duration::ZERO;
    let server = start(options);
    let peers = server.sim.run(server.open(200));
    assert_eq!(server.shut_down(peers), [(0, 200)]);
}

#[test]
fn connections_are_cut_exactly_at_the_grace_time() {
    let mut options = Options::default();
    options.protocol.close_timeout = s(600);
    let server = start(options);
    let mut peers = server.sim.run(server.open(100));
    server.stop.close();
    server.sim.run(async {
        server.sim.pass(ms(9_999)).await;
        for peer in &mut peers {
            peer.mute();
            assert!(matches!(peer.next_but_pings().await, Received::Close(1001, _)));
        }
        assert_eq!(server.sim.now(), ms(9_999));
        assert!(server.ended.lines().is_empty(), "{:?}", server.ended.lines());
        let outcome = server.outcome.recv().await.unwrap();
        assert_eq!((counts(outcome), server.sim.now()), ((0, 0, 100), s(10)));
    });
    assert_eq!(server.ended.lines(), vec!["10000: 1006"; 100]);
}

#[test]
fn the_close_timeout_applies_within_the_grace_time() {
    let server = start(Options::default());
    let mut peers = server.sim.run(server.open(3));
    server.stop.close();
    server.sim.run(async {
        for peer in &mut peers[1..] {
            peer.mute();
        }
        for peer in &mut peers {
            assert!(matches!(peer.next().await, Received::Close(1001, _)));
        }
        server.sim.pass(s(1)).await;
        drop(peers.pop()); // leaves without an answer
        let outcome = server.outcome.recv().await.unwrap();
        assert_eq!((counts(outcome), server.sim.now()), ((1, 2, 0), s(5)));
    });
    assert_eq!(server.ended.lines(), ["0: 1001", "1000: 1006", "5000: 1006"]);
}

#[test]
fn a_connection_is_served_until_its_close_frame() {
    let server = start(Options::default());
    let peers = server.sim.run(server.open(65));
    server.stop.close();
    server.sim.run(async {
        server.sim.settle().await;
        server.sim.pass(ms(49)).await;
        let mut served = 0;
        for mut peer in peers {
            peer.ping(b"still there?").await;
            served +=
                usize::from(peer.next_but_pings().await == Received::Pong(b"still there?".into()));
        }
        assert_eq!(served, 1);
        let outcome = server.outcome.recv().await.unwrap();
        assert_eq!(counts(outcome), (64, 1, 0), "the last one left without a close frame");
    });
}

#[test]
fn dropping_a_shutdown_closes_the_rest_at_once() {
    let sim = Sim::default();
    let net = Net::new(&sim);
    let ended = Log::default();
    let bound = sim.run(Server::bind_on(net.clone(), "127.0.0.1:0")).unwrap();
    let server = bound.websocket("/chat", CloseTimes(sim.clone(), ended.clone()));
    let (stop, stopped) = bounded::<()>(1);
    let mut serving = Box::pin(server.serve_until(async { while stopped.recv().await.is_ok() {} }));
    let peers: Vec<_> = sim.run(async {
        let mut peers = Vec::new();
        for _ in 0..200 {
            let (io, _) = net.connect_raw().unwrap();
            assert!(poll_once(&mut serving).await.is_none());
            peers.push(shake_hands(io).await);
        }
        peers
    });
    sim.run(async {
        stop.close();
        assert!(poll_once(pin!(&mut serving)).await.is_none());
        drop(serving);
        for mut peer in peers {
            assert!(matches!(peer.next().await, Received::Close(1001, _)));
        }
        sim.settle().await;
    });
    assert_eq!(ended.lines(), vec!["0: 1001"; 200]);
    assert_eq!((sim.now(), net.tasks()), (s(0), 0));
}
