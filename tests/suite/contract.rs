//! The numbered contract between Prism and a handler, over real sockets. Contracts 7 and 8 are in
//! `contract_slow`, contract 5 is in `closing`, and contract 9 in `back_pressure` and `budget`.
//! `prism-driver` tests each in virtual time.

use std::{
    sync::{
        atomic::{AtomicUsize, Ordering},
        mpsc::channel,
    },
    time::Duration,
};

use futures_lite::future::yield_now;

use super::support::{
    TIMEOUT,
    handlers::{Gate, GatedEcho, Recorder, Seen, recorder},
    kinds::{Kind, on_both_kinds},
    peer::{BINARY, Peer, TEXT},
    server::serve,
};
use crate::prism::{
    CloseCode, Connection, Disconnect, Failure, Handler, Message, Options, OwnedMessage, SendError,
};

/// Sends a greeting, and then waits at a gate before it handles messages.
struct Greeter {
    gate: Gate,
    recorder: Recorder,
}

impl Handler for Greeter {
    async fn on_connect(&self, connection: &Connection) {
        connection.send("welcome").await.expect("an open connection");
        self.gate.pass().await;
        self.recorder.on_connect(connection).await;
    }

    async fn on_message(&self, connection: &Connection, message: Message<'_>) {
        self.recorder.on_message(connection, message).await;
    }
}

#[test]
fn contract_1_on_connect_runs_first_and_may_send() {
    on_both_kinds(|kind| {
        let (recorder, events) = recorder();
        let gate = Gate::closed();
        let greeter = Greeter { gate: gate.clone(), recorder };
        let server = serve(|server| server.websocket("/", kind.route(greeter)));
        let mut peer = server.dial();
        let early = peer.encode(true, TEXT, b"early");
        peer.write(&[Peer::request("/").as_bytes(), &early].concat());
        assert_eq!(peer.head().status, 101);
        peer.expect(TEXT, b"welcome");
        events.nothing_yet();
        gate.open();
        events.connected();
        assert_eq!(events.message(), OwnedMessage::Text("early".into()));
    });
}

/// Panics if two of its calls overlap.
struct OneAtATime {
    running: AtomicUsize,
    recorder: Recorder,
}

impl Handler for OneAtATime {
    async fn on_message(&self, connection: &Connection, message: Message<'_>) {
        assert_eq!(self.running.fetch_add(1, Ordering::SeqCst), 0, "another call is running");
        for _ in 0..3 {
            yield_now().await;
        }
        self.recorder.on_message(connection, message).await;
        self.running.fetch_sub(1, Ordering::SeqCst);
    }
}

#[test]
fn contract_2_messages_are_handled_one_at_a_time_in_wire_order() {
    on_both_kinds(|kind| {
        let (recorder, events) = recorder();
        let handler = OneAtATime { running: AtomicUsize::new(0), recorder };
        let server = serve(|server| server.websocket("/", kind.route(handler)));
        let mut peer = server.open("/");
        for number in 0..1_000_u32 {
            peer.send(BINARY, &number.to_be_bytes());
        }
        for number in 0..1_000_u32 {
            assert_eq!(events.message(), OwnedMessage::Binary(number.to_be_bytes().to_vec()));
        }
    });
}

/// Blocks the first message until a second one is handled.
struct Rendezvous {
    gate: Gate,
    messages: AtomicUsize,
}

impl Handler for Rendezvous {
    async fn on_message(&self, connection: &Connection, message: Message<'_>) {
        if self.messages.fetch_add(1, Ordering::SeqCst) == 1 {
            self.gate.open();
        }
        self.gate.pass().await;
        connection.send(message).await.expect("an open connection");
    }
}

#[test]
fn contract_2_different_connections_are_handled_in_parallel() {
    on_both_kinds(|kind| {
        let rendezvous = Rendezvous { gate: Gate::closed(), messages: AtomicUsize::new(0) };
        let server = serve(|server| server.websocket("/", kind.route(rendezvous)));
        let (mut one, mut other) = (server.open("/"), server.open("/"));
        one.send(TEXT, b"one");
        other.send(TEXT, b"other");
        one.expect(TEXT, b"one");
        other.expect(TEXT, b"other");
    });
}

/// Ends a connection with `end`, and asserts that `on_disconnect` is the handler's last call.
/// Returns the reason.
fn assert_ends_once(kind: Kind, end: impl FnOnce(Peer, &Connection)) -> Disconnect {
    let (recorder, events) = recorder();
    let server = serve(|server| server.websocket("/", kind.route(recorder)));
    let mut peer = server.open("/");
    let connection = events.connected();
    peer.send(TEXT, b"hello");
    events.message();
    end(peer, &connection);
    let ended = events.ended();
    server.stop();
    events.nothing_more();
    ended
}

