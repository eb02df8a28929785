//! How much is read at once, and how often a node's task is polled for that.

use prism_rooms::Cluster;
use prism_test::Sim;

use crate::{
    protocol::message_to_all,
    server::{Server, node},
};

/// How many bytes are read before what they say is delivered.
const TURN: usize = 64 << 10;

/// Returns a node to which the server has just sent messages of this size, 1 MiB of them. They are not from a node, so
/// they are counted as refused once they are delivered.
async fn flooded(sim: &Sim, size: usize) -> Cluster {
    Server::start(sim, |_| None);
    let cluster = node(sim);
    sim.settle().await;
    let message = message_to_all(&"x".repeat(size));
    let connection = sim.last_connection().expect("a connection");
    connection.to_client().insert(&message.repeat((1 << 20) / size));
    cluster
}

#[test]
fn messages_are_delivered_before_more_are_read() {
    let sim = Sim::new();
    sim.run(async {
        let cluster = flooded(&sim, 1 << 10).await;
        let mut delivered = 0;
        while sim.tick() {
            let more = cluster.counts().refused - delivered;
            assert!(more <= (TURN >> 10) as u64, "{more} messages at once");
            delivered += more;
        }
        assert_eq!(delivered, 1 << 10, "no time has passed");
    });
}

#[test]
fn a_message_longer_than_a_turn_takes_no_time() {
    let sim = Sim::new();
    sim.run(async {
        let cluster = flooded(&sim, 1 << 20).await;
        sim.settle().await;
        assert_eq!(cluster.counts().refused, 1);
    });
}

#[test]
fn a_message_is_delivered_in_one_poll() {
    let sim = Sim::new();
    sim.run(async {
        Server::start(&sim, |_| None);
        let cluster = node(&sim);
        sim.settle().await;
        let connection = sim.last_connection().expect("a connection");
        connection.to_client().insert(&message_to_all("x"));
        assert!(sim.tick());
        assert_eq!(cluster.counts().refused, 1);
        assert!(!sim.tick(), "the node has woken itself");
    });
}
