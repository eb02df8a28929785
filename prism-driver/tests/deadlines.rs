//! The clocks of a connection: keepalive, write timeout, and how long closing may take.

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

/// A connection without keepalive, so that nothing but the deadline in question ends it.
fn quiet(sim: &Sim) -> (Peer, Script, Receiver<Disconnect>, Connection) {
    quiet_at_rate(sim, 240)
}

/// The same, whose peer has to take this many bytes per second.
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
fn a_peer_that_is_silent_after_a_ping_is_told_1011_and_left() {
    let sim = Sim::default();
    let (mut peer, script, ended) = serve(&sim, Echo, Options::default());
    sim.run(async {
        peer.mute();
        assert_eq!((peer.next().await, sim.now()), (Seen::Ping, s(20)));
        // The next ping would be due at the very moment of the verdict.
        let told = close(1011, "no answer to the keepalive ping");
        assert_eq!((peer.next().await, sim.now()), (told, s(40)));
        assert_eq!((peer.next().await, sim.now()), (Seen::End(Ok(())), s(40)));
        assert!(!script.dropped_by_server(), "it may still answer the close frame");
        let reason = ended.recv().await.unwrap();
        assert_eq!(protocol_error(&reason), Some(ProtocolError::KeepaliveTimeout));
        assert_eq!(sim.now(), s(45), "but not for longer than the close timeout");
    });
}

#[test]
fn an_answering_peer_lives_for_hours() {
    let sim = Sim::default();
    let (mut peer, _, _) = serve(&sim, Echo, Options::default());
    sim.run(async {
        let listening = async { panic!("nothing but pings: {:?}", peer.next_but_pings().await) };
        or(listening, sim.pass(s(10 * 3600))).await;
        peer.send("still here").await;
        assert_eq!(peer.next_but_pings().await, text("still here"));
    });
}

#[test]
fn whatever_a_peer_says_shows_that_it_lives() {
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

/// Blocks its thread, which it should not, when it is let.
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
fn an_answer_that_has_come_is_seen_in_time_where_the_transport_waits_before_it_looks() {
    let sim = Sim::default();
    let (open, gate) = bounded(1);
    let handler = Blocking { sim: sim.clone(), gate };
    let (client, script, _) = serve_handshake(&sim, handler, Options::default());
    script.wait_before_looking();
    sim.run(async {
        let mut peer = shake_hands(client).await;
        assert_eq!((peer.next().await, sim.now()), (Seen::Ping, s(20)));
        sim.pass(s(5)).await;
        // Its answer is there, unread, and at 40 s it would be too late.
        open.send(()).await.unwrap();
        sim.settle().await;
        assert_eq!(sim.now(), s(45));
        peer.send("well").await;
        assert_eq!(peer.next_but_pings().await, text("well"));
    });
}

// ---- the write timeout

#[test]
fn a_peer_that_takes_no_byte_for_the_write_timeout_is_given_up() {
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
fn a_peer_that_takes_no_byte_is_given_up_while_a_handler_runs_too() {
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
fn without_a_rate_a_peer_that_takes_a_byte_now_and_then_is_not_given_up() {
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
        // And from the last byte on it counts anew.
        let last = sim.now();
        ended.recv().await.unwrap();
        assert_eq!(sim.now() - last, s(30));
    });
}

/// A peer takes so many bytes each second of a message that waits all the time: when it is given up, if
/// it is within ten minutes.
fn given_up_at(per_second: usize, min_write_rate: usize) -> Option<Duration> {
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
fn a_peer_that_takes_messages_at_less_than_the_least_rate_is_given_up_at_the_end_of_a_window() {
    // What is taken in the last second of a window counts in the next.
    assert_eq!(given_up_at(239, 240), Some(s(30)));
    assert_eq!(given_up_at(164, 240), Some(s(30)));
    assert_eq!(given_up_at(249, 240), None);
    assert_eq!(given_up_at(164, 0), None);
}

#[test]
fn a_rate_is_judged_only_while_something_waits() {
    let sim = Sim::default();
    let (mut peer, script, ended, connection) = quiet(&sim);
    sim.run(async {
        for _ in 0..10 {
            // A few bytes wait for 29 seconds, and then nothing does for a moment.
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
fn a_peer_that_never_answers_our_close_frame_is_given_up_after_the_close_timeout() {
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
fn a_peer_that_does_not_take_our_close_frame_is_given_up_after_the_close_timeout() {
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

/// From now on the peer takes a byte every four seconds.
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
fn a_peer_that_takes_a_byte_now_and_then_is_given_up_after_24_close_timeouts() {
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
fn a_peer_that_has_ended_its_side_is_given_up_below_the_least_write_rate() {
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
fn a_peer_that_closes_but_never_ends_the_transport_is_left_after_the_close_timeout() {
    let sim = Sim::default();
    let (recorder, log, _gate) = Recorder::new();
    let (mut peer, script, ended) = serve(&sim, recorder, Options::default());
    sim.run(async {
        sim.pass(s(10)).await;
        assert_eq!(peer.next().await, text("welcome"));
        peer.close(1000, "bye").await;
        assert_eq!(peer.all().await, [close(1000, "bye"), Seen::End(Ok(()))]);
        // The handler is told at once; only the transport waits.
        let told = "disconnect closed by the peer with 1000 (bye)";
        assert_eq!((log.lines().last().unwrap().as_str(), sim.now()), (told, s(10)));
        assert!(!script.dropped_by_server());
        ended.recv().await.unwrap();
        assert_eq!(sim.now(), s(15));
        assert!(script.dropped_by_server());
    });
}

#[test]
fn a_peer_that_ends_the_transport_is_not_waited_for() {
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
fn a_peer_that_sends_on_and_on_after_its_close_frame_is_left_after_the_close_timeout() {
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
fn a_close_frame_is_not_lost_to_bytes_that_nobody_reads() {
    let sim = Sim::default();
    let (mut peer, script, ended, _) = quiet(&sim);
    sim.run(async {
        // An error, and far more behind it than one read takes.
        let mut bytes = b"\x83\x80\0\0\0\0".to_vec();
        bytes.resize(500_000, 0);
        peer.raw(&bytes).await;
        // The server has time to leave before its close frame is looked at.
        sim.pass(s(60)).await;
        assert!(script.dropped_by_server());
        let told = close(1002, "reserved opcode 0x3");
        assert_eq!(peer.all().await, [told, Seen::End(Ok(()))]);
        let reason = ended.recv().await.unwrap();
        assert_eq!(protocol_error(&reason), Some(ProtocolError::ReservedOpcode(3)));
    });
}

#[test]
fn the_close_frame_after_a_panic_is_not_lost_to_bytes_that_nobody_reads() {
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
