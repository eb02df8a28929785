//! Authorizations that take a while: how many run, how long, and that nothing is left of a peer that leaves meanwhile.

use std::{
    io::Write,
    sync::mpsc::{Receiver, Sender, channel},
    thread,
    time::Duration,
};

use prism_tests::raw::encode;

use super::support::{
    TIMEOUT,
    handlers::{Echo, Gate},
    peer::{BINARY, Peer},
    server::{TestServer, serve},
    wait_until,
};
use crate::prism::{Options, Reply, Request, ServerOptions};

/// Tells the test when an authorization begins and when its future is dropped.
struct Running(Sender<&'static str>);

impl Running {
    fn begin(events: &Sender<&'static str>) -> Self {
        let _ = events.send("begun"); // fails if the scenario is over
        Self(events.clone())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.send("ended"); // fails if the scenario is over
    }
}

/// Runs a server whose authorizations wait for a gate.
fn gated(options: impl Into<ServerOptions>) -> (TestServer, Gate, Receiver<&'static str>) {
    let (gate, (events, happened)) = (Gate::closed(), channel());
    let passes = gate.clone();
    let server = serve(|server| {
        let authorize = move |_: Request| {
            let (gate, running) = (passes.clone(), Running::begin(&events));
            async move {
                gate.pass().await;
                drop(running);
                Ok::<_, Reply>(())
            }
        };
        let server = server.options(options).authorize(authorize).websocket("/", Echo);
        server.get("/", |_| Reply::html("a page"))
    });
    (server, gate, happened)
}

#[track_caller]
fn next(events: &Receiver<&'static str>) -> &'static str {
    events.recv_timeout(TIMEOUT).expect("an event of an authorization")
}

#[test]
fn a_peer_that_leaves_cancels_its_authorization() {
    let ways: [fn(Peer); 3] = [
        drop,
        |peer| {
            peer.send_eof();
            peer.expect_disconnect();
        },
        |peer| {
            let stream = socket2::Socket::from(peer.stream);
            stream.set_linger(Some(Duration::ZERO)).expect("a socket"); // drop resets
        },
    ];
    for leave in ways {
        let options = ServerOptions::default().max_authorizations(1).max_connections(2);
        let (server, gate, events) = gated(options);
        let [mut running, mut waiting] = [server.dial(), server.dial()];
        running.write(Peer::request("/").as_bytes());
        assert_eq!(next(&events), "begun");
        waiting.write(Peer::request("/").as_bytes());
        // The request is in the queue as soon as it is read.
        wait_until("it is read", || waiting.transit().is_over());
        leave(waiting);
        wait_until("it is noticed", || server.stats().counts().refused.left == 1);
        leave(running);
        assert_eq!(next(&events), "ended");
        wait_until("it is noticed", || server.stats().counts().refused.left == 2);
        assert!(events.try_recv().is_err(), "the one that waited never began");
        // The slots and the permit are free.
        gate.open();
        let _both = [server.open("/"), server.open("/")];
        assert_eq!(server.stats().counts().open, 2);
    }
}

#[test]
fn a_late_authorization_gets_503_and_is_dropped() {
    let options = Options::default().handshake_timeout(Duration::from_millis(200));
    let (server, _gate, events) = gated(options);
    let mut peer = server.dial();
    peer.write(Peer::request("/").as_bytes());
    assert_eq!(peer.head().status, 503);
    assert_eq!([next(&events), next(&events)], ["begun", "ended"]);
    assert_eq!(server.stats().counts().refused.timed_out, 1);
}

#[test]
fn early_messages_are_delivered_after_the_authorization() {
    for size in [0, 1, 1000, 15_000, 17_000, 100_000, 1_000_000] {
        let (server, gate, events) = gated(Options::default());
        let mut peer = server.dial();
        let early = encode(true, true, BINARY, &vec![7; size]);
        let (with_request, rest) = early.split_at(early.len().min(10_000) / 2);
        peer.write(&[Peer::request("/").as_bytes(), with_request].concat());
        assert_eq!(next(&events), "begun");
        // Beyond what the server and the kernel buffer, a write waits until the server reads.
        thread::scope(|scope| {
            let mut writer = peer.stream.try_clone().expect("a socket");
            let writing = scope.spawn(move || writer.write_all(rest).expect("a reader"));
            wait_until("all is read, or the server has stopped reading", || {
                let (all_written, transit) = (writing.is_finished(), peer.transit());
                transit.unread > 0 || all_written && transit.is_over()
            });
            gate.open();
            assert_eq!(peer.head().status, 101, "{size}");
            peer.expect(BINARY, &vec![7; size]);
        });
    }
}

#[test]
fn excess_authorizations_wait_without_holding_up_others() {
    let options = ServerOptions::default().max_authorizations(2).max_handshakes(1);
    let (server, gate, events) = gated(options);
    let peers: Vec<_> = (0..20)
        .map(|_| {
            let mut peer = server.dial();
            peer.write(Peer::request("/").as_bytes());
            peer
        })
        .collect();
    assert_eq!([next(&events), next(&events)], ["begun", "begun"]);
    wait_until("all wait", || server.stats().counts().in_handshake == 20);
    let mut page = server.dial();
    page.write(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_eq!(page.response().1, "a page");
    assert!(events.try_recv().is_err(), "two are running, and no more");
    gate.open();
    let open: Vec<_> = peers.into_iter().map(|mut peer| (peer.head().status, peer)).collect();
    assert!(open.iter().all(|(status, _)| *status == 101));
    let counts = server.stats().counts();
    assert_eq!((counts.open, counts.refused.total()), (20, 0));
}

#[test]
fn a_shutdown_drops_authorizations() {
    let (server, _gate, events) = gated(ServerOptions::default().max_authorizations(1));
    let peers = [(); 2].map(|()| {
        let mut peer = server.dial();
        peer.write(Peer::request("/").as_bytes());
        peer
    });
    assert_eq!(next(&events), "begun");
    wait_until("both are accepted", || server.stats().counts().in_handshake == 2);
    server.stop();
    assert_eq!(next(&events), "ended");
    assert!(events.try_recv().is_err(), "the one that waited never began");
    for mut peer in peers {
        assert_eq!(peer.rest(), "", "there is no answer");
    }
}
