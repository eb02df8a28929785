//! Clients that are new to a room, and get the last messages that Redis keeps.

use std::path::PathBuf;

use prism_tests::redis_server::RedisServer;

use crate::{
    history::{Node, position},
    node::{Net, next},
};

pub(crate) async fn a_new_client_gets_the_last_messages<N: Net>(program: PathBuf) {
    let redis = RedisServer::start(program, &[]);
    let node = Node::start::<N>(&redis, 10).await;
    let (_, told, messages) = node.join_with_recent::<N>(5).await;
    assert_eq!((position(&told).offset(), messages.len()), (0, 0));
    let mut sent = Vec::new();
    for n in 0..300 {
        sent.push(format!("{} {n}", node.append(&format!("{n}")).await));
    }
    for count in [1, 10] {
        let (_, told, messages) = node.join_with_recent::<N>(count).await;
        assert_eq!(messages, sent[300 - count..]);
        assert!(told.starts_with("whole ") && told.ends_with(&format!(" {count}")), "{told}");
    }
    // A stream is shortened by a hundred messages at once, so more are kept, but not all.
    let (client, told, messages) = node.join_with_recent::<N>(1000).await;
    assert!((10..300).contains(&messages.len()), "{}", messages.len());
    assert_eq!(messages, sent[300 - messages.len()..]);
    assert!(told.starts_with("whole "), "{told}");
    let at = node.append("new").await;
    assert_eq!(next(&client).await, format!("{at} new"));
    // The records alone are deleted, as by eviction.
    redis.command(&["DEL", "prism:s:tea"]);
    let (_, told, messages) = node.join_with_recent::<N>(5).await;
    assert_eq!((told, messages.len()), (format!("whole {at} 0"), 0));
}
