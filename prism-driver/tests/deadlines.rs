//! The deadlines of an open connection: keepalive and write timeout.

use async_channel::{Receiver, bounded};
use futures_lite::future::or;
use prism_driver::{
    Connection, Disconnect, Failure, Handler, Message, Options, ProtocolError, Runtime,
};
use prism_test::{Received, Sim};
use std::time::Duration;

use crate::common::{
    binary, close,
    handlers::{Echo, Recorder},
    http::shake_hands,
    protocol_error, quiet, quiet_at_rate, s, serve, serve_handshake, text,
};

// ---- keepalive

#[test]
fn an_idle_peer_is_pinged_at_each_interval() {
    let sim = Sim::default();
    let (mut peer, _, _) = serve(&sim, Echo, Options::default());
    sim.run(async {
        for at in [20, 40, 60, 80] {
            assert_eq!((peer.next().await, sim.now()), (Received::Ping, s(at)));
        }
    });
}

#[test]
fn a_peer_that_answers_no_ping_is_closed_with_1011() {
    let sim = Sim::default();
    let (mut peer, faults, ended) = serve(&sim, Echo, Options::default());
    sim.run(async {
        peer.mute();
        assert_eq!((peer.next().await, sim.now()), (Received::Ping, s(20)));
        // The next ping would be due at the same moment.
        let told = close(1011, "no answer to the keepalive ping");
        assert_eq!((peer.next().await, sim.now()), (told, s(40)));
        assert_eq!((peer.next().await, sim.now()), (Received::End(Ok(())), s(40)));
        assert!(!faults.dropped_by_server(), "the peer may still answer the close frame");
        let reason = ended.recv().await.unwrap();
        assert_eq!(protocol_error(&reason), Some(ProtocolError::KeepaliveTimeout));
        assert_eq!(sim.now(), s(45), "the close timeout");
    });
}

#[test]
fn a_peer_that_answers_pings_stays_connected() {
    let sim = Sim::default();
    let (mut peer, _, _) = serve(&sim, Echo, Options::default());
    sim.run(async {
        let listening = async { panic!("expected only pings: {:?}", peer.next_but_pings().await) };
        or(listening, sim.pass(s(10 * 3600))).await;
        peer.send("still here").await;
        assert_eq!(peer.next_but_pings().await, text("still here"));
    });
}

#[test]
fn any_data_counts_as_an_answer_to_a_ping() {
    let sim = Sim::default();
    let (mut peer, _, ended) = serve(&sim, Echo, Options::default());
    sim.run(async {
        peer.mute();
        // A message that takes ten minutes to arrive, and no pong.
        peer.raw(b"\x82\xa8\0\0\0\0").await;
        for _ in 0..40 {
            sim.pass(s(15)).await;
            peer.raw(b"x").await;
        }
        assert_eq!(peer.next_but_pings().await, binary([b'x'; 40]));
        assert!(ended.is_empty());
    });
}

/// Blocks its thread for 20 s, as no handler should, once the gate is open.
struct Blocking {
    sim: Sim,
    gate: Receiver<()>,
}

impl Handler for Blocking {
    async fn on_connect(&self, _: &Connection) {
        self.gate.recv().await.unwrap();
        self.sim.block(s(20));
    }

    async fn on_message(&self, connection: &Connection, message: Message<'_>) {
        connection.send(message).await.unwrap();
    }
}

#[test]
fn a_pong_is_seen_in_time_when_readiness_is_delayed() {
    let sim = Sim::default();
    let (open, gate) = bounded(1);
    let handler = Blocking { sim: sim.clone(), gate };
    let (client, faults, _) = serve_handshake(&sim, handler, Options::default());
    faults.to_server().delay_readiness();
    sim.run(async {
        let mut peer = shake_hands(client).await;
        assert_eq!((peer.next().await, sim.now()), (Received::Ping, s(20)));
        sim.pass(s(5)).await;
        // The pong has arrived, unread. At 40 s it would be too late.
        open.send(()).await.unwrap();
        sim.settle().await;
        assert_eq!(sim.now(), s(45));
        peer.send("still here").await;
        assert_eq!(peer.next_but_pings().await, text("still here"));
    });
}

