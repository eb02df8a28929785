//! What members of different nodes receive of each other.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use prism_rooms::ClusterEvent;

use crate::{
    engine,
    node::{Net, Node, next, two_nodes},
};

pub(crate) async fn members_of_two_nodes_talk<N: Net>(program: PathBuf) {
    let (_broker, here, there) = two_nodes::<N>(program).await;
    let (ann, ben) = (here.join::<N>("tea").await, there.join::<N>("tea").await);
    let eve = there.join::<N>("coffee").await;
    ann.send("hello").await.expect("an open connection");
    assert_eq!(next(&ben).await, "hello");
    ben.send("hello yourself").await.expect("an open connection");
    assert_eq!(next(&ann).await, "hello yourself");
    here.rooms.everyone().send("the kettle is on");
    for member in [&ann, &ben, &eve] {
        assert_eq!(next(member).await, "the kettle is on");
    }
    let count = here.rooms.len_everywhere("tea").await;
    assert_eq!((count.members, count.nodes, count.unanswered), (2, 2, 0));
    let node = there.cluster.node();
    there.cluster.leave().await;
    here.event(|event| *event == ClusterEvent::NodeLeft { node }).await;
}

/// The connection that publishes may be faster than the one that listens. A heartbeat that does not come back would be
/// followed by another one only after 2 s.
pub(crate) async fn the_first_heartbeat_comes_back<N: Net>(program: PathBuf) {
    let broker = engine::start(program);
    for _ in 0..50 {
        let began = Instant::now();
        Node::on::<N>(&broker).await.connected::<N>().await;
        assert!(began.elapsed() < Duration::from_millis(1500), "{:?}", began.elapsed());
    }
}

pub(crate) async fn prefixes_keep_clusters_apart<N: Net>(program: PathBuf) {
    let broker = engine::start(program);
    let backplane = |prefix: &str| engine::backplane::<N>(&broker, prefix);
    let here = Node::start::<N>(backplane("one")).await;
    let there = Node::start::<N>(backplane("one")).await;
    let other = Node::start::<N>(backplane("two")).await;
    here.meet::<N>().await;
    other.connected::<N>().await;
    let ann = here.join::<N>("tea").await;
    let eve = other.join::<N>("tea").await;
    other.rooms.to("tea").send("for two");
    there.rooms.to("tea").send("for one");
    assert_eq!(next(&ann).await, "for one");
    assert_eq!(next(&eve).await, "for two");
    assert_eq!((here.cluster.counts().nodes, other.cluster.counts().nodes), (1, 0));
    assert_eq!(here.cluster.counts().refused, 0);
}

pub(crate) async fn the_longest_messages_arrive<N: Net>(program: PathBuf) {
    let (_broker, here, there) = two_nodes::<N>(program).await;
    let (ann, ben) = (here.join::<N>("tea").await, there.join::<N>("tea").await);
    for size in [0, 1, 65_535, 65_536, 1 << 20] {
        let text: String = ('a'..='z').cycle().take(size).collect();
        ann.send(text.as_str()).await.expect("an open connection");
        assert_eq!(next(&ben).await, text);
    }
    assert_eq!(there.cluster.counts().missed, 0);
}

/// How many messages are sent. A burst is so short that no message waits for 2 s, even on a busy machine.
const MESSAGES: usize = 100_000;
const BURST: usize = 1_000;

pub(crate) async fn many_messages_arrive_once_and_in_order<N: Net>(program: PathBuf) {
    let (_broker, here, there) = two_nodes::<N>(program).await;
    let ben = there.join::<N>("tea").await;
    for burst in 0..MESSAGES / BURST {
        let numbers = burst * BURST..(burst + 1) * BURST;
        for number in numbers.clone() {
            here.rooms.to("tea").send(number.to_string());
        }
        for number in numbers {
            assert_eq!(next(&ben).await, number.to_string());
        }
    }
    let counts = there.cluster.counts();
    assert_eq!((counts.missed, counts.repeated, counts.refused), (0, 0, 0));
}
