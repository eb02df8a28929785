//! Redis Cluster: three masters, and perhaps a replica, which repeat to each other what is published.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use prism_rooms::Presence;
use prism_tests::redis_server::RedisServer;

use crate::{
    history,
    node::{Net, Node, next, pause, redis_at},
};

/// How long it may take until the servers know each other.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Within what time all works again once a server answers.
const RECOVERY: Duration = Duration::from_secs(10);

/// How many messages each of two members sends, and how many of these at once.
const MESSAGES: usize = 5_000;
const BURST: usize = 500;

pub(crate) async fn members_at_two_servers_talk<N: Net>(program: PathBuf) {
    let servers = start_cluster::<N>(program).await;
    let [here, there, _third] = nodes_at::<N>(&servers).await;
    let (ann, ben) = (here.join::<N>("tea").await, there.join::<N>("tea").await);
    for burst in 0..MESSAGES / BURST {
        let numbers = burst * BURST..(burst + 1) * BURST;
        for number in numbers.clone() {
            ann.send(format!("{number} of ann")).await.expect("an open connection");
            ben.send(format!("{number} of ben")).await.expect("an open connection");
        }
        for number in numbers {
            assert_eq!(next(&ann).await, format!("{number} of ben"));
            assert_eq!(next(&ben).await, format!("{number} of ann"));
        }
    }
    let count = here.rooms.len_everywhere("tea").await;
    assert_eq!((count.members, count.nodes, count.unanswered), (2, 3, 0));
    assert_undisturbed(&[&here, &there]).await;
}

/// A room is unsubscribed from 5 s after its last member has left. That is time for several heartbeats and `ROLE`s.
pub(crate) async fn rooms_at_two_servers_come_and_go<N: Net>(program: PathBuf) {
    let servers = start_cluster::<N>(program).await;
    let [here, there, _third] = nodes_at::<N>(&servers).await;
    let ann = here.join::<N>("tea").await;
    let channels = servers[1].channels();
    let ben = there.join::<N>("tea").await;
    assert_eq!(servers[1].channels(), channels + 1);
    ann.send("hello").await.expect("an open connection");
    assert_eq!(next(&ben).await, "hello");
    drop(ben);
    while servers[1].channels() > channels {
        pause::<N>().await;
    }
    let ben = there.join::<N>("tea").await;
    ann.send("hello again").await.expect("an open connection");
    assert_eq!(next(&ben).await, "hello again");
    assert_undisturbed(&[&here, &there]).await;
}

pub(crate) async fn people_at_two_servers_see_each_other<N: Net>(program: PathBuf) {
    let servers = start_cluster::<N>(program).await;
    let [here, there, _third] = nodes_at::<N>(&servers).await;
    let [seen_here, seen_there] =
        [&here, &there].map(|node| Presence::<String>::on(&node.cluster, "people"));
    let [ann, ben] = [here.join::<N>("tea").await, there.join::<N>("tea").await];
    for (node, presence, name) in [(&here, &seen_here, "ann"), (&there, &seen_there, "ben")] {
        let connection = node.rooms.one(node.rooms.members("tea")[0]).expect("the member");
        presence.track(&connection, "tea", name, "thirsty".to_owned()).expect("a person");
    }
    for presence in [&seen_here, &seen_there] {
        while presence.count("tea") < 2 {
            pause::<N>().await;
        }
        let people = presence.list("tea");
        assert_eq!([&*people[0].key, &*people[1].key], ["ann", "ben"]);
    }
    drop(ben);
    while seen_here.count("tea") > 1 {
        pause::<N>().await;
    }
    drop(ann);
    assert_undisturbed(&[&here, &there]).await;
}

pub(crate) async fn redis_cluster_keeps_no_messages<N: Net>(program: PathBuf) {
    let servers = start_cluster::<N>(program).await;
    let node = history::Node::start::<N>(&servers[0], 100).await;
    for room in ["tea", "coffee", "milk"] {
        let why = node.history.append(room, "to keep").await.unwrap_err().to_string();
        assert!(why.contains("Redis Cluster cannot keep messages"), "{why}");
    }
    assert!(node.cluster.counts().connected);
}

