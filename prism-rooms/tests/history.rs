//! Messages that are kept, and repeated to clients that come back.

use prism_driver::{Options, OwnedMessage, Runtime};
use prism_rooms::{
    AppendError, Backplane, Cluster, History, HistoryError, Joined, Keep, MemoryBackplane,
    MemoryBroker, Session, SessionFuture,
};
use prism_test::Sim;

use crate::history_world::{Client, SECOND, World};

#[test]
fn all_members_receive_what_is_appended_in_one_order() {
    let world = World::new(3, 100);
    world.sim.run(async {
        let mut clients = Vec::new();
        for node in 0..3 {
            clients.push(world.join(node, "tea", None).await.0);
        }
        for n in 0..30 {
            let history = world.nodes[n % 3].history.clone();
            world.sim.spawn(async move {
                history.append("tea", format!("{n}")).await.unwrap();
            });
        }
        let mut received = Vec::new();
        for client in &mut clients {
            let mut texts = Vec::new();
            for _ in 0..30 {
                texts.push(client.next().await);
            }
            received.push(texts);
        }
        assert!(received.iter().all(|texts| *texts == received[0]));
    });
}

#[test]
fn a_client_that_comes_back_gets_what_it_has_missed() {
    let world = World::new(2, 100);
    world.sim.run(async {
        let (mut ann, told, _) = world.join(0, "tea", None).await;
        assert_eq!(told, "whole 0");
        world.append(0, "one").await;
        assert_eq!(ann.next().await, "one");
        let position = ann.position.clone();
        drop(ann);
        for message in ["two", "three"] {
            world.append(0, message).await;
        }
        // At another node, which has had no members until now.
        let (mut ann, told, repeated) = world.join(1, "tea", position.as_ref()).await;
        assert_eq!((&*told, repeated), ("whole 2", vec!["two".to_owned(), "three".to_owned()]));
        world.append(0, "four").await;
        assert_eq!(ann.next().await, "four");
        let (_, told, repeated) = world.join(0, "tea", ann.position.as_ref()).await;
        assert_eq!((&*told, repeated.len()), ("whole 0", 0));
    });
}

#[test]
fn a_client_without_a_position_receives_what_is_appended_from_then_on() {
    let world = World::new(1, 100);
    world.sim.run(async {
        let (first, ..) = world.join(0, "tea", None).await;
        world.append(0, "old").await;
        drop(first);
        let (mut late, told, repeated) = world.join(0, "tea", None).await;
        assert_eq!((&*told, repeated.len()), ("whole 0", 0));
        assert_eq!(late.position.as_ref().unwrap().offset(), 1);
        world.append(0, "new").await;
        assert_eq!(late.next().await, "new");
    });
}

#[test]
fn what_is_not_kept_any_more_is_reported() {
    let world = World::new(1, 3);
    world.sim.run(async {
        let (client, ..) = world.join(0, "tea", None).await;
        let before = client.position.clone().unwrap();
        drop(client);
        for message in ["one", "two", "three"] {
            world.append(0, message).await;
        }
        let (_, told, repeated) = world.join(0, "tea", Some(&before)).await;
        assert_eq!((&*told, repeated.len()), ("whole 3", 3));
        world.append(0, "four").await;
        let (mut client, told, repeated) = world.join(0, "tea", Some(&before)).await;
        assert_eq!((&*told, repeated.len()), ("broken", 0));
        assert_eq!(client.position.as_ref().unwrap().offset(), 4);
        world.append(0, "five").await;
        assert_eq!(client.next().await, "five");
        for position in ["made0up-3".to_owned(), format!("{}-900", before.epoch())] {
            let (_, told, _) = world.join(0, "tea", Some(&position.parse().unwrap())).await;
            assert_eq!(told, "broken", "a position that there never was");
        }
        world.append(0, "six").await;
        assert_eq!(client.next().await, "six", "made-up positions do not disturb others");
    });
}

#[test]
fn many_messages_are_repeated_as_fast_as_the_client_reads() {
    let options = Options::default().high_water_mark(4 << 10);
    let world = World::with_options(2, 2000, &options, |history| history);
    world.sim.run(async {
        let (client, ..) = world.join(0, "tea", None).await;
        let before = client.position.clone().unwrap();
        drop(client);
        let text = "x".repeat(1000);
        for _ in 0..1000 {
            world.append(0, &text).await;
        }
        // More is appended while it reads, and it reads slowly.
        let history = world.nodes[1].history.clone();
        let sim = world.sim.clone();
        world.sim.spawn(async move {
            for n in 0..100 {
                sim.sleep(SECOND / 100).await;
                history.append("tea", format!("{n}")).await.unwrap();
            }
        });
        let mut client =
            Client { socket: world.socket(0, "tea", Some(&before)).await, position: Some(before) };
        let mut received = 0;
        while received < 1100 {
            let message = client.text().await;
            if received % 100 == 0 {
                world.sim.pass(SECOND / 10).await;
            }
            if let Some(told) = message.strip_prefix("whole ") {
                assert!(told.split(' ').next_back().unwrap().parse::<u32>().unwrap() >= 1000);
            } else {
                client.take(&message);
                received += 1;
            }
        }
    });
}

