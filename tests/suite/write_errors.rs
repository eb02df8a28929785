//! Peers that disconnect while they are being answered: an error in one direction does not end the
//! other. What they sent is still handled, and their close frame decides the ending (RFC 6455
//! §7.1.5).

use std::thread;

use super::support::{
    block_on,
    handlers::{Events, Gate, Recorder, RecordingEcho, Seen, recorder},
    peer::{CLOSE, PING, Peer, TEXT, close_payload},
    server::{listen, serve},
};
use crate::prism::{Client, Connection, Disconnect, Handler, Message};

const MESSAGES: u8 = 100;

/// Returns the frames of a hundred messages, each preceded by `before_each`, and a close frame.
fn hundred_messages_and_close(peer: &Peer, before_each: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for number in 0..MESSAGES {
        bytes.extend_from_slice(before_each);
        bytes.extend(peer.encode(true, TEXT, number.to_string().as_bytes()));
    }
    bytes.extend(peer.encode(true, CLOSE, &close_payload(1000, "done")));
    bytes
}

/// Records and echoes messages, but only after the peer has disconnected.
struct DelayedEcho {
    echo: RecordingEcho,
    disconnected: Gate,
}

impl DelayedEcho {
    fn new(recorder: Recorder, disconnected: &Gate) -> Self {
        Self { echo: RecordingEcho(recorder), disconnected: disconnected.clone() }
    }
}

impl Handler for DelayedEcho {
    async fn on_connect(&self, connection: &Connection) {
        self.echo.on_connect(connection).await;
    }

    async fn on_message(&self, connection: &Connection, message: Message<'_>) {
        self.disconnected.pass().await;
        self.echo.on_message(connection, message).await;
        // Each echo is written, or fails, before the next one.
        let _ = connection.flush().await;
    }

    async fn on_disconnect(&self, connection: &Connection, reason: Disconnect) {
        self.echo.on_disconnect(connection, reason).await;
    }
}

#[track_caller]
fn assert_all_received(events: &Events) {
    for number in 0..MESSAGES {
        assert_eq!(events.message().as_message().as_text(), Some(number.to_string().as_str()));
    }
    assert_done(&events.ended());
}

#[track_caller]
fn assert_done(ending: &Disconnect) {
    let peers = matches!(ending, Disconnect::Peer { reason, .. } if reason == "done");
    assert!(peers && ending.code() == 1000, "{ending}");
}

#[test]
fn a_server_with_failing_writes_still_reads_everything() {
    let (recorder, events) = recorder();
    let disconnected = Gate::closed();
    let server = serve(|server| server.websocket("/", DelayedEcho::new(recorder, &disconnected)));
    let mut peer = server.open("/");
    events.connected();
    let bytes = hundred_messages_and_close(&peer, b"");
    peer.write(&bytes);
    drop(peer);
    disconnected.open();
    assert_all_received(&events);
}

/// Runs a server that sends everything at once and disconnects. Returns it with its client.
fn send_and_disconnect(before_each: &'static [u8]) -> (thread::JoinHandle<()>, Client) {
    let (listener, url) = listen();
    let server = thread::spawn(move || {
        let mut peer = Peer::accept_websocket(&listener);
        let bytes = hundred_messages_and_close(&peer, before_each);
        peer.write(&bytes);
    });
    (server, Client::new(&url).expect("a good address"))
}

#[test]
fn a_client_with_failing_writes_still_reads_everything() {
    let (recorder, events) = recorder();
    let disconnected = Gate::closed();
    let (server, client) = send_and_disconnect(b"");
    let handler = DelayedEcho::new(recorder, &disconnected);
    crate::runtime::spawn(async move {
        let ending = client.run(handler).await.expect("a connection");
        assert_done(&ending);
    });
    assert!(matches!(events.next(), Seen::Connected(_)));
    server.join().expect("everything was written");
    disconnected.open();
    assert_all_received(&events);
}

#[test]
fn a_client_with_failing_pongs_still_reads_everything() {
    // A ping from the server before each message.
    let ping = [0x80 | PING, 1, b'?'];
    let (server, client) = send_and_disconnect(Box::leak(Box::new(ping)));
    block_on(async {
        let socket = client.connect().await.expect("a connection");
        server.join().expect("everything was written");
        for number in 0..MESSAGES {
            let message = socket.recv().await.expect("a message");
            assert_eq!(message.as_message().as_text(), Some(number.to_string().as_str()));
        }
        assert_done(&socket.recv().await.expect_err("no message"));
    });
}
