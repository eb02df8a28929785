//! What clients learn when messages that should have been kept are lost, or do not arrive.

use futures_lite::future::poll_once;
use prism_driver::{CloseCode, Options, Runtime};
use prism_rooms::{AppendError, ClusterEvent};

use crate::history_world::{Node, SECOND, World};

/// Waits until a node's backplane works again.
async fn connected(world: &World, node: usize) {
    let cluster = &world.nodes[node].cluster;
    let events = cluster.events();
    while !cluster.counts().connected {
        events.recv().await.expect("the node has not left");
    }
}

#[test]
fn nobody_receives_what_is_not_kept() {
    let world = World::new(2, 100);
    world.sim.run(async {
        let mut clients = [world.join(0, "tea", None).await.0, world.join(1, "tea", None).await.0];
        world.append(0, "one").await;
        world.nodes[0].backplane.isolate();
        while world.nodes[0].cluster.counts().connected {
            world.sim.pass(SECOND).await;
        }
        let history = &world.nodes[0].history;
        assert_eq!(history.append("tea", "away").await, Err(AppendError::Unavailable));
        world.nodes[0].backplane.rejoin();
        connected(&world, 0).await;
        world.broker.refuse_history(true);
        let refused = history.append("tea", "refused").await;
        assert!(matches!(refused, Err(AppendError::Refused(_))), "{refused:?}");
        world.broker.refuse_history(false);
        world.append(0, "two").await;
        for client in &mut clients {
            assert_eq!((client.next().await, client.next().await), ("one".into(), "two".into()));
        }
    });
}

#[test]
fn the_operator_learns_of_messages_that_are_not_kept() {
    let world = World::new(1, 100);
    world.sim.run(async {
        let Node { history, cluster, backplane } = &world.nodes[0];
        connected(&world, 0).await;
        let events = cluster.events();
        world.append(0, "kept").await;
        world.broker.refuse_history(true);
        for _ in 0..3 {
            let refused = history.append("tea", "refused").await;
            assert!(matches!(refused, Err(AppendError::Refused(_))), "{refused:?}");
        }
        world.broker.refuse_history(false);
        backplane.stall();
        assert_eq!(history.append("tea", "lost").await, Err(AppendError::Unknown));
        assert_eq!(history.append("tea", "away").await, Err(AppendError::Unavailable));
        let counts = cluster.counts();
        assert_eq!((counts.kept, counts.not_kept, counts.unconfirmed), (1, 4, 1));
        let reason = "the broker refuses to keep messages".to_owned();
        let refused = ClusterEvent::AppendRefused { room: "tea".into(), reason };
        assert_eq!(poll_once(events.recv()).await, Some(Some(refused)), "once");
        let next = poll_once(events.recv()).await;
        assert!(matches!(next, Some(Some(ClusterEvent::Disconnected { .. }))), "{next:?}");
    });
}

#[test]
fn a_broker_that_restarts_has_lost_everything() {
    let world = World::new(1, 100);
    world.sim.run(async {
        let (mut client, ..) = world.join(0, "tea", None).await;
        world.append(0, "one").await;
        assert_eq!(client.next().await, "one");
        world.broker.stop();
        world.broker.start();
        assert_eq!(client.close_code().await, CloseCode::SERVICE_RESTART);
        connected(&world, 0).await;
        let (mut client, told, _) = world.join(0, "tea", client.position.take().as_ref()).await;
        assert_eq!(told, "broken");
        world.append(0, "two").await;
        assert_eq!(client.next().await, "two");
    });
}

#[test]
fn members_are_closed_if_their_room_cannot_be_read() {
    let world = World::new(1, 100);
    world.sim.run(async {
        let (mut client, ..) = world.join(0, "tea", None).await;
        world.append(0, "one").await;
        assert_eq!(client.next().await, "one");
        world.nodes[0].backplane.lose(1);
        world.append(0, "lost").await;
        world.broker.refuse_history(true);
        let (start, events) = (world.sim.now(), world.nodes[0].cluster.events());
        let refused = loop {
            if let Some(ClusterEvent::ReadRefused { room, reason }) = events.recv().await {
                break (room, reason);
            }
        };
        assert_eq!((&*refused.0, &*refused.1), ("tea", "the broker refuses to keep messages"));
        assert_eq!(client.close_code().await, CloseCode::SERVICE_RESTART);
        assert!(world.sim.now() - start <= 50 * SECOND);
        world.broker.refuse_history(false);
        let (_, told, repeated) = world.join(0, "tea", client.position.as_ref()).await;
        assert_eq!((&*told, repeated), ("whole 1", vec!["lost".to_owned()]));
    });
}

#[test]
fn members_receive_messages_although_nobody_appends_or_joins_a_history_there() {
    let world = World::new(2, 100);
    world.sim.run(async {
        let (socket, connection) = world.connect_elsewhere().await;
        let rooms = world.nodes[1].history.rooms();
        assert_eq!(rooms.join(&connection, "tea"), Ok(true));
        assert!(rooms.reached("tea").await);
        let position = world.append(0, "one").await;
        let received = socket.recv().await.unwrap();
        assert_eq!(received.as_text(), Some(&*format!("{position} one")));
    });
}

