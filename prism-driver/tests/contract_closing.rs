//! The contract of handlers, rules 3 to 6: how a connection ends. The name of each test begins with the
//! number of its rule.

use std::io;

use prism_driver::{
    CloseCode, Connection, Disconnect, Failure, Handler, Message, Options, ProtocolError, Runtime,
    SendError, TrySendError,
};
use prism_test::{Faults, Peer, Received, Sim};

use crate::common::{
    close,
    handlers::{DropLog, Log, Recorder},
    kinds::{Kind, on_both_kinds},
    s, text,
};

// ---- 3. `on_disconnect` runs exactly once if `on_connect` ran, last, with the reason.

/// Opens a connection, ends it with `end`, and returns the reason, after checking that the handler got
/// the same one.
fn ending(kind: Kind, end: impl AsyncFnOnce(&Sim, &mut Peer, &Faults)) -> Disconnect {
    let sim = Sim::default();
    let (recorder, log, _gate) = Recorder::new();
    let (mut peer, faults, ended) = kind.serve(&sim, recorder, Options::default());
    let reason = sim.run(async {
        assert_eq!(peer.next().await, text("welcome"));
        end(&sim, &mut peer, &faults).await;
        // The peer stays until the end.
        while !matches!(peer.next().await, Received::End(_)) {}
        drop(peer);
        ended.recv().await.unwrap()
    });
    let lines = log.lines();
    assert_eq!(lines.last().unwrap(), &format!("disconnect {reason}"));
    assert_eq!(lines.iter().filter(|line| line.starts_with("disconnect")).count(), 1);
    reason
}

#[test]
fn contract_3_on_disconnect_runs_once_last_when_the_peer_closed() {
    on_both_kinds(|kind| {
        let reason = ending(kind, async |_, peer, _| peer.close(4001, "bye").await);
        assert!(
            matches!(&reason, Disconnect::Peer { reason, .. } if reason == "bye"),
            "{reason:?}"
        );
        assert_eq!(reason.code(), 4001);
    });
}

#[test]
fn contract_3_on_disconnect_runs_once_last_when_we_closed() {
    on_both_kinds(|kind| {
        let reason = ending(kind, async |_, peer, _| peer.send("close").await);
        assert!(matches!(&reason, Disconnect::Local { reason, .. } if reason == "enough"));
        assert_eq!(reason.code(), 1000);
    });
}

#[test]
fn contract_3_on_disconnect_runs_once_last_on_protocol_errors() {
    on_both_kinds(|kind| {
        let reason = ending(kind, async |_, peer, _| peer.raw(b"\x83\x80\0\0\0\0").await);
        let expected = ProtocolError::ReservedOpcode(3);
        assert!(
            matches!(reason, Disconnect::Failed(Failure::Protocol(error)) if error == expected)
        );
    });
}

#[test]
fn contract_3_on_disconnect_runs_once_last_on_transport_errors() {
    on_both_kinds(|kind| {
        let reset = io::ErrorKind::ConnectionReset;
        let reason = ending(kind, async |_, _, faults| faults.to_server().fail(reset));
        let Disconnect::Failed(Failure::Io(error)) = reason else { panic!("{reason:?}") };
        assert_eq!(error.kind(), reset);
    });
}

#[test]
fn contract_3_on_disconnect_runs_once_last_on_pong_timeouts() {
    on_both_kinds(|kind| {
        // The peer answers only while the test waits for it.
        let reason = ending(kind, async |sim, _, _| sim.pass(s(41)).await);
        let expected = ProtocolError::KeepaliveTimeout;
        assert!(
            matches!(reason, Disconnect::Failed(Failure::Protocol(error)) if error == expected)
        );
    });
}

#[test]
fn contract_3_on_disconnect_runs_once_last_on_unexpected_eof() {
    on_both_kinds(|kind| {
        let sim = Sim::default();
        let (recorder, log, _gate) = Recorder::new();
        let (peer, _, ended) = kind.serve(&sim, recorder, Options::default());
        sim.run(async {
            drop(peer);
            let reason = ended.recv().await.unwrap();
            assert_eq!(reason.code(), 1006);
            assert_eq!(log.lines(), ["connect".to_owned(), format!("disconnect {reason}")]);
        });
    });
}

// ---- 4. Prism never drops a handler's future half-way. Closing makes its pending sends fail
// ----    instead.

/// Sends until it fails, and logs how and when its future ended.
struct Flood {
    log: Log,
}

