//! The deadlines of a connection: keepalive, write timeout and close timeout.

mod common;

use async_channel::{Receiver, bounded};
use common::{
    binary, close, handed_out,
    handlers::{Echo, Recorder},
    http::shake_hands,
    ms,
    peer::{Peer, Seen},
    pipe::Script,
    s, serve, serve_handshake,
    sim::Sim,
    text,
};
use futures_lite::{AsyncWriteExt, future::or};
use prism_driver::{
    CloseCode, Connection, Disconnect, Failure, Handler, Message, Options, ProtocolError, Runtime,
};
use std::time::Duration;

/// Opens a connection without keepalive, so that only the deadline under test can end it.
fn quiet(sim: &Sim) -> (Peer, Script, Receiver<Disconnect>, Connection) {
    quiet_at_rate(sim, 240)
}

/// Opens a connection without keepalive whose peer has to take this many bytes per second.
fn quiet_at_rate(
    sim: &Sim,
    min_write_rate: usize,
) -> (Peer, Script, Receiver<Disconnect>, Connection) {
    let mut options = Options::default();
    options.protocol.ping_interval = None;
    options.min_write_rate = min_write_rate;
    handed_out(sim, options)
}

fn protocol_error(reason: &Disconnect) -> Option<ProtocolError> {
    match reason {
        Disconnect::Failed(Failure::Protocol(error)) => Some(*error),
        _ => None,
    }
}

// ---- keepalive

#[test]
fn an_idle_peer_is_pinged_at_each_interval() {
    let sim = Sim::default();
    let (mut peer, _, _) = serve(&sim, Echo, Options::default());
    sim.run(async {
        for at in [20, 40, 60, 80] {
            assert_eq!((peer.next().await, sim.now()), (Seen::Ping, s(at)));
        }
    });
}

