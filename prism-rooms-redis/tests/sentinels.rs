//! Sentinels that know the master, or do not, and servers that are not where they say.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use prism_driver::Runtime;
use prism_rooms::{Cluster, ClusterEvent};
use prism_test::{Reach, Sim};

use crate::{
    protocol::backplane,
    server::{ADDRESS, Server, address, connect_failed, node_of},
};

const URL: &str = "redis+sentinel://ann:secret@192.0.2.11,192.0.2.12,192.0.2.13/cache";

/// Where another server listens.
const OTHER: SocketAddr = address(2);

fn sentinel(number: u8) -> SocketAddr {
    SocketAddr::new(address(10 + number).ip(), 26379)
}

/// Returns what a Sentinel says.
fn names(master: SocketAddr) -> Vec<u8> {
    let (host, port) = (master.ip().to_string(), master.port().to_string());
    format!("*2\r\n${}\r\n{host}\r\n${}\r\n{port}\r\n", host.len(), port.len()).into()
}

/// Starts the Sentinel with this number, which says this to those who ask for the master.
fn start_sentinel(sim: &Sim, number: u8, reply: impl Fn() -> Vec<u8> + Send + Sync + 'static) {
    Server::start_at(sim, sentinel(number), move |words| match words {
        ["SENTINEL", "get-master-addr-by-name", "cache"] => Some(reply()),
        other => panic!("{other:?}"),
    });
}

fn node(sim: &Sim) -> Cluster {
    node_of(sim, URL)
}

#[test]
fn sentinels_are_asked_until_one_knows_the_master() {
    let sim = Sim::new();
    sim.set_reach(sentinel(1), Reach::Never);
    start_sentinel(&sim, 2, || b"*-1\r\n".to_vec());
    start_sentinel(&sim, 3, || names(ADDRESS));
    Server::start(&sim, |_| None);
    let cluster = node(&sim);
    sim.run(sim.pass(Duration::from_millis(500)));
    assert!(cluster.counts().connected, "within one attempt");
}

/// A Sentinel that is cut off from the others does not know of a failover.
#[test]
fn another_sentinel_is_asked_if_the_server_is_not_the_master() {
    let sim = Sim::new();
    start_sentinel(&sim, 1, || names(address(3))); // where nothing listens
    start_sentinel(&sim, 2, || names(OTHER));
    start_sentinel(&sim, 3, || names(ADDRESS));
    Server::start_at(&sim, OTHER, |words| {
        (words[0] == "ROLE").then(|| b"*3\r\n+slave\r\n+192.0.2.1\r\n:6379\r\n".to_vec())
    });
    Server::start(&sim, |_| None);
    let cluster = node(&sim);
    let events = cluster.events();
    sim.run(async {
        let mut reasons = Vec::new();
        loop {
            match events.recv().await.expect("a node that has not left") {
                ClusterEvent::ConnectFailed { reason } => reasons.push(reason),
                ClusterEvent::Connected => break,
                other => panic!("{other:?}"),
            }
        }
        let [first, second] = &reasons[..] else { panic!("{reasons:?}") };
        assert!(first.starts_with("192.0.2.3:6379: Redis cannot be reached: "), "{first}");
        assert_eq!(second, "192.0.2.2:6379: the server's role is \"slave\"; expected \"master\"");
    });
}

#[test]
fn a_node_follows_a_failover() {
    let sim = Sim::new();
    let has_failed_over = Arc::new(AtomicBool::new(false));
    let is_over = has_failed_over.clone();
    start_sentinel(&sim, 1, move || names(if is_over.load(Relaxed) { OTHER } else { ADDRESS }));
    let is_over = has_failed_over.clone();
    Server::start(&sim, move |words| {
        let is_replica = words[0] == "ROLE" && is_over.load(Relaxed);
        is_replica.then(|| b"*3\r\n+slave\r\n+192.0.2.2\r\n:6379\r\n".to_vec())
    });
    let commands = Arc::new(Mutex::new(Vec::new()));
    let seen = commands.clone();
    Server::start_at(&sim, OTHER, move |words| {
        seen.lock().unwrap().push(words[0].to_owned());
        None
    });
    let cluster = node(&sim);
    sim.run(async {
        sim.settle().await;
        assert!(cluster.counts().connected && commands.lock().unwrap().is_empty());
        has_failed_over.store(true, Relaxed);
        sim.pass(Duration::from_secs(4)).await;
    });
    assert!(cluster.counts().connected);
    for expected in ["HELLO", "ROLE", "SUBSCRIBE", "PUBLISH"] {
        assert!(commands.lock().unwrap().iter().any(|command| command == expected), "{expected}");
    }
}

