//! The connections of a server share one timer, and each still meets its own deadlines.

use std::pin::pin;

use async_channel::Receiver;
use futures_lite::future::{poll_once, zip};
use prism_driver::{CloseCode, Connection, Handler, Options, Runtime, Server};
use prism_test::{Peer, Received, Sim};

use crate::common::{
    close,
    handlers::{Echo, Log, MessageLog},
    http::shake_hands,
    ms,
    net::Net,
    s,
};

/// Starts a server that runs in a separate task, forever.
fn serve(sim: &Sim, handler: impl Handler, options: Options) -> Net {
    let net = Net::new(sim);
    let server = sim.run(Server::bind_on(net.clone(), "127.0.0.1:0")).unwrap();
    sim.spawn(server.options(options).websocket("/chat", handler).serve());
    net
}

async fn open(net: &Net) -> Peer {
    shake_hands(net.connect_raw().unwrap().0).await
}

/// Starts a server with a [`MessageLog`].
fn serve_log(sim: &Sim, options: Options) -> (Net, Log, Receiver<Connection>) {
    let (handler, log, out) = MessageLog::new();
    (serve(sim, handler, options), log, out)
}

#[test]
fn each_connection_is_pinged_at_its_own_interval() {
    let sim = Sim::default();
    let net = serve(&sim, Echo, Options::default());
    sim.run(async {
        let mut early = open(&net).await;
        sim.pass(s(5)).await;
        let mut late = open(&net).await;
        for interval in 1..4 {
            assert_eq!((early.next().await, sim.now()), (Received::Ping, s(20 * interval)));
            assert_eq!((late.next().await, sim.now()), (Received::Ping, s(20 * interval + 5)));
            // Both answer before the next ping is due.
            let _ = poll_once(zip(early.next(), late.next())).await;
        }
    });
}

#[test]
fn a_dead_peer_is_found_among_live_ones() {
    let sim = Sim::default();
    let net = serve(&sim, Echo, Options::default());
    sim.run(async {
        let mut dead = open(&net).await;
        dead.mute();
        sim.pass(s(1)).await;
        let mut living = open(&net).await;
        assert_eq!((dead.next().await, sim.now()), (Received::Ping, s(20)));
        assert_eq!((living.next().await, sim.now()), (Received::Ping, s(21)));
        let _ = poll_once(living.next()).await;
        let told = close(1011, "no answer to the keepalive ping");
        assert_eq!((dead.next().await, sim.now()), (told, s(40)));
        assert_eq!((living.next().await, sim.now()), (Received::Ping, s(41)));
    });
}

#[test]
fn a_nearer_deadline_is_kept() {
    let sim = Sim::default();
    let (net, log, out) = serve_log(&sim, Options::default());
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
fn deadlines_close_together_are_all_served_promptly() {
    let sim = Sim::default();
    let net = serve(&sim, Echo, Options::default());
    sim.run(async {
        let mut peers = Vec::new();
        for _ in 0..200 {
            peers.push((open(&net).await, sim.now()));
            sim.pass(ms(1)).await;
        }
        for (peer, opened) in &mut peers {
            assert_eq!(peer.next().await, Received::Ping);
            let late = sim.now() - (*opened + s(20));
            assert!(late <= ms(25), "{late:?}");
        }
    });
}

#[test]
fn the_timer_outlives_the_server_until_the_last_connection() {
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
        assert_eq!((peer.next().await, sim.now()), (Received::Ping, s(20)));
        peer.close(1000, "").await;
        peer.all().await;
        assert_eq!(net.tasks(), 2, "the session and the timer");
        drop(peer);
        sim.settle().await;
    });
    assert_eq!(net.tasks(), 0);
}