/// While it is away, the cluster is down for keys, but not for messages.
pub(crate) async fn a_killed_server_of_a_cluster_is_used_again<N: Net>(program: PathBuf) {
    let mut servers = start_cluster::<N>(program).await;
    let [here, there, third] = nodes_at::<N>(&servers).await;
    let (ann, ben) = (here.join::<N>("tea").await, there.join::<N>("tea").await);
    let eve = third.join::<N>("tea").await;
    servers[1].process.kill();
    there.disconnected().await;
    there.connect_failed().await;
    for server in [&servers[0], &servers[2]] {
        server.command(&["CONFIG", "SET", "cluster-node-timeout", "500"]);
    }
    while !servers[0].command(&["CLUSTER", "INFO"]).contains("cluster_state:fail") {
        pause::<N>().await;
    }
    ann.send("without ben").await.expect("an open connection");
    assert_eq!(next(&eve).await, "without ben");
    assert_undisturbed(&[&here, &third]).await;
    servers[1].process.start_again();
    let began = Instant::now();
    there.reconnected().await;
    assert!(there.rooms.reached("tea").await);
    wait_until::<N>(&servers, is_connected).await;
    ann.send("hello again").await.expect("an open connection");
    ben.send("hello yourself").await.expect("an open connection");
    assert_eq!(next(&ben).await, "hello again");
    assert_eq!(next(&ann).await, "hello yourself");
    let heard = [next(&eve).await, next(&eve).await];
    assert!(heard.contains(&"hello again".to_owned()), "{heard:?}");
    assert!(heard.contains(&"hello yourself".to_owned()), "{heard:?}");
    assert!(began.elapsed() < RECOVERY, "{:?}", began.elapsed());
}

/// At the end, a room is unsubscribed from, which is 5 s after its last member has left: time enough to ask for the
/// role.
pub(crate) async fn a_master_of_a_cluster_that_becomes_a_replica_is_not_left<N: Net>(
    program: PathBuf,
) {
    let servers = start_cluster::<N>(program.clone()).await;
    let replica = start_replica::<N>(program, &servers, &servers[1]).await;
    let (here, there) = (Node::on::<N>(&servers[0]).await, Node::on::<N>(&servers[1]).await);
    here.meet::<N>().await;
    there.meet::<N>().await;
    let (ann, ben) = (here.join::<N>("tea").await, there.join::<N>("tea").await);
    // Without a vote, which may fail on a busy machine.
    assert_eq!(replica.command(&["CLUSTER", "FAILOVER", "TAKEOVER"]), "+OK\n");
    while servers[1].is_master() {
        pause::<N>().await;
    }
    ann.send("hello").await.expect("an open connection");
    ben.send("hello yourself").await.expect("an open connection");
    assert_eq!(next(&ben).await, "hello");
    assert_eq!(next(&ann).await, "hello yourself");
    let channels = servers[1].channels();
    drop(ben);
    while servers[1].channels() == channels {
        pause::<N>().await;
    }
    assert_undisturbed(&[&here, &there]).await;
}

pub(crate) async fn a_killed_master_of_a_cluster_is_used_again_as_a_replica<N: Net>(
    program: PathBuf,
) {
    let mut servers = start_cluster::<N>(program.clone()).await;
    let replica = start_replica::<N>(program, &servers, &servers[1]).await;
    let (here, there) = (Node::on::<N>(&servers[0]).await, Node::on::<N>(&servers[1]).await);
    here.meet::<N>().await;
    let (ann, ben) = (here.join::<N>("tea").await, there.join::<N>("tea").await);
    for server in [&servers[0], &servers[2], &replica] {
        server.command(&["CONFIG", "SET", "cluster-node-timeout", "500"]);
    }
    servers[1].process.kill();
    there.disconnected().await;
    while !replica.is_master() {
        pause::<N>().await;
    }
    servers[1].process.start_again();
    there.reconnected().await;
    assert!(there.rooms.reached("tea").await);
    while servers[1].is_master() {
        pause::<N>().await;
    }
    wait_until::<N>(&servers, is_connected).await;
    ann.send("hello again").await.expect("an open connection");
    ben.send("hello yourself").await.expect("an open connection");
    assert_eq!(next(&ben).await, "hello again");
    assert_eq!(next(&ann).await, "hello yourself");
    assert_undisturbed(&[&here, &there]).await;
}

