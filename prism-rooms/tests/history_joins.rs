//! Clients that join a history while something else happens: they leave, join again, give up, or the backplane does not
//! answer.

use futures_lite::future::{poll_once, zip};
use prism_driver::{Options, Runtime};
use prism_rooms::{ClusterEvent, HistoryJoinError, JoinError, Joined};

use crate::history_world::{Node, SECOND, World};

#[test]
fn a_join_that_is_dropped_or_left_adds_nothing() {
    let world = World::new(1, 100);
    world.sim.run(async {
        let (socket, connection) = world.connect_elsewhere().await;
        let Node { history, backplane, .. } = &world.nodes[0];
        let rooms = history.rooms();
        let joining = world.begin_stalled_join(&connection, None).await;
        assert!(rooms.contains("tea", connection.id()));
        drop(joining);
        world.sim.settle().await;
        assert!(!rooms.contains("tea", connection.id()));

        let joining = world.begin_stalled_join(&connection, None).await;
        assert!(rooms.leave(connection.id(), "tea"));
        backplane.resume();
        assert_eq!(joining.await, Err(HistoryJoinError::Left));

        let joining = world.begin_stalled_join(&connection, None).await;
        drop(socket);
        assert_eq!(joining.await, Err(HistoryJoinError::Join(JoinError::Ended)), "at once");
        backplane.resume();
        world.sim.settle().await;
        assert!(rooms.is_empty("tea"));
    });
}

#[test]
fn a_member_that_leaves_and_joins_again_receives_nothing_twice() {
    let world = World::new(1, 100);
    world.sim.run(async {
        let (_keeps_the_room, ..) = world.join(0, "tea", None).await;
        let (socket, connection) = world.connect_elsewhere().await;
        let Node { history, backplane, .. } = &world.nodes[0];
        let start = world.append(0, "zero").await;
        for message in ["one", "two", "three"] {
            world.append(0, message).await;
        }
        let mut first = world.begin_stalled_join(&connection, Some(start.clone())).await;
        assert!(history.rooms().leave(connection.id(), "tea"));
        let second = world.begin_join(&connection, Some(start)).await;
        backplane.resume();
        assert_eq!(poll_once(&mut first).await, Some(Err(HistoryJoinError::Left)));
        let joined = second.await;
        assert!(matches!(joined, Ok(Joined::Whole { repeated: 3, .. })), "{joined:?}");
        drop(first);
        world.sim.settle().await;
        assert!(history.rooms().contains("tea", connection.id()), "it is a member by the second");
        world.append(0, "four").await;
        for expected in ["one", "two", "three", "four"] {
            let received = socket.recv().await.unwrap();
            assert!(received.as_text().unwrap().ends_with(expected), "{received:?}");
        }
    });
}

#[test]
fn a_join_that_is_given_up_removes_no_member_that_has_joined_otherwise() {
    let world = World::new(1, 100);
    world.sim.run(async {
        let (_socket, connection) = world.connect_elsewhere().await;
        let rooms = world.nodes[0].history.rooms();
        let joining = world.begin_stalled_join(&connection, None).await;
        assert!(rooms.leave(connection.id(), "tea"));
        world.sim.settle().await; // the room has no members
        assert_eq!(rooms.join(&connection, "tea"), Ok(true));
        drop(joining);
        world.sim.settle().await;
        assert!(rooms.contains("tea", connection.id()));
    });
}

#[test]
fn a_client_that_has_left_is_sent_no_more_pages() {
    let options = Options::default().high_water_mark(4 << 10);
    let world = World::with_options(1, 1000, &options, |history| history);
    world.sim.run(async {
        let (_keeps_the_room, ..) = world.join(0, "tea", None).await;
        let (socket, connection) = world.connect_elsewhere().await;
        let Node { history, .. } = &world.nodes[0];
        let start = world.append(0, "zero").await;
        for _ in 0..1000 {
            world.append(0, &"x".repeat(1000)).await;
        }
        let mut joining = world.begin_join(&connection, Some(start)).await;
        assert!(poll_once(&mut joining).await.is_none(), "the client has not read");
        assert!(history.rooms().leave(connection.id(), "tea"));
        let left = async {
            let joined = joining.await;
            connection.send("the end").await.unwrap();
            joined
        };
        let reads = async {
            let mut received = 0;
            while socket.recv().await.unwrap().as_text() != Some("the end") {
                received += 1;
            }
            received
        };
        let (joined, received) = zip(left, reads).await;
        assert_eq!(joined, Err(HistoryJoinError::Left));
        assert!((1..1000).contains(&received), "{received}");
    });
}

#[test]
fn a_client_does_not_wait_for_the_backplane_for_ever() {
    let world = World::new(1, 100);
    world.sim.run(async {
        let (_socket, connection) = world.connect_elsewhere().await;
        let Node { history, backplane, cluster } = &world.nodes[0];
        backplane.isolate();
        while cluster.counts().connected {
            world.sim.pass(SECOND).await;
        }
        for _ in 0..3 {
            let start = world.sim.now();
            let joined = history.join(&connection, "tea", None).await;
            assert_eq!(joined, Err(HistoryJoinError::Unavailable));
            assert_eq!(world.sim.now() - start, SECOND);
            assert!(history.rooms().is_empty("tea"), "it is not a member");
        }
        let events = cluster.events();
        backplane.rejoin();
        while events.recv().await != Some(ClusterEvent::Connected) {}
        assert!(matches!(history.join(&connection, "tea", None).await, Ok(Joined::Whole { .. })));
    });
}

#[test]
fn what_cannot_be_shown_is_missing_however_it_is_sent() {
    let options = Options::default().high_water_mark(4 << 10);
    let world = World::with_options(1, 1000, &options, |history| history);
    world.sim.run(async {
        let (client, ..) = world.join(0, "tea", None).await;
        let start = client.position.clone();
        drop(client);
        world.nodes[0].history.append("tea", vec![1]).await.unwrap(); // the test's format panics
        for _ in 0..100 {
            world.append(0, &"x".repeat(1000)).await;
        }
        let socket = world.socket(0, "tea", start.as_ref()).await;
        let mut messages = Vec::new();
        while messages.last().is_none_or(|text: &String| text.ends_with('x')) {
            messages.push(socket.recv().await.unwrap().as_text().unwrap().to_owned());
        }
        assert_eq!(messages.len(), 101);
        assert!(messages[100].starts_with("broken "), "{}", messages[100]);
    });
}
