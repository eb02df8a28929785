//! Peers that never stop sending: a constant supply of input must not postpone a deadline. Each
//! test runs in its own process, so that its load does not disturb others.

use std::{io::Write, thread, time::Duration};

use super::support::{
    handlers::{Recorder, Seen, recorder},
    own_process::in_own_process,
    peer::{PING, Peer, TEXT},
    server::serve,
};
use crate::prism::{
    CloseCode, Connection, Disconnect, Failure, Handler, Message, Options, ProtocolError,
    ServerOptions,
};

/// Records connects and disconnects, and ignores messages.
struct Quiet(Recorder);

impl Handler for Quiet {
    async fn on_connect(&self, connection: &Connection) {
        self.0.record(Seen::Connected(connection.clone()));
    }

    async fn on_message(&self, _: &Connection, _: Message<'_>) {}

    async fn on_disconnect(&self, _: &Connection, reason: Disconnect) {
        self.0.record(Seen::Ended(reason));
    }
}

/// Sends frames until the connection ends. They are as small as possible, which makes them the most
/// work to read.
fn flood(peer: &Peer, opcode: u8) {
    let frames = peer.encode(true, opcode, b"").repeat(300_000);
    let mut stream = peer.stream.try_clone().expect("a socket");
    thread::spawn(move || while stream.write_all(&frames).is_ok() {});
}

#[test]
fn a_flood_of_unread_pongs_ends_at_the_write_timeout() {
    in_own_process(&a_flood_of_unread_pongs_ends_at_the_write_timeout, || {
        let mut options = Options::default();
        options.write_timeout = Duration::from_millis(500);
        let (recorder, events) = recorder();
        let server = serve(|server| server.options(options).websocket("/", Quiet(recorder)));
        let peer = server.open("/");
        events.connected();
        flood(&peer, PING);
        let ended = events.ended();
        assert!(matches!(ended, Disconnect::Failed(Failure::WriteStalled)), "{ended:?}");
    });
}

#[test]
fn a_flood_does_not_postpone_the_close_timeout() {
    in_own_process(&a_flood_does_not_postpone_the_close_timeout, || {
        let mut options = Options::default();
        options.protocol.close_timeout = Duration::from_millis(500);
        let (recorder, events) = recorder();
        let server = serve(|server| server.options(options).websocket("/", Quiet(recorder)));
        let peer = server.open("/");
        let connection = events.connected();
        flood(&peer, TEXT);
        assert!(connection.close(CloseCode::NORMAL, ""), "an open connection");
        let ended = events.ended();
        let late = ProtocolError::CloseTimeout;
        assert!(
            matches!(&ended, Disconnect::Failed(Failure::Protocol(e)) if *e == late),
            "{ended:?}"
        );
    });
}

#[test]
fn a_flood_does_not_postpone_the_end_of_a_shutdown() {
    in_own_process(&a_flood_does_not_postpone_the_end_of_a_shutdown, || {
        let mut options = ServerOptions::default();
        options.connection.protocol.close_timeout = Duration::from_secs(600);
        options.shutdown_grace = Duration::from_millis(500);
        let (recorder, events) = recorder();
        let server = serve(|server| server.options(options).websocket("/", Quiet(recorder)));
        let peer = server.open("/");
        events.connected();
        flood(&peer, TEXT);
        assert_eq!(server.stop().cut, 1);
        let ended = events.ended();
        assert!(matches!(ended, Disconnect::Failed(Failure::ServerShutdown)), "{ended:?}");
    });
}

#[test]
fn a_flood_after_a_violation_ends_at_the_close_timeout() {
    in_own_process(&a_flood_after_a_violation_ends_at_the_close_timeout, || {
        let mut options = ServerOptions::default();
        options.connection.protocol.close_timeout = Duration::from_millis(500);
        options.max_connections = 1;
        let (recorder, events) = recorder();
        let server = serve(|server| server.options(options).websocket("/", Quiet(recorder)));
        let mut peer = server.open("/");
        events.connected();
        peer.write(b"nonsense");
        flood(&peer, TEXT);
        let ended = events.ended();
        assert!(matches!(ended, Disconnect::Failed(Failure::Protocol(_))), "{ended:?}");
        // There is a slot for only one connection, and the next client gets it.
        server.open("/");
        events.connected();
    });
}
