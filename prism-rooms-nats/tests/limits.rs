//! How long a message may be.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering::Relaxed},
};

use prism_rooms::{Cluster, ClusterEvent};
use prism_test::Sim;

use crate::server::{Server, instead_of, node, refused};

/// The least that is enough for a cluster.
const LEAST: &[u8] = b"INFO {\"max_payload\":524288}\r\n";

/// Sends a message of this size to everyone, and returns whether the server has taken it.
async fn is_taken(sim: &Sim, cluster: &Cluster, size: usize) -> bool {
    let before = cluster.counts();
    cluster.rooms().everyone().send("x".repeat(size));
    sim.settle().await;
    let after = cluster.counts();
    let (published, unpublished) =
        (after.published - before.published, after.unpublished - before.unpublished);
    assert_eq!(published + unpublished, 1);
    published == 1
}

#[test]
fn a_message_that_the_server_does_not_take_is_reported_and_the_session_goes_on() {
    let sim = Sim::new();
    Server::start(&sim, instead_of("", LEAST));
    let cluster = node(&sim);
    let events = cluster.events();
    sim.run(async {
        sim.settle().await;
        assert_eq!(events.recv().await, Some(ClusterEvent::Connected));
        assert!(is_taken(&sim, &cluster, 524_000).await);
        assert!(!is_taken(&sim, &cluster, 524_288).await, "the envelope makes it longer");
        assert!(is_taken(&sim, &cluster, 524_000).await);
        let Some(ClusterEvent::PublishRefused { reason }) = events.recv().await else {
            panic!("it was refused");
        };
        assert!(reason.contains("a message takes 5243"), "{reason}");
        assert!(reason.ends_with("the NATS server's max_payload is 524288"), "{reason}");
        assert!(cluster.counts().connected);
    });
}

#[test]
fn a_server_may_change_its_limit() {
    let sim = Sim::new();
    let is_raised = Arc::new(AtomicBool::new(false));
    let raised = is_raised.clone();
    Server::start(&sim, move |words| match words {
        [""] => Some(LEAST.to_vec()),
        ["PING"] if raised.load(Relaxed) => Some(b"INFO {\"max_payload\":-1}\r\nPONG\r\n".to_vec()),
        _ => None,
    });
    let cluster = node(&sim);
    sim.run(async {
        sim.settle().await;
        assert!(!is_taken(&sim, &cluster, 1 << 20).await);
        is_raised.store(true, Relaxed);
        assert!(is_taken(&sim, &cluster, 10).await);
        assert!(is_taken(&sim, &cluster, 1 << 20).await);
    });
}

#[test]
fn a_server_that_takes_short_messages_only_is_refused() {
    let reason = refused(instead_of("", b"INFO {\"max_payload\":65536}\r\n"));
    let expected = "the server's max_payload is 65536 bytes; expected at least 524288";
    assert!(reason.ends_with(expected), "{reason}");
}
