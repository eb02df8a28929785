//! The deadlines of a connection that closes: the close timeout, also while bytes wait to be written or read,
//! and the minimum write rate after the peer's end.

use futures_lite::{AsyncWriteExt, future::or};
use prism_driver::{CloseCode, Options, ProtocolError, Runtime};
use prism_test::{Faults, Received, Sim};

use crate::common::{
    close, handlers::Recorder, ms, protocol_error, quiet, quiet_at_rate, s, serve, text,
};

#[test]
fn an_unanswered_close_frame_ends_at_the_close_timeout() {
    let sim = Sim::default();
    let (mut peer, faults, ended, connection) = quiet(&sim);
    sim.run(async {
        sim.pass(s(100)).await;
        peer.mute();
        assert!(connection.close(CloseCode::NORMAL, "bye"));
        assert_eq!(peer.next().await, close(1000, "bye"));
        let reason = ended.recv().await.unwrap();
        assert_eq!(protocol_error(&reason), Some(ProtocolError::CloseTimeout));
        assert_eq!(sim.now(), s(105));
        assert!(faults.dropped_by_server());
    });
}

#[test]
fn an_unsent_close_frame_ends_at_the_close_timeout() {
    let sim = Sim::default();
    let (_peer, faults, ended, connection) = quiet(&sim);
    sim.run(async {
        faults.to_client().set_capacity(1);
        assert!(connection.close(CloseCode::NORMAL, "bye"));
        let reason = ended.recv().await.unwrap();
        assert_eq!(protocol_error(&reason), Some(ProtocolError::CloseTimeout));
        assert_eq!(sim.now(), s(5));
    });
}

/// Makes the peer take one byte every four seconds.
fn trickle(sim: &Sim, faults: &Faults) {
    let (clock, faults) = (sim.clone(), faults.clone());
    sim.spawn(async move {
        for taken in 1..1_000 {
            faults.to_client().set_capacity(taken);
            clock.sleep(s(4)).await;
        }
    });
}

#[test]
fn a_trickling_reader_is_dropped_after_24_close_timeouts() {
    let sim = Sim::default();
    let (_peer, faults, ended, connection) = quiet_at_rate(&sim, 0);
    sim.run(async {
        faults.to_client().set_capacity(0);
        connection.send(&[7; 1_000]).await.unwrap();
        assert!(connection.close(CloseCode::NORMAL, "bye"));
        trickle(&sim, &faults);
        let reason = ended.recv().await.unwrap();
        assert_eq!(protocol_error(&reason), Some(ProtocolError::CloseTimeout));
        assert_eq!(sim.now(), s(120));
        assert!(faults.dropped_by_server());
    });
}

#[test]
fn the_minimum_write_rate_applies_to_a_half_closed_peer() {
    let sim = Sim::default();
    let (mut peer, faults, ended, connection) = quiet(&sim);
    sim.run(async {
        faults.to_client().set_capacity(0);
        connection.send(&[7; 1_000]).await.unwrap();
        peer.end().await;
        trickle(&sim, &faults);
        let reason = ended.recv().await.unwrap();
        assert_eq!(protocol_error(&reason), Some(ProtocolError::UnexpectedEof));
        assert_eq!(sim.now(), s(30));
        assert!(faults.dropped_by_server());
    });
}

#[test]
fn the_close_timeout_bounds_the_wait_for_the_peers_eof() {
    let sim = Sim::default();
    let (recorder, log, _gate) = Recorder::new();
    let (mut peer, faults, ended) = serve(&sim, recorder, Options::default());
    sim.run(async {
        sim.pass(s(10)).await;
        assert_eq!(peer.next().await, text("welcome"));
        peer.close(1000, "bye").await;
        assert_eq!(peer.all().await, [close(1000, "bye"), Received::End(Ok(()))]);
        // The handler is told at once. Only the transport waits.
        let told = "disconnect closed by the peer with 1000 (bye)";
        assert_eq!((log.lines().last().unwrap().as_str(), sim.now()), (told, s(10)));
        assert!(!faults.dropped_by_server());
        ended.recv().await.unwrap();
        assert_eq!(sim.now(), s(15));
        assert!(faults.dropped_by_server());
    });
}

#[test]
fn the_peers_eof_ends_the_connection_at_once() {
    let sim = Sim::default();
    let (mut peer, _, ended, _) = quiet(&sim);
    sim.run(async {
        peer.close(1000, "").await;
        assert_eq!(peer.all().await, [close(1000, ""), Received::End(Ok(()))]);
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
                if peer.io().write_all(&[0; 1000]).await.is_err() {
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
    let (mut peer, faults, ended, _) = quiet(&sim);
    sim.run(async {
        // An error, followed by far more than one read takes.
        let mut bytes = b"\x83\x80\0\0\0\0".to_vec();
        bytes.resize(500_000, 0);
        peer.raw(&bytes).await;
        // The server has time to leave before its close frame is read.
        sim.pass(s(60)).await;
        assert!(faults.dropped_by_server());
        let told = close(1002, "reserved opcode 0x3");
        assert_eq!(peer.all().await, [told, Received::End(Ok(()))]);
        let reason = ended.recv().await.unwrap();
        assert_eq!(protocol_error(&reason), Some(ProtocolError::ReservedOpcode(3)));
    });
}

#[test]
fn the_close_frame_after_a_panic_is_not_lost_to_unread_bytes() {
    let sim = Sim::default();
    let (recorder, _, _gate) = Recorder::new();
    let (mut peer, faults, _) = serve(&sim, recorder, Options::default());
    sim.run(async {
        peer.send("panic").await;
        peer.send(&"x".repeat(500_000)).await;
        sim.pass(s(60)).await;
        assert!(faults.dropped_by_server());
        let told = close(1011, "internal error");
        assert_eq!(peer.all().await, [text("welcome"), told, Received::End(Ok(()))]);
    });
}
