//! The connections of a server share one timer. Each has its deadlines all the same.

mod common;

use std::pin::pin;

use async_channel::Receiver;
use common::{
    close,
    handlers::{Ear, Echo, Log},
    http::shake_hands,
    ms,
    net::Net,
    peer::{Peer, Seen},
    s,
    sim::Sim,
};
use futures_lite::future::{poll_once, zip};
use prism_driver::{CloseCode, Connection, Handler, Options, Runtime, Server};

/// A server that runs in a task of its own, for ever.
fn serve(sim: &Sim, handler: impl Handler, options: Options) -> Net {
    let net = Net::new(sim);
    let server = sim.run(Server::bind_on(net.clone(), "127.0.0.1:0")).unwrap();
    sim.spawn(server.options(options).websocket("/chat", handler).serve());
    net
}

async fn open(net: &Net) -> Peer {
    shake_hands(net.knock().unwrap().0).await
}

fn eared(sim: &Sim, options: Options) -> (Net, Log, Receiver<Connection>) {
    let (ear, log, out) = Ear::new();
    (serve(sim, ear, options), log, out)
}

#[test]
fn each_is_pinged_when_its_own_time_has_come() {
    let sim = Sim::default();
    let net = serve(&sim, Echo, Options::default());
    sim.run(async {
        let mut early = open(&net).await;
        sim.pass(s(5)).await;
        let mut late = open(&net).await;
        for interval in 1..4 {
            assert_eq!((early.next().await, sim.now()), (Seen::Ping, s(20 * interval)));
            assert_eq!((late.next().await, sim.now()), (Seen::Ping, s(20 * interval + 5)));
            // Their pongs are in before the next one is due.
            let _ = poll_once(zip(early.next(), late.next())).await;
        }
    });
}

#[test]
fn one_that_is_dead_is_found_while_others_live() {
    let sim = Sim::default();
    let net = serve(&sim, Echo, Options::default());
    sim.run(async {
        let mut dead = open(&net).await;
        dead.mute();
        sim.pass(s(1)).await;
        let mut living = open(&net).await;
        assert_eq!((dead.next().await, sim.now()), (Seen::Ping, s(20)));
        assert_eq!((living.next().await, sim.now()), (Seen::Ping, s(21)));
        let _ = poll_once(living.next()).await;
        let told = close(1011, "no answer to the keepalive ping");
        assert_eq!((dead.next().await, sim.now()), (told, s(40)));
        assert_eq!((living.next().await, sim.now()), (Seen::Ping, s(41)));
    });
}

#[test]
fn a_deadline_that_is_nearer_than_all_others_is_kept() {
    let sim = Sim::default();
    let (net, log, out) = eared(&sim, Options::default());
    sim.run(async {
        let mut peer = open(&net).await;
        peer.mute();
        let connection = out.recv().await.unwrap();
        sim.pass(s(3)).await;
        assert!(connection.close(CloseCode::NORMAL, ""));
        connection.closed().await;
        assert_eq!(sim.now(), s(3 + 5), "the close timeout, not the next ping");
        sim.settle().await;
        assert_eq!(log.lines().len(), 1, "{:?}", log.lines());
    });
}

#[test]
fn many_whose_times_are_close_together_are_all_pinged_soon() {
    let sim = Sim::default();
    let net = serve(&sim, Echo, Options::default());
    sim.run(async {
        let mut peers = Vec::new();
        for _ in 0..200 {
            peers.push((open(&net).await, sim.now()));
            sim.pass(ms(1)).await;
        }
        for (peer, opened) in &mut peers {
            assert_eq!(peer.next().await, Seen::Ping);
            let late = sim.now() - (*opened + s(20));
            assert!(late <= ms(25), "{late:?}");
        }
    });
}

#[test]
fn the_watch_goes_on_for_those_who_stay_when_the_server_is_dropped_and_ends_with_them() {
    let sim = Sim::default();
    let net = Net::new(&sim);
    let server = sim.run(Server::bind_on(net.clone(), "127.0.0.1:0")).unwrap();
    let mut serving = Box::pin(server.websocket("/chat", Echo).serve());
    sim.run(async {
        let mut opening = pin!(open(&net));
        let mut peer = loop {
            assert!(poll_once(&mut serving).await.is_none());
            if let Some(peer) = poll_once(&mut opening).await {
                break peer;
            }
            sim.settle().await;
        };
        drop(serving);
        assert_eq!((peer.next().await, sim.now()), (Seen::Ping, s(20)));
        peer.close(1000, "").await;
        peer.all().await;
        assert_eq!(net.tasks(), 2, "the session, and the watch");
        drop(peer);
        sim.settle().await;
    });
    assert_eq!(net.tasks(), 0);
}
