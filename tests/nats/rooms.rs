//! Names of rooms, the longest message, and what NATS has not.

use std::path::PathBuf;

use prism_rooms::{ClusterEvent, History, HistoryError, Keep};
use prism_tests::nats_server::NatsServer;

use crate::node::{Net, Node, next, two_nodes};

/// To NATS, these would be wildcards, the end of a line, or nothing.
const NAMES: [&str; 10] = [
    "*",
    ">",
    "a.b",
    "a.*",
    "a b",
    "a\tb",
    "x\r\nPUB prism.all 1",
    "%2E",
    "",
    "caf\u{e9} \u{1f375}",
];

pub(crate) async fn names_may_be_any_text<N: Net>(program: PathBuf) {
    let (_broker, here, there) = two_nodes::<N>(program).await;
    let member = there.join::<N>("tea").await;
    let id = there.rooms.members("tea")[0];
    let connection = there.rooms.one(id).expect("the member");
    let longest = ["*".repeat(1024), " ".repeat(1024), "\u{1f375}".repeat(256)];
    let names: Vec<&str> = NAMES.into_iter().chain(longest.iter().map(String::as_str)).collect();
    for name in &names {
        there.rooms.join(&connection, name).expect("room");
        assert!(there.rooms.reached(name).await);
    }
    for (number, name) in names.iter().enumerate() {
        here.rooms.to(name).send(number.to_string());
    }
    here.rooms.to("a.c").send("to a room without members");
    here.rooms.to("tea").send("the end");
    for number in 0..names.len() {
        assert_eq!(next(&member).await, number.to_string());
    }
    assert_eq!(next(&member).await, "the end");
    here.assert_not_disconnected().await;
    there.assert_not_disconnected().await;
    let counts = there.cluster.counts();
    assert_eq!((counts.missed, counts.repeated, counts.refused), (0, 0, 0));
}

/// By default, a server takes 1 MiB in all.
pub(crate) async fn a_message_that_is_too_large_is_reported<N: Net>(program: PathBuf) {
    let server = NatsServer::start(program, "");
    let (here, there) = (Node::on::<N>(&server).await, Node::on::<N>(&server).await);
    here.meet::<N>().await;
    there.meet::<N>().await;
    let (ann, ben) = (here.join::<N>("tea").await, there.join::<N>("tea").await);
    for size in [(1 << 20) - 200, 1 << 20, 5] {
        ann.send("x".repeat(size)).await.expect("an open connection");
    }
    assert_eq!(next(&ben).await.len(), (1 << 20) - 200);
    assert_eq!(next(&ben).await, "xxxxx");
    let refused = here.event(|event| matches!(event, ClusterEvent::PublishRefused { .. })).await;
    let ClusterEvent::PublishRefused { reason } = refused else { unreachable!("it was expected") };
    assert!(reason.contains("max_payload is 1048576"), "{reason}");
    let gap = ClusterEvent::Gap { node: here.cluster.node(), room: Some("tea".into()), missed: 1 };
    there.event(|event| *event == gap).await;
    assert_eq!((here.cluster.counts().unpublished, there.cluster.counts().missed), (1, 1));
    here.assert_not_disconnected().await;
}

pub(crate) async fn history_is_refused<N: Net>(program: PathBuf) {
    let server = NatsServer::start(program, "");
    let node = Node::on::<N>(&server).await;
    let keep = Keep::new(10, std::time::Duration::from_secs(1));
    let history = History::on(&node.cluster, keep, |_, message| message.as_bytes().to_vec());
    assert_eq!(history.err(), Some(HistoryError::NotKept));
}
