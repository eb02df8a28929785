//! [`TestClient`]: a connection with both its ends, in memory.
//!
//! These tests pause tokio's clock, which then jumps ahead whenever all tasks wait.

use std::{
    sync::mpsc::{RecvTimeoutError, channel},
    thread,
    time::Duration,
};

use prism_tokio::{
    Client, Connection, Handler, Message, Options, OwnedMessage, Socket, serve_stream,
};
use serde_json::Value;
use tokio::{
    io::{AsyncWriteExt, DuplexStream},
    runtime::Builder,
    sync::mpsc,
    task::AbortHandle,
};

pub(crate) struct TestClient {
    /// The server's end.
    pub(crate) connection: Connection,
    /// The client's end.
    pub(crate) socket: Socket,
    /// The server's task.
    pub(crate) task: AbortHandle,
}

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: localhost\r\n\
    Upgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// Hands its connection to the test, and panics on request.
struct HandOver(mpsc::UnboundedSender<Connection>);

impl Handler for HandOver {
    async fn on_connect(&self, connection: &Connection) {
        self.0.send(connection.clone()).expect("the test waits for it");
    }

    async fn on_message(&self, _: &Connection, message: Message<'_>) {
        assert_ne!(message, Message::Text("panic"), "on purpose");
    }
}

/// Returns a connection whose peer does nothing after its request, and the peer's end.
pub(crate) async fn silent_client() -> (Connection, DuplexStream) {
    let (mut connections, mut peer, _) = serve();
    peer.write_all(REQUEST).await.expect("the server reads");
    (connections.recv().await.expect("a connection"), peer)
}

/// Serves one connection. Returns where the server's end will arrive, the client's end, and the server's task.
fn serve() -> (mpsc::UnboundedReceiver<Connection>, DuplexStream, AbortHandle) {
    serve_with(Options::default())
}

fn serve_with(
    options: Options,
) -> (mpsc::UnboundedReceiver<Connection>, DuplexStream, AbortHandle) {
    let (sender, connections) = mpsc::unbounded_channel();
    let (ours, peer) = tokio::io::duplex(1024);
    let served = tokio::spawn(async move {
        let _ = serve_stream(ours, &options, HandOver(sender)).await; // the test ends it
    });
    (connections, peer, served.abort_handle())
}

impl TestClient {
    pub(crate) async fn new() -> Self {
        Self::with_options(Options::default()).await
    }

    /// Connects with the same options at both ends.
    pub(crate) async fn with_options(options: Options) -> Self {
        let (mut connections, peer, task) = serve_with(options.clone());
        let client = Client::new("ws://localhost/").expect("a valid URL");
        let socket =
            client.options(options).connect_stream(peer).await.expect("the server accepts");
        let connection = connections.recv().await.expect("a connection");
        Self { connection, socket, task }
    }

    /// Receives the next message, which has to be text.
    pub(crate) async fn recv_text(&self) -> String {
        match soon(self.socket.recv()).await.expect("a message") {
            OwnedMessage::Text(text) => text,
            OwnedMessage::Binary(_) => panic!("not text"),
        }
    }

    /// Receives the next message as JSON, with all connection IDs replaced by 0.
    pub(crate) async fn recv_json(&self) -> Value {
        let mut json = serde_json::from_str(&self.recv_text().await).expect("JSON");
        hide_ids(&mut json);
        json
    }
}

/// How long a scenario in its own thread may take before it fails. It bounds a deadlock; nothing is measured
/// by it.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Runs a scenario in virtual time and in its own thread, so that a deadlock fails the test instead of hanging
/// it.
#[track_caller]
pub(crate) fn fail_on_deadlock(scenario: impl AsyncFnOnce() + Send + 'static) {
    let (done, outcome) = channel();
    let running = thread::spawn(move || {
        let runtime = Builder::new_current_thread().enable_all().start_paused(true).build();
        runtime.expect("a runtime").block_on(scenario());
        done.send(()).expect("the test waits");
    });
    match outcome.recv_timeout(TIMEOUT) {
        Ok(()) => {}
        Err(RecvTimeoutError::Timeout) => panic!("a lock is held where application code runs"),
        Err(RecvTimeoutError::Disconnected) => running.join().expect("the scenario succeeds"),
    }
}

/// Waits for a future, for up to a minute of virtual time. That takes no real time while all tasks wait.
pub(crate) async fn soon<T>(future: impl Future<Output = T>) -> T {
    let minute = Duration::from_secs(60);
    tokio::time::timeout(minute, future).await.expect("it is ready within a minute")
}

fn hide_ids(value: &mut Value) {
    match value {
        Value::Object(object) => {
            for (name, value) in object {
                if name == "id" {
                    *value = 0.into();
                } else {
                    hide_ids(value);
                }
            }
        }
        Value::Array(values) => values.iter_mut().for_each(hide_ids),
        _ => {}
    }
}
