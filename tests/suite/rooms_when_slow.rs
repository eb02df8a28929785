//! A room with a member that stops reading and later resumes. Its `WhenSlow` decides
//! what it receives, what it misses, and what the sender is told. Another member reads all the
//! time and misses nothing.

use prism_rooms::{Delivery, Recipients, Rooms};

use super::support::{
    handlers::{Events, Recorder, recorder},
    numbered::{MANY, message, read_number, read_until},
    peer::{BINARY, CLOSE, Peer, close_payload},
    server::{TestServer, serve},
};
use crate::prism::{CloseCode, Connection, Disconnect, Handler, Message, WhenSlow};

/// Lets every connection join a room. Connections to `/?slow` get the `slow` mode.
struct JoinHandler {
    rooms: Rooms,
    slow: WhenSlow,
    recorder: Recorder,
}

impl Handler for JoinHandler {
    async fn on_connect(&self, connection: &Connection) {
        if connection.query() == Some("slow") {
            connection.set_when_slow(self.slow);
        }
        assert_eq!(self.rooms.join(connection, "tea"), Ok(true));
        self.recorder.on_connect(connection).await;
    }

    async fn on_message(&self, _: &Connection, _: Message<'_>) {}

    async fn on_disconnect(&self, connection: &Connection, reason: Disconnect) {
        self.recorder.on_disconnect(connection, reason).await;
    }
}

struct Room {
    _server: TestServer,
    rooms: Rooms,
    events: Events,
    reader: Peer,
    /// How many messages were sent to the room.
    sent: u32,
    /// Reads only when the scenario says so.
    slow: Peer,
    /// The server's end of the slow connection.
    connection: Connection,
}

fn open(slow: WhenSlow) -> Room {
    let (rooms, (recorder, events)) = (Rooms::new(), recorder());
    let handler = JoinHandler { rooms: rooms.clone(), slow, recorder };
    let server = serve(|server| server.websocket("/", handler));
    let reader = server.open("/");
    events.connected();
    let slow = server.open("/?slow");
    let connection = events.connected();
    Room { _server: server, rooms, events, reader, sent: 0, slow, connection }
}

impl Room {
    /// Sends the next message to the room, and waits until the reader has it. Returns how many
    /// members it was delivered to, and how many missed it.
    fn say(&mut self, how: fn(Recipients<'_>) -> Recipients<'_>) -> (usize, usize) {
        let message = message(self.sent);
        let delivery: Delivery = how(self.rooms.to("tea")).send(&message);
        self.reader.expect(BINARY, &message);
        self.sent += 1;
        assert!(self.sent < MANY, "the outbox is never full");
        (delivery.delivered, delivery.dropped)
    }

    /// Asserts that the slow member gets what was accepted for it, and is then closed with a
    /// reason.
    fn expect_slow_is_closed(&mut self) {
        assert_eq!(self.connection.missed(), 1);
        for accepted in 0..self.sent - 1 {
            assert_eq!(read_number(&mut self.slow), accepted);
        }
        self.slow.expect(CLOSE, &close_payload(1013, "too slow"));
        assert_eq!(self.say(plainly), (1, 0), "a closing member is in neither number");
        self.slow.send_close(1013, "");
        self.slow.expect_end();
        match self.events.ended() {
            Disconnect::Local { code: CloseCode::TRY_AGAIN_LATER, .. } => {}
            other => panic!("{other}"),
        }
        assert_eq!(self.rooms.len("tea"), 1);
    }
}

fn plainly(to: Recipients<'_>) -> Recipients<'_> {
    to
}

fn or_close(to: Recipients<'_>) -> Recipients<'_> {
    to.or_close()
}

#[track_caller]
fn misses_what_finds_no_room_and_only_that(when_slow: WhenSlow) {
    let mut room = open(when_slow);
    let (mut accepted, mut missed) = (Vec::new(), 0);
    while missed < 10 {
        let number = room.sent;
        match room.say(plainly) {
            (2, 0) => accepted.push(number),
            (1, 1) => missed += 1,
            other => panic!("{other:?}"),
        }
        assert_eq!(room.connection.missed(), missed);
    }
    for expected in accepted {
        assert_eq!(read_number(&mut room.slow), expected);
    }
    // The slow member has read everything, so there is room.
    assert_eq!(room.say(plainly), (2, 0));
    assert_eq!(read_number(&mut room.slow), room.sent - 1, "nothing in between");
    assert_eq!(room.connection.missed(), missed);
}

#[test]
fn with_wait_a_slow_member_misses_the_newest() {
    misses_what_finds_no_room_and_only_that(WhenSlow::Wait);
}

#[test]
fn with_drop_newest_a_slow_member_misses_the_newest() {
    misses_what_finds_no_room_and_only_that(WhenSlow::DropNewest);
}

#[track_caller]
fn misses_older_ones_and_gets_the_last(how: fn(Recipients<'_>) -> Recipients<'_>) {
    let mut room = open(WhenSlow::DropOldest);
    while room.connection.missed() < 10 {
        // The oldest messages make room, so the sender is never told of a gap.
        assert_eq!(room.say(how), (2, 0));
    }
    let got = read_until(&mut room.slow, room.sent - 1);
    assert_eq!(got + room.connection.missed() as u32, room.sent);
    assert_eq!(room.say(how), (2, 0), "the slow member stays in the room");
    assert_eq!(read_number(&mut room.slow), room.sent - 1);
}

#[test]
fn with_drop_oldest_a_slow_member_gets_the_last() {
    misses_older_ones_and_gets_the_last(plainly);
}

#[test]
fn with_drop_oldest_or_close_closes_no_member() {
    misses_older_ones_and_gets_the_last(or_close);
}

#[test]
fn with_drop_newest_or_close_closes_a_slow_member() {
    let mut room = open(WhenSlow::DropNewest);
    while room.say(or_close) == (2, 0) {}
    room.expect_slow_is_closed();
}

#[test]
fn with_close_a_slow_member_is_always_closed() {
    for how in [plainly, or_close] {
        let mut room = open(WhenSlow::Close);
        while room.say(how) == (2, 0) {}
        room.expect_slow_is_closed();
    }
}
