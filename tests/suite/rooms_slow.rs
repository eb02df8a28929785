//! Members that do not read: nobody waits for them, and they cost an outbox each.

use super::support::{
    alone::{alone, peak_heap},
    hotel::{Open, open},
    pattern,
    peer::{BINARY, CLOSE, Peer, TEXT, close_payload},
};
use crate::prism::{CloseCode, Disconnect, Options};

/// Somebody who joins, and reads only when asked to.
fn join(hotel: &Open, room: &str) -> Peer {
    let mut peer = hotel.server.open("/");
    peer.send(TEXT, format!("join {room}").as_bytes());
    peer.expect(TEXT, b"true");
    peer
}

#[test]
fn members_that_do_not_read_keep_nobody_waiting_and_cost_an_outbox_each() {
    alone(&members_that_do_not_read_keep_nobody_waiting_and_cost_an_outbox_each, || {
        const SLOW: usize = 50;
        let hotel = open(Options::default());
        let mut readers: Vec<Peer> = (0..10).map(|_| join(&hotel, "tea")).collect();
        let message = pattern(16 << 10);
        // Until so many members have missed a hundred messages, and no other has missed any.
        let mut broadcast = |slow: usize| {
            let mut full = 0;
            while full < 100 {
                let delivery = hotel.rooms.to("tea").send(&message);
                // Each reader has it before the next one is sent: none of them is ever behind.
                for reader in &mut readers {
                    reader.expect(BINARY, &message);
                }
                assert_eq!(delivery.delivered + delivery.dropped, readers.len() + slow);
                assert!(delivery.dropped <= slow, "a reader missed something");
                full += usize::from(delivery.dropped == slow);
            }
        };
        let readers_cost = peak_heap(|| broadcast(0));
        let slow: Vec<Peer> = (0..SLOW).map(|_| join(&hotel, "tea")).collect();
        let cost = peak_heap(|| broadcast(SLOW)).saturating_sub(readers_cost);
        eprintln!("{SLOW} members that do not read: {cost} bytes, beside {readers_cost}");
        // At most a mark and a message each; and it is far less, because they share what waits.
        assert!(cost < SLOW * (80 << 10) / 2, "they cost {cost} bytes");
        assert_eq!(hotel.rooms.len("tea"), 10 + slow.len(), "they are still there");
    });
}

#[test]
fn where_a_gap_makes_no_sense_who_is_too_slow_is_closed_and_the_others_stay() {
    let hotel = open(Options::default());
    let mut reader = join(&hotel, "tea");
    let reading = hotel.events.connected();
    let mut slow = join(&hotel, "tea");
    let message = pattern(16 << 10);
    let mut delivered = 0;
    loop {
        let delivery = hotel.rooms.to("tea").or_close().send(&message);
        reader.expect(BINARY, &message);
        if delivery.dropped > 0 {
            assert_eq!((delivery.delivered, delivery.dropped), (1, 1));
            break;
        }
        delivered += 1;
    }
    // What it was sent before, it gets.
    for _ in 0..delivered {
        slow.expect(BINARY, &message);
    }
    slow.expect(CLOSE, &close_payload(1013, "too slow"));
    slow.send_close(1013, "too slow");
    slow.expect_end();
    hotel.events.connected();
    match hotel.events.ended() {
        Disconnect::Local { code: CloseCode::TRY_AGAIN_LATER, .. } => {}
        other => panic!("{other}"),
    }
    assert_eq!(hotel.rooms.members("tea"), [reading.id()]);
}
