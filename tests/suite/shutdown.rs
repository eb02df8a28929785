//! Shutdowns: a server stops accepting, closes every connection with 1001, and waits no longer than
//! the grace period.

use std::{net::TcpStream, time::Duration};

use super::support::{
    block_on,
    handlers::{Echo, Gate, Recorder, Seen, recorder},
    peer::{Peer, TEXT},
    server::{serve, serve_at, serve_echo},
};
use crate::{
    prism::{
        Connection, Disconnect, Failure, Handler, Message, Options, Server, ServerOptions, Shutdown,
    },
    runtime::spawn,
};

const WHY: &str = "the server is shutting down";

#[track_caller]
fn assert_counts(outcome: Shutdown, closed: usize, failed: usize, cut: usize) {
    assert_eq!((outcome.closed, outcome.failed, outcome.cut), (closed, failed, cut));
}

#[test]
fn shutdown_closes_and_counts_every_connection() {
    let (recorder, events) = recorder();
    let server = serve(|server| server.websocket("/", recorder));
    let sockets = [(); 3].map(|()| block_on(server.connect("/")));
    for _ in &sockets {
        events.connected();
    }
    assert_counts(server.stop(), 3, 0, 0);
    for socket in &sockets {
        let ending = block_on(socket.recv()).expect_err("no message");
        assert!(matches!(ending, Disconnect::Peer { .. }), "{ending:?}");
        assert_eq!((ending.code(), ending.reason()), (1001, WHY.into()));
        let ended = events.ended();
        assert!(matches!(ended, Disconnect::Local { .. }), "{ended:?}");
        assert_eq!((ended.code(), ended.reason()), (1001, WHY.into()));
    }
    events.nothing_more();
}

#[test]
fn shutdown_in_steps_reaches_every_connection() {
    let server = serve_echo(Options::default());
    let mut peers: Vec<_> = (0..200).map(|_| server.open("/")).collect();
    server.begin_stop();
    // The server closes 64 connections at once, and 64 in each following step, in any order.
    for peer in &mut peers {
        peer.expect_close(1001, WHY);
    }
    for peer in peers {
        peer.close_and_expect_disconnect();
    }
    assert_counts(server.stopped(), 200, 0, 0);
    let counts = server.stats().counts();
    assert_eq!((counts.accepted, counts.open, counts.closed), (200, 0, 200));
}

#[test]
fn a_server_without_connections_stops_at_once() {
    let server = serve_echo(Options::default());
    assert_counts(server.stop(), 0, 0, 0);
}

#[test]
fn shutdown_stops_accepting() {
    // Listens on an address of its own: on 127.0.0.1, another test could take the port as soon as
    // it is free.
    let server = serve_at("127.0.0.2:0", |server| server.websocket("/", Echo));
    let mut peer = server.open("/"); // keeps the server waiting
    server.begin_stop();
    peer.expect_close(1001, WHY);
    // The listener is closed before the first close frame.
    let late = TcpStream::connect(server.address());
    assert!(late.is_err(), "the port is still open");
    peer.close_and_expect_disconnect();
    assert_counts(server.stopped(), 1, 0, 0);
}

#[test]
fn shutdown_cuts_unresponsive_peers_after_the_grace_time() {
    let mut options = ServerOptions::default();
    options.shutdown_grace = Duration::from_secs(2);
    options.connection.protocol.close_timeout = Duration::from_secs(600);
    let (recorder, events) = recorder();
    let server = serve(|server| server.options(options).websocket("/", recorder));
    let mut stuck = server.open("/");
    let polite = block_on(server.connect("/"));
    events.connected();
    events.connected();
    assert_counts(server.stop(), 1, 0, 1);
    assert_eq!(block_on(polite.recv()).expect_err("no message").code(), 1001);
    stuck.expect_close(1001, WHY);
    stuck.expect_disconnect();
    let endings = [events.ended(), events.ended()];
    let cut = |ending: &&Disconnect| matches!(ending, Disconnect::Failed(Failure::ServerShutdown));
    assert_eq!(endings.iter().filter(cut).count(), 1, "{endings:?}");
    events.nothing_more();
}

#[test]
fn shutdown_counts_each_connection_once_under_load() {
    const OF_EACH: usize = 20;
    let mut options = ServerOptions::default();
    options.shutdown_grace = Duration::from_secs(2);
    options.connection.protocol.close_timeout = Duration::from_secs(600);
    let server = serve_echo(options);
    for _ in 0..OF_EACH {
        let talking = block_on(server.connect("/"));
        spawn(async move {
            while talking.send("and another thing").await.is_ok() && talking.recv().await.is_ok() {}
        });
    }
    let leaving: Vec<_> = (0..OF_EACH).map(|_| server.open("/")).collect();
    let mut stuck: Vec<_> = (0..OF_EACH).map(|_| server.open("/")).collect();
    server.begin_stop();
    for mut peer in leaving {
        peer.expect_close(1001, WHY);
        drop(peer); // without an answer
    }
    for peer in &mut stuck {
        peer.expect_close(1001, WHY);
    }
    assert_counts(server.stopped(), OF_EACH, OF_EACH, OF_EACH);
    stuck.into_iter().for_each(Peer::expect_disconnect);
    let counts = server.stats().counts();
    assert_eq!((counts.accepted, counts.open), (3 * OF_EACH as u64, 0));
}

