//! Handlers that several tests use, and the [`Log`] that they write.

use std::sync::{Arc, Mutex};

use async_channel::{Receiver, Sender, bounded, unbounded};
use prism_driver::{CloseCode, Connection, Disconnect, Handler, Message, WhenSlow};

/// A list of what has happened, one line each.
#[derive(Clone, Default)]
pub struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    pub fn add(&self, line: impl Into<String>) {
        self.0.lock().unwrap().push(line.into());
    }

    pub fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    pub fn contains(&self, line: &str) -> bool {
        self.lines().iter().any(|it| it == line)
    }
}

/// Sends each message back.
pub struct Echo;

impl Handler for Echo {
    async fn on_message(&self, connection: &Connection, message: Message<'_>) {
        // The connection may be closing already.
        let _ = connection.send(message).await;
    }
}

/// Panics when it is told to, and sends everything else back.
#[cfg(feature = "tracing")]
pub struct Fragile;

#[cfg(feature = "tracing")]
impl Handler for Fragile {
    async fn on_message(&self, connection: &Connection, message: Message<'_>) {
        assert_ne!(message, Message::Text("panic"), "on purpose");
        // The connection may be closing already.
        let _ = connection.send(message).await;
    }
}

/// Logs all calls, and obeys the messages `wait` (until the gate opens), `panic` and `close`; sends all
/// others back.
pub struct Recorder {
    log: Log,
    gate: Receiver<()>,
}

impl Recorder {
    pub fn new() -> (Self, Log, Sender<()>) {
        let log = Log::default();
        let (open, gate) = unbounded();
        (Self { log: log.clone(), gate }, log, open)
    }
}

impl Handler for Recorder {
    async fn on_connect(&self, connection: &Connection) {
        self.log.add("connect");
        connection.send("welcome").await.unwrap();
    }

    async fn on_message(&self, connection: &Connection, message: Message<'_>) {
        let text = message.as_text().unwrap().to_owned();
        self.log.add(format!("begin {text}"));
        match text.as_str() {
            "wait" => self.gate.recv().await.unwrap(),
            "panic" => panic!("on purpose"),
            "close" => assert!(connection.close(CloseCode::NORMAL, "enough")),
            _ => connection.send(message).await.unwrap(),
        }
        self.log.add(format!("end {text}"));
    }

    async fn on_disconnect(&self, _: &Connection, reason: Disconnect) {
        self.log.add(format!("disconnect {reason}"));
    }
}

/// Hands its connection out to the test, and sends each message back.
pub struct HandOut {
    hand: Sender<Connection>,
    when_slow: WhenSlow,
}

impl HandOut {
    pub fn new() -> (Self, Receiver<Connection>) {
        Self::when_slow(WhenSlow::default())
    }

    pub fn when_slow(when_slow: WhenSlow) -> (Self, Receiver<Connection>) {
        let (hand, out) = bounded(1);
        (Self { hand, when_slow }, out)
    }
}

impl Handler for HandOut {
    async fn on_connect(&self, connection: &Connection) {
        connection.set_when_slow(self.when_slow);
        self.hand.send(connection.clone()).await.unwrap();
    }

    async fn on_message(&self, connection: &Connection, message: Message<'_>) {
        // The connection may be closing already.
        let _ = connection.send(message).await;
    }
}

/// Hands its connection out, and logs each message and how the connection ended. Answers nothing.
pub struct MessageLog {
    log: Log,
    hand: Sender<Connection>,
}

impl MessageLog {
    pub fn new() -> (Self, Log, Receiver<Connection>) {
        let log = Log::default();
        let (hand, out) = bounded(1);
        (Self { log: log.clone(), hand }, log, out)
    }
}

impl Handler for MessageLog {
    async fn on_connect(&self, connection: &Connection) {
        // Not every test needs it.
        let _ = self.hand.try_send(connection.clone());
    }

    async fn on_message(&self, _: &Connection, message: Message<'_>) {
        self.log.add(message.as_text().unwrap());
    }

    async fn on_disconnect(&self, _: &Connection, reason: Disconnect) {
        self.log.add(reason.to_string());
    }
}

/// Logs when it is dropped, so that a future that was dropped half-way shows as well.
pub struct DropLog(pub Log);

impl Drop for DropLog {
    fn drop(&mut self) {
        self.0.add("dropped");
    }
}
