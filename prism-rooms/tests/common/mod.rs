//! [`Guest`]: a connection with both its ends, in memory. With tokio's time paused, a window passes as
//! soon as everybody waits for it.

#![allow(dead_code, reason = "no test needs all of it")]

use std::{
    sync::mpsc::{RecvTimeoutError, channel},
    thread,
    time::Duration,
};

use prism_tokio::{
    Client, Connection, Handler, Io, Message, Options, OwnedMessage, Socket, serve_stream,
};
use serde_json::Value;
use tokio::{
    io::{AsyncWriteExt, DuplexStream},
    runtime::Builder,
    sync::mpsc,
    task::AbortHandle,
};

pub(crate) struct Guest {
    /// The server's end.
    pub(crate) connection: Connection,
    /// The browser's.
    pub(crate) socket: Socket,
    /// The server's task.
    pub(crate) task: AbortHandle,
}

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: localhost\r\n\
    Upgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// Hands its connection out, and panics if told so.
struct HandOut(mpsc::UnboundedSender<Connection>);

impl Handler for HandOut {
    async fn on_connect(&self, connection: &Connection) {
        self.0.send(connection.clone()).expect("the test waits for it");
    }

    async fn on_message(&self, _: &Connection, message: Message<'_>) {
        assert_ne!(message, Message::Text("panic"), "on purpose");
    }
}

/// A connection whose peer has asked for it by hand, and does nothing more; and the peer's end.
pub(crate) async fn silent() -> (Connection, DuplexStream) {
    let (mut connections, mut theirs, _) = serve();
    theirs.write_all(REQUEST).await.expect("the server reads");
    (connections.recv().await.expect("a connection"), theirs)
}

/// Serves one connection: the server's end will come, the other end is there; and the server's task.
fn serve() -> (mpsc::UnboundedReceiver<Connection>, DuplexStream, AbortHandle) {
    let (sender, connections) = mpsc::unbounded_channel();
    let (ours, theirs) = tokio::io::duplex(1024);
    let served = tokio::spawn(async move {
        let _ = serve_stream(ours, &Options::default(), &HandOut(sender)).await; // the test ends it
    });
    (connections, theirs, served.abort_handle())
}

impl Guest {
    pub(crate) async fn new() -> Self {
        let (mut connections, theirs, task) = serve();
        let client = Client::new("ws://localhost/").expect("an address");
        let socket = client.connect_stream(Io(theirs)).await.expect("the server accepts");
        let connection = connections.recv().await.expect("a connection");
        Self { connection, socket, task }
    }

    /// What the browser is sent next.
    pub(crate) async fn hears(&self) -> String {
        match soon(self.socket.recv()).await.expect("a message") {
            OwnedMessage::Text(text) => text,
            OwnedMessage::Binary(_) => panic!("not text"),
        }
    }

    /// The same, as JSON, with connections' ids replaced by 0.
    pub(crate) async fn is_told(&self) -> Value {
        let mut told = serde_json::from_str(&self.hears().await).expect("JSON");
        hide_ids(&mut told);
        told
    }
}

/// How long a scenario in a thread of its own may take before it has failed. Nothing is measured by it.
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs a scenario in virtual time and in a thread of its own, so that a lock that is taken twice is a
/// failure and does not hang the test.
#[track_caller]
pub(crate) fn without_hanging(scenario: impl AsyncFnOnce() + Send + 'static) {
    let (tell, told) = channel();
    let running = thread::spawn(move || {
        let runtime = Builder::new_current_thread().enable_all().start_paused(true).build();
        runtime.expect("a runtime").block_on(scenario());
        tell.send(()).expect("the test waits");
    });
    match told.recv_timeout(PATIENCE) {
        Ok(()) => {}
        Err(RecvTimeoutError::Timeout) => panic!("a lock is held where user code runs"),
        Err(RecvTimeoutError::Disconnected) => running.join().expect("the scenario succeeds"),
    }
}

/// What comes about within a minute, which lasts no time where everybody only waits.
pub(crate) async fn soon<T>(future: impl Future<Output = T>) -> T {
    let minute = Duration::from_secs(60);
    tokio::time::timeout(minute, future).await.expect("it comes about within a minute")
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
