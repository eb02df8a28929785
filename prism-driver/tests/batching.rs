//! Batching and back-pressure: the answers to one read leave in one write, a full outbox makes
//! progress, and nothing is read while a handler runs.

use prism_driver::{Connection, Handler, Message, Options, TrySendError};
use prism_test::{Received, Sim};

use crate::common::{
    binary, handed_out,
    handlers::{Echo, Recorder},
    serve, text,
};

#[test]
fn answers_to_messages_from_one_read_leave_in_one_write() {
    let sim = Sim::default();
    let (mut peer, faults, _) = serve(&sim, Echo, Options::default());
    sim.run(async {
        let messages: Vec<String> = (0..100).map(|n| format!("message {n}")).collect();
        let messages: Vec<&str> = messages.iter().map(String::as_str).collect();
        for round in 1..=3 {
            peer.send_together(&messages).await;
            sim.settle().await;
            assert_eq!(faults.to_client().writes(), round);
            for message in &messages {
                assert_eq!(peer.next().await, text(message));
            }
        }
    });
}

#[test]
fn pongs_leave_in_the_same_write_as_messages_and_in_order() {
    let sim = Sim::default();
    let (mut peer, faults, _) = serve(&sim, Echo, Options::default());
    sim.run(async {
        let zero_key = [0; 4];
        let mut together = Vec::new();
        for (head, payload) in [(0x81, b"one"), (0x89, b"two"), (0x81, b"six")] {
            together.extend([head, 0x83]);
            together.extend(zero_key);
            together.extend(payload);
        }
        peer.raw(&together).await;
        sim.settle().await;
        assert_eq!(faults.to_client().writes(), 1);
        assert_eq!(peer.next().await, text("one"));
        assert_eq!(peer.next().await, Received::Pong(b"two".to_vec()));
        assert_eq!(peer.next().await, text("six"));
    });
}

#[test]
fn messages_sent_to_an_idle_connection_leave_in_one_write() {
    let sim = Sim::default();
    let (mut peer, faults, _, connection) = handed_out(&sim, Options::default());
    sim.run(async {
        sim.settle().await;
        for _ in 0..10 {
            connection.send("news").await.unwrap();
        }
        sim.settle().await;
        assert_eq!(faults.to_client().writes(), 1);
        for _ in 0..10 {
            assert_eq!(peer.next().await, text("news"));
        }
    });
}

/// Answers each message with a hundred.
struct Hundredfold;

const PART: [u8; 1000] = [7; 1000];

impl Handler for Hundredfold {
    async fn on_message(&self, connection: &Connection, _: Message<'_>) {
        for _ in 0..100 {
            connection.send(&PART).await.unwrap();
        }
        connection.send("that is all").await.unwrap();
    }
}

#[test]
fn a_handler_may_send_far_more_than_the_high_water_mark() {
    for capacity in [1, 100, 5_000, 1 << 20] {
        let sim = Sim::default();
        let mut options = Options::default();
        options.high_water_mark = 5_000;
        let (mut peer, faults, _) = serve(&sim, Hundredfold, options);
        sim.run(async {
            faults.to_client().set_capacity(capacity);
            peer.send("go").await;
            for _ in 0..100 {
                assert_eq!(peer.next().await, binary(PART));
            }
            assert_eq!(peer.next().await, text("that is all"));
        });
    }
}

#[test]
fn a_message_may_be_far_larger_than_the_high_water_mark() {
    let sim = Sim::default();
    let mut options = Options::default();
    options.high_water_mark = 10;
    let (mut peer, faults, _) = serve(&sim, Echo, options);
    sim.run(async {
        faults.to_client().set_capacity(1000);
        let long = "x".repeat(300_000);
        peer.send(&long).await;
        assert_eq!(peer.next().await, text(&long));
    });
}

#[test]
fn a_handler_gets_room_in_an_outbox_that_others_filled() {
    let sim = Sim::default();
    let (mut peer, faults, _, connection) = handed_out(&sim, Options::default());
    sim.run(async {
        faults.to_client().set_capacity(0);
        let mut others = 0;
        while connection.try_send(PART) != Err(TrySendError::Full) {
            others += 1;
        }
        peer.send("mine").await;
        sim.settle().await;
        // The handler waits for room, and blocks the connection's only task.
        faults.to_client().set_capacity(1000);
        for _ in 0..others {
            assert_eq!(peer.next().await, binary(PART));
        }
        assert_eq!(peer.next().await, text("mine"));
    });
}

#[test]
fn nothing_is_read_while_a_handler_runs() {
    let sim = Sim::default();
    let (recorder, log, gate) = Recorder::new();
    let (mut peer, faults, _) = serve(&sim, recorder, Options::default());
    sim.run(async {
        assert_eq!(peer.next().await, text("welcome"));
        peer.send("wait").await;
        sim.settle().await;
        assert_eq!(log.lines(), ["connect", "begin wait"]);
        let long = "x".repeat(100_000);
        peer.send(&long).await;
        sim.settle().await;
        // A client's frame of this size has a header of 14 bytes.
        assert_eq!(faults.to_server().unread(), 100_014, "the frame stays in the transport");
        gate.send(()).await.unwrap();
        assert_eq!(peer.next().await, text(&long));
        assert_eq!(faults.to_server().unread(), 0);
    });
}

#[test]
fn a_peer_that_does_not_read_is_not_read_from() {
    let sim = Sim::default();
    let mut options = Options::default();
    options.high_water_mark = 5_000;
    let (mut peer, faults, _, connection) = handed_out(&sim, options);
    sim.run(async {
        faults.to_client().set_capacity(2_000);
        for _ in 0..500 {
            peer.send(&PART).await;
        }
        sim.settle().await;
        assert!(connection.buffered() <= 5_000 + PART.len() + 4);
        assert!(faults.to_server().unread() > 400_000, "{} unread", faults.to_server().unread());
        for _ in 0..500 {
            assert_eq!(peer.next().await, binary(PART));
        }
    });
}
