//! Servers that are replicas, or close connections.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use prism_driver::Connection;
use prism_tests::redis_server::RedisServer;

use crate::node::{Net, Node, next, two_nodes};

/// Within what time all works again once the server answers.
const RECOVERY: Duration = Duration::from_secs(10);

const IS_REPLICA: &str = "the server's role is \"slave\"; expected \"master\"";

pub(crate) async fn a_replica_is_no_backplane<N: Net>(program: PathBuf) {
    let master = RedisServer::start(program.clone(), &[]);
    let of_master = format!("127.0.0.1 {}", master.process.address().port());
    let replica = RedisServer::start(program, &["--replicaof", &of_master]);
    let node = Node::on::<N>(&replica).await;
    let reason = node.connect_failed().await;
    assert!(reason.ends_with(IS_REPLICA), "{reason}");
}

pub(crate) async fn a_server_that_becomes_a_replica_is_left<N: Net>(program: PathBuf) {
    let master = RedisServer::start(program.clone(), &[]);
    let demoted = RedisServer::start(program, &[]);
    let node = Node::on::<N>(&demoted).await;
    node.connected::<N>().await;
    let port = master.process.address().port().to_string();
    demoted.command(&["REPLICAOF", "127.0.0.1", &port]);
    let began = Instant::now();
    let reason = node.disconnected().await;
    assert!(reason.ends_with(IS_REPLICA), "{reason}");
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
    demoted.command(&["REPLICAOF", "NO", "ONE"]);
    node.reconnected().await;
}

/// How many rooms there are: a batch of subscriptions has 512.
const ROOMS: usize = 2_000;

/// Lets the connection join many rooms, and waits until they are reached.
async fn join_all(node: &Node, connection: &Connection) {
    for room in 0..ROOMS {
        node.rooms.join(connection, &format!("room {room}")).expect("room");
    }
    all_reached(node).await;
}

async fn all_reached(node: &Node) {
    for room in 0..ROOMS {
        assert!(node.rooms.reached(&format!("room {room}")).await);
    }
}

pub(crate) async fn thousands_of_rooms_are_subscribed_to_again<N: Net>(program: PathBuf) {
    let (redis, here, there) = two_nodes::<N>(program).await;
    let member = there.join::<N>("tea").await;
    let id = there.rooms.members("tea")[0];
    let connection = there.rooms.one(id).expect("the member");
    join_all(&there, &connection).await;
    assert_eq!(redis.channels(), ROOMS + 4, "with `all`, `tea`, and one for each node");
    redis.command(&["CLIENT", "KILL", "TYPE", "pubsub"]);
    let began = Instant::now();
    for node in [&here, &there] {
        let reason = node.disconnected().await;
        // It may be closed, or reset.
        assert!(reason.contains("the connection that listens"), "{reason}");
        node.reconnected().await;
    }
    all_reached(&there).await;
    assert!(began.elapsed() < RECOVERY, "{:?}", began.elapsed());
    for room in 0..ROOMS {
        here.rooms.to(&format!("room {room}")).send(room.to_string());
    }
    for room in 0..ROOMS {
        assert_eq!(next(&member).await, room.to_string());
    }
    assert_eq!(there.cluster.counts().missed, 0);
}