pub(crate) async fn a_node_goes_on_at_the_next_server_of_a_cluster<N: Net>(program: PathBuf) {
    let mut servers = start_cluster::<N>(program).await;
    let start = async |order: [usize; 3]| {
        let hosts = order.map(|number| servers[number].process.address().to_string());
        Node::start::<N>(redis_at::<N>(&format!("redis+cluster://{}", hosts.join(",")))).await
    };
    let (here, there) = (start([0, 1, 2]).await, start([1, 2, 0]).await);
    here.meet::<N>().await;
    there.meet::<N>().await;
    let (ann, ben) = (here.join::<N>("tea").await, there.join::<N>("tea").await);
    let began = Instant::now();
    servers[1].process.kill();
    there.disconnected().await;
    there.reconnected().await;
    assert!(there.rooms.reached("tea").await);
    assert!(began.elapsed() < RECOVERY, "{:?}", began.elapsed());
    ann.send("hello again").await.expect("an open connection");
    ben.send("hello yourself").await.expect("an open connection");
    assert_eq!(next(&ben).await, "hello again");
    assert_eq!(next(&ann).await, "hello yourself");
    assert_undisturbed(&[&here]).await;
}

/// Starts three servers, each with a third of the slots, and waits until they are a cluster.
async fn start_cluster<N: Net>(program: PathBuf) -> [RedisServer; 3] {
    let start = |()| RedisServer::start(program.clone(), &["--cluster-enabled", "yes"]);
    let servers = [(); 3].map(start);
    let thirds = [["0", "5460"], ["5461", "10922"], ["10923", "16383"]];
    for (server, [first, last]) in servers.iter().zip(thirds) {
        let added = server.command(&["CLUSTER", "ADDSLOTSRANGE", first, last]);
        assert_eq!(added, "+OK\n");
        meet(&servers[0], server);
    }
    wait_until::<N>(&servers, |server| {
        is_connected(server) && server.command(&["CLUSTER", "INFO"]).contains("cluster_state:ok")
    })
    .await;
    servers
}

/// Starts a replica of a master of the cluster, and waits until it could take over.
async fn start_replica<N: Net>(
    program: PathBuf,
    servers: &[RedisServer; 3],
    master: &RedisServer,
) -> RedisServer {
    let replica = RedisServer::start(program, &["--cluster-enabled", "yes"]);
    meet(&servers[0], &replica);
    let id = master.command(&["CLUSTER", "MYID"]);
    // It has to know the master.
    while replica.command(&["CLUSTER", "REPLICATE", id.trim_end()]) != "+OK\n" {
        pause::<N>().await;
    }
    let port = replica.process.address().port();
    wait_until::<N>(servers, |server| {
        let nodes = server.command(&["CLUSTER", "NODES"]);
        let is_replica = |line: &str| line.contains(&format!(":{port}@")) && line.contains("slave");
        nodes.lines().any(is_replica) && replica.command(&["ROLE"]).contains("connected\n")
    })
    .await;
    replica
}

/// Lets a server know another one, and through it all others.
fn meet(known: &RedisServer, server: &RedisServer) {
    let [port, bus_port] = [server.process.address(), server.process.other_address()]
        .map(|address| address.port().to_string());
    let met = known.command(&["CLUSTER", "MEET", "127.0.0.1", &port, &bus_port]);
    assert_eq!(met, "+OK\n");
}

/// Waits until each server is as it `is_expected` to be.
async fn wait_until<N: Net>(servers: &[RedisServer], is_expected: impl Fn(&RedisServer) -> bool) {
    let began = Instant::now();
    while !servers.iter().all(&is_expected) {
        assert!(began.elapsed() < TIMEOUT, "{}", servers[0].command(&["CLUSTER", "NODES"]));
        pause::<N>().await;
    }
}

/// Returns whether a server knows three masters, with itself, and is connected to them.
fn is_connected(server: &RedisServer) -> bool {
    let nodes = server.command(&["CLUSTER", "NODES"]);
    let is_connected = |line: &&str| {
        let mut words = line.split(' ');
        // Such as `myself,master`, or `handshake`.
        let is_known = words.nth(2).is_some_and(|flags| flags.contains("master"));
        is_known && words.nth(4) == Some("connected")
    };
    nodes.lines().filter(is_connected).count() == 3
}

/// Starts a node at each server, and waits until they know each other.
async fn nodes_at<N: Net>(servers: &[RedisServer; 3]) -> [Node; 3] {
    let [first, second, third] = servers;
    let nodes =
        [Node::on::<N>(first).await, Node::on::<N>(second).await, Node::on::<N>(third).await];
    for node in &nodes {
        while node.cluster.counts().nodes < 2 {
            pause::<N>().await;
        }
    }
    nodes
}

/// Checks that nodes were not disconnected, and that no message was lost or came twice.
async fn assert_undisturbed(nodes: &[&Node]) {
    for node in nodes {
        node.assert_not_disconnected().await;
        let counts = node.cluster.counts();
        assert_eq!((counts.missed, counts.repeated, counts.refused), (0, 0, 0));
    }
}
