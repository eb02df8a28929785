//! An error in one direction does not end the other. After a failed write, what the peer has sent is
//! still received, and its close frame decides how the connection ended (RFC 6455 §7.1.5); after a
//! failed read, what was accepted is still sent.

use std::{io, time::Duration};

use prism_driver::{
    CloseCode, Connection, Disconnect, Failure, Handler, Message, Options, Runtime, SendError,
};
use prism_test::{Faults, Received, Sim};

use crate::common::{
    handed_out,
    handlers::{Log, MessageLog},
    io_error, ms, s, serve, text,
};

const RESET: io::ErrorKind = io::ErrorKind::ConnectionReset;

/// Answers each message, pauses, and logs the message.
struct Answering {
    sim: Sim,
    pause: Duration,
    log: Log,
}

impl Handler for Answering {
    async fn on_message(&self, connection: &Connection, message: Message<'_>) {
        let _ = connection.send(message).await; // it may have failed
        self.sim.sleep(self.pause).await;
        self.log.add(message.as_text().unwrap());
    }
}

/// Lets a peer send a hundred messages and a close frame at once, while the answers fail. Asserts that
/// the handler got all of them, and returns how the connection ended.
fn send_hundred_and_close(pause: Duration, fail: impl FnOnce(&Faults)) -> Disconnect {
    let (sim, log) = (Sim::default(), Log::default());
    let handler = Answering { sim: sim.clone(), pause, log: log.clone() };
    let (mut peer, faults, ended) = serve(&sim, handler, Options::default());
    let messages: Vec<_> = (0..100).map(|number: u32| number.to_string()).collect();
    let reason = sim.run(async {
        sim.settle().await;
        fail(&faults);
        peer.send_and_close(&messages, 1000, "done").await;
        ended.recv().await.unwrap()
    });
    assert_eq!(log.lines(), messages);
    reason
}

#[track_caller]
fn assert_done(reason: &Disconnect) {
    let peers = matches!(reason, Disconnect::Peer { reason, .. } if reason == "done");
    assert!(peers && reason.code() == 1000, "{reason}");
}

#[test]
fn a_failed_write_loses_no_received_message_or_close_frame() {
    for pause in [ms(0), ms(5), s(1)] {
        assert_done(&send_hundred_and_close(pause, |faults| faults.to_client().fail(RESET)));
    }
}

#[test]
fn a_write_may_fail_after_any_number_of_bytes() {
    for taken in 0..300 {
        assert_done(&send_hundred_and_close(ms(0), |faults| {
            faults.to_client().fail_after(taken, RESET);
        }));
    }
}

#[test]
fn a_failed_flush_does_not_end_reading() {
    assert_done(&send_hundred_and_close(ms(5), |faults| faults.to_client().fail_flush(RESET)));
}

#[test]
fn an_unwritten_pong_does_not_end_reading() {
    let sim = Sim::default();
    let (handler, log, _) = MessageLog::new();
    let (mut peer, faults, ended) = serve(&sim, handler, Options::default());
    sim.run(async {
        sim.settle().await;
        faults.to_client().fail(RESET);
        peer.ping(b"are you there?").await;
        sim.settle().await;
        peer.send("one").await;
        sim.pass(s(4)).await;
        peer.send_and_close(&["two"], 1000, "done").await;
        assert_done(&ended.recv().await.unwrap());
        assert_eq!(log.lines(), ["one", "two", "closed by the peer with 1000 (done)"]);
    });
}

#[test]
fn a_write_that_fails_for_a_sender_does_not_end_reading() {
    let sim = Sim::default();
    let (mut peer, faults, ended, connection) = handed_out(&sim, Options::default());
    sim.run(async {
        sim.settle().await;
        faults.to_client().fail(RESET);
        // A message so large that its sender writes it.
        connection.send(&[7; 100_000]).await.unwrap();
        assert!(!connection.is_open());
        assert_eq!(connection.send("late").await, Err(SendError::Closed));
        peer.send_and_close(&["unanswered"], 1000, "done").await;
        assert_done(&ended.recv().await.unwrap());
        assert_eq!(sim.now(), s(0));
    });
}

/// Sends a large message to another connection.
struct SendToOther(Connection);

impl Handler for SendToOther {
    async fn on_message(&self, _: &Connection, _: Message<'_>) {
        self.0.send(&[7; 100_000]).await.unwrap();
    }
}

#[test]
fn a_write_error_in_another_session_reaches_the_owner() {
    let sim = Sim::default();
    let mut options = Options::default();
    options.protocol.ping_interval = None;
    let (_peer, faults, ended, connection) = handed_out(&sim, options);
    let (mut sender, _, _) = serve(&sim, SendToOther(connection), Options::default());
    sim.run(async {
        sim.settle().await;
        faults.to_client().fail(RESET);
        sender.send("go").await;
        let reason = ended.recv().await.unwrap();
        assert_eq!((io_error(&reason), sim.now()), (Some(RESET), s(5)), "{reason}");
    });
}

#[test]
fn a_slow_handler_gets_all_that_arrived_before_the_drop() {
    let (sim, log) = (Sim::default(), Log::default());
    let handler = Answering { sim: sim.clone(), pause: s(1), log: log.clone() };
    let (mut peer, faults, ended) = serve(&sim, handler, Options::default());
    // More than one read returns.
    let messages = vec!["x".repeat(10_000); 50];
    sim.run(async {
        sim.settle().await;
        faults.to_client().fail(RESET);
        peer.send_and_close(&messages, 1000, "done").await;
        assert_done(&ended.recv().await.unwrap());
    });
    assert_eq!(log.lines().len(), 50);
}