#[test]
fn a_member_that_reads_late_misses_nothing() {
    let options = Options::default().high_water_mark(4 << 10);
    let world = World::with_options(1, 1000, &options, |history| history);
    world.sim.run(async {
        let (mut late, ..) = world.join(0, "tea", None).await;
        let (mut quick, ..) = world.join(0, "tea", None).await;
        let texts: Vec<_> = (0..500).map(|n| format!("{n} {}", "x".repeat(10_000))).collect();
        for text in &texts {
            world.append(0, text).await;
            assert_eq!(quick.next().await, *text);
        }
        for text in &texts {
            assert_eq!(late.next().await, *text);
        }
        world.append(0, "live").await;
        assert_eq!(late.next().await, "live");
    });
}

#[test]
fn a_member_that_never_reads_is_closed_and_comes_back() {
    let options = Options::default().high_water_mark(4 << 10);
    let world = World::with_options(1, 1000, &options, |history| history);
    world.sim.run(async {
        let (mut client, ..) = world.join(0, "tea", None).await;
        for _ in 0..500 {
            world.append(0, &"x".repeat(10_000)).await;
        }
        let rooms = world.nodes[0].history.rooms();
        while !rooms.is_empty("tea") {
            world.sim.pass(SECOND).await;
            assert!(world.sim.now() < 60 * SECOND, "it stays for ever");
        }
        let mut received = 0;
        while let Ok(OwnedMessage::Text(text)) = client.socket.recv().await {
            client.take(&text);
            received += 1;
        }
        assert!(received < 500, "{received}");
        let (_, told, repeated) = world.join(0, "tea", client.position.as_ref()).await;
        let missed = 500 - received;
        assert_eq!((told, repeated.len()), (format!("whole {missed}"), missed));
    });
}

#[test]
fn a_connection_that_is_a_member_already_receives_nothing_twice() {
    let world = World::new(1, 100);
    world.sim.run(async {
        let (socket, connection) = world.connect_elsewhere().await;
        let history = &world.nodes[0].history;
        let joined = history.join(&connection, "tea", None).await.unwrap();
        let Joined::Whole { position, .. } = joined else { panic!("{joined:?}") };
        world.append(0, "one").await;
        let again = history.join(&connection, "tea", Some(position.clone())).await;
        assert_eq!(again, Ok(Joined::Already));
        // Two at once: one of them adds the connection.
        assert!(history.rooms().leave(connection.id(), "tea"));
        let join = || history.join(&connection, "tea", Some(position.clone()));
        let (first, second) = futures_lite::future::zip(join(), join()).await;
        assert!(matches!(first, Ok(Joined::Whole { repeated: 1, .. })), "{first:?}");
        assert_eq!(second, Ok(Joined::Already));
        world.append(0, "two").await;
        for expected in ["-1 one", "-1 one", "-2 two"] {
            let received = socket.recv().await.unwrap();
            assert!(received.as_text().unwrap().ends_with(expected), "{received:?}");
        }
    });
}

/// A backplane that keeps nothing.
struct Forgetful(MemoryBackplane);

impl Backplane for Forgetful {
    fn serve<'a>(&'a self, session: &'a Session) -> SessionFuture<'a> {
        self.0.serve(session)
    }
}

#[test]
fn a_history_needs_a_backplane_that_keeps_messages_and_is_there_once() {
    let (sim, broker) = (Sim::new(), MemoryBroker::new());
    let on = |cluster: &Cluster, messages| {
        History::on(cluster, Keep::new(messages, SECOND), |_, message| message.into_owned())
    };
    let forgetful = Cluster::new(sim.clone(), Forgetful(broker.backplane()));
    assert_eq!(on(&forgetful, 10).err(), Some(HistoryError::NotKept));
    let cluster = Cluster::new(sim, broker.backplane());
    assert_eq!(on(&cluster, 0).err(), Some(HistoryError::KeepsNothing));
    let _history = on(&cluster, 10).unwrap();
    assert_eq!(on(&cluster, 10).err(), Some(HistoryError::Exists));
}

#[test]
fn what_cannot_be_kept_is_refused() {
    let world = World::new(1, 100);
    let history = &world.nodes[0].history;
    world.sim.run(async {
        world.join(0, "tea", None).await;
        let long = history.append("tea", vec![0; (1 << 20) + 1]).await;
        assert_eq!(long, Err(AppendError::TooLarge { size: (1 << 20) + 1 }));
        let name = "x".repeat(1025);
        assert_eq!(history.append(&name, "x").await, Err(AppendError::NameTooLong));
        assert!(history.append("tea", "x".repeat(1 << 20)).await.is_ok());
        assert!(history.append(&name[..1024], "x").await.is_ok());
        world.nodes[0].cluster.leave().await;
        assert!(history.append("tea", "x").await.is_err());
    });
}
