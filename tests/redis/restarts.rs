//! Servers that restart or stall.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use prism_rooms::ClusterEvent;

use crate::node::{Net, next, two_nodes};

/// Within what time all works again once the server answers.
const RECOVERY: Duration = Duration::from_secs(10);

pub(crate) async fn a_server_that_restarts_empty_is_used_again<N: Net>(program: PathBuf) {
    let (mut broker, here, there) = two_nodes::<N>(program).await;
    let (ann, ben) = (here.join::<N>("tea").await, there.join::<N>("tea").await);
    broker.process.kill();
    here.disconnected().await;
    here.event(|event| {
        matches!(event, ClusterEvent::ConnectFailed { reason }
        if reason.contains(" cannot be reached: "))
    })
    .await;
    broker.process.start_again();
    let began = Instant::now();
    here.reconnected().await;
    there.reconnected().await;
    assert!(here.rooms.reached("tea").await && there.rooms.reached("tea").await);
    ann.send("hello again").await.expect("an open connection");
    assert_eq!(next(&ben).await, "hello again");
    assert!(began.elapsed() < RECOVERY, "{:?}", began.elapsed());
}

pub(crate) async fn a_server_that_stalls_is_noticed<N: Net>(program: PathBuf) {
    let (broker, here, there) = two_nodes::<N>(program).await;
    let (ann, ben) = (here.join::<N>("tea").await, there.join::<N>("tea").await);
    let eve = here.join::<N>("tea").await;
    broker.process.pause();
    ann.send("just us").await.expect("an open connection");
    assert_eq!(next(&eve).await, "just us", "the server is not needed for that");
    let began = Instant::now();
    let reason = here.disconnected().await;
    assert_eq!(reason, "what was published did not come back in time");
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
    there.disconnected().await;
    broker.process.resume();
    let began = Instant::now();
    here.reconnected().await;
    there.reconnected().await;
    assert!(here.rooms.reached("tea").await && there.rooms.reached("tea").await);
    assert!(began.elapsed() < RECOVERY, "{:?}", began.elapsed());
    ann.send("hello again").await.expect("an open connection");
    loop {
        // It may have read the first message before it was paused, or have read it from a connection that has ended.
        match next(&ben).await.as_str() {
            "just us" => {}
            text => break assert_eq!(text, "hello again"),
        }
    }
}
