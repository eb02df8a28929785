//! Several servers, of which some fail.

use std::time::Duration;

use prism_driver::Runtime;
use prism_rooms::{Cluster, ClusterEvent, ClusterEvents};
use prism_rooms_nats::Nats;
use prism_test::{Reach, Sim};

use crate::server::{Server, address, connect_failed, instead_of, node_of};

const URLS: &str = "nats://ann:secret@192.0.2.1,192.0.2.2,192.0.2.3";

/// Within what time another server is used if it answers at once.
const AT_ONCE: Duration = Duration::from_millis(100);

/// Starts three servers that are one NATS cluster.
pub(crate) fn start_three(sim: &Sim) {
    let server = Server::start(sim, |_| None);
    server.start_another(address(2), |_| None);
    server.start_another(address(3), |_| None);
}

/// Waits until the node has lost its server, and is connected again. Returns the server that it has lost, and how long
/// it took.
async fn moved(sim: &Sim, events: &ClusterEvents) -> (String, Duration) {
    let began = sim.now();
    let mut lost = None;
    loop {
        match events.recv().await.expect("a node that has not left") {
            ClusterEvent::Disconnected { reason } => {
                lost = reason.split_once(": ").map(|(server, _)| server.to_owned());
            }
            ClusterEvent::Connected => return (lost.expect("it was lost"), sim.now() - began),
            ClusterEvent::ConnectFailed { reason } => panic!("{reason}"),
            _ => {}
        }
    }
}

/// Starts a node, and waits until its heartbeats come back.
async fn connected(sim: &Sim, nats: Nats<Sim>) -> (Cluster, ClusterEvents) {
    let cluster = Cluster::new(sim.clone(), nats);
    let events = cluster.events();
    while events.recv().await.expect("a node that has not left") != ClusterEvent::Connected {}
    (cluster, events)
}

#[test]
fn servers_are_tried_until_one_can_be_used() {
    for useful in 1..=3 {
        let sim = Sim::new();
        let server = Server::start(&sim, move |_| (useful != 1).then(Vec::new));
        server.start_another(address(2), move |words| {
            let reply = if words == [""] { "SSH-2.0\r\n" } else { "" };
            (useful != 2).then(|| reply.into())
        });
        if useful == 3 {
            server.start_another(address(3), |_| None);
        } else {
            sim.set_reach(address(3), Reach::Never);
        }
        let cluster = node_of(&sim, URLS);
        sim.run(sim.pass(Duration::from_millis(1700)));
        assert!(cluster.counts().connected, "{useful}: within one attempt");
    }
}

#[test]
fn what_is_wrong_with_each_server_is_reported() {
    let sim = Sim::new();
    let server = Server::start(&sim, instead_of("", b"SSH-2.0\r\n"));
    let refuses = instead_of("CONNECT", b"-ERR 'Authorization Violation'\r\n");
    server.start_another(address(2), refuses);
    let cluster = node_of(&sim, URLS);
    let reason = sim.run(connect_failed(&cluster));
    for expected in [
        "192.0.2.1:4222: invalid bytes from NATS: ",
        "192.0.2.2:4222: NATS refused: Authorization Violation",
        "192.0.2.3:4222: NATS cannot be reached: ",
    ] {
        assert!(reason.contains(expected), "{reason}");
    }
    assert!(!reason.contains("secret"), "{reason}");
}

#[test]
fn a_node_goes_to_another_server_at_once() {
    let sim = Sim::new();
    start_three(&sim);
    sim.run(async {
        let nats = Nats::new(sim.clone(), URLS).expect("URLs");
        let (_cluster, events) = connected(&sim, nats).await;
        let mut lost = Vec::new();
        for _ in 0..6 {
            sim.last_connection().expect("a connection").reset();
            let (server, took) = moved(&sim, &events).await;
            assert!(took <= AT_ONCE, "{took:?}");
            lost.push(server);
        }
        assert_eq!(lost[..3], lost[3..], "they have their turns");
        lost.truncate(3);
        lost.sort_unstable();
        assert_eq!(lost, ["192.0.2.1:4222", "192.0.2.2:4222", "192.0.2.3:4222"]);
    });
}

#[test]
fn nodes_at_different_servers_are_one_cluster() {
    let sim = Sim::new();
    let server = Server::start(&sim, |_| None);
    server.start_another(address(2), |_| None);
    let (here, there) = (node_of(&sim, "nats://192.0.2.1"), node_of(&sim, "nats://192.0.2.2"));
    sim.run(sim.pass(Duration::from_secs(5)));
    assert_eq!((here.counts().nodes, there.counts().nodes), (1, 1));
    assert_eq!(here.counts().missed, 0);
}

/// Returns what a server says first that names others.
fn naming(addresses: &str) -> String {
    format!("INFO {{\"max_payload\":1048576,\"connect_urls\":[{addresses}]}}\r\n")
}

/// Starts three servers, of which the first names the second, and a backplane that knows only the first.
fn start_naming(sim: &Sim) -> Nats<Sim> {
    let named = naming("\"192.0.2.1:4222\",\"192.0.2.2:4222\",\"nonsense:\"");
    let server = Server::start(sim, instead_of("", named.as_bytes()));
    for host in [2, 3] {
        server.start_another(address(host), |words| {
            assert!(words[0] != "CONNECT" || words[1].contains(r#""pass":"secret""#), "{words:?}");
            None
        });
    }
    Nats::new(sim.clone(), "nats://ann:secret@192.0.2.1").expect("a URL")
}

/// Makes the first server fail for good.
fn fail_first(sim: &Sim) {
    sim.set_reach(address(1), Reach::RefusedAfter(Duration::ZERO));
    sim.last_connection().expect("a connection").reset();
}

#[test]
fn a_server_that_another_names_is_used_when_that_one_fails() {
    let sim = Sim::new();
    let nats = start_naming(&sim);
    sim.run(async {
        let (_cluster, events) = connected(&sim, nats).await;
        fail_first(&sim);
        assert!(moved(&sim, &events).await.1 <= AT_ONCE);
        sim.last_connection().expect("a connection").reset();
        assert_eq!(moved(&sim, &events).await.0, "192.0.2.2:4222");
    });
}

#[test]
fn a_server_may_name_others_later() {
    let sim = Sim::new();
    let nats = start_naming(&sim);
    sim.run(async {
        let (_cluster, events) = connected(&sim, nats).await;
        let connection = sim.last_connection().expect("a connection");
        connection.to_client().insert(naming("\"192.0.2.3:4222\"").as_bytes());
        sim.settle().await;
        fail_first(&sim);
        moved(&sim, &events).await;
        sim.last_connection().expect("a connection").reset();
        assert_eq!(moved(&sim, &events).await.0, "192.0.2.3:4222");
    });
}

#[test]
fn servers_that_others_name_can_be_ignored() {
    let sim = Sim::new();
    let nats = start_naming(&sim).ignore_discovered_servers();
    sim.run(async {
        let (cluster, events) = connected(&sim, nats).await;
        fail_first(&sim);
        let reason = loop {
            let event = events.recv().await.expect("a node that has not left");
            if let ClusterEvent::ConnectFailed { reason } = event {
                break reason;
            }
        };
        assert!(reason.starts_with("192.0.2.1:4222") && !reason.contains("192.0.2.2"), "{reason}");
        assert!(!cluster.counts().connected);
    });
}
