//! A room with a member that does not read, and later reads on: what it gets, what it misses, and what
//! whoever spoke is told of it, is what the member's handler wanted. Somebody who reads is always
//! there, and misses nothing.

use prism_rooms::{Delivery, Recipients, Rooms};

use super::support::{
    handlers::{Events, Recorder, recorder},
    numbered::{MANY, come_until, message, number},
    peer::{BINARY, CLOSE, Peer, close_payload},
    server::{Running, serve},
};
use crate::prism::{CloseCode, Connection, Disconnect, Handler, Message, WhenSlow};

/// Has everybody join. Who asks for `/?slow` is treated so when it does not read.
struct Guests {
    rooms: Rooms,
    slow: WhenSlow,
    told: Recorder,
}

impl Handler for Guests {
    fn when_slow(&self, connection: &Connection) -> WhenSlow {
        if connection.query() == Some("slow") { self.slow } else { WhenSlow::default() }
    }

    async fn on_connect(&self, connection: &Connection) {
        assert_eq!(self.rooms.join(connection, "tea"), Ok(true));
        self.told.on_connect(connection).await;
    }

    async fn on_message(&self, _: &Connection, _: Message<'_>) {}

    async fn on_disconnect(&self, connection: &Connection, reason: Disconnect) {
        self.told.on_disconnect(connection, reason).await;
    }
}

struct Room {
    _server: Running,
    rooms: Rooms,
    events: Events,
    reader: Peer,
    /// How many messages there were.
    said: u32,
    /// Does not read before it is asked to; and the server's end of its connection.
    slow: Peer,
    connection: Connection,
}

fn open(slow: WhenSlow) -> Room {
    let (rooms, (told, events)) = (Rooms::new(), recorder());
    let guests = Guests { rooms: rooms.clone(), slow, told };
    let server = serve(|server| server.websocket("/", guests));
    let reader = server.open("/");
    events.connected();
    let slow = server.open("/?slow");
    let connection = events.connected();
    Room { _server: server, rooms, events, reader, said: 0, slow, connection }
}

impl Room {
    /// The next message to the room, which the reader has then got; for how many it was accepted, and
    /// how many miss it.
    fn say(&mut self, how: fn(Recipients<'_>) -> Recipients<'_>) -> (usize, usize) {
        let message = message(self.said);
        let delivery: Delivery = how(self.rooms.to("tea")).send(&message);
        self.reader.expect(BINARY, &message);
        self.said += 1;
        assert!(self.said < MANY, "the outbox is never full");
        (delivery.delivered, delivery.dropped)
    }

    /// What was accepted before it, the slow one gets; then it is closed, and told why.
    fn expect_slow_is_closed(&mut self) {
        assert_eq!(self.connection.missed(), 1);
        for accepted in 0..self.said - 1 {
            assert_eq!(number(&mut self.slow), accepted);
        }
        self.slow.expect(CLOSE, &close_payload(1013, "too slow"));
        assert_eq!(self.say(plainly), (1, 0), "who is closing is in neither number");
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
        let number = room.said;
        match room.say(plainly) {
            (2, 0) => accepted.push(number),
            (1, 1) => missed += 1,
            other => panic!("{other:?}"),
        }
        assert_eq!(room.connection.missed(), missed);
    }
    for expected in accepted {
        assert_eq!(number(&mut room.slow), expected);
    }
    // It has read everything: there is room.
    assert_eq!(room.say(plainly), (2, 0));
    assert_eq!(number(&mut room.slow), room.said - 1, "and nothing between");
    assert_eq!(room.connection.missed(), missed);
}

#[test]
fn a_room_waits_for_no_member_so_where_senders_wait_a_slow_one_misses_the_newest() {
    misses_what_finds_no_room_and_only_that(WhenSlow::Wait);
}

#[test]
fn where_the_newest_is_dropped_a_slow_member_misses_what_finds_no_room() {
    misses_what_finds_no_room_and_only_that(WhenSlow::DropNewest);
}

#[track_caller]
fn misses_older_ones_and_gets_the_last(how: fn(Recipients<'_>) -> Recipients<'_>) {
    let mut room = open(WhenSlow::DropOldest);
    while room.connection.missed() < 10 {
        // There is always room, so nobody who speaks hears of a gap.
        assert_eq!(room.say(how), (2, 0));
    }
    let got = come_until(&mut room.slow, room.said - 1);
    assert_eq!(got + room.connection.missed() as u32, room.said);
    assert_eq!(room.say(how), (2, 0), "it is still there");
    assert_eq!(number(&mut room.slow), room.said - 1);
}

#[test]
fn where_the_oldest_is_dropped_a_slow_member_misses_older_ones_and_gets_the_last() {
    misses_older_ones_and_gets_the_last(plainly);
}

#[test]
fn where_the_oldest_is_dropped_nobody_is_closed_for_a_gap() {
    misses_older_ones_and_gets_the_last(or_close);
}

#[test]
fn where_the_newest_is_dropped_a_speaker_can_have_a_slow_member_closed_instead() {
    let mut room = open(WhenSlow::DropNewest);
    while room.say(or_close) == (2, 0) {}
    room.expect_slow_is_closed();
}

#[test]
fn where_a_slow_member_is_to_be_closed_it_is_whether_the_speaker_asks_for_it_or_not() {
    for how in [plainly, or_close] {
        let mut room = open(WhenSlow::Close);
        while room.say(how) == (2, 0) {}
        room.expect_slow_is_closed();
    }
}
