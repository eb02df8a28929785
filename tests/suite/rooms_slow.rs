//! Members that do not read: other members do not wait for them, and each costs at most one outbox.

use super::support::{
    own_process::{in_own_process, peak_heap},
    pattern,
    peer::{BINARY, CLOSE, Peer, TEXT, close_payload},
    rooms_server::{RoomsServer, serve_rooms},
};
use crate::prism::{CloseCode, Disconnect, Options};

/// Connects a peer that joins a room, and reads only when the scenario says so.
fn join(fixture: &RoomsServer, room: &str) -> Peer {
    let mut peer = fixture.server.open("/");
    peer.send(TEXT, format!("join {room}").as_bytes());
    peer.expect(TEXT, b"true");
    peer
}

#[test]
fn stalled_members_delay_nobody_and_cost_an_outbox_each() {
    in_own_process(&stalled_members_delay_nobody_and_cost_an_outbox_each, || {
        const SLOW: usize = 50;
        let fixture = serve_rooms(Options::default());
        let mut readers: Vec<Peer> = (0..10).map(|_| join(&fixture, "tea")).collect();
        let message = pattern(16 << 10);
        // Sends until `slow` members have missed a hundred messages, and asserts that no other
        // missed any.
        let mut broadcast = |slow: usize| {
            let mut full = 0;
            while full < 100 {
                let delivery = fixture.rooms.to("tea").send(&message);
                // Every reader receives the message before the next one is sent, so none falls
                // behind.
                for reader in &mut readers {
                    reader.expect(BINARY, &message);
                }
                assert_eq!(delivery.delivered + delivery.dropped, readers.len() + slow);
                assert!(delivery.dropped <= slow, "a reader missed something");
                full += usize::from(delivery.dropped == slow);
            }
        };
        let readers_cost = peak_heap(|| broadcast(0));
        let slow: Vec<Peer> = (0..SLOW).map(|_| join(&fixture, "tea")).collect();
        let cost = peak_heap(|| broadcast(SLOW)).saturating_sub(readers_cost);
        eprintln!("{SLOW} stalled members: {cost} bytes, in addition to {readers_cost}");
        // The bound is the mark and a message each. The cost is far lower, because members share
        // what is buffered.
        assert!(cost < SLOW * (80 << 10) / 2, "they cost {cost} bytes");
        assert_eq!(fixture.rooms.len("tea"), 10 + slow.len(), "stalled members stay in the room");
    });
}

#[test]
fn or_close_closes_only_the_slow_member() {
    let fixture = serve_rooms(Options::default());
    let mut reader = join(&fixture, "tea");
    let reading = fixture.events.connected();
    let mut slow = join(&fixture, "tea");
    let message = pattern(16 << 10);
    let mut delivered = 0;
    loop {
        let delivery = fixture.rooms.to("tea").or_close().send(&message);
        reader.expect(BINARY, &message);
        if delivery.dropped > 0 {
            assert_eq!((delivery.delivered, delivery.dropped), (1, 1));
            break;
        }
        delivered += 1;
    }
    // The slow member still gets what was accepted for it.
    for _ in 0..delivered {
        slow.expect(BINARY, &message);
    }
    slow.expect(CLOSE, &close_payload(1013, "too slow"));
    slow.send_close(1013, "too slow");
    slow.expect_end();
    fixture.events.connected();
    match fixture.events.ended() {
        Disconnect::Local { code: CloseCode::TRY_AGAIN_LATER, .. } => {}
        other => panic!("{other}"),
    }
    assert_eq!(fixture.rooms.members("tea"), [reading.id()]);
}
