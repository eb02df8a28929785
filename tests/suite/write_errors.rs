//! Peers that go while they are being answered: an error in one direction does not end the other. What
//! they had sent is heard, and their close frame decides (RFC 6455 §7.1.5).

use std::thread;

use super::support::{
    block_on,
    handlers::{Events, Gate, Parrot, Recorder, Seen, recorder},
    peer::{CLOSE, PING, Peer, TEXT, close_payload},
    server::{listen, serve},
};
use crate::prism::{Client, Connection, Disconnect, Handler, Message};

const MESSAGES: u8 = 100;

/// A hundred messages, something before each, and a close frame.
fn hundred_and_done(peer: &Peer, before_each: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for number in 0..MESSAGES {
        bytes.extend_from_slice(before_each);
        bytes.extend(peer.encode(true, TEXT, number.to_string().as_bytes()));
    }
    bytes.extend(peer.encode(true, CLOSE, &close_payload(1000, "done")));
    bytes
}

/// Tells the scenario what it hears, and answers it, but not before the peer has gone.
struct Late {
    parrot: Parrot,
    gone: Gate,
}

impl Late {
    fn new(recorder: Recorder, gone: &Gate) -> Self {
        Self { parrot: Parrot(recorder), gone: gone.clone() }
    }
}

impl Handler for Late {
    async fn on_connect(&self, connection: &Connection) {
        self.parrot.on_connect(connection).await;
    }

    async fn on_message(&self, connection: &Connection, message: Message<'_>) {
        self.gone.pass().await;
        self.parrot.on_message(connection, message).await;
        // Each answer is written, or found to fail, before the next.
        let _ = connection.flush().await;
    }

    async fn on_disconnect(&self, connection: &Connection, reason: Disconnect) {
        self.parrot.on_disconnect(connection, reason).await;
    }
}

#[track_caller]
fn assert_all_heard(events: &Events) {
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
fn a_server_that_answers_hears_all_that_a_peer_sent_before_it_went() {
    let (recorder, events) = recorder();
    let gone = Gate::closed();
    let server = serve(|server| server.websocket("/", Late::new(recorder, &gone)));
    let mut peer = server.open("/");
    events.connected();
    let bytes = hundred_and_done(&peer, b"");
    peer.write(&bytes);
    drop(peer);
    gone.open();
    assert_all_heard(&events);
}

/// A server that sends all that it has to say, and goes.
fn serve_and_go(before_each: &'static [u8]) -> (thread::JoinHandle<()>, Client) {
    let (listener, url) = listen();
    let server = thread::spawn(move || {
        let mut peer = Peer::accept_web_socket(&listener);
        let bytes = hundred_and_done(&peer, before_each);
        peer.write(&bytes);
    });
    (server, Client::new(&url).expect("a good address"))
}

#[test]
fn a_client_that_answers_hears_all_that_a_server_sent_before_it_went() {
    let (recorder, events) = recorder();
    let gone = Gate::closed();
    let (server, client) = serve_and_go(b"");
    let handler = Late::new(recorder, &gone);
    crate::runtime::spawn(async move {
        let ending = client.run(handler).await.expect("a connection");
        assert_done(&ending);
    });
    assert!(matches!(events.next(), Seen::Connected(_)));
    server.join().expect("all was written");
    gone.open();
    assert_all_heard(&events);
}

#[test]
fn a_client_that_only_receives_hears_all_though_its_pongs_fail() {
    // A ping of an unmasked server, before each message.
    let ping = [0x80 | PING, 1, b'?'];
    let (server, client) = serve_and_go(Box::leak(Box::new(ping)));
    block_on(async {
        let socket = client.connect().await.expect("a connection");
        server.join().expect("all was written");
        for number in 0..MESSAGES {
            let message = socket.recv().await.expect("a message");
            assert_eq!(message.as_message().as_text(), Some(number.to_string().as_str()));
        }
        assert_done(&socket.recv().await.expect_err("no message"));
    });
}