#[test]
fn after_a_failed_write_a_silent_peer_has_the_close_timeout() {
    for large in [false, true] {
        let sim = Sim::default();
        let (_peer, faults, ended, connection) = handed_out(&sim, Options::default());
        sim.run(async {
            sim.pass(s(10)).await;
            faults.to_client().fail(RESET);
            connection.send(&vec![7; if large { 100_000 } else { 1 }]).await.unwrap();
            sim.pass(ms(4_999)).await;
            assert!(!faults.dropped_by_server());
            let reason = ended.recv().await.unwrap();
            assert_eq!((io_error(&reason), sim.now()), (Some(RESET), s(15)), "{reason}");
            assert!(faults.dropped_by_server());
        });
    }
}

#[test]
fn after_a_failed_write_eof_reports_that_failure() {
    let sim = Sim::default();
    let (mut peer, faults, ended, connection) = handed_out(&sim, Options::default());
    sim.run(async {
        sim.settle().await;
        faults.to_client().fail(RESET);
        connection.send("lost").await.unwrap();
        sim.settle().await;
        peer.end().await;
        assert_eq!(io_error(&ended.recv().await.unwrap()), Some(RESET));
        assert_eq!(sim.now(), s(0));
    });
}

#[test]
fn a_failed_write_fails_waiting_sends_and_flushes_at_once() {
    let sim = Sim::default();
    let (_peer, faults, _, connection) = crate::common::stuck(&sim, 100);
    sim.run(async {
        connection.send(&[7; 200]).await.unwrap();
        let (flushing, sending) = (connection.clone(), connection.clone());
        let waiting = futures_lite::future::zip(async { flushing.flush().await }, async {
            sending.send("no room").await
        });
        let failing = async {
            sim.settle().await;
            faults.to_client().fail(RESET);
        };
        let (outcomes, ()) = futures_lite::future::zip(waiting, failing).await;
        assert_eq!(outcomes, (Err(SendError::Closed), Err(SendError::Closed)));
        assert_eq!(sim.now(), s(0));
    });
}

#[test]
fn a_handler_past_the_close_timeout_still_gets_the_rest() {
    let (sim, log) = (Sim::default(), Log::default());
    let handler = Answering { sim: sim.clone(), pause: s(30), log: log.clone() };
    let (mut peer, faults, ended) = serve(&sim, handler, Options::default());
    sim.run(async {
        sim.settle().await;
        faults.to_client().fail(RESET);
        peer.send("one").await;
        sim.settle().await;
        // These are still unread when the transport is dropped.
        peer.send_and_close(&["two", "three"], 1000, "done").await;
        sim.pass(ms(4_999)).await;
        assert!(!faults.dropped_by_server());
        sim.pass(ms(1)).await;
        assert!(faults.dropped_by_server());
        assert_done(&ended.recv().await.unwrap());
        assert_eq!(
            (log.lines(), sim.now()),
            (["one", "two", "three"].map(str::to_owned).into(), s(90))
        );
    });
}

#[test]
fn a_stall_and_an_abort_still_end_both_directions() {
    type End = fn(&Faults, &Connection);
    let stall: End = |faults, _| faults.to_client().set_capacity(0);
    let abort: End = |_, connection| connection.abort();
    for (end, expected) in
        [(stall, "the peer stopped reading, or reads too slowly"), (abort, "aborted by us")]
    {
        let sim = Sim::default();
        let (mut peer, faults, ended, connection) = handed_out(&sim, Options::default());
        sim.run(async {
            sim.settle().await;
            end(&faults, &connection);
            let _ = connection.send("does not leave").await; // the connection may be over
            sim.pass(s(31)).await;
            assert!(faults.dropped_by_server());
            peer.close(1000, "late").await;
            assert_eq!(ended.recv().await.unwrap().reason(), expected);
        });
    }
}

// ---- reads that fail

#[test]
fn after_a_failed_read_accepted_messages_are_still_sent() {
    let sim = Sim::default();
    let (mut peer, faults, ended, connection) = handed_out(&sim, Options::default());
    sim.run(async {
        faults.to_client().set_capacity(1_000);
        connection.send(&"x".repeat(10_000)).await.unwrap();
        sim.settle().await;
        faults.to_server().fail(RESET);
        sim.pass(s(5)).await;
        assert!(!connection.is_open());
        assert!(peer.next().await == text(&"x".repeat(10_000)), "the message was cut off");
        assert!(matches!(peer.next().await, Received::End(_)));
        assert_eq!(io_error(&ended.recv().await.unwrap()), Some(RESET));
    });
}

#[test]
fn after_a_failed_read_the_write_timeout_still_applies() {
    let sim = Sim::default();
    let (_peer, faults, ended, connection) = crate::common::stuck(&sim, 100);
    sim.run(async {
        connection.send("does not leave").await.unwrap();
        faults.to_server().fail(RESET);
        let reason = ended.recv().await.unwrap();
        assert!(matches!(reason, Disconnect::Failed(Failure::Io(_))), "{reason}");
        assert_eq!(sim.now(), s(30));
    });
}

#[test]
fn an_unwritten_close_completes_with_the_peers_close_frame() {
    let sim = Sim::default();
    let (mut peer, faults, ended, connection) = handed_out(&sim, Options::default());
    sim.run(async {
        sim.settle().await;
        faults.to_client().fail(RESET);
        assert!(connection.close(CloseCode::GOING_AWAY, "we go"));
        sim.settle().await;
        peer.close(1000, "so do we").await;
        let reason = ended.recv().await.unwrap();
        assert_eq!((reason.code(), reason.reason()), (1001, "we go".to_owned()));
        assert_eq!(sim.now(), s(0));
    });
}
