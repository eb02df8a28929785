//! Several servers that are one NATS cluster.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use futures_lite::future::{or, zip};
use prism_driver::Socket;
use prism_tests::nats_server::NatsServer;

use crate::{
    engine::nats_at,
    node::{Net, Node, next, pause},
};

/// Within what time another server is used.
const AT_ONCE: Duration = Duration::from_secs(1);

/// Starts two servers, a node with the URLs of both, which is at the first, and one at the second. They know each
/// other.
async fn start<N: Net>(program: PathBuf, configuration: &str) -> ([NatsServer; 2], Node, Node) {
    let mut servers: [_; 2] = NatsServer::start_cluster(&program, configuration);
    let [first, second] = servers.each_ref().map(|server| server.url(""));
    servers[1].process.kill();
    let here = Node::start::<N>(nats_at::<N>(&format!("{first},{second}"))).await;
    here.connected::<N>().await;
    servers[1].process.start_again();
    let there = Node::start::<N>(nats_at::<N>(&second)).await;
    here.meet::<N>().await;
    there.meet::<N>().await;
    (servers, here, there)
}

/// Sends a text over and over until it arrives: one server tells the other of a subscription after a moment.
async fn reach<N: Net>(from: &Socket, to: &Socket, text: &str) {
    let sending = async {
        loop {
            from.send(text).await.expect("an open connection");
            pause::<N>().await;
        }
    };
    let arriving = async { while next(to).await != text {} };
    or(arriving, sending).await;
}

pub(crate) async fn another_server_takes_over<N: Net>(program: PathBuf) {
    let ([mut first, _second], here, there) = start::<N>(program, "").await;
    let (ann, ben) = (here.join::<N>("tea").await, there.join::<N>("tea").await);
    reach::<N>(&ann, &ben, "one").await;
    reach::<N>(&ben, &ann, "two").await;
    first.process.kill();
    let reason = here.disconnected().await;
    assert!(reason.starts_with(&first.process.address().to_string()), "{reason}");
    let began = Instant::now();
    here.reconnected().await;
    assert!(here.rooms.reached("tea").await);
    reach::<N>(&ann, &ben, "three").await;
    reach::<N>(&ben, &ann, "four").await;
    assert!(began.elapsed() < AT_ONCE, "{:?}", began.elapsed());
    there.assert_not_disconnected().await;
}

/// Reads numbers until the last one, and checks that each is there, once and in order.
async fn read_numbers(member: &Socket, last: u32) {
    for number in 0..=last {
        assert_eq!(next(member).await, number.to_string());
    }
}

pub(crate) async fn a_server_in_lame_duck_mode_is_left_without_a_loss<N: Net>(program: PathBuf) {
    const LAST: u32 = 150;
    let ([mut first, _second], here, there) = start::<N>(program, "").await;
    let (ann, ben) = (here.join::<N>("tea").await, there.join::<N>("tea").await);
    reach::<N>(&ann, &ben, "one").await;
    reach::<N>(&ben, &ann, "two").await;
    first.enter_lame_duck_mode();
    // Members that join later receive none of the earlier texts.
    let (carl, dora) = (here.join::<N>("milk").await, there.join::<N>("milk").await);
    for number in 0..=LAST {
        carl.send(number.to_string()).await.expect("an open connection");
        dora.send(number.to_string()).await.expect("an open connection");
        pause::<N>().await;
    }
    zip(read_numbers(&carl, LAST), read_numbers(&dora, LAST)).await;
    first.process.kill();
    reach::<N>(&ann, &ben, "three").await;
    for node in [&here, &there] {
        assert_eq!(node.cluster.counts().missed, 0);
        node.assert_not_disconnected().await;
    }
}