#[test]
fn a_peer_that_answers_no_ping_is_closed_with_1011() {
    let sim = Sim::default();
    let (mut peer, script, ended) = serve(&sim, Echo, Options::default());
    sim.run(async {
        peer.mute();
        assert_eq!((peer.next().await, sim.now()), (Seen::Ping, s(20)));
        // The next ping would be due at the same moment.
        let told = close(1011, "no answer to the keepalive ping");
        assert_eq!((peer.next().await, sim.now()), (told, s(40)));
        assert_eq!((peer.next().await, sim.now()), (Seen::End(Ok(())), s(40)));
        assert!(!script.dropped_by_server(), "the peer may still answer the close frame");
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
        self.sim.take(s(20));
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
    let (client, script, _) = serve_handshake(&sim, handler, Options::default());
    script.delay_readiness();
    sim.run(async {
        let mut peer = shake_hands(client).await;
        assert_eq!((peer.next().await, sim.now()), (Seen::Ping, s(20)));
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
    let (_peer, script, ended, connection) = quiet(&sim);
    sim.run(async {
        script.set_capacity_to_client(0);
        sim.pass(s(100)).await;
        connection.send("does not leave").await.unwrap();
        let reason = ended.recv().await.unwrap();
        assert!(matches!(reason, Disconnect::Failed(Failure::WriteStalled)), "{reason:?}");
        assert_eq!(sim.now(), s(130));
        assert!(script.dropped_by_server());
    });
}

#[test]
fn the_write_timeout_applies_while_a_handler_runs() {
    let sim = Sim::default();
    let (recorder, log, gate) = Recorder::new();
    let (mut peer, script, ended) = serve(&sim, recorder, Options::default());
    sim.run(async {
        script.set_capacity_to_client(0);
        peer.send("wait").await;
        sim.pass(s(31)).await;
        assert!(script.dropped_by_server());
        assert_eq!(log.lines(), ["connect", "begin wait"], "the handler runs on");
        gate.send(()).await.unwrap();
        let reason = ended.recv().await.unwrap();
        assert!(matches!(reason, Disconnect::Failed(Failure::WriteStalled)), "{reason:?}");
    });
}

#[test]
fn without_a_minimum_rate_any_progress_is_enough() {
    let sim = Sim::default();
    let (_peer, script, ended, connection) = quiet_at_rate(&sim, 0);
    sim.run(async {
        script.set_capacity_to_client(0);
        connection.send("leaves slowly").await.unwrap();
        for taken in 1..=10 {
            sim.pass(s(29)).await;
            script.set_capacity_to_client(taken);
            sim.settle().await;
        }
        assert_eq!(script.unread_by_client(), 10);
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
    let (_peer, script, ended, connection) = quiet_at_rate(&sim, min_write_rate);
    sim.run(async {
        script.set_capacity_to_client(0);
        connection.send(&vec![7; 600 * 1_000]).await.unwrap();
        for second in 1..=600 {
            sim.pass(s(1)).await;
            script.set_capacity_to_client(second * per_second);
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
    let (mut peer, script, ended, connection) = quiet(&sim);
    sim.run(async {
        for _ in 0..10 {
            // A few bytes wait for 29 seconds; then the outbox is empty for a moment.
            script.set_capacity_to_client(0);
            connection.send("a few bytes").await.unwrap();
            sim.pass(s(29)).await;
            script.set_capacity_to_client(1_000);
            assert_eq!(peer.next().await, text("a few bytes"));
        }
        assert!(ended.is_empty());
    });
}

// ---- closing

#[test]
fn an_unanswered_close_frame_ends_at_the_close_timeout() {
    let sim = Sim::default();
    let (mut peer, script, ended, connection) = quiet(&sim);
    sim.run(async {
        sim.pass(s(100)).await;
        peer.mute();
        assert!(connection.close(CloseCode::NORMAL, "bye"));
        assert_eq!(peer.next().await, close(1000, "bye"));
        let reason = ended.recv().await.unwrap();
        assert_eq!(protocol_error(&reason), Some(ProtocolError::CloseTimeout));
        assert_eq!(sim.now(), s(105));
        assert!(script.dropped_by_server());
    });
}

#[test]
fn an_unsent_close_frame_ends_at_the_close_timeout() {
    let sim = Sim::default();
    let (_peer, script, ended, connection) = quiet(&sim);
    sim.run(async {
        script.set_capacity_to_client(1);
        assert!(connection.close(CloseCode::NORMAL, "bye"));
        let reason = ended.recv().await.unwrap();
        assert_eq!(protocol_error(&reason), Some(ProtocolError::CloseTimeout));
        assert_eq!(sim.now(), s(5));
    });
}

/// Makes the peer take one byte every four seconds.
fn trickle(sim: &Sim, script: &Script) {
    let (clock, script) = (sim.clone(), script.clone());
    sim.spawn(async move {
        for taken in 1..1_000 {
            script.set_capacity_to_client(taken);
            clock.sleep(s(4)).await;
        }
    });
}

#[test]
fn a_trickling_reader_is_dropped_after_24_close_timeouts() {
    let sim = Sim::default();
    let (_peer, script, ended, connection) = quiet_at_rate(&sim, 0);
    sim.run(async {
        script.set_capacity_to_client(0);
        connection.send(&[7; 1_000]).await.unwrap();
        assert!(connection.close(CloseCode::NORMAL, "bye"));
        trickle(&sim, &script);
        let reason = ended.recv().await.unwrap();
        assert_eq!(protocol_error(&reason), Some(ProtocolError::CloseTimeout));
        assert_eq!(sim.now(), s(120));
        assert!(script.dropped_by_server());
    });
}

#[test]
fn the_minimum_write_rate_applies_to_a_half_closed_peer() {
    let sim = Sim::default();
    let (mut peer, script, ended, connection) = quiet(&sim);
    sim.run(async {
        script.set_capacity_to_client(0);
        connection.send(&[7; 1_000]).await.unwrap();
        peer.end().await;
        trickle(&sim, &script);
        let reason = ended.recv().await.unwrap();
        assert_eq!(protocol_error(&reason), Some(ProtocolError::UnexpectedEof));
        assert_eq!(sim.now(), s(30));
        assert!(script.dropped_by_server());
    });
}

#[test]
fn the_close_timeout_bounds_the_wait_for_the_peers_eof() {
    let sim = Sim::default();
    let (recorder, log, _gate) = Recorder::new();
    let (mut peer, script, ended) = serve(&sim, recorder, Options::default());
    sim.run(async {
        sim.pass(s(10)).await;
        assert_eq!(peer.next().await, text("welcome"));
        peer.close(1000, "bye").await;
        assert_eq!(peer.all().await, [close(1000, "bye"), Seen::End(Ok(()))]);
        // The handler is told at once. Only the transport waits.
        let told = "disconnect closed by the peer with 1000 (bye)";
        assert_eq!((log.lines().last().unwrap().as_str(), sim.now()), (told, s(10)));
        assert!(!script.dropped_by_server());
        ended.recv().await.unwrap();
        assert_eq!(sim.now(), s(15));
        assert!(script.dropped_by_server());
    });
}

#[test]
fn the_peers_eof_ends_the_connection_at_once() {
    let sim = Sim::default();
    let (mut peer, _, ended, _) = quiet(&sim);
    sim.run(async {
        peer.close(1000, "").await;
        assert_eq!(peer.all().await, [close(1000, ""), Seen::End(Ok(()))]);
        drop(peer);
        ended.recv().await.unwrap();
        assert_eq!(sim.now(), s(0));
    });
}

#[test]
fn the_close_timeout_ends_a_peer_that_keeps_sending() {
    let sim = Sim::default();
    let (mut peer, _, ended, _) = quiet(&sim);
    sim.run(async {
        peer.close(1000, "").await;
        let flood = async {
            for _ in 0..1000 {
                if peer.io.write_all(&[0; 1000]).await.is_err() {
                    break;
                }
                sim.pass(ms(10)).await;
            }
        };
        or(flood, async { drop(ended.recv().await.unwrap()) }).await;
        assert_eq!(sim.now(), s(5));
    });
}

#[test]
fn a_close_frame_is_not_lost_to_unread_bytes() {
    let sim = Sim::default();
    let (mut peer, script, ended, _) = quiet(&sim);
    sim.run(async {
        // An error, followed by far more than one read takes.
        let mut bytes = b"\x83\x80\0\0\0\0".to_vec();
        bytes.resize(500_000, 0);
        peer.raw(&bytes).await;
        // The server has time to leave before its close frame is read.
        sim.pass(s(60)).await;
        assert!(script.dropped_by_server());
        let told = close(1002, "reserved opcode 0x3");
        assert_eq!(peer.all().await, [told, Seen::End(Ok(()))]);
        let reason = ended.recv().await.unwrap();
        assert_eq!(protocol_error(&reason), Some(ProtocolError::ReservedOpcode(3)));
    });
}

#[test]
fn the_close_frame_after_a_panic_is_not_lost_to_unread_bytes() {
    let sim = Sim::default();
    let (recorder, _, _gate) = Recorder::new();
    let (mut peer, script, _) = serve(&sim, recorder, Options::default());
    sim.run(async {
        peer.send("panic").await;
        peer.send(&"x".repeat(500_000)).await;
        sim.pass(s(60)).await;
        assert!(script.dropped_by_server());
        let told = close(1011, "internal error");
        assert_eq!(peer.all().await, [text("welcome"), told, Seen::End(Ok(()))]);
    });
}
