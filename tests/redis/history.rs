//! Messages that Redis keeps, and clients that come back.

use std::{convert::Infallible, net::SocketAddr, path::PathBuf, time::Duration};

use async_channel::Sender;
use futures_lite::future::poll_once;
use prism_driver::{
    Client, CloseCode, Connection, Deferring, Disconnect, Handler, Message, Server, Socket,
};
use prism_rooms::{AppendError, Cluster, ClusterEvent, History, Joined, Keep, Position};
use prism_rooms_redis::Redis;
use prism_tests::redis_server::RedisServer;

use crate::node::{Net, next, redis_at};

pub(crate) struct Node {
    pub(crate) cluster: Cluster,
    pub(crate) history: History,
    address: SocketAddr,
    /// The server ends when this is dropped.
    _serving: Sender<Infallible>,
}

/// Lets each connection join the room `tea`, from the position in its query on, or with the last messages.
struct Repeats(History);

impl Handler for Repeats {
    async fn on_connect(&self, connection: &Connection) {
        let query = connection.query().expect("the client has one");
        let joined = match query.parse() {
            Ok(count) => self.0.join_with_recent(connection, "tea", count).await,
            Err(_) => {
                let after = query.parse().expect("a number, or a position");
                self.0.join(connection, "tea", Some(after)).await
            }
        };
        let told = match joined.expect("an open connection") {
            Joined::Whole { position, repeated } => format!("whole {position} {repeated}"),
            Joined::Broken { position } => format!("broken {position}"),
            other => panic!("{other:?}"),
        };
        connection.send(told).await.expect("an open connection");
    }

    async fn on_message(&self, _: &Connection, _: Message<'_>) {}
}

impl Node {
    pub(crate) async fn start<N: Net>(redis: &RedisServer, messages: u32) -> Self {
        Self::start_as::<N>(redis, "", messages).await
    }

    /// Starts a node that logs in, such as with `ann:secret@`.
    async fn start_as<N: Net>(redis: &RedisServer, login: &str, messages: u32) -> Self {
        Self::start_on::<N>(redis_at::<N>(&redis.url(login)), messages).await
    }