// ---- the write timeout

#[test]
fn the_write_timeout_drops_a_peer_that_takes_nothing() {
    let sim = Sim::default();
    let (_peer, faults, ended, connection) = quiet(&sim);
    sim.run(async {
        faults.to_client().set_capacity(0);
        sim.pass(s(100)).await;
        connection.send("does not leave").await.unwrap();
        let reason = ended.recv().await.unwrap();
        assert!(matches!(reason, Disconnect::Failed(Failure::WriteStalled)), "{reason:?}");
        assert_eq!(sim.now(), s(130));
        assert!(faults.dropped_by_server());
    });
}

#[test]
fn the_write_timeout_applies_while_a_handler_runs() {
    let sim = Sim::default();
    let (recorder, log, gate) = Recorder::new();
    let (mut peer, faults, ended) = serve(&sim, recorder, Options::default());
    sim.run(async {
        faults.to_client().set_capacity(0);
        peer.send("wait").await;
        sim.pass(s(31)).await;
        assert!(faults.dropped_by_server());
        assert_eq!(log.lines(), ["connect", "begin wait"], "the handler runs on");
        gate.send(()).await.unwrap();
        let reason = ended.recv().await.unwrap();
        assert!(matches!(reason, Disconnect::Failed(Failure::WriteStalled)), "{reason:?}");
    });
}

#[test]
fn without_a_minimum_rate_any_progress_is_enough() {
    let sim = Sim::default();
    let (_peer, faults, ended, connection) = quiet_at_rate(&sim, 0);
    sim.run(async {
        faults.to_client().set_capacity(0);
        connection.send("leaves slowly").await.unwrap();
        for taken in 1..=10 {
            sim.pass(s(29)).await;
            faults.to_client().set_capacity(taken);
            sim.settle().await;
        }
        assert_eq!(faults.to_client().unread(), 10);
        assert!(ended.is_empty());
        // The timeout starts again at the last byte.
        let last = sim.now();
        ended.recv().await.unwrap();
        assert_eq!(sim.now() - last, s(30));
    });
}

/// Returns when a peer is dropped that takes `per_second` bytes of a long message; `None` if it is not
/// dropped within ten minutes.
fn dropped_at(per_second: usize, min_write_rate: usize) -> Option<Duration> {
    let sim = Sim::default();
    let (_peer, faults, ended, connection) = quiet_at_rate(&sim, min_write_rate);
    sim.run(async {
        faults.to_client().set_capacity(0);
        connection.send(&vec![7; 600 * 1_000]).await.unwrap();
        for second in 1..=600 {
            sim.pass(s(1)).await;
            faults.to_client().set_capacity(second * per_second);
            sim.settle().await;
            if let Ok(reason) = ended.try_recv() {
                assert!(matches!(reason, Disconnect::Failed(Failure::WriteStalled)), "{reason:?}");
                return Some(sim.now());
            }
        }
        None
    })
}

#[test]
fn a_peer_below_the_minimum_write_rate_is_dropped() {
    // Bytes taken in the last second of a window count in the next one.
    assert_eq!(dropped_at(239, 240), Some(s(30)));
    assert_eq!(dropped_at(164, 240), Some(s(30)));
    assert_eq!(dropped_at(249, 240), None);
    assert_eq!(dropped_at(164, 0), None);
}

#[test]
fn the_write_rate_is_judged_only_while_data_waits() {
    let sim = Sim::default();
    let (mut peer, faults, ended, connection) = quiet(&sim);
    sim.run(async {
        for _ in 0..10 {
            // A few bytes wait for 29 seconds; then the outbox is empty for a moment.
            faults.to_client().set_capacity(0);
            connection.send("a few bytes").await.unwrap();
            sim.pass(s(29)).await;
            faults.to_client().set_capacity(1_000);
            assert_eq!(peer.next().await, text("a few bytes"));
        }
        assert!(ended.is_empty());
    });
}
