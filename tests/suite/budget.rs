//! What a server holds for all the peers that do not read is bounded: then the one is evicted whose peer
//! has taken nothing for longest.

use super::support::{
    block_on,
    handlers::{Events, recorder},
    hotel::open,
    pattern,
    peer::{BINARY, Peer, TEXT},
    server::{Running, serve},
    wait_until,
};
use crate::prism::{
    Connection, Disconnect, Failure, PreparedMessage, Server, ServerOptions, TrySendError,
};

/// Far more than the sockets of both ends can hold.
const LARGE: usize = 8 << 20;

/// Peers that do not read, the server's ends of their connections, and what those are told.
struct Crowd {
    server: Running,
    peers: Vec<Peer>,
    connections: Vec<Connection>,
    events: Vec<Events>,
}

impl Crowd {
    /// So many of them, at a server that holds so much for them.
    fn new(count: usize, max_buffered: usize) -> Self {
        let mut options = ServerOptions::default();
        options.max_buffered = max_buffered;
        let (recorders, events): (Vec<_>, Vec<_>) = (0..count).map(|_| recorder()).unzip();
        let with_route = |server: Server, (number, recorder)| -> Server {
            server.websocket(&format!("/{number}"), recorder)
        };
        let routes = recorders.into_iter().enumerate();
        let server = serve(|server| routes.fold(server.options(options), with_route));
        let peers = (0..count).map(|number| server.open(&format!("/{number}"))).collect();
        let connections = events.iter().map(Events::connected).collect();
        Self { server, peers, connections, events }
    }

    fn buffered(&self) -> usize {
        self.server.stats().counts().buffered as usize
    }

    /// Nothing waits for anybody any more, and so many were evicted.
    fn check(&self, evicted: u64) {
        wait_until("nothing is counted", || self.buffered() == 0);
        assert_eq!(self.server.stats().counts().evicted, evicted);
    }
}

fn assert_evicted(events: &Events) {
    let ended = events.ended();
    assert!(matches!(ended, Disconnect::Failed(Failure::Evicted)), "{ended:?}");
}

#[test]
fn contract_9_where_all_hold_too_much_the_one_that_has_stalled_for_longest_is_evicted() {
    // Room for two large messages, and not for three.
    let mut crowd = Crowd::new(4, LARGE * 5 / 2);
    let messages = [1, 2, 3].map(|byte| vec![byte; LARGE]);
    for (number, message) in messages.iter().enumerate() {
        let before = crowd.buffered();
        assert_eq!(crowd.connections[number].try_send(message), Ok(()));
        if number < 2 {
            wait_until("it is counted", || crowd.buffered() > before + LARGE / 2);
        }
    }
    assert_evicted(&crowd.events[0]);
    assert_eq!(crowd.connections[0].buffered(), 0);
    let refused = crowd.connections[0].try_send("late");
    assert!(matches!(refused, Err(TrySendError::Refused(_))), "{refused:?}");
    // One that reads gets everything all the while.
    for text in ["one", "two", "three"] {
        assert_eq!(block_on(crowd.connections[3].send(text)), Ok(()));
        crowd.peers[3].expect(TEXT, text.as_bytes());
    }
    // So do the others, when they read at last.
    for number in [1, 2] {
        crowd.peers[number].expect(BINARY, &messages[number]);
        crowd.events[number].nothing_yet();
    }
    crowd.peers.remove(0).expect_gone();
    crowd.check(1);
}

#[test]
fn a_message_that_many_share_counts_once() {
    const STALLED: usize = 10;
    let mut crowd = Crowd::new(STALLED, 2 * LARGE);
    let message = PreparedMessage::new(&pattern(LARGE));
    for connection in &crowd.connections {
        assert_eq!(connection.try_send_prepared(&message), Ok(()));
    }
    for connection in &crowd.connections {
        wait_until("it waits", || (1..LARGE).contains(&connection.buffered()));
    }
    wait_until("it is counted", || crowd.buffered() > LARGE);
    for peer in &mut crowd.peers {
        peer.expect(BINARY, message.payload());
    }
    crowd.events.iter().for_each(Events::nothing_yet);
    crowd.check(0);
}

#[test]
fn a_member_that_is_evicted_while_its_room_is_spoken_to_leaves_the_room() {
    let mut options = ServerOptions::default();
    options.max_buffered = 128 << 10;
    let hotel = open(options);
    let message = pattern(16 << 10);
    let join = || {
        let mut peer = hotel.server.open("/");
        peer.send(TEXT, b"join tea");
        peer.expect(TEXT, b"true");
        hotel.events.connected();
        peer
    };
    let mut reader = join();
    // Whoever stalls later holds other messages: after a few of them it is too much.
    let mut silent = Vec::new();
    while hotel.server.stats().counts().evicted == 0 {
        silent.push(join());
        assert!(silent.len() < 20, "nobody is evicted");
        let mut full = 0;
        while full < 3 && hotel.server.stats().counts().evicted == 0 {
            let delivery = hotel.rooms.to("tea").send(&message);
            reader.expect(BINARY, &message);
            full += usize::from(delivery.dropped == silent.len());
        }
    }
    assert_evicted(&hotel.events);
    wait_until("it has left", || hotel.rooms.len("tea") <= silent.len());
    hotel.rooms.to("tea").send("and the others are there");
    reader.expect(TEXT, b"and the others are there");
}
