//! Nodes of a Redis Cluster, of which any will do.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use prism_driver::Runtime;
use prism_rooms::{ClusterEvent, ClusterEvents};
use prism_test::Sim;

use crate::server::{ADDRESS, Server, address, connect_failed, node_of};

const URL: &str = "redis+cluster://ann:secret@192.0.2.1,192.0.2.2,192.0.2.3";

/// Where other nodes listen.
const SECOND: SocketAddr = address(2);
const THIRD: SocketAddr = address(3);

/// Returns what a node says of itself, if this is the command for that.
fn introduction(words: &[&str]) -> Option<Vec<u8>> {
    (words[0] == "HELLO").then(|| b"%2\r\n+server\r\n+redis\r\n+mode\r\n+cluster\r\n".to_vec())
}

/// Waits until the backplane does not work any more, and returns why.
async fn disconnected(events: &ClusterEvents) -> String {
    loop {
        let event = events.recv().await.expect("a node that has not left");
        if let ClusterEvent::Disconnected { reason } = event {
            return reason;
        }
    }
}

#[test]
fn nodes_are_tried_until_one_can_be_used() {
    let sim = Sim::new();
    Server::start_at(&sim, SECOND, |_| Some(b"-NOPERM no permissions\r\n".to_vec()));
    Server::start_at(&sim, THIRD, introduction);
    let cluster = node_of(&sim, URL);
    sim.run(sim.pass(Duration::from_millis(500)));
    assert!(cluster.counts().connected);
}

#[test]
fn a_node_that_stalls_is_left_at_once() {
    let (sim, is_stalled) = (Sim::new(), Arc::new(AtomicBool::new(false)));
    let stalls = is_stalled.clone();
    Server::start(
        &sim,
        move |words| {
            if stalls.load(Relaxed) { Some(Vec::new()) } else { introduction(words) }
        },
    );
    Server::start_at(&sim, SECOND, introduction);
    let cluster = node_of(&sim, URL);
    let events = cluster.events();
    sim.run(async {
        sim.settle().await;
        is_stalled.store(true, Relaxed);
        let reason = disconnected(&events).await;
        assert_eq!(reason, "what was published did not come back in time");
        let since = sim.now();
        assert_eq!(events.recv().await, Some(ClusterEvent::Connected));
        assert!(
            sim.now() - since < Duration::from_millis(100),
            "the first node is not tried again"
        );
    });
}

#[test]
fn a_server_that_is_not_in_cluster_mode_is_refused() {
    let sim = Sim::new();
    Server::start(&sim, |_| None);
    let reason = sim.run(connect_failed(&node_of(&sim, URL)));
    let expected = format!(
        "{ADDRESS}: the server is not in cluster mode; expected a node of a Redis Cluster, or \"redis://\""
    );
    assert_eq!(reason, expected);
}
