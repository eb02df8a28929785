//! Handlers that echo, and handlers that record their calls for the scenario.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};

use super::TIMEOUT;
use crate::prism::{Connection, Disconnect, Handler, Message, OwnedMessage, SendError};

pub(crate) struct Echo;

impl Handler for Echo {
    async fn on_message(&self, connection: &Connection, message: Message<'_>) {
        let _ = connection.send(message).await; // fails only if the connection is closing
    }
}

/// Records every call for the scenario, and does nothing else.
pub(crate) struct Recorder(Sender<Seen>);

#[derive(Debug)]
pub(crate) enum Seen {
    Connected(Connection),
    Message(OwnedMessage),
    Ended(Disconnect),
}

/// Records every call for the scenario, and echoes messages.
pub(crate) struct RecordingEcho(pub(crate) Recorder);

impl Handler for RecordingEcho {
    async fn on_connect(&self, connection: &Connection) {
        self.0.on_connect(connection).await;
    }

    async fn on_message(&self, connection: &Connection, message: Message<'_>) {
        self.0.on_message(connection, message).await;
        let _ = connection.send(message).await; // fails if the connection is closing
    }

    async fn on_disconnect(&self, connection: &Connection, reason: Disconnect) {
        self.0.on_disconnect(connection, reason).await;
    }
}

/// Waits at a gate with a message, echoes it, and reports the outcome of the send.
pub(crate) struct GatedEcho {
    pub(crate) gate: Gate,
    pub(crate) recorder: Recorder,
    pub(crate) outcome: Sender<(OwnedMessage, Result<(), SendError>)>,
}

impl Handler for GatedEcho {
    async fn on_message(&self, connection: &Connection, message: Message<'_>) {
        self.recorder.on_message(connection, message).await;
        self.gate.pass().await;
        let sent = connection.send(message).await;
        self.outcome.send((message.into_owned(), sent)).expect("the scenario waits");
    }

    async fn on_disconnect(&self, connection: &Connection, reason: Disconnect) {
        self.recorder.on_disconnect(connection, reason).await;
    }
}

/// The calls that a [`Recorder`] has recorded.
pub(crate) struct Events(Receiver<Seen>);

pub(crate) fn recorder() -> (Recorder, Events) {
    let (sender, receiver) = channel();
    (Recorder(sender), Events(receiver))
}

impl Handler for Recorder {
    async fn on_connect(&self, connection: &Connection) {
        self.record(Seen::Connected(connection.clone()));
    }

    async fn on_message(&self, _: &Connection, message: Message<'_>) {
        self.record(Seen::Message(message.into_owned()));
    }

    async fn on_disconnect(&self, _: &Connection, reason: Disconnect) {
        self.record(Seen::Ended(reason));
    }
}

impl Recorder {
    pub(crate) fn record(&self, seen: Seen) {
        let _ = self.0.send(seen); // fails if the scenario is over
    }
}

impl Events {
    #[track_caller]
    pub(crate) fn next(&self) -> Seen {
        self.0.recv_timeout(TIMEOUT).expect("another call of the handler")
    }

    #[track_caller]
    pub(crate) fn connected(&self) -> Connection {
        match self.next() {
            Seen::Connected(connection) => connection,
            other => panic!("expected on_connect, but {other:?}"),
        }
    }

    #[track_caller]
    pub(crate) fn message(&self) -> OwnedMessage {
        match self.next() {
            Seen::Message(message) => message,
            other => panic!("expected on_message, but {other:?}"),
        }
    }

    #[track_caller]
    pub(crate) fn ended(&self) -> Disconnect {
        match self.next() {
            Seen::Ended(reason) => reason,
            other => panic!("expected on_disconnect, but {other:?}"),
        }
    }

    /// Waits until the handler is dropped, and returns all further calls.
    #[track_caller]
    pub(crate) fn rest(&self) -> Vec<Seen> {
        let mut rest = Vec::new();
        loop {
            match self.0.recv_timeout(TIMEOUT) {
                Ok(seen) => rest.push(seen),
                Err(RecvTimeoutError::Timeout) => panic!("the handler is still alive"),
                Err(RecvTimeoutError::Disconnected) => return rest,
            }
        }
    }

    /// Waits until the handler is dropped, and asserts that there were no further calls.
    #[track_caller]
    pub(crate) fn nothing_more(&self) {
        let rest = self.rest();
        assert!(rest.is_empty(), "expected nothing more, but {rest:?}");
    }

    /// Asserts that there were no further calls up to now.
    #[track_caller]
    pub(crate) fn nothing_yet(&self) {
        if let Ok(seen) = self.0.try_recv() {
            panic!("expected nothing yet, but {seen:?}");
        }
    }
}

/// Blocks handlers until the scenario opens it.
#[derive(Clone)]
pub(crate) struct Gate(async_channel::Sender<()>, async_channel::Receiver<()>);

impl Gate {
    pub(crate) fn closed() -> Self {
        let (sender, receiver) = async_channel::bounded(1);
        Self(sender, receiver)
    }

    /// Lets all present and future callers of [`pass`](Self::pass) through.
    pub(crate) fn open(&self) {
        self.0.close();
    }

    pub(crate) async fn pass(&self) {
        let _ = self.1.recv().await; // nothing is sent: this returns when the channel is closed
    }
}
