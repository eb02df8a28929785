//! Messages that Redis keeps, and clients that come back.

use std::{convert::Infallible, net::SocketAddr, path::PathBuf, time::Duration};

use async_channel::Sender;
use prism_driver::{
    Client, CloseCode, Connection, Deferring, Disconnect, Handler, Message, Server, Socket,
};
use prism_rooms::{AppendError, Cluster, ClusterEvent, History, Joined, Keep, Position};
use prism_tests::redis_server::RedisServer;

use crate::node::{Net, next, redis_at};

struct Node {
    cluster: Cluster,
    history: History,
    address: SocketAddr,
    /// The server ends when this is dropped.
    _serving: Sender<Infallible>,
}

/// Lets each connection join the room `tea`, from the position in its query on.
struct Repeats(History);

impl Handler for Repeats {
    async fn on_connect(&self, connection: &Connection) {
        let after = connection.query().map(|query| query.parse().expect("a position"));
        let joined = self.0.join(connection, "tea", after).await.expect("an open connection");
        let told = match joined {
            Joined::Whole { position, repeated } => format!("whole {position} {repeated}"),
            Joined::Broken { position } => format!("broken {position}"),
            other => panic!("{other:?}"),
        };
        connection.send(told).await.expect("an open connection");
    }

    async fn on_message(&self, _: &Connection, _: Message<'_>) {}
}

impl Node {
    async fn start<N: Net>(redis: &RedisServer, messages: u32) -> Self {
        let cluster = Cluster::new(N::default(), redis_at::<N>(&redis.url("")));
        let keep = Keep { messages, age: Duration::from_secs(60) };
        let history = History::on(&cluster, keep, |position, message| {
            format!("{position} {}", message.as_text().expect("text"))
        });
        let history = history.expect("Redis keeps messages");
        let server = Server::<N>::bind("127.0.0.1:0").await.expect("a free port");
        let server = server.websocket("/", Repeats(history.clone()));
        let address = server.local_addr().expect("a bound listener");
        let (serving, ended) = async_channel::bounded(1);
        N::default().spawn(async move {
            let ended = async {
                let _ = Deferring::new(ended.recv()).await; // fails when the sender is dropped
            };
            server.serve_until(ended).await;
        });
        let node = Self { cluster, history, address, _serving: serving };
        node.connected().await;
        node
    }

    /// Waits until the backplane works.
    async fn connected(&self) {
        let events = self.cluster.events();
        while !self.cluster.counts().connected {
            events.recv().await.expect("the node has not left");
        }
    }

    /// Connects a client. Returns it with what it was told, and the messages before that.
    async fn join<N: Net>(&self, after: Option<&Position>) -> (Socket, String, Vec<String>) {
        let query = after.map(|after| format!("?{after}")).unwrap_or_default();
        let client = Client::<N>::new(&format!("ws://{}/{query}", self.address)).expect("a URL");
        let client = client.connect().await.expect("a node");
        let mut messages = Vec::new();
        loop {
            let message = next(&client).await;
            if message.starts_with("whole") || message.starts_with("broken") {
                return (client, message, messages);
            }
            messages.push(message);
        }
    }

