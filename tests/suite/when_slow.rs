//! A peer that stops reading, and later reads on: what it gets, and what it misses, is what the
//! handler wanted.

use super::support::{
    block_on,
    handlers::{Events, Recorder, recorder},
    peer::{BINARY, Peer, close_payload},
    server::{Running, serve},
};
use crate::prism::{CloseCode, Connection, Disconnect, Handler, Message, SendError, WhenSlow};

const MARK: usize = 64 << 10;
const MESSAGE: usize = 24 << 10;

/// Far more than the sockets of both ends can hold, in messages.
const MANY: u32 = (128 << 20) / MESSAGE as u32;

struct Choosy(WhenSlow, Recorder);

impl Handler for Choosy {
    fn when_slow(&self, _: &Connection) -> WhenSlow {
        self.0
    }

    async fn on_connect(&self, connection: &Connection) {
        self.1.on_connect(connection).await;
    }

    async fn on_message(&self, _: &Connection, _: Message<'_>) {}

    async fn on_disconnect(&self, connection: &Connection, reason: Disconnect) {
        self.1.on_disconnect(connection, reason).await;
    }
}

/// A peer that does not read, and the server's end of its connection.
fn open(when_slow: WhenSlow) -> (Running, Events, Peer, Connection) {
    let (recorder, events) = recorder();
    let server = serve(|server| server.web_socket("/", Choosy(when_slow, recorder)));
    let peer = server.open("/");
    let connection = events.connected();
    (server, events, peer, connection)
}

fn message(number: u32) -> Vec<u8> {
    number.to_be_bytes().repeat(MESSAGE / 4)
}

/// The number of the next message, which has come whole.
fn number(peer: &mut Peer) -> u32 {
    let payload = peer.next().expect("a message").payload;
    let number = u32::from_be_bytes(payload[..4].try_into().expect("four bytes"));
    assert!(payload == message(number), "half a message");
    number
}

/// Sends until the peer has missed so many; how many that were.
fn send_until_missed(connection: &Connection, missed: u64) -> u32 {
    for sent in 0..MANY {
        if connection.missed() >= missed {
            return sent;
        }
        block_on(connection.send(&message(sent))).expect("an open connection");
        assert!(connection.buffered() < MARK + MESSAGE + 14, "{} bytes", connection.buffered());
    }
    panic!("the outbox is never full");
}

/// How many messages come, each later than the one before, until this one has come.
fn come_until(peer: &mut Peer, last: u32) -> u32 {
    let (mut got, mut before) = (0, None);
    while before != Some(last) {
        let next = number(peer);
        assert!(before < Some(next), "{next} after {before:?}");
        (got, before) = (got + 1, Some(next));
    }
    got
}

#[test]
fn where_the_newest_is_dropped_a_slow_peer_gets_what_was_sent_while_there_was_room() {
    let (_server, _events, mut peer, connection) = open(WhenSlow::DropNewest);
    let sent = send_until_missed(&connection, 10);
    // The sockets may have taken a little more between two that were missed.
    let mut accepted = (0..sent - 10).map(|_| number(&mut peer));
    assert!(accepted.next() == Some(0) && accepted.is_sorted());
    block_on(connection.send(&message(sent))).expect("an open connection");
    assert_eq!(number(&mut peer), sent, "and nothing between");
    assert_eq!(connection.missed(), 10);
}

#[test]
fn where_the_oldest_is_dropped_a_slow_peer_gets_the_last_ones() {
    let (_server, _events, mut peer, connection) = open(WhenSlow::DropOldest);
    let sent = send_until_missed(&connection, 10);
    let got = come_until(&mut peer, sent - 1);
    assert_eq!(got + connection.missed() as u32, sent);
}

#[test]
fn where_a_gap_makes_no_sense_a_slow_peer_gets_what_was_accepted_and_is_closed() {
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
