//! A server that shuts down tells few connections at once, and many one after the other; and waits.

mod common;

use std::{pin::pin, time::Duration};

use async_channel::{Receiver, Sender, bounded};
use common::{
    handlers::Log,
    http::shake_hands,
    ms,
    net::Net,
    peer::{Peer, Seen},
    s,
    sim::Sim,
};
use futures_lite::future::poll_once;
use prism_driver::{
    Connection, Disconnect, Handler, Message, Options, Runtime, Server, ServerOptions, Shutdown,
};

/// Writes down when each connection was told.
struct Witness(Sim, Log);

impl Handler for Witness {
    async fn on_message(&self, _: &Connection, _: Message<'_>) {}

    async fn on_disconnect(&self, _: &Connection, reason: Disconnect) {
        self.1.add(format!("{}: {}", self.0.now().as_millis(), reason.code()));
    }
}

/// How many closed, failed, and were cut.
const fn counts(outcome: Shutdown) -> (usize, usize, usize) {
    (outcome.closed, outcome.failed, outcome.cut)
}

struct Hall {
    sim: Sim,
    net: Net,
    ended: Log,
    stop: Sender<()>,
    outcome: Receiver<Shutdown>,
}

/// A server that is told to shut down when `stop` is closed.
fn hall(options: impl Into<ServerOptions>) -> Hall {
    let (sim, ended) = (Sim::default(), Log::default());
    let net = Net::new(&sim);
    let bound = sim.run(Server::bind_on(net.clone(), "127.0.0.1:0")).unwrap();
    let server = bound.options(options).websocket("/chat", Witness(sim.clone(), ended.clone()));
    let (stop, stopped) = bounded::<()>(1);
    let (tell, outcome) = bounded(1);
    sim.spawn(async move {
        let shutdown = async { while stopped.recv().await.is_ok() {} };
        tell.send(server.serve_until(shutdown).await).await.unwrap();
    });
    Hall { sim, net, ended, stop, outcome }
}

impl Hall {
    async fn open(&self, count: usize) -> Vec<Peer> {
        let mut peers = Vec::new();
        for _ in 0..count {
            peers.push(shake_hands(self.net.knock().unwrap().0).await);
        }
        peers
    }

    /// Shuts down while each peer answers; the moments, in milliseconds, at which how many were told.
    fn told(&self, peers: Vec<Peer>) -> Vec<(u64, usize)> {
        let (all, sim) = (peers.len(), &self.sim);
        for mut peer in peers {
            let sim = sim.clone();
            sim.clone().spawn(async move {
                let told = Seen::Close(1001, "the server is shutting down".to_owned());
                assert_eq!(peer.next_but_pings().await, told);
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
fn a_handful_is_told_at_once() {
    let hall = hall(Options::default());
    let peers = hall.sim.run(hall.open(64));
    assert_eq!(hall.told(peers), [(0, 64)]);
    assert_eq!(hall.sim.now(), s(0), "and the server is gone at once");
}

#[test]
fn more_are_told_in_steps_and_no_slower_than_sixty_four_in_fifty_milliseconds() {
    let hall = hall(Options::default());
    let peers = hall.sim.run(hall.open(200));
    assert_eq!(hall.told(peers), [(0, 64), (50, 64), (100, 64), (150, 8)]);
}

#[test]
fn very_many_are_told_in_a_hundred_equal_steps_over_five_seconds() {
    let hall = hall(Options::default());
    let peers = hall.sim.run(hall.open(6_600));
    let steps: Vec<_> = (0..100).map(|step| (50 * step, 66)).collect();
    assert_eq!(hall.told(peers), steps);
}

#[test]
fn a_spread_is_at_most_half_of_the_grace_time() {
    let mut options = ServerOptions::default();
    options.shutdown_grace = s(1);
    let hall = hall(options);
    let peers = hall.sim.run(hall.open(200));
    assert_eq!(hall.told(peers), [(0, 64), (5, 64), (10, 64), (15, 8)]);
}

#[test]
fn without_a_spread_all_are_told_at_once() {
    let mut options = ServerOptions::default();
    options.shutdown_spread = Duration::ZERO;
    let hall = hall(options);
    let peers = hall.sim.run(hall.open(200));
    assert_eq!(hall.told(peers), [(0, 200)]);
}

#[test]
fn nobody_is_cut_before_the_grace_time_and_everybody_after_it() {
    let mut options = Options::default();
    options.protocol.close_timeout = s(600);
    let hall = hall(options);
    let mut peers = hall.sim.run(hall.open(100));
    hall.stop.close();
    hall.sim.run(async {
        hall.sim.pass(ms(9_999)).await;
        for peer in &mut peers {
            peer.mute();
            assert!(matches!(peer.next_but_pings().await, Seen::Close(1001, _)));
        }
        assert_eq!(hall.sim.now(), ms(9_999));
        assert!(hall.ended.lines().is_empty(), "{:?}", hall.ended.lines());
        let outcome = hall.outcome.recv().await.unwrap();
        assert_eq!((counts(outcome), hall.sim.now()), ((0, 0, 100), s(10)));
    });
    assert_eq!(hall.ended.lines(), vec!["10000: 1006"; 100]);
}

#[test]
fn within_the_grace_time_who_does_not_answer_has_the_close_timeout_and_has_failed() {
    let hall = hall(Options::default());
    let mut peers = hall.sim.run(hall.open(3));
    hall.stop.close();
    hall.sim.run(async {
        for peer in &mut peers[1..] {
            peer.mute();
        }
        for peer in &mut peers {
            assert!(matches!(peer.next().await, Seen::Close(1001, _)));
        }
        hall.sim.pass(s(1)).await;
        drop(peers.pop()); // gone without an answer
        let outcome = hall.outcome.recv().await.unwrap();
        assert_eq!((counts(outcome), hall.sim.now()), ((1, 2, 0), s(5)));
    });
    assert_eq!(hall.ended.lines(), ["0: 1001", "1000: 1006", "5000: 1006"]);
}

#[test]
fn who_waits_to_be_told_is_served_until_then() {
    let hall = hall(Options::default());
    let peers = hall.sim.run(hall.open(65));
    hall.stop.close();
    hall.sim.run(async {
        hall.sim.settle().await;
        hall.sim.pass(ms(49)).await;
        let mut untold = 0;
        for mut peer in peers {
            peer.ping(b"still there?").await;
            untold +=
                usize::from(peer.next_but_pings().await == Seen::Pong(b"still there?".into()));
        }
        assert_eq!(untold, 1);
        let outcome = hall.outcome.recv().await.unwrap();
        assert_eq!(counts(outcome), (64, 1, 0), "the one who was not told left without a word");
    });
}

#[test]
fn if_a_shutdown_is_dropped_half_way_the_rest_is_told_at_once() {
    let sim = Sim::default();
    let net = Net::new(&sim);
    let ended = Log::default();
    let bound = sim.run(Server::bind_on(net.clone(), "127.0.0.1:0")).unwrap();
    let server = bound.websocket("/chat", Witness(sim.clone(), ended.clone()));
    let (stop, stopped) = bounded::<()>(1);
    let mut serving = Box::pin(server.serve_until(async { while stopped.recv().await.is_ok() {} }));
    let peers: Vec<_> = sim.run(async {
        let mut peers = Vec::new();
        for _ in 0..200 {
            let (io, _) = net.knock().unwrap();
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
            assert!(matches!(peer.next().await, Seen::Close(1001, _)));
        }
        sim.settle().await;
    });
    assert_eq!(ended.lines(), vec!["0: 1001"; 200]);
    assert_eq!((sim.now(), net.tasks()), (s(0), 0));
}
