//! Who may use a server.

use std::path::PathBuf;

use prism_rooms_redis::Redis;
use prism_tests::redis_server::RedisServer;

use crate::{
    history,
    node::{Net, Node, next, pause, redis_at},
};

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
    assert!(reason.contains("Redis refused HELLO: WRONGPASS"), "{reason}");
    let reason = Node::start::<N>(none).await.connect_failed().await;
    assert!(reason.contains("Redis refused HELLO: NOAUTH"), "{reason}");
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
    let alone = there.join::<N>("milk").await;
    let channels = redis.channels();
    drop(alone);
    while redis.channels() == channels {
        pause::<N>().await; // some seconds, in which a member may come again
    }
    ben.send("bye").await.expect("an open connection");
    assert_eq!(next(&eve).await, "bye");
    for node in [&here, &there] {
        node.assert_not_disconnected().await;
    }
}

/// Returns the guide's configurations as arguments of a server, with spaces in between: a line `name value` is `--name
/// value`. The first one is for any server, the second one for TLS.
pub(crate) fn guide() -> Vec<String> {
    let guide = include_str!("../../prism-rooms-redis/docs/redis.md");
    let blocks = guide.split("```text\n").skip(1);
    blocks
        .map(|block| {
            let (lines, _) = block.split_once("```").expect("its end");
            // Nothing is saved anyway.
            let lines = lines.replace("save \"\"\n", "").replace("10.0.0.5", "127.0.0.1");
            format!("--{}", lines.trim().replace('\n', " --"))
        })
        .collect()
}

pub(crate) async fn the_configuration_in_the_guide_works<N: Net>(program: PathBuf) {
    let redis = RedisServer::start(program, &guide()[0].split(' ').collect::<Vec<_>>());
    talk_and_remember(|| redis_at::<N>(&redis.url("shop:secret@")).prefix("shop")).await;
    let reason = Node::on::<N>(&redis).await.connect_failed().await;
    assert!(reason.contains("Redis refused HELLO: NOAUTH"), "{reason}");
}

/// Checks that the members of two nodes talk, and that messages are kept.
pub(crate) async fn talk_and_remember<N: Net>(backplane: impl Fn() -> Redis<N>) {
    let (here, there) = (Node::start::<N>(backplane()).await, Node::start::<N>(backplane()).await);
    here.meet::<N>().await;
    let (ben, eve) = (here.join::<N>("tea").await, there.join::<N>("tea").await);
    ben.send("hello").await.expect("an open connection");
    assert_eq!(next(&eve).await, "hello");

    let node = history::Node::start_on::<N>(backplane(), 10).await;
    let at = node.append("kept").await;
    let (client, told, _) = node.join::<N>(None).await;
    assert_eq!(told, format!("whole {at} 0"));
    drop(client);
    let last = node.append("missed").await;
    let (_, told, messages) = node.join::<N>(Some(&at)).await;
    assert_eq!((told, messages), (format!("whole {last} 1"), vec![format!("{last} missed")]));
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
    assert!(reason.contains("Redis refused ROLE: NOPERM"), "{reason}");
}