impl Handler for Flood {
    async fn on_message(&self, connection: &Connection, _: Message<'_>) {
        let _drop_log = DropLog(self.log.clone());
        let mut sent = Ok(());
        // Far more than the outbox and the pipe hold.
        for _ in 0..1000 {
            sent = connection.send(&[0; 1000]).await;
            if sent.is_err() {
                break;
            }
        }
        self.log.add(format!("send: {sent:?}"));
    }

    async fn on_disconnect(&self, _: &Connection, _: Disconnect) {
        self.log.add("disconnect");
    }
}

#[test]
fn contract_4_closing_fails_pending_sends_and_drops_no_handler() {
    on_both_kinds(|kind| {
        let sim = Sim::default();
        let log = Log::default();
        let (mut peer, faults, ended) =
            kind.serve(&sim, Flood { log: log.clone() }, Options::default());
        sim.run(async {
            faults.to_client().set_capacity(10_000);
            peer.send("go").await;
            sim.settle().await;
            assert!(log.lines().is_empty(), "the handler waits for room");
            faults.to_client().fail(io::ErrorKind::ConnectionReset);
            ended.recv().await.unwrap();
        });
        assert_eq!(log.lines(), ["send: Err(Closed)", "dropped", "disconnect"]);
    });
}

#[test]
fn contract_4_a_handler_runs_to_its_end_after_the_connection() {
    on_both_kinds(|kind| {
        let sim = Sim::default();
        let (recorder, log, gate) = Recorder::new();
        let (mut peer, faults, ended) = kind.serve(&sim, recorder, Options::default());
        sim.run(async {
            peer.send("wait").await;
            sim.settle().await;
            faults.to_server().fail(io::ErrorKind::ConnectionReset);
            drop(peer);
            sim.pass(s(3600)).await;
            assert_eq!(log.lines(), ["connect", "begin wait"]);
            gate.send(()).await.unwrap();
            ended.recv().await.unwrap();
        });
        assert_eq!(log.lines()[2], "end wait");
    });
}

// ---- 5. What was accepted before `close()` is written before the close frame; after it `send`
// ----    returns `Closed`, and `on_message` is not called any more.

/// Sends three messages, closes, and tries to send another.
struct SendAndClose;

impl Handler for SendAndClose {
    async fn on_message(&self, connection: &Connection, _: Message<'_>) {
        for text in ["one", "two", "three"] {
            connection.send(text).await.unwrap();
        }
        assert!(connection.close(CloseCode::new(4000).unwrap(), "done"));
        assert_eq!(connection.send("late").await, Err(SendError::Closed));
        assert_eq!(connection.try_send("late"), Err(TrySendError::Refused(SendError::Closed)));
    }
}

#[test]
fn contract_5_accepted_messages_precede_the_close_frame() {
    on_both_kinds(|kind| {
        let sim = Sim::default();
        let (mut peer, faults, ended) = kind.serve(&sim, SendAndClose, Options::default());
        sim.run(async {
            faults.set_piece(1); // the transport takes one byte at a time
            peer.send("go").await;
            for expected in [text("one"), text("two"), text("three"), close(4000, "done")] {
                assert_eq!(peer.next().await, expected);
            }
            assert_eq!(peer.next().await, Received::End(Ok(())));
            drop(peer);
            assert_eq!(ended.recv().await.unwrap().code(), 4000);
        });
    });
}

#[test]
fn contract_5_after_our_close_on_message_is_not_called() {
    on_both_kinds(|kind| {
        let sim = Sim::default();
        let (recorder, log, _gate) = Recorder::new();
        let (mut peer, _, ended) = kind.serve(&sim, recorder, Options::default());
        sim.run(async {
            // One in the same read as the message that makes us close, and one after our close frame.
            peer.send_together(&["close", "in the same read"]).await;
            sim.settle().await;
            peer.send("while the close is on its way").await;
            assert_eq!(
                peer.all().await,
                [text("welcome"), close(1000, "enough"), Received::End(Ok(()))]
            );
            drop(peer);
            ended.recv().await.unwrap();
        });
        let last = "disconnect closed by us with 1000 (enough)";
        assert_eq!(log.lines(), ["connect", "begin close", "end close", last]);
    });
}

#[test]
fn contract_6_after_a_panic_an_answered_close_ends_at_once() {
    on_both_kinds(|kind| {
        let sim = Sim::default();
        let (recorder, _, _gate) = Recorder::new();
        let (mut peer, _, _) = kind.serve(&sim, recorder, Options::default());
        sim.run(async {
            assert_eq!(peer.next().await, text("welcome"));
            peer.send("panic").await;
            assert_eq!(peer.all().await, [close(1011, "internal error"), Received::End(Ok(()))]);
            assert_eq!(sim.now(), s(0));
        });
    });
}
