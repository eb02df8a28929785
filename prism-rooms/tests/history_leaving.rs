//! What a history does when its node leaves the cluster.

use futures_lite::future::poll_once;
use prism_driver::{CloseCode, Options};
use prism_rooms::{AppendError, HistoryJoinError};

use crate::history_world::{Node, World};

#[test]
fn members_of_a_node_that_leaves_go_to_another() {
    let world = World::new(2, 100);
    world.sim.run(async {
        let (client, ..) = world.join(0, "tea", None).await;
        world.nodes[0].cluster.leave().await;
        assert_eq!(client.close_code().await, CloseCode::SERVICE_RESTART);
        world.append(1, "later").await;
        let (_, told, repeated) = world.join(1, "tea", client.position.as_ref()).await;
        assert_eq!((&*told, repeated), ("whole 1", vec!["later".to_owned()]));
    });
}

#[test]
fn members_of_a_node_that_leaves_are_told_if_the_application_says_how() {
    let world = World::with_options(1, 100, &Options::default(), |history| {
        history.on_broken(|room, position| format!("{position} {room} is broken"))
    });
    world.sim.run(async {
        let (mut client, ..) = world.join(0, "tea", None).await;
        world.nodes[0].cluster.leave().await;
        client.position = None;
        assert_eq!(client.next().await, "tea is broken");
    });
}

#[test]
fn who_waits_learns_that_the_node_has_left() {
    let world = World::new(1, 100);
    world.sim.run(async {
        let (_socket, connection) = world.connect_elsewhere().await;
        let Node { history, backplane, cluster, .. } = &world.nodes[0];
        world.append(0, "kept").await;
        backplane.stall();
        let mut joining = Box::pin(history.join(&connection, "tea", None));
        let mut given = Box::pin(history.append("tea", "given"));
        assert!(poll_once(&mut joining).await.is_none());
        assert!(poll_once(&mut given).await.is_none());
        world.sim.settle().await;
        cluster.leave().await;
        assert_eq!(joining.await, Err(HistoryJoinError::Unavailable));
        assert!(history.rooms().is_empty("tea"), "it is not a member");
        assert_eq!(given.await, Err(AppendError::Unknown));
        assert_eq!(history.append("tea", "late").await, Err(AppendError::Unavailable));
        let joined = history.join(&connection, "tea", None).await;
        assert_eq!(joined, Err(HistoryJoinError::Unavailable));
        assert!(history.rooms().is_empty("tea"));
    });
}
