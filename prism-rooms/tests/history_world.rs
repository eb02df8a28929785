//! [`World`]: nodes with histories, and clients that know their positions.

use std::{pin::Pin, time::Duration};

use futures_lite::future::poll_once;
use prism_driver::{
    CloseCode, Connection, Disconnect, Handler, Message, Options, OwnedMessage, Socket,
};
use prism_rooms::{
    Cluster, History, HistoryJoinError, Joined, Keep, MemoryBackplane, MemoryBroker, Position,
};
use prism_test::Sim;

pub(crate) const SECOND: Duration = Duration::from_secs(1);

/// Nodes, each with a server, whose histories keep some messages.
pub(crate) struct World {
    pub(crate) sim: Sim,
    pub(crate) broker: MemoryBroker,
    pub(crate) nodes: Vec<Node>,
}

pub(crate) struct Node {
    pub(crate) backplane: MemoryBackplane,
    pub(crate) cluster: Cluster,
    pub(crate) history: History,
}

/// Lets each connection join the room in its path, from the position in its query on.
struct Repeats(History);

impl Handler for Repeats {
    async fn on_connect(&self, connection: &Connection) {
        let after = connection.query().map(|query| query.parse().expect("a position"));
        let joined = self.0.join(connection, connection.param("room").unwrap(), after).await;
        let told = match joined {
            Ok(Joined::Whole { position, repeated }) => format!("whole {position} {repeated}"),
            Ok(Joined::Broken { position }) => format!("broken {position}"),
            other => format!("{other:?}"),
        };
        let _ = connection.send(told).await; // it may have ended
    }

    async fn on_message(&self, connection: &Connection, message: Message<'_>) {
        let room = connection.param("room").unwrap();
        match message.as_text() {
            Some("leave") => drop(self.0.rooms().leave(connection.id(), room)),
            _ => panic!("{message:?}"),
        }
    }
}

/// A connection that has begun to join a room.
pub(crate) type Joining<'a> = Pin<Box<dyn Future<Output = Result<Joined, HistoryJoinError>> + 'a>>;

/// A client that knows its position.
pub(crate) struct Client {
    pub(crate) socket: Socket,
    pub(crate) position: Option<Position>,
}

impl World {
    pub(crate) fn new(nodes: usize, keep: u32) -> Self {
        Self::with_options(nodes, keep, &Options::default(), |history| history)
    }

    pub(crate) fn with_options(
        nodes: usize,
        keep: u32,
        options: &Options,
        set_up: impl Fn(History) -> History,
    ) -> Self {
        let (sim, broker) = (Sim::new(), MemoryBroker::new());
        let nodes = (0..nodes).map(|number| {
            let backplane = broker.backplane();
            let cluster = Cluster::new(sim.clone(), backplane.clone());
            let keep = Keep::new(keep, 600 * SECOND);
            let history = History::on(&cluster, keep, |position, message| {
                format!("{position} {}", message.as_text().unwrap())
            });
            let history = set_up(history.unwrap());
            let handler = Repeats(history.clone());
            let host = format!("node{number}.example");
            sim.start_server(&host, |server| {
                server.options(options.clone()).websocket("/{room}", handler)
            });
            Node { backplane, cluster, history }
        });
        let nodes = nodes.collect();
        Self { sim, broker, nodes }
    }

    pub(crate) async fn socket(&self, node: usize, room: &str, after: Option<&Position>) -> Socket {
        let query = after.map(|after| format!("?{after}")).unwrap_or_default();
        let url = format!("ws://node{node}.example/{room}{query}");
        self.sim.client(&url).connect().await.unwrap()
    }

    /// Joins a room, after a position. Returns what it was told after the repeated messages, and those.
    pub(crate) async fn join(
        &self,
        node: usize,
        room: &str,
        after: Option<&Position>,
    ) -> (Client, String, Vec<String>) {
        let socket = self.socket(node, room, after).await;
        let mut client = Client { socket, position: after.cloned() };
        let mut texts = Vec::new();
        let told = loop {
            let text = client.text().await;
            if text.starts_with("whole") || text.starts_with("broken") {
                break text;
            }
            texts.push(text);
        };
        let mut words = told.split(' ');
        let (what, position) = (words.next().unwrap(), words.next().unwrap().parse().unwrap());
        if what == "broken" || client.position.is_none() {
            client.position = Some(position); // what has arrived is newer
        }
        let repeated = texts.iter().map(|text| client.take(text)).collect();
        (client, [what].into_iter().chain(words).collect::<Vec<_>>().join(" "), repeated)
    }

    /// Opens a connection to a server of another kind, which adds it to nothing. Returns both of its ends.
    pub(crate) async fn connect_elsewhere(&self) -> (Socket, Connection) {
        let (sent, connections) = async_channel::unbounded();
        self.sim.start_server("other.example", |server| server.websocket("/", HandOver(sent)));
        let socket = self.sim.client("ws://other.example/").connect().await.unwrap();
        (socket, connections.recv().await.unwrap())
    }

    /// Lets a connection begin to join the room `tea` of the first node, whose backplane stalls.
    pub(crate) async fn begin_stalled_join<'a>(
        &'a self,
        connection: &'a Connection,
        after: Option<Position>,
    ) -> Joining<'a> {
        self.sim.settle().await;
        self.nodes[0].backplane.stall();
        self.begin_join(connection, after).await
    }

    /// Lets a connection begin to join the room `tea` of the first node, and returns when that waits for something.
    pub(crate) async fn begin_join<'a>(
        &'a self,
        connection: &'a Connection,
        after: Option<Position>,
    ) -> Joining<'a> {
        let mut joining: Joining<'a> =
            Box::pin(self.nodes[0].history.join(connection, "tea", after));
        assert!(poll_once(&mut joining).await.is_none(), "it waits");
        self.sim.settle().await;
        joining
    }

    pub(crate) async fn append(&self, node: usize, message: &str) -> Position {
        self.nodes[node].history.append("tea", message).await.unwrap()
    }
}

impl Client {
    pub(crate) async fn text(&self) -> String {
        match self.socket.recv().await.expect("a message") {
            OwnedMessage::Text(text) => text,
            OwnedMessage::Binary(_) => panic!("not text"),
        }
    }

    /// Takes a message, which follows what the client has.
    pub(crate) fn take(&mut self, text: &str) -> String {
        let (position, message) = text.split_once(' ').unwrap();
        let position: Position = position.parse().expect("a position");
        if let Some(last) = &self.position {
            assert_eq!(position.epoch(), last.epoch(), "it is told of a new epoch before");
            assert_eq!(position.offset(), last.offset() + 1, "nothing is missing or repeated");
        }
        self.position = Some(position);
        message.to_owned()
    }

    pub(crate) async fn next(&mut self) -> String {
        let text = self.text().await;
        self.take(&text)
    }

    /// Returns with which code the connection is closed. No message comes before.
    pub(crate) async fn close_code(&self) -> CloseCode {
        match self.socket.recv().await {
            Err(Disconnect::Peer { code, .. }) => code,
            other => panic!("{other:?}"),
        }
    }
}

/// Hands its connections to the test.
struct HandOver(async_channel::Sender<Connection>);

impl Handler for HandOver {
    async fn on_connect(&self, connection: &Connection) {
        self.0.send(connection.clone()).await.unwrap();
    }

    async fn on_message(&self, _: &Connection, _: Message<'_>) {}
}
