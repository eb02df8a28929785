//! [`Recorder`]: a handler that lists what happens.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard},
};

use prism_driver::{Connection, ConnectionId, Disconnect, Handler, Message};

/// A handler that lists what happens, and sends nothing by itself.
///
/// As the handler of a server, it shows what a client under test does; as the handler of a client, what a server under
/// test sends. A clone writes to the same list.
///
/// ```
/// use prism_driver::Options;
/// use prism_test::{Recorded, Recorder, Sim};
///
/// let (sim, recorder) = (Sim::new(), Recorder::new());
/// let (mut peer, _) = sim.serve(recorder.clone(), Options::default());
/// sim.run(async {
///     peer.send_and_close(&["hello"], 1000, "bye").await;
///     peer.all().await;
/// });
/// assert_eq!(
///     recorder.events(),
///     [Recorded::Connect, Recorded::Text("hello".into()), Recorded::Disconnect(1000, "bye".into())]
/// );
/// ```
#[derive(Clone, Default)]
pub struct Recorder {
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    events: Vec<(ConnectionId, Recorded)>,
    connections: Vec<Connection>,
}

/// What a [`Recorder`] has seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Recorded {
    /// A connection has opened.
    Connect,
    /// A text message.
    Text(String),
    /// A binary message.
    Binary(Vec<u8>),
    /// A pong for a ping that was sent with [`Connection::ping`], with its payload.
    Pong(Vec<u8>),
    /// A connection has ended, with this [code](Disconnect::code) and [reason](Disconnect::reason).
    Disconnect(u16, String),
}

impl Recorder {
    /// Creates a recorder with an empty list.
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns what happened, in order, on all connections.
    pub fn events(&self) -> Vec<Recorded> {
        self.state().events.iter().map(|(_, event)| event.clone()).collect()
    }

    /// Returns what happened, in order, on one connection.
    pub fn events_of(&self, connection: &Connection) -> Vec<Recorded> {
        let state = self.state();
        let events = state.events.iter().filter(|(id, _)| *id == connection.id());
        events.map(|(_, event)| event.clone()).collect()
    }

    /// Returns the connections, in the order in which they opened, including those that have ended.
    pub fn connections(&self) -> Vec<Connection> {
        self.state().connections.clone()
    }

    fn add(&self, connection: &Connection, event: Recorded) {
        self.state().events.push((connection.id(), event));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nothing panics with the list locked")
    }
}

impl Handler for Recorder {
    async fn on_connect(&self, connection: &Connection) {
        self.state().connections.push(connection.clone());
        self.add(connection, Recorded::Connect);
    }

    async fn on_message(&self, connection: &Connection, message: Message<'_>) {
        let event = match message {
            Message::Text(text) => Recorded::Text(text.to_owned()),
            Message::Binary(bytes) => Recorded::Binary(bytes.to_vec()),
        };
        self.add(connection, event);
    }

    async fn on_pong(&self, connection: &Connection, payload: &[u8]) {
        self.add(connection, Recorded::Pong(payload.to_vec()));
    }

    async fn on_disconnect(&self, connection: &Connection, reason: Disconnect) {
        self.add(connection, Recorded::Disconnect(reason.code(), reason.reason()));
    }
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorder").field("events", &self.events()).finish_non_exhaustive()
    }
}