#[test]
fn a_node_that_catches_up_closes_no_member_that_reads() {
    let options = Options::default().high_water_mark(4 << 10);
    let world = World::with_options(2, 1000, &options, |history| history);
    world.sim.run(async {
        let (mut here, ..) = world.join(0, "tea", None).await;
        let (mut there, ..) = world.join(1, "tea", None).await;
        world.nodes[1].backplane.isolate();
        let texts: Vec<_> = (0..500).map(|n| format!("{n} {}", "x".repeat(10_000))).collect();
        for text in &texts {
            world.append(0, text).await;
            assert_eq!(here.next().await, *text);
        }
        world.sim.pass(10 * SECOND).await;
        world.nodes[1].backplane.rejoin();
        world.sim.pass(5 * SECOND).await; // the client does not read at once, so its outbox is full
        for (n, text) in texts.iter().enumerate() {
            assert_eq!(there.next().await, *text);
            if n % 100 == 0 {
                world.sim.pass(SECOND).await; // a client that does something else for a moment
            }
        }
    });
}

#[test]
fn a_message_that_was_not_confirmed_may_be_kept() {
    let world = World::new(1, 100);
    world.sim.run(async {
        let (client, ..) = world.join(0, "tea", None).await;
        world.nodes[0].backplane.stall();
        let history = world.nodes[0].history.clone();
        assert_eq!(history.append("tea", "perhaps").await, Err(AppendError::Unknown));
        drop(client);
    });
}

#[test]
fn what_was_appended_during_an_outage_is_repeated() {
    let world = World::new(2, 100);
    world.sim.run(async {
        let (mut here, ..) = world.join(0, "tea", None).await;
        let (mut there, ..) = world.join(1, "tea", None).await;
        world.nodes[1].backplane.isolate();
        for message in ["one", "two", "three"] {
            world.append(0, message).await;
            assert_eq!(here.next().await, message);
        }
        world.sim.pass(10 * SECOND).await;
        world.nodes[1].backplane.rejoin();
        for message in ["one", "two", "three"] {
            assert_eq!(there.next().await, message);
        }
        world.append(0, "four").await;
        assert_eq!(there.next().await, "four");
    });
}

#[test]
fn what_did_not_arrive_is_read_and_what_arrives_twice_is_ignored() {
    let world = World::new(1, 100);
    let backplane = &world.nodes[0].backplane;
    world.sim.run(async {
        let (mut client, ..) = world.join(0, "tea", None).await;
        for (n, fault) in [1, 0, 2, 1, 0].into_iter().enumerate() {
            backplane.lose(fault);
            backplane.repeat(usize::from(fault == 0));
            for message in 0..4 {
                world.append(0, &format!("{n} {message}")).await;
            }
            for message in 0..4 {
                assert_eq!(client.next().await, format!("{n} {message}"));
            }
        }
    });
}

#[test]
fn the_last_message_is_not_lost_without_a_trace() {
    let world = World::new(1, 100);
    world.sim.run(async {
        let (mut client, ..) = world.join(0, "tea", None).await;
        world.append(0, "arrives").await;
        assert_eq!(client.next().await, "arrives");
        world.nodes[0].backplane.forget_subscription("tea");
        let start = world.sim.now();
        world.append(0, "does not arrive").await;
        assert_eq!(client.next().await, "does not arrive");
        assert!(world.sim.now() - start <= 25 * SECOND);
        let start = world.sim.now();
        world.append(0, "arrives again").await;
        assert_eq!(client.next().await, "arrives again");
        assert!(world.sim.now() - start < SECOND, "it has subscribed again");
    });
}

#[test]
fn members_are_closed_after_a_failover_that_lost_messages() {
    let world = World::new(2, 100);
    world.sim.run(async {
        let (mut ann, ..) = world.join(0, "tea", None).await;
        let (mut ben, ..) = world.join(1, "tea", None).await;
        for message in ["one", "two", "three"] {
            world.append(0, message).await;
            assert_eq!((ann.next().await, ben.next().await), (message.into(), message.into()));
        }
        world.broker.fail_over(2);
        for (node, client) in [&mut ann, &mut ben].into_iter().enumerate() {
            assert_eq!(client.close_code().await, CloseCode::SERVICE_RESTART);
            let position = client.position.clone();
            let (mut back, told, repeated) = world.join(node, "tea", position.as_ref()).await;
            assert_eq!((&*told, repeated.len()), ("broken", 0));
            world.append(node, "four").await;
            assert_eq!(back.next().await, "four");
        }
    });
}

#[test]
fn members_are_told_instead_if_the_application_says_how() {
    let world = World::with_options(1, 100, &Options::default(), |history| {
        history.on_broken(|room, position| format!("{position} {room} is broken"))
    });
    world.sim.run(async {
        let (mut client, ..) = world.join(0, "tea", None).await;
        world.append(0, "one").await;
        assert_eq!(client.next().await, "one");
        world.broker.forget_history();
        world.append(0, "two").await;
        client.position = None; // it knows that it has to begin again
        assert_eq!(client.next().await, "tea is broken");
        assert_eq!(client.next().await, "two");
    });
}