#[test]
fn why_no_sentinel_knows_the_master_is_reported() {
    let sim = Sim::new();
    start_sentinel(&sim, 1, || b"-ERR unknown command 'SENTINEL'\r\n".to_vec());
    start_sentinel(&sim, 2, || b"*-1\r\n".to_vec());
    sim.set_reach(sentinel(3), Reach::RefusedAfter(Duration::ZERO));
    let reason = sim.run(connect_failed(&node(&sim)));
    let expected = "no Sentinel says where the master \"cache\" is: \
        192.0.2.11:26379: Redis refused SENTINEL: ERR unknown command 'SENTINEL'; expected a Sentinel; \
        192.0.2.12:26379: it knows no master with this name; \
        192.0.2.13:26379: refused";
    assert_eq!(reason, expected);
}

#[test]
fn sentinels_that_say_nothing_are_not_waited_for() {
    let sim = Sim::new();
    for number in 1..=3 {
        start_sentinel(&sim, number, Vec::new);
    }
    let reason = sim.run(connect_failed(&node(&sim)));
    assert_eq!(reason.matches("Redis did not answer in time").count(), 3, "{reason}");
    assert_eq!(sim.now(), Duration::from_secs(1));
}

/// One attempt has no time for all of them.
#[test]
fn each_of_many_sentinels_is_asked() {
    let sim = Sim::new();
    let hosts: Vec<_> = (1..=20).map(|number| sentinel(number).to_string()).collect();
    let url = format!("redis+sentinel://{}/cache", hosts.join(","));
    (1..20).for_each(|number| sim.set_reach(sentinel(number), Reach::Never));
    start_sentinel(&sim, 20, || names(ADDRESS));
    Server::start(&sim, |_| None);
    let cluster = node_of(&sim, &url);
    sim.run(sim.pass(Duration::from_secs(30)));
    assert!(cluster.counts().connected);
}

#[test]
fn sentinels_get_credentials_of_their_own() {
    let sim = Sim::new();
    Server::start_at(&sim, sentinel(1), |words| match words {
        ["AUTH", "watcher", "key"] => Some(b"+OK\r\n".to_vec()),
        ["SENTINEL", ..] => Some(names(ADDRESS)),
        other => panic!("{other:?}"),
    });
    Server::start(&sim, |words| {
        assert!(words[0] != "HELLO" || words[2..5] == ["AUTH", "ann", "secret"], "{words:?}");
        None
    });
    let redis = backplane(&sim, URL).sentinel_login("watcher", "key");
    let cluster = Cluster::new(sim.clone(), redis);
    sim.run(sim.settle());
    assert!(cluster.counts().connected);
}

#[test]
fn a_wrong_password_for_a_sentinel_is_reported_and_not_shown() {
    let sim = Sim::new();
    Server::start_at(&sim, sentinel(1), |words| Some(format!("-WRONGPASS {words:?}\r\n").into()));
    let redis = backplane(&sim, "redis+sentinel://192.0.2.11/cache");
    let cluster = Cluster::new(sim.clone(), redis.sentinel_login("watcher", "key"));
    let reason = sim.run(connect_failed(&cluster));
    assert!(reason.contains("192.0.2.11:26379: Redis refused AUTH: WRONGPASS"), "{reason}");
    assert!(!reason.contains("key"), "{reason}");
}

#[test]
fn credentials_for_sentinels_need_sentinels() {
    let sim = Sim::new();
    let redis = backplane(&sim, "redis://192.0.2.1");
    let cluster = Cluster::new(sim.clone(), redis.sentinel_login("watcher", "key"));
    let reason = sim.run(connect_failed(&cluster));
    assert!(reason.contains("expected \"redis+sentinel://\""), "{reason}");
}
