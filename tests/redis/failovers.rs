//! Sentinels, and servers that take over.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use prism_driver::tls::TlsClient;
use prism_rooms_redis::Redis;
use prism_tests::{
    redis_server::RedisServer,
    sentinels::{MASTER, Sentinel, Sentinels},
};

use crate::{
    authority::Authority,
    engine::tls_arguments,
    history,
    node::{Net, Node, next, pause, redis_at},
};

/// Within what time all works again once a replica is the master.
const RECOVERY: Duration = Duration::from_secs(10);

pub(crate) async fn all_goes_on_at_the_replica<N: Net>(program: PathBuf) {
    let mut master = RedisServer::start(program.clone(), &[]);
    let sentinels = Sentinels::watch(&program, &master);
    let backplane = || redis_at::<N>(&sentinels.url());
    let (here, there) = (Node::start::<N>(backplane()).await, Node::start::<N>(backplane()).await);
    here.meet::<N>().await;
    let (ann, ben) = (here.join::<N>("tea").await, there.join::<N>("tea").await);
    let keeping = history::Node::start_on::<N>(backplane(), 100).await;
    let (client, ..) = keeping.join::<N>(None).await;
    let last = keeping.append("old").await;
    master.process.kill();
    here.disconnected().await;
    there.disconnected().await;
    while !sentinels.replica.is_master() {
        pause::<N>().await;
    }
    let promoted = Instant::now();
    here.connected::<N>().await;
    there.connected::<N>().await;
    assert!(here.rooms.reached("tea").await && there.rooms.reached("tea").await);
    ann.send("hello again").await.expect("an open connection");
    assert_eq!(next(&ben).await, "hello again");
    history::is_broken::<N>(&keeping, &client, &last).await;
    assert!(promoted.elapsed() < RECOVERY, "{:?}", promoted.elapsed());
}

pub(crate) async fn a_master_that_stalls_is_left<N: Net>(program: PathBuf) {
    let master = RedisServer::start(program.clone(), &[]);
    let sentinels = Sentinels::watch(&program, &master);
    let node = Node::start::<N>(redis_at::<N>(&sentinels.url())).await;
    node.connected::<N>().await;
    master.process.pause();
    assert_eq!(node.disconnected().await, "what was published did not come back in time");
    node.reconnected().await;
    assert!(sentinels.replica.is_master());
    let subscribers = sentinels.replica.command(&["PUBSUB", "NUMSUB", "prism:all"]);
    assert_eq!(subscribers, "prism:all\n:1\n");
}

pub(crate) async fn sentinels_may_have_users_of_their_own<N: Net>(program: PathBuf) {
    let redis = RedisServer::start(program.clone(), &["--requirepass", "secret"]);
    let users = "sentinel auth-pass cache secret\nuser default off\n\
        user watcher on >key -@all +auth +sentinel|get-master-addr-by-name";
    let sentinel = Sentinel::start(&program, redis.process.address(), 1, users);
    let redis_with = |master: &str| {
        let url = format!("redis+sentinel://:secret@{}/{master}", sentinel.process.address());
        redis_at::<N>(&url)
    };
    let node = Node::start::<N>(redis_with(MASTER).sentinel_login("watcher", "key")).await;
    node.connected::<N>().await;
    for (backplane, expected) in [
        (redis_with(MASTER), "Redis refused SENTINEL: NOAUTH"),
        (redis_with(MASTER).sentinel_login("watcher", "wrong"), "Redis refused AUTH: WRONGPASS"),
        (redis_with("other").sentinel_login("watcher", "key"), "knows no master with this name"),
    ] {
        let reason = Node::start::<N>(backplane).await.connect_failed().await;
        assert!(reason.contains(expected), "{reason}");
    }
    let url = format!("redis://{}", sentinel.process.address());
    let reason = Node::start::<N>(redis_at::<N>(&url)).await.connect_failed().await;
    assert!(reason.contains("Redis refused HELLO: NO"), "{reason}"); // NOAUTH, or NOPERM
}

pub(crate) async fn sentinels_and_servers_use_tls<N: Net>(program: PathBuf) {
    let authority = Authority::new();
    let arguments = tls_arguments(&authority);
    let redis = RedisServer::start(program.clone(), &arguments.split(' ').collect::<Vec<_>>());
    // The words `--name value` of a command line are a line `name value` of a configuration.
    let configuration = arguments.replace(" --", "\n").replace("--", "");
    let configuration = format!("tls-port {{port}}\n{configuration}\ntls-replication yes");
    let sentinel = Sentinel::start(&program, redis.tls_address(), 1, &configuration);
    let trusting = |authority: &Authority| {
        let url = format!("rediss+sentinel://{}/{MASTER}", sentinel.process.other_address());
        let tls = TlsClient::trusting_pem_file(authority.file()).expect("an authority");
        Redis::new(N::default(), &url).expect("a URL").tls(tls)
    };
    let here = Node::start::<N>(trusting(&authority)).await;
    let there = Node::start::<N>(trusting(&authority)).await;
    here.meet::<N>().await;
    let (ann, ben) = (here.join::<N>("tea").await, there.join::<N>("tea").await);
    ann.send("hello").await.expect("an open connection");
    assert_eq!(next(&ben).await, "hello");
    let reason = Node::start::<N>(trusting(&Authority::new())).await.connect_failed().await;
    assert!(reason.starts_with("no Sentinel says") && reason.contains("trust"), "{reason}");
}
