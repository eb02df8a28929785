//! The memory that a server holds for peers that do not read is bounded. Beyond the bound, it
//! evicts the connection whose peer has read nothing for longest.

use super::support::{
    block_on,
    handlers::{Events, recorder},
    kinds::{Kind, on_both_kinds},
    pattern,
    peer::{BINARY, Peer, TEXT},
    rooms_server::serve_rooms,
    server::{TestServer, serve},
    wait_until,
};
use crate::prism::{
    Connection, Disconnect, Failure, PreparedMessage, Server, ServerOptions, TrySendError,
};

/// Far more than the sockets of both ends can buffer.
const LARGE: usize = 8 << 20;

/// Peers that do not read, the server's ends of their connections, and the calls of their handlers.
struct StalledPeers {
    server: TestServer,
    peers: Vec<Peer>,
    connections: Vec<Connection>,
    events: Vec<Events>,
}

impl StalledPeers {
    /// Connects `count` peers to a server with a limit of `max_buffered` bytes.
    fn new(kind: Kind, count: usize, max_buffered: usize) -> Self {
        let mut options = ServerOptions::default();
        options.max_buffered = max_buffered;
        let (recorders, events): (Vec<_>, Vec<_>) = (0..count).map(|_| recorder()).unzip();
        let with_route = |server: Server, (number, recorder)| -> Server {
            server.websocket(&format!("/{number}"), kind.route(recorder))
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

    /// Asserts that nothing is buffered in the end, and that `evicted` connections were evicted.
    fn check(&self, evicted: u64) {
        wait_until("nothing is buffered", || self.buffered() == 0);
        assert_eq!(self.server.stats().counts().evicted, evicted);
    }
}

fn assert_evicted(events: &Events) {
    let ended = events.ended();
    assert!(matches!(ended, Disconnect::Failed(Failure::Evicted)), "{ended:?}");
}

#[test]
fn contract_9_over_budget_the_longest_stalled_is_evicted() {
    on_both_kinds(|kind| {
        // Room for two large messages, and not for three.
        let mut stalled = StalledPeers::new(kind, 4, LARGE * 5 / 2);
        let messages = [1, 2, 3].map(|byte| vec![byte; LARGE]);
        for (number, message) in messages.iter().enumerate() {
            let before = stalled.buffered();
            assert_eq!(stalled.connections[number].try_send(message), Ok(()));
            if number < 2 {
                wait_until("the message is counted", || stalled.buffered() > before + LARGE / 2);
            }
        }
        assert_evicted(&stalled.events[0]);
        assert_eq!(stalled.connections[0].buffered(), 0);
        let refused = stalled.connections[0].try_send("late");
        assert!(matches!(refused, Err(TrySendError::Refused(_))), "{refused:?}");
        // A peer that reads still gets everything.
        for text in ["one", "two", "three"] {
            assert_eq!(block_on(stalled.connections[3].send(text)), Ok(()));
            stalled.peers[3].expect(TEXT, text.as_bytes());
        }
        // So do the others when they read at last.
        for number in [1, 2] {
            stalled.peers[number].expect(BINARY, &messages[number]);
            stalled.events[number].nothing_yet();
        }
        stalled.peers.remove(0).expect_disconnect();
        stalled.check(1);
    });
}

#[test]
fn a_shared_message_counts_once() {
    const STALLED: usize = 10;
    let mut stalled = StalledPeers::new(Kind::Shared, STALLED, 2 * LARGE);
    let message = PreparedMessage::new(&pattern(LARGE));
    for connection in &stalled.connections {
        assert_eq!(connection.try_send(&message), Ok(()));
    }
    for connection in &stalled.connections {
        wait_until("a part of the message is buffered", || {
            (1..LARGE).contains(&connection.buffered())
        });
    }
    wait_until("the message is counted", || stalled.buffered() > LARGE);
    for peer in &mut stalled.peers {
        peer.expect(BINARY, message.payload());
    }
    stalled.events.iter().for_each(Events::nothing_yet);
    stalled.check(0);
}

#[test]
fn a_member_evicted_during_a_broadcast_leaves_its_room() {
    let mut options = ServerOptions::default();
    options.max_buffered = 128 << 10;
    let fixture = serve_rooms(options);
    let message = pattern(16 << 10);
    let join = || {
        let mut peer = fixture.server.open("/");
        peer.send(TEXT, b"join tea");
        peer.expect(TEXT, b"true");
        fixture.events.connected();
        peer
    };
    let mut reader = join();
    // Peers that stall at different times hold different messages, which soon exceed the limit.
    let mut silent = Vec::new();
    while fixture.server.stats().counts().evicted == 0 {
        silent.push(join());
        assert!(silent.len() < 20, "no connection was evicted");
        let mut full = 0;
        while full < 3 && fixture.server.stats().counts().evicted == 0 {
            let delivery = fixture.rooms.to("tea").send(&message);
            reader.expect(BINARY, &message);
            full += usize::from(delivery.dropped == silent.len());
        }
    }
    assert_evicted(&fixture.events);
    wait_until("the evicted connection has left the room", || {
        fixture.rooms.len("tea") <= silent.len()
    });
    fixture.rooms.to("tea").send("to the others");
    reader.expect(TEXT, b"to the others");
}
