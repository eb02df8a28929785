//! Servers that do not answer, or end the connection.

use std::io::ErrorKind;

use prism_rooms::ClusterEvent;
use prism_test::{Reach, Sim};

use crate::{
    protocol::NAME,
    server::{ADDRESS, Server, connect_failed, node, refused},
};

#[test]
fn a_server_that_says_nothing_is_not_waited_for() {
    let reason = refused(|_| Some(Vec::new()));
    assert_eq!(reason, format!("{ADDRESS}: {NAME} did not answer in time"));
}

#[test]
fn an_address_that_does_not_answer_is_named() {
    let sim = Sim::new();
    sim.set_reach(ADDRESS, Reach::Never);
    let reason = sim.run(connect_failed(&node(&sim)));
    let expected = format!("{NAME} cannot be reached: {ADDRESS}: no answer in time");
    assert!(reason.ends_with(&expected), "{reason}");
}

/// The server says what is wrong, and closes the connection. What is written after that fails.
#[test]
fn the_last_words_of_a_server_are_reported() {
    let sim = Sim::new();
    Server::start(&sim, |_| None);
    let cluster = node(&sim);
    let events = cluster.events();
    let reason = sim.run(async {
        sim.settle().await;
        let publisher = sim.last_connection().expect("a connection");
        publisher.to_server().stall();
        publisher.to_server().set_capacity(10);
        cluster.rooms().everyone().send("hello");
        sim.settle().await;
        publisher.to_server().fail_next_write(ErrorKind::BrokenPipe);
        publisher.to_client().insert(b"-ERR Too slow\r\n");
        loop {
            let event = events.recv().await.expect("a node that has not left");
            if let ClusterEvent::Disconnected { reason } = event {
                return reason;
            }
        }
    });
    let what = format!(": {NAME} refused");
    assert!(reason.contains(&what) && reason.ends_with("Too slow"), "{reason}");
}
