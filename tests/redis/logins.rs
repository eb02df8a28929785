//! Who may use a server.

use std::path::PathBuf;

use prism_tests::redis_server::RedisServer;

use crate::node::{Net, Node, next, redis_at};

/// The rights that the guide recommends, without the name, the password and the channels.
const RIGHTS: &str = "-@all +publish +subscribe +unsubscribe +role";

/// Starts a server with a user `ann`, whose password is `secret`, and who has these channels and commands.
fn start(program: PathBuf, channels: &str, rights: &str) -> RedisServer {
    let redis = RedisServer::start(program, &[]);
    let mut command = vec!["ACL", "SETUSER", "ann", "on", ">secret", "resetchannels", channels];
    command.extend(rights.split(' '));
    assert_eq!(redis.command(&command), "+OK\n");
    redis
}

pub(crate) async fn a_wrong_password_is_reported<N: Net>(program: PathBuf) {
    let redis = RedisServer::start(program, &["--requirepass", "secret"]);
    let [wrong, none] = [":wrong@", ""].map(|login| redis_at::<N>(&redis.url(login)));
    let reason = Node::start::<N>(wrong).await.connect_failed().await;
    assert!(reason.starts_with("Redis refused HELLO: WRONGPASS"), "{reason}");
    let reason = Node::start::<N>(none).await.connect_failed().await;
    assert!(reason.starts_with("Redis refused HELLO: NOAUTH"), "{reason}");
    let node = Node::start::<N>(redis_at::<N>(&redis.url(":secret@"))).await;
    node.connected::<N>().await;
}

pub(crate) async fn a_user_needs_four_commands_and_the_channels_of_its_prefix<N: Net>(
    program: PathBuf,
) {
    let redis = start(program, "&shop:*", RIGHTS);
    let backplane = || redis_at::<N>(&redis.url("ann:secret@")).prefix("shop");
    let here = Node::start::<N>(backplane()).await;
    let there = Node::start::<N>(backplane()).await;
    here.meet::<N>().await;
    let (ben, eve) = (here.join::<N>("tea").await, there.join::<N>("tea").await);
    ben.send("hello").await.expect("an open connection");
    assert_eq!(next(&eve).await, "hello");
    drop(eve);
    there.rooms.to("tea").send("bye"); // and the channel is unsubscribed from later
    assert_eq!(next(&ben).await, "bye");
}

pub(crate) async fn a_user_without_the_channels_is_told_so<N: Net>(program: PathBuf) {
    let redis = start(program, "&other:*", RIGHTS);
    let node = Node::start::<N>(redis_at::<N>(&redis.url("ann:secret@")).prefix("shop")).await;
    let reason = node.connect_failed().await;
    assert!(reason.contains("SUBSCRIBE: NOPERM") || reason.contains("PUBLISH: NOPERM"), "{reason}");
}

pub(crate) async fn a_user_without_a_command_is_told_so<N: Net>(program: PathBuf) {
    let redis = start(program, "&prism:*", "-@all +publish +subscribe");
    let node = Node::start::<N>(redis_at::<N>(&redis.url("ann:secret@"))).await;
    let reason = node.connect_failed().await;
    assert!(reason.starts_with("Redis refused ROLE: NOPERM"), "{reason}");
}
