//! What a history reads and writes in Redis, and how it sends its scripts.

use std::path::PathBuf;

use futures_lite::future::zip;
use prism_rooms::Position;
use prism_tests::redis_server::RedisServer;

use crate::{
    history::{Node, position},
    node::Net,
};

pub(crate) async fn reading_seldom_writes<N: Net>(program: PathBuf) {
    let redis = RedisServer::start(program, &[]);
    let node = Node::start::<N>(&redis, 100).await;
    let last = node.append("one").await;
    let calls = redis.calls("expire");
    for _ in 0..5 {
        node.join::<N>(Some(&last)).await;
    }
    assert_eq!(redis.calls("expire"), calls);
    redis.command(&["EXPIRE", "prism:h:tea", "100"]);
    read_elsewhere::<N>(&redis, Some(&last)).await;
    assert!(lifetime(&redis) > 80_000);
}

/// Lets a node read the room. One that has done so lately may not have to.
async fn read_elsewhere<N: Net>(redis: &RedisServer, after: Option<&Position>) {
    Node::start::<N>(redis, 100).await.join::<N>(after).await;
}

/// Clients can join any room.
pub(crate) async fn a_room_in_which_nothing_was_kept_is_soon_forgotten<N: Net>(program: PathBuf) {
    let redis = RedisServer::start(program, &[]);
    read_elsewhere::<N>(&redis, None).await;
    assert!((100..=120).contains(&lifetime(&redis)));
    redis.command(&["EXPIRE", "prism:h:tea", "50"]);
    read_elsewhere::<N>(&redis, None).await;
    assert!((100..=120).contains(&lifetime(&redis)), "it is renewed while there are members");
    let last = Node::start::<N>(&redis, 100).await.append("one").await;
    assert!(lifetime(&redis) > 80_000);
    read_elsewhere::<N>(&redis, Some(&last)).await;
    assert!(lifetime(&redis) > 80_000);
}

/// Returns how long the log of the room is kept, in seconds.
fn lifetime(redis: &RedisServer) -> u32 {
    let reply = redis.command(&["TTL", "prism:h:tea"]);
    reply.trim().trim_start_matches(':').parse().expect("seconds")
}

pub(crate) async fn little_is_fetched_that_is_not_returned<N: Net>(program: PathBuf) {
    let redis = RedisServer::start(program, &[]);
    let node = Node::start::<N>(&redis, 100).await;
    let (client, told, _) = node.join::<N>(None).await;
    drop(client);
    for _ in 0..8 {
        node.append(&"x".repeat(200 << 10)).await; // a page has 256 KiB, and the rest of a message
    }
    let commands = redis.monitor();
    let (_, _, messages) = node.join::<N>(Some(&position(&told))).await;
    assert_eq!(messages.len(), 8);
    redis.command(&["ECHO", "the end"]);
    let commands = commands.take_while(|line| !line.contains("the end"));
    let counts = commands.filter_map(|line| {
        let (_, count) = line.split_once("\"COUNT\" \"")?;
        Some(count.trim_end_matches('"').parse::<u32>().expect("a number"))
    });
    let fetched: u32 = counts.sum();
    assert!((8..12).contains(&fetched), "{fetched}");
}

pub(crate) async fn scripts_are_sent_once_and_again_if_they_are_forgotten<N: Net>(
    program: PathBuf,
) {
    let redis = RedisServer::start(program, &[]);
    let node = Node::start::<N>(&redis, 100).await;
    for _ in 0..10 {
        node.append("old").await;
    }
    assert_eq!((redis.calls("eval"), redis.calls("evalsha")), (1, 9));
    redis.command(&["SCRIPT", "FLUSH"]);
    let appends = ["one", "two", "three"].map(|message| Box::pin(node.append(message)));
    let [one, two, three] = appends;
    let (one, (two, three)) = zip(one, zip(two, three)).await;
    assert_eq!([one, two, three.clone()].map(|at| at.offset()), [11, 12, 13]);
    let (_, told, messages) = node.join::<N>(Position::new(three.epoch(), 10).as_ref()).await;
    assert_eq!((told, messages.len()), (format!("whole {three} 3"), 3));
    assert!(node.cluster.counts().connected);
}