    async fn append(&self, message: &str) -> Position {
        self.history.append("tea", message).await.expect("a server that keeps it")
    }
}

fn position(told: &str) -> Position {
    told.split(' ').nth(1).expect("a position").parse().expect("a position")
}

async fn close_code(client: &Socket) -> CloseCode {
    loop {
        match client.recv().await {
            Ok(_) => {}
            Err(Disconnect::Peer { code, .. }) => return code,
            Err(other) => panic!("{other:?}"),
        }
    }
}

pub(crate) async fn a_client_that_comes_back_gets_what_it_has_missed<N: Net>(program: PathBuf) {
    let redis = RedisServer::start(program, &[]);
    let (here, there) =
        (Node::start::<N>(&redis, 1000).await, Node::start::<N>(&redis, 1000).await);
    let (ann, told, _) = here.join::<N>(None).await;
    let (ben, ..) = there.join::<N>(None).await;
    let mut last = position(&told);
    for n in 0..20 {
        let node = if n % 2 == 0 { &here } else { &there };
        last = node.append(&format!("{n}")).await;
        for client in [&ann, &ben] {
            assert_eq!(next(client).await, format!("{last} {n}"));
        }
    }
    drop(ann);
    // Several pages.
    let long = "x".repeat(1000);
    let mut expected = Vec::new();
    for _ in 0..900 {
        expected.push(format!("{} {long}", here.append(&long).await));
    }
    let (back, told, messages) = there.join::<N>(Some(&last)).await;
    assert!(messages == expected, "{}", messages.len());
    assert!(told.ends_with(" 900"), "{told}");
    let at = there.append("new").await;
    assert_eq!(next(&back).await, format!("{at} new"));
}

pub(crate) async fn what_is_not_kept_any_more_is_reported<N: Net>(program: PathBuf) {
    let redis = RedisServer::start(program, &[]);
    let node = Node::start::<N>(&redis, 10).await;
    let (client, told, _) = node.join::<N>(None).await;
    drop(client);
    // A stream is shortened by a hundred messages at once.
    for n in 0..300 {
        node.append(&format!("{n}")).await;
    }
    let (_, broken, messages) = node.join::<N>(Some(&position(&told))).await;
    assert_eq!((broken.split(' ').next(), messages.len()), (Some("broken"), 0));
}

/// Checks that clients learn that what was kept is not to be trusted, and that all goes on.
async fn is_broken<N: Net>(node: &Node, client: &Socket, last: &Position) {
    assert_eq!(close_code(client).await, CloseCode::SERVICE_RESTART);
    let (client, told, messages) = node.join::<N>(Some(last)).await;
    assert_eq!((told.split(' ').next(), messages.len()), (Some("broken"), 0));
    let at = node.append("new").await;
    assert_eq!(next(&client).await, format!("{at} new"));
    assert_ne!(at.epoch(), last.epoch());
}

pub(crate) async fn a_restart_is_reported_even_if_the_data_is_there<N: Net>(program: PathBuf) {
    let arguments = ["--appendonly", "yes", "--appendfsync", "always"];
    for arguments in [&arguments[..], &[]] {
        let mut redis = RedisServer::start(program.clone(), arguments);
        let node = Node::start::<N>(&redis, 100).await;
        let (client, ..) = node.join::<N>(None).await;
        let last = node.append("old").await;
        redis.kill();
        while node.cluster.counts().connected {
            let events = node.cluster.events();
            while !matches!(events.recv().await, Some(ClusterEvent::ConnectFailed { .. })) {}
        }
        let failed = node.history.append("tea", "lost").await;
        assert_eq!(failed, Err(AppendError::Unavailable));
        redis.start_again();
        node.connected().await;
        is_broken::<N>(&node, &client, &last).await;
    }
}

pub(crate) async fn deleted_messages_are_reported<N: Net>(program: PathBuf) {
    let redis = RedisServer::start(program, &[]);
    let node = Node::start::<N>(&redis, 100).await;
    let (client, ..) = node.join::<N>(None).await;
    let last = node.append("old").await;
    redis.command(&["FLUSHALL"]);
    node.append("notices").await;
    is_broken::<N>(&node, &client, &last).await;
    // The records alone, as by eviction.
    let (client, told, _) = node.join::<N>(None).await;
    node.append("evicted").await;
    redis.command(&["DEL", "prism:s:tea"]);
    let (_, broken, _) = node.join::<N>(Some(&position(&told))).await;
    assert!(broken.starts_with("broken"), "{broken}");
    drop(client);
}

pub(crate) async fn a_server_without_memory_refuses_messages<N: Net>(program: PathBuf) {
    let redis = RedisServer::start(program, &[]);
    let node = Node::start::<N>(&redis, 100).await;
    redis.command(&["CONFIG", "SET", "maxmemory", "1"]);
    match node.history.append("tea", "too much").await {
        Err(AppendError::Refused(why)) => assert!(why.contains("OOM"), "{why}"),
        other => panic!("{other:?}"),
    }
    redis.command(&["CONFIG", "SET", "maxmemory", "0"]);
    let (client, ..) = node.join::<N>(None).await;
    let at = node.append("enough").await;
    assert_eq!(next(&client).await, format!("{at} enough"));
    assert!(node.cluster.counts().connected);
}