    pub(crate) async fn start_on<N: Net>(redis: Redis<N>, messages: u32) -> Self {
        let cluster = Cluster::new(N::default(), redis);
        let keep = Keep::new(messages, Duration::from_secs(60));
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
    pub(crate) async fn join<N: Net>(
        &self,
        after: Option<&Position>,
    ) -> (Socket, String, Vec<String>) {
        let query = after.map_or_else(|| "0".to_owned(), Position::to_string);
        self.join_as::<N>(&query).await
    }

    /// Connects a client that has no position, and wants the last `count` messages.
    pub(crate) async fn join_with_recent<N: Net>(
        &self,
        count: usize,
    ) -> (Socket, String, Vec<String>) {
        self.join_as::<N>(&count.to_string()).await
    }

    async fn join_as<N: Net>(&self, query: &str) -> (Socket, String, Vec<String>) {
        let client = Client::<N>::new(&format!("ws://{}/?{query}", self.address)).expect("a URL");
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

    pub(crate) async fn append(&self, message: &str) -> Position {
        self.history.append("tea", message).await.expect("a server that keeps it")
    }
}

pub(crate) fn position(told: &str) -> Position {
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
    let mut last = position(&told);
    for n in 0..300 {
        last = node.append(&format!("{n}")).await;
    }
    let (client, broken, messages) = node.join::<N>(Some(&position(&told))).await;
    assert_eq!((broken, messages.len()), (format!("broken {last}"), 0));
    let at = node.append("new").await;
    assert_eq!(next(&client).await, format!("{at} new"));
}

/// Checks that clients learn that what was kept is not to be trusted, and that all goes on.
pub(crate) async fn is_broken<N: Net>(node: &Node, client: &Socket, last: &Position) {
    assert_eq!(close_code(client).await, CloseCode::SERVICE_RESTART);
    let (client, told, messages) = node.join::<N>(Some(last)).await;
    assert_eq!((told.split(' ').next(), messages.len()), (Some("broken"), 0));
    let at = node.append("new").await;
    assert_eq!(next(&client).await, format!("{at} new"));
    assert_ne!(at.epoch(), last.epoch());
    assert_eq!(at.epoch(), position(&told).epoch());
}

pub(crate) async fn a_restart_is_reported_even_if_the_data_is_there<N: Net>(program: PathBuf) {
    let arguments = ["--appendonly", "yes", "--appendfsync", "always"];
    for (arguments, is_kept) in [(&arguments[..], true), (&[], false)] {
        let mut redis = RedisServer::start(program.clone(), arguments);
        let node = Node::start::<N>(&redis, 100).await;
        let (client, ..) = node.join::<N>(None).await;
        let last = node.append("old").await;
        redis.command(&["SET", "witness", "there"]);
        redis.process.kill();
        while node.cluster.counts().connected {
            let events = node.cluster.events();
            while !matches!(events.recv().await, Some(ClusterEvent::ConnectFailed { .. })) {}
        }
        let failed = node.history.append("tea", "lost").await;
        assert_eq!(failed, Err(AppendError::Unavailable));
        redis.process.start_again();
        assert_eq!(redis.command(&["EXISTS", "witness"]), format!(":{}\n", u8::from(is_kept)));
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

pub(crate) async fn a_server_in_cluster_mode_keeps_no_messages<N: Net>(program: PathBuf) {
    let redis = RedisServer::start(program, &["--cluster-enabled", "yes"]);
    let node = Node::start::<N>(&redis, 100).await;
    let why = node.history.append("tea", "to Redis Cluster").await.unwrap_err().to_string();
    assert!(why.contains("Redis Cluster cannot keep messages"), "{why}");
}

/// The first server has the same `run_id` as before, but not the last message, in whose place there is another one.
pub(crate) async fn a_server_that_was_a_replica_meanwhile_is_not_trusted<N: Net>(program: PathBuf) {
    let (first, second) =
        (RedisServer::start(program.clone(), &[]), RedisServer::start(program, &[]));
    let node = Node::start::<N>(&first, 100).await;
    second.follow(&first); // which begins another replication, because it had none
    node.append("kept").await;
    second.follow(&first);
    second.command(&["REPLICAOF", "NO", "ONE"]);
    let (client, told, _) = node.join::<N>(None).await;
    let last = node.append("lost").await;
    assert_eq!((last.offset(), last.epoch()), (2, position(&told).epoch()));
    drop((client, node));
    first.follow(&second);
    first.command(&["REPLICAOF", "NO", "ONE"]);
    let node = Node::start::<N>(&first, 100).await;
    node.append("in its place").await;
    let (_, told, messages) = node.join::<N>(Some(&last)).await;
    assert_eq!((told.split(' ').next(), messages.len()), (Some("broken"), 0));
    assert_ne!(position(&told).epoch(), last.epoch());
}

pub(crate) async fn a_message_that_cannot_be_kept_leaves_no_gap<N: Net>(program: PathBuf) {
    let redis = RedisServer::start(program, &[]);
    let node = Node::start::<N>(&redis, 100).await;
    let (client, ..) = node.join::<N>(None).await;
    let one = node.append("one").await;
    redis.command(&["DEL", "prism:s:tea"]);
    redis.command(&["SET", "prism:s:tea", "another program's"]);
    match node.history.append("tea", "refused").await {
        Err(AppendError::Refused(why)) => assert!(why.starts_with("WRONGTYPE"), "{why}"),
        other => panic!("{other:?}"),
    }
    redis.command(&["DEL", "prism:s:tea"]);
    let two = node.append("two").await;
    assert_eq!((two.epoch(), two.offset()), (one.epoch(), one.offset() + 1));
    assert_eq!(next(&client).await, format!("{one} one"));
    assert_eq!(next(&client).await, format!("{two} two"));
}

pub(crate) async fn a_message_that_is_kept_but_not_published_may_be_kept<N: Net>(program: PathBuf) {
    let redis = RedisServer::start(program, &[]);
    let user = "ACL SETUSER ann on >secret ~* &* +@all -expire -xadd";
    redis.command(&user.split(' ').collect::<Vec<_>>());
    let node = Node::start_as::<N>(&redis, "ann:secret@", 100).await;
    match node.history.append("tea", "not kept").await {
        Err(AppendError::Refused(why)) => {
            assert!(why.contains("can't run this command") || why.contains("xadd"), "{why}");
        }
        other => panic!("{other:?}"),
    }
    assert!(node.cluster.counts().connected);
    let events = node.cluster.events();
    redis.command(&["ACL", "SETUSER", "ann", "+xadd"]);
    assert_eq!(node.history.append("tea", "kept").await, Err(AppendError::Unknown));
    let reason = loop {
        if let Some(ClusterEvent::Disconnected { reason }) = events.recv().await {
            break reason;
        }
    };
    assert!(reason.contains("Redis refused EVAL: UNKNOWN"), "{reason}");
    redis.command(&["ACL", "SETUSER", "ann", "+expire"]);
    while events.recv().await != Some(ClusterEvent::Connected) {}
    assert_eq!(node.append("kept, too").await.offset(), 2);
}

pub(crate) async fn what_is_damaged_concerns_one_room<N: Net>(program: PathBuf) {
    let redis = RedisServer::start(program, &[]);
    let node = Node::start::<N>(&redis, 100).await;
    let events = node.cluster.events();
    let (client, ..) = node.join::<N>(None).await;
    for damage in ["last x", "last 99999999999999999999", "epoch /"] {
        let last = node.append("old").await;
        let command = format!("HSET prism:h:tea {damage}");
        redis.command(&command.split(' ').collect::<Vec<_>>());
        let at = node.append("new").await;
        assert_ne!(at.epoch(), last.epoch(), "{damage}");
    }
    assert_eq!(close_code(&client).await, CloseCode::SERVICE_RESTART);
    redis.command(&["SET", "prism:h:milk", "another program's"]);
    match node.history.append("milk", "refused").await {
        Err(AppendError::Refused(why)) => assert!(why.starts_with("WRONGTYPE"), "{why}"),
        other => panic!("{other:?}"),
    }
    while let Some(event) = poll_once(events.recv()).await {
        assert!(!matches!(event, Some(ClusterEvent::Disconnected { .. })), "{event:?}");
    }
}
