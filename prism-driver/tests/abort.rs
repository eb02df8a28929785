//! `Connection::abort`: ends a connection at once, without a closing handshake.

use std::pin::pin;

use futures_lite::future::poll_once;
use prism_driver::{
    CloseCode, Connection, Disconnect, Failure, Handler, Message, Options, ProtocolError, Runtime,
    SendError,
};
use prism_test::{Received, Sim};

use crate::common::{
    close, handed_out,
    handlers::{Log, Recorder},
    s, serve, stuck, text,
};

fn is_aborted(reason: &Disconnect) -> bool {
    matches!(reason, Disconnect::Failed(Failure::Aborted))
}

#[test]
fn abort_drops_the_transport_and_fails_all_waiters_at_once() {
    let sim = Sim::default();
    let (mut peer, faults, ended, connection) = stuck(&sim, 10);
    let log = Log::default();
    let hook = log.clone();
    connection.on_end(move || hook.add("hook"));
    sim.run(async {
        connection.send("never written").await.unwrap();
        let mut waiting = pin!(connection.send("for room"));
        assert!(poll_once(&mut waiting).await.is_none());
        connection.abort();
        assert!(faults.dropped_by_server());
        assert_eq!(log.lines(), ["hook"]);
        assert_eq!((connection.is_open(), connection.buffered()), (false, 0));
        assert_eq!(poll_once(&mut waiting).await, Some(Err(SendError::Closed)));
        assert!(!connection.close(CloseCode::NORMAL, ""));
        assert!(poll_once(pin!(connection.closed())).await.is_some());
        assert!(poll_once(pin!(connection.flush())).await.is_some());
        let reason = ended.recv().await.unwrap();
        assert!(is_aborted(&reason), "{reason:?}");
        assert_eq!((reason.code(), reason.reason()), (1006, "aborted by us".into()));
        assert_eq!(peer.next().await, Received::End(Err(ProtocolError::UnexpectedEof)));
        assert_eq!((sim.now(), log.lines().len()), (s(0), 1));
    });
}

/// Aborts when a message says so, and logs every call.
struct Aborting(Log);

impl Handler for Aborting {
    async fn on_message(&self, connection: &Connection, message: Message<'_>) {
        self.0.add(message.as_text().unwrap());
        if message == Message::Text("abort") {
            connection.abort();
            self.0.add("still running");
        }
    }

    async fn on_disconnect(&self, _: &Connection, reason: Disconnect) {
        self.0.add(reason.to_string());
    }
}

#[test]
fn a_handler_that_aborts_finishes_but_gets_no_more_messages() {
    // A message, a close frame, or a protocol error.
    for tail in [&b"\x81\x80\0\0\0\0"[..], b"\x88\x80\0\0\0\0", b"\x83\x80\0\0\0\0"] {
        let (sim, log) = (Sim::default(), Log::default());
        let (mut peer, faults, ended) = serve(&sim, Aborting(log.clone()), Options::default());
        sim.run(async {
            let together = [&b"\x81\x85\0\0\0\0hello\x81\x85\0\0\0\0abort"[..], tail].concat();
            peer.raw(&together).await;
            assert!(is_aborted(&ended.recv().await.unwrap()));
            assert!(faults.dropped_by_server());
            assert_eq!(log.lines(), ["hello", "abort", "still running", "aborted by us"]);
        });
    }
}

#[test]
fn abort_does_not_drop_a_running_handler() {
    let sim = Sim::default();
    let (recorder, log, gate) = Recorder::new();
    let (hand, out) = async_channel::bounded(1);
    let (mut peer, faults, ended) =
        serve(&sim, HandOutRecorder(hand, recorder), Options::default());
    sim.run(async {
        let connection = out.recv().await.unwrap();
        assert_eq!(peer.next().await, text("welcome"));
        peer.send("wait").await;
        sim.settle().await;
        connection.abort();
        sim.pass(s(1_000)).await;
        assert!(faults.dropped_by_server());
        assert_eq!(log.lines(), ["connect", "begin wait"]);
        gate.send(()).await.unwrap();
        assert!(is_aborted(&ended.recv().await.unwrap()));
        let lines = ["connect", "begin wait", "end wait", "disconnect aborted by us"];
        assert_eq!(log.lines(), lines);
    });
}

/// A [`Recorder`] that also hands its connections out.
struct HandOutRecorder(async_channel::Sender<Connection>, Recorder);

impl Handler for HandOutRecorder {
    async fn on_connect(&self, connection: &Connection) {
        self.0.send(connection.clone()).await.unwrap();
        self.1.on_connect(connection).await;
    }

    async fn on_message(&self, connection: &Connection, message: Message<'_>) {
        self.1.on_message(connection, message).await;
    }

    async fn on_disconnect(&self, connection: &Connection, reason: Disconnect) {
        self.1.on_disconnect(connection, reason).await;
    }
}

#[test]
fn an_unanswered_close_can_be_cut_short_by_abort() {
    let sim = Sim::default();
    let (mut peer, faults, ended, connection) = handed_out(&sim, Options::default());
    sim.run(async {
        peer.mute();
        assert!(connection.close(CloseCode::NORMAL, "bye"));
        assert_eq!(peer.next().await, close(1000, "bye"));
        sim.pass(s(1)).await;
        connection.abort();
        assert!(faults.dropped_by_server());
        assert!(is_aborted(&ended.recv().await.unwrap()));
        assert_eq!(sim.now(), s(1));
    });
}

#[test]
fn after_a_clean_close_abort_only_drops_the_transport() {
    let sim = Sim::default();
    let (mut peer, faults, ended, connection) = handed_out(&sim, Options::default());
    sim.run(async {
        peer.close(1000, "bye").await;
        assert_eq!(peer.all().await, [close(1000, "bye"), Received::End(Ok(()))]);
        assert!(!faults.dropped_by_server(), "the peer has not ended its side yet");
        connection.abort();
        assert!(faults.dropped_by_server());
        let reason = ended.recv().await.unwrap();
        assert!(matches!(reason, Disconnect::Peer { .. }), "{reason:?}");
        connection.abort();
        assert_eq!(sim.now(), s(0));
    });
}
