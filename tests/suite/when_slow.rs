//! Peers that stop reading and later resume: the `WhenSlow` of the connection decides what they
//! receive and what they miss.

use super::support::{
    block_on,
    handlers::{Events, Recorder, recorder},
    numbered::{LEN, MANY, message, read_number, read_until},
    peer::{BINARY, Peer, close_payload},
    server::{TestServer, serve},
};
use crate::prism::{
    CloseCode, Connection, Disconnect, Handler, Message, Options, SendError, WhenSlow,
};

const MARK: usize = 64 << 10;

struct WhenSlowHandler(WhenSlow, Recorder);

impl Handler for WhenSlowHandler {
    async fn on_connect(&self, connection: &Connection) {
        connection.set_when_slow(self.0);
        self.1.on_connect(connection).await;
    }

    async fn on_message(&self, _: &Connection, _: Message<'_>) {}

    async fn on_disconnect(&self, connection: &Connection, reason: Disconnect) {
        self.1.on_disconnect(connection, reason).await;
    }
}

/// Connects a peer that does not read. Returns it with the server's end of its connection.
fn open(when_slow: WhenSlow) -> (TestServer, Events, Peer, Connection) {
    let (recorder, events) = recorder();
    let server = serve(|server| server.websocket("/", WhenSlowHandler(when_slow, recorder)));
    let peer = server.open("/");
    let connection = events.connected();
    (server, events, peer, connection)
}

/// Sends until the peer has missed `missed` messages, and returns how many were sent.
fn send_until_missed(connection: &Connection, missed: u64) -> u32 {
    for sent in 0..MANY {
        if connection.missed() >= missed {
            return sent;
        }
        block_on(connection.send(&message(sent))).expect("an open connection");
        assert!(connection.buffered() < MARK + LEN + 14, "{} bytes", connection.buffered());
    }
    panic!("the outbox is never full");
}

#[test]
fn drop_newest_delivers_what_was_sent_while_there_was_room() {
    let (_server, _events, mut peer, connection) = open(WhenSlow::DropNewest);
    let sent = send_until_missed(&connection, 10);
    // The sockets may have accepted a little more between two missed messages.
    let mut accepted = (0..sent - 10).map(|_| read_number(&mut peer));
    assert!(accepted.next() == Some(0) && accepted.is_sorted());
    block_on(connection.send(&message(sent))).expect("an open connection");
    assert_eq!(read_number(&mut peer), sent, "nothing in between");
    assert_eq!(connection.missed(), 10);
}

#[test]
fn drop_oldest_delivers_the_last_messages() {
    let (_server, _events, mut peer, connection) = open(WhenSlow::DropOldest);
    let sent = send_until_missed(&connection, 10);
    let got = read_until(&mut peer, sent - 1);
    assert_eq!(got + connection.missed() as u32, sent);
}

#[test]
fn the_policy_is_that_of_the_options_until_another_is_set() {
    let (recorder, events) = recorder();
    let options = Options::default().when_slow(WhenSlow::DropNewest);
    let server = serve(|server| server.options(options).websocket("/", recorder));
    let _peer = server.open("/");
    let connection = events.connected();
    assert_eq!(connection.when_slow(), WhenSlow::DropNewest);
    connection.clone().set_when_slow(WhenSlow::Close);
    assert_eq!(connection.when_slow(), WhenSlow::Close);
}

#[test]
fn close_delivers_what_was_accepted_and_then_closes() {
    let (_server, events, mut peer, connection) = open(WhenSlow::Close);
    let refused = |number| block_on(connection.send(&message(number))) == Err(SendError::Closed);
    let sent = (0..MANY).find(|number| refused(*number)).expect("the outbox is full");
    assert_eq!(connection.missed(), 1);
    for expected in 0..sent {
        peer.expect(BINARY, &message(expected));
    }
    assert_eq!(peer.next().expect("a close frame").payload, close_payload(1013, "too slow"));
    peer.send_close(1013, "");
    match events.ended() {
        Disconnect::Local { code: CloseCode::TRY_AGAIN_LATER, reason } => {
            assert_eq!(reason, "too slow");
        }
        other => panic!("{other}"),
    }
}
