//! Clients that run a handler, in a task of its own or in the future that connects.

use std::thread;

use futures_lite::future::zip;

use super::support::{
    block_on,
    handlers::{Echo, Events, Recorder, Seen, recorder},
    server::{closed_port, serve},
};
use crate::{
    prism::{
        Client, CloseCode, ConnectError, Connection, ConnectionHandler, Disconnect, Handler,
        Message, Options, OwnedMessage, Socket, serve_stream,
    },
    runtime::pipe,
};

/// Records each message with its number, and closes at the third.
struct ThreeMessages {
    received: u64,
    recorder: Recorder,
}

impl ThreeMessages {
    const fn new(recorder: Recorder) -> Self {
        Self { received: 0, recorder }
    }
}

impl ConnectionHandler for ThreeMessages {
    async fn on_connect(&mut self, connection: &Connection) {
        self.recorder.record(Seen::Connected(connection.clone()));
    }

    async fn on_message(&mut self, connection: &Connection, message: Message<'_>) {
        self.received += 1;
        let text = message.as_text().expect("text");
        self.recorder.record(Seen::Message(OwnedMessage::Text(format!("{}{text}", self.received))));
        if self.received == 3 {
            assert!(connection.close(CloseCode::NORMAL, "enough"), "an open connection");
        }
    }

    async fn on_disconnect(&mut self, _: &Connection, reason: Disconnect) {
        self.recorder.record(Seen::Ended(reason));
    }
}

/// Sends three messages.
struct Greeter(Recorder);

impl Handler for Greeter {
    async fn on_connect(&self, connection: &Connection) {
        for text in ["a", "b", "c"] {
            connection.send(text).await.expect("an open connection");
        }
    }

    async fn on_message(&self, _: &Connection, _: Message<'_>) {}

    async fn on_disconnect(&self, _: &Connection, reason: Disconnect) {
        self.0.record(Seen::Ended(reason));
    }
}

#[test]
fn a_spawned_connection_is_usable_at_once_and_returns_its_reason_last() {
    let server = serve(|server| server.websocket("/", Echo));
    let (recorder, events) = recorder();
    let task = block_on(server.client("/").spawn(ThreeMessages::new(recorder)));
    let task = task.expect("a connection");
    for text in ["a", "b", "c"] {
        task.connection().try_send(text).expect("room");
    }
    let connection = task.connection().clone();
    let reason = block_on(task);
    assert_eq!((reason.code(), reason.reason()), (1000, "enough".into()));
    assert_eq!(events.connected().id(), connection.id());
    for text in ["1a", "2b", "3c"] {
        assert_eq!(events.message(), OwnedMessage::Text(text.into()));
    }
    assert_eq!(events.ended().code(), 1000);
    events.nothing_more();
    assert!(!connection.is_open());
}

#[test]
fn a_connection_outlives_its_task_handle() {
    let server = serve(|server| server.websocket("/", Echo));
    let (recorder, events) = recorder();
    let task = block_on(server.client("/").spawn(recorder)).expect("a connection");
    drop(task);
    let connection = events.connected();
    connection.try_send("still here").expect("an open connection");
    assert_eq!(events.message(), OwnedMessage::Text("still here".into()));
    assert!(connection.close(CloseCode::NORMAL, ""), "an open connection");
    assert_eq!(events.ended().code(), 1000);
}

#[test]
fn a_task_can_be_awaited_in_another_thread() {
    let server = serve(|server| server.websocket("/", Echo));
    let (recorder, _events) = recorder();
    let task = block_on(server.client("/").spawn(recorder)).expect("a connection");
    let connection = task.connection().clone();
    let waiting = thread::spawn(move || block_on(task));
    assert!(connection.close(CloseCode::NORMAL, "done"), "an open connection");
    assert_eq!(waiting.join().expect("no panic").reason(), "done");
}

#[test]
fn spawn_fails_if_there_is_no_connection() {
    let (address, _reserved) = closed_port("127.0.0.1");
    let client = Client::new(&format!("ws://{address}/")).expect("a good address");
    let (recorder, events) = recorder();
    let refused = block_on(client.spawn(recorder));
    assert!(matches!(refused, Err(ConnectError::Unreachable(_))), "{refused:?}");
    events.nothing_more();
}

#[test]
fn a_handler_with_state_runs_on_streams() {
    let options = Options::default();
    let client = || Client::new("ws://localhost/").expect("a good address");
    let talk = async |socket: &Socket| {
        for text in ["a", "b", "c"] {
            socket.send(text).await.expect("an open connection");
        }
        socket.recv().await.expect_err("no message")
    };
    let check = |reason: &Disconnect, events: &Events, way: &str| {
        assert_eq!(reason.reason(), "enough", "{way}");
        events.connected();
        for text in ["1a", "2b", "3c"] {
            assert_eq!(events.message(), OwnedMessage::Text(text.into()), "{way}");
        }
        assert_eq!(events.ended().reason(), "enough", "{way}");
        events.nothing_more();
    };

    let (recording, events) = recorder();
    let (ours, theirs) = pipe();
    let serving = serve_stream(ours, &options, ThreeMessages::new(recording));
    let talking = async { talk(&client().connect_stream(theirs).await.expect("one")).await };
    let (served, told) = block_on(zip(serving, talking));
    assert_eq!(told.code(), 1000);
    check(&served.expect("a good handshake"), &events, "serve_stream");

    for spawns in [false, true] {
        let (recording, events) = recorder();
        let (ours, theirs) = pipe();
        let handler = ThreeMessages::new(recording);
        let running = async {
            if spawns {
                client().spawn_stream(theirs, handler).await.expect("a connection").await
            } else {
                client().run_stream(theirs, handler).await.expect("a connection")
            }
        };
        let (recording, server_events) = recorder();
        let serving = serve_stream(ours, &options, Greeter(recording));
        let (reason, served) = block_on(zip(running, serving));
        assert_eq!(served.expect("a good handshake").reason(), "enough");
        assert_eq!(server_events.ended().reason(), "enough");
        check(&reason, &events, if spawns { "spawn_stream" } else { "run_stream" });
    }
}