#[test]
fn contract_3_on_disconnect_runs_last_and_once_with_the_reason() {
    on_both_kinds(|kind| {
        let ended = assert_ends_once(kind, |mut peer, _| {
            peer.send_close(4001, "done");
            peer.expect_disconnect();
        });
        assert_eq!((ended.code(), ended.reason()), (4001, "done".into()));

        let ended = assert_ends_once(kind, |mut peer, connection| {
            assert!(connection.close(CloseCode::POLICY_VIOLATION, "enough"), "an open connection");
            peer.expect_close(1008, "enough");
            peer.send_close(1008, "");
        });
        assert_eq!((ended.code(), ended.reason()), (1008, "enough".into()));

        let ended = assert_ends_once(kind, |peer, _| peer.send_eof());
        assert!(matches!(ended, Disconnect::Failed(Failure::Protocol(_))), "{ended:?}");

        let ended = assert_ends_once(kind, |peer, connection| {
            connection.try_send("left unread").expect("room");
            peer.reset();
        });
        assert!(matches!(ended, Disconnect::Failed(Failure::Io(_))), "{ended:?}");

        let ended = assert_ends_once(kind, |mut peer, _| peer.write(b"nonsense"));
        assert!(matches!(ended, Disconnect::Failed(Failure::Protocol(_))), "{ended:?}");
    });
}

#[test]
fn contract_4_a_running_handler_finishes_but_its_sends_fail() {
    on_both_kinds(|kind| {
        let (recorder, events) = recorder();
        let (outcome, outcomes) = channel();
        let gate = Gate::closed();
        let handler = GatedEcho { gate: gate.clone(), recorder, outcome };
        let server = serve(|server| server.websocket("/", kind.route(handler)));
        let mut peer = server.open("/");
        peer.send(TEXT, b"hold this");
        events.message();
        server.begin_stop();
        peer.expect_close(1001, "the server is shutting down");
        events.nothing_yet();
        gate.open();
        let outcome = outcomes.recv_timeout(TIMEOUT).expect("the handler continues");
        assert_eq!(outcome, (OwnedMessage::Text("hold this".into()), Err(SendError::Closed)));
        peer.send_close(1001, "");
        assert_eq!(events.ended().code(), 1001);
    });
}

/// Panics on demand, in each of its calls.
struct Panicking(Recorder);

impl Handler for Panicking {
    async fn on_connect(&self, connection: &Connection) {
        assert_ne!(connection.path(), "/connect", "on purpose, in on_connect");
    }

    async fn on_message(&self, connection: &Connection, message: Message<'_>) {
        assert_ne!(message, Message::Text("panic"), "on purpose, in on_message");
        connection.send(message).await.expect("an open connection");
    }

    async fn on_disconnect(&self, connection: &Connection, reason: Disconnect) {
        self.0.record(Seen::Ended(reason));
        assert_ne!(connection.path(), "/disconnect", "on purpose, in on_disconnect");
    }
}

#[test]
fn contract_6_a_panic_ends_only_its_own_connection() {
    on_both_kinds(|kind| {
        let (recorder, events) = recorder();
        let server = serve(|server| server.websocket("/{*where}", kind.route(Panicking(recorder))));
        let mut bystander = server.open("/message");

        let mut peer = server.open("/message");
        peer.send(TEXT, b"panic");
        peer.expect_close(1011, "internal error");
        drop(peer);
        let ended = events.ended();
        assert!(matches!(ended, Disconnect::Failed(Failure::HandlerPanicked)), "{ended:?}");

        let mut peer = server.open("/connect");
        peer.expect_close(1011, "internal error");
        drop(peer);
        let ended = events.ended();
        assert!(matches!(ended, Disconnect::Failed(Failure::HandlerPanicked)), "{ended:?}");

        let mut peer = server.open("/disconnect");
        peer.send_close(1000, "");
        peer.expect_close(1000, "");
        peer.expect_end();
        assert_eq!(events.ended().code(), 1000);

        bystander.send(TEXT, b"still here");
        bystander.expect(TEXT, b"still here");
        let mut late = server.open("/message");
        late.send(TEXT, b"just connected");
        late.expect(TEXT, b"just connected");
    });
}

#[test]
fn contract_6_a_peer_that_answers_1011_is_released_at_once() {
    on_both_kinds(|kind| {
        let mut options = Options::default();
        options.protocol.close_timeout = Duration::from_secs(600);
        let (recorder, events) = recorder();
        let handler = Panicking(recorder);
        let server = serve(|server| server.options(options).websocket("/", kind.route(handler)));
        let mut peer = server.open("/");
        peer.send(TEXT, b"panic");
        peer.expect_close(1011, "internal error");
        peer.send_close(1011, "");
        peer.expect_end();
        events.ended();
    });
}
