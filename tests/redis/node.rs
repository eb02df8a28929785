//! [`Node`]: a node of a cluster, with a server for its members.

use std::{convert::Infallible, net::SocketAddr, path::PathBuf, time::Duration};

use async_channel::Sender;
use prism_driver::{
    Client, Connection, Deferring, Handler, Message, Network, Options, Server, Socket,
};
use prism_rooms::{Backplane, Cluster, ClusterEvent, ClusterEvents, Rooms, RoomsOptions};

pub(crate) use crate::engine::*;

/// A scenario's runtime.
pub(crate) trait Net: Network + Default {}

impl<N: Network + Default> Net for N {}

pub(crate) struct Node {
    pub(crate) cluster: Cluster,
    pub(crate) rooms: Rooms,
    pub(crate) events: ClusterEvents,
    address: SocketAddr,
    /// The server, and with it the node, ends when this is dropped.
    _serving: Sender<Infallible>,
}

/// Lets each connection join the room in its path. What a member says is sent to the other members.
struct Chat(Rooms);

impl Handler for Chat {
    async fn on_connect(&self, connection: &Connection) {
        let room = connection.param("room").expect("the route has it");
        self.0.join(connection, room).expect("room");
        assert!(self.0.reached(room).await);
        connection.send("joined").await.expect("an open connection");
    }

    async fn on_message(&self, connection: &Connection, message: Message<'_>) {
        let room = connection.param("room").expect("the route has it");
        self.0.to(room).except(connection.id()).send(message);
    }
}

impl Node {
    /// Starts a node on a backplane.
    pub(crate) async fn start<N: Net>(backplane: impl Backplane) -> Self {
        let options = RoomsOptions::default().max_rooms_per_connection(10_000);
        let cluster = Cluster::with_options(N::default(), backplane, options);
        let (rooms, events) = (cluster.rooms(), cluster.events());
        let options = Options::default().max_message_size(2 << 20).high_water_mark(64 << 20);
        let server = Server::<N>::bind("127.0.0.1:0").await.expect("a free port");
        let server = server.options(options).websocket("/{room}", Chat(rooms.clone()));
        let address = server.local_addr().expect("a bound listener");
        let (serving, ended) = async_channel::bounded(1);
        N::default().spawn(async move {
            let ended = async {
                let _ = Deferring::new(ended.recv()).await; // fails when the sender is dropped
            };
            server.serve_until(ended).await;
        });
        Self { cluster, rooms, events, address, _serving: serving }
    }

    /// Starts a node on the server, with the default prefix and user.
    pub(crate) async fn on<N: Net>(broker: &Broker) -> Self {
        Self::start::<N>(backplane::<N>(broker, "prism")).await
    }

    /// Connects a member, and waits until what is sent on other nodes reaches it.
    pub(crate) async fn join<N: Net>(&self, room: &str) -> Socket {
        let url = format!("ws://{}/{room}", self.address);
        let options = Options::default().max_message_size(2 << 20);
        let client = Client::<N>::new(&url).expect("a URL").options(options);
        let member = client.connect().await.expect("a node");
        assert_eq!(next(&member).await, "joined");
        member
    }

    /// Waits for the next event that `is_expected`, and returns it.
    pub(crate) async fn event(&self, is_expected: impl Fn(&ClusterEvent) -> bool) -> ClusterEvent {
        loop {
            let event = self.events.recv().await.expect("a node that has not left");
            if is_expected(&event) {
                return event;
            }
        }
    }

    /// Waits until the backplane works. (The event may come before the test listens.)
    pub(crate) async fn connected<N: Net>(&self) {
        while !self.cluster.counts().connected {
            pause::<N>().await;
        }
    }

    /// Waits until the backplane works again, after [`disconnected`](Self::disconnected).
    pub(crate) async fn reconnected(&self) {
        self.event(|event| *event == ClusterEvent::Connected).await;
    }

    /// Waits until the backplane does not work any more, and returns why.
    pub(crate) async fn disconnected(&self) -> String {
        match self.event(|event| matches!(event, ClusterEvent::Disconnected { .. })).await {
            ClusterEvent::Disconnected { reason } => reason,
            _ => unreachable!("it was not expected"),
        }
    }

    /// Checks the events that no one has waited for.
    pub(crate) async fn assert_not_disconnected(&self) {
        while let Some(event) = futures_lite::future::poll_once(self.events.recv()).await {
            assert!(!matches!(event, Some(ClusterEvent::Disconnected { .. })), "{event:?}");
        }
    }

    /// Waits until the node cannot connect, and returns why.
    pub(crate) async fn connect_failed(&self) -> String {
        match self.event(|event| matches!(event, ClusterEvent::ConnectFailed { .. })).await {
            ClusterEvent::ConnectFailed { reason } => reason,
            _ => unreachable!("it was not expected"),
        }
    }

    /// Waits until another node is there.
    pub(crate) async fn meet<N: Net>(&self) {
        while self.cluster.counts().nodes == 0 {
            pause::<N>().await;
        }
    }
}

/// Starts a server, and two nodes on it that know each other.
pub(crate) async fn two_nodes<N: Net>(program: PathBuf) -> (Broker, Node, Node) {
    let broker = start(program);
    let (here, there) = (Node::on::<N>(&broker).await, Node::on::<N>(&broker).await);
    here.meet::<N>().await;
    there.meet::<N>().await;
    (broker, here, there)
}

/// Returns the next message to a member.
pub(crate) async fn next(member: &Socket) -> String {
    let message = member.recv().await.expect("an open connection");
    message.as_text().expect("a text").to_owned()
}

/// Waits for a while, in a loop that waits for something that has no event.
pub(crate) async fn pause<N: Net>() {
    N::default().sleep(Duration::from_millis(10)).await;
}
