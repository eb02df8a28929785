//! Peers that never stop sending: no deadline may be put off by bytes that are always there. Each is in
//! a process of its own, where it keeps nobody else from working.

use std::{io::Write, thread, time::Duration};

use super::support::{
    alone::alone,
    handlers::{Recorder, Seen, recorder},
    peer::{PING, Peer, TEXT},
    server::serve,
};
use crate::prism::{
    CloseCode, Connection, Disconnect, Failure, Handler, Message, Options, ProtocolError,
    ServerOptions,
};

/// Tells who comes and how it ends, and takes messages without a word.
struct Quiet(Recorder);

impl Handler for Quiet {
    async fn on_connect(&self, connection: &Connection) {
        self.0.tell(Seen::Connected(connection.clone()));
    }

    async fn on_message(&self, _: &Connection, _: Message<'_>) {}

    async fn on_disconnect(&self, _: &Connection, reason: Disconnect) {
        self.0.tell(Seen::Ended(reason));
    }
}

/// Sends frames for as long as anybody takes them: the smallest, which are the most work to read.
fn flood(peer: &Peer, opcode: u8) {
    let frames = peer.encode(true, opcode, b"").repeat(300_000);
    let mut stream = peer.stream.try_clone().expect("a socket");
    thread::spawn(move || while stream.write_all(&frames).is_ok() {});
}

#[test]
fn a_peer_that_pings_without_a_pause_and_does_not_read_is_dropped_after_the_write_timeout() {
    alone(
        &a_peer_that_pings_without_a_pause_and_does_not_read_is_dropped_after_the_write_timeout,
        || {
            let mut options = Options::default();
            options.write_timeout = Duration::from_millis(500);
            let (recorder, events) = recorder();
            let server = serve(|server| server.options(options).websocket("/", Quiet(recorder)));
            let peer = server.open("/");
            events.connected();
            flood(&peer, PING);
            let ended = events.ended();
            assert!(matches!(ended, Disconnect::Failed(Failure::WriteStalled)), "{ended:?}");
        },
    );
}

#[test]
fn a_peer_that_talks_on_instead_of_answering_a_close_frame_is_left_after_the_close_timeout() {
    alone(
        &a_peer_that_talks_on_instead_of_answering_a_close_frame_is_left_after_the_close_timeout,
        || {
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
        },
    );
}

#[test]
fn a_peer_that_talks_on_is_cut_by_a_shutdown_like_any_other() {
    alone(&a_peer_that_talks_on_is_cut_by_a_shutdown_like_any_other, || {
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
fn a_peer_that_talks_on_after_it_broke_the_protocol_is_left_after_the_close_timeout() {
    alone(
        &a_peer_that_talks_on_after_it_broke_the_protocol_is_left_after_the_close_timeout,
        || {
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
            // There is one place, and somebody else gets it.
            server.open("/");
            events.connected();
        },
    );
}