/// Finishes its message even after the connection has closed.
struct Busy {
    gate: Gate,
    recorder: Recorder,
}

impl Handler for Busy {
    async fn on_message(&self, connection: &Connection, message: Message<'_>) {
        self.recorder.on_message(connection, message).await;
        self.gate.pass().await;
        self.recorder.on_message(connection, Message::Text("finished")).await;
    }

    async fn on_disconnect(&self, _: &Connection, reason: Disconnect) {
        self.recorder.record(Seen::Ended(reason));
    }
}

#[test]
fn shutdown_waits_for_busy_handlers() {
    let (recorder, events) = recorder();
    let gate = Gate::closed();
    let busy = Busy { gate: gate.clone(), recorder };
    let server = serve(|server| server.websocket("/", busy));
    let mut peer = server.open("/");
    peer.send(TEXT, b"work");
    events.message();
    server.begin_stop();
    peer.expect_close(1001, WHY);
    peer.send_close(1001, "");
    events.nothing_yet();
    gate.open();
    peer.expect_end();
    drop(peer);
    assert_counts(server.stopped(), 1, 0, 0);
    assert_eq!(events.message().as_message(), Message::Text("finished"));
    assert_eq!(events.ended().code(), 1001);
}

#[test]
fn shutdown_cuts_a_busy_connection_but_not_its_handler() {
    let mut options = ServerOptions::default();
    options.shutdown_grace = Duration::from_millis(100);
    let (recorder, events) = recorder();
    let gate = Gate::closed();
    let busy = Busy { gate: gate.clone(), recorder };
    let server = serve(|server| server.options(options).websocket("/", busy));
    let mut peer = server.open("/");
    peer.send(TEXT, b"work");
    events.message();
    assert_counts(server.stop(), 0, 0, 1);
    peer.expect_disconnect();
    events.nothing_yet();
    gate.open();
    assert_eq!(events.message().as_message(), Message::Text("finished"));
    let ended = events.ended();
    assert!(matches!(ended, Disconnect::Failed(Failure::ServerShutdown)), "{ended:?}");
}

#[test]
fn shutdown_does_not_wait_for_handshakes() {
    let mut options = ServerOptions::default();
    options.shutdown_grace = Duration::from_secs(600);
    let server = serve_echo(options);
    let mut peer = server.dial();
    let request = Peer::request("/");
    peer.write(&request.as_bytes()[..40]);
    // Connections are accepted in order: when this one is served, the earlier one was accepted.
    let mut witness = server.open("/");

    server.begin_stop();
    witness.expect_close(1001, WHY);
    witness.close_and_expect_disconnect();
    assert_counts(server.stopped(), 1, 0, 0);
    peer.expect_disconnect();
}

#[test]
fn messages_sent_before_a_shutdown_still_arrive() {
    let (recorder, events) = recorder();
    let server = serve(|server| server.websocket("/", recorder));
    let mut peer = server.open("/");
    let connection = events.connected();
    for _ in 0..100 {
        block_on(connection.send("before")).expect("an open connection");
    }
    server.begin_stop();
    for _ in 0..100 {
        peer.expect(TEXT, b"before");
    }
    peer.expect_close(1001, WHY);
    peer.close_and_expect_disconnect();
    assert_counts(server.stopped(), 1, 0, 0);
}

#[test]
fn a_dropped_server_leaves_its_connections_open() {
    let (recorder, events) = recorder();
    // As above, listens on an address of its own.
    let server = block_on(Server::bind("127.0.0.3:0")).expect("a free port");
    let address = server.local_addr().expect("a bound listener");
    let gate = Gate::closed();
    let until = gate.clone();
    let (dropped, is_dropped) = async_channel::bounded::<()>(1);
    let server = server.websocket("/", Echo).websocket("/seen", recorder);
    spawn(async move {
        futures_lite::future::or(until.pass(), server.serve()).await;
        drop(dropped);
    });
    let mut peer = Peer::dial(address);
    peer.write(Peer::request("/seen").as_bytes());
    assert_eq!(peer.head().status, 101);
    let connection = events.connected();
    gate.open();
    let _ = block_on(is_dropped.recv()); // nothing is sent: the channel closes
    assert!(TcpStream::connect(address).is_err(), "the port is still open");
    peer.send(TEXT, b"still here?");
    assert_eq!(events.message().as_message(), Message::Text("still here?"));
    block_on(connection.send("yes")).expect("an open connection");
    peer.expect(TEXT, b"yes");
}
