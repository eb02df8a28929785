//! What a history does when its node leaves the cluster.

use async_channel::Receiver;
use futures_lite::future::poll_once;
use prism_driver::{CloseCode, Disconnect, Options, Runtime};
use prism_rooms::{
    AppendError, Backplane, Cluster, ClusterEvent, Command, History, HistoryJoinError, Keep,
    Position, Session, SessionFuture,
};
use prism_test::Sim;

use crate::history_world::{Node, SECOND, World};

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
fn members_of_a_node_that_leaves_are_not_told_that_something_is_lost() {
    let world = World::with_options(2, 100, &Options::default(), |history| {
        history.on_broken(|_, _| "something is lost")
    });
    world.sim.run(async {
        let (client, ..) = world.join(0, "tea", None).await;
        world.nodes[0].cluster.leave().await;
        assert_eq!(client.close_code().await, CloseCode::SERVICE_RESTART);
        let (_, told, repeated) = world.join(1, "tea", client.position.as_ref()).await;
        assert_eq!((&*told, repeated.len()), ("whole 0", 0));
    });
}

#[test]
fn a_member_that_has_fallen_behind_goes_to_another_node_and_misses_nothing() {
    let options = Options::default().high_water_mark(4 << 10);
    let world = World::with_options(2, 1000, &options, |history| history);
    world.sim.run(async {
        let (mut client, ..) = world.join(0, "tea", None).await;
        for _ in 0..500 {
            world.append(0, &"x".repeat(10_000)).await; // the client does not read
        }
        world.nodes[0].cluster.leave().await;
        let mut received = 0;
        let code = loop {
            match client.socket.recv().await {
                Ok(message) => drop(client.take(message.as_text().unwrap())),
                Err(Disconnect::Peer { code, .. }) => break code,
                Err(other) => panic!("{other:?}"),
            }
            received += 1;
        };
        assert_eq!(code, CloseCode::SERVICE_RESTART);
        let (_, told, repeated) = world.join(1, "tea", client.position.as_ref()).await;
        assert_eq!(told, format!("whole {}", repeated.len()));
        assert_eq!(received + repeated.len(), 500);
        assert!(received < 500, "it has fallen behind");
    });
}

#[test]
fn who_waits_learns_that_the_node_has_left() {
    let world = World::new(1, 100);
    world.sim.run(async {
        let (_socket, connection) = world.connect_elsewhere().await;
        let Node { history, cluster, .. } = &world.nodes[0];
        world.append(0, "kept").await;
        let joining = world.begin_stalled_join(&connection, None).await;
        let mut given = Box::pin(history.append("tea", "given"));
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

/// Connects a node to itself, keeps what it appends, and takes a moment for each command.
struct Slow(Sim);

impl Backplane for Slow {
    fn serve<'a>(&'a self, session: &'a Session) -> SessionFuture<'a> {
        Box::pin(async move {
            session.connected();
            let mut offset = 0;
            loop {
                for command in session.next().await {
                    self.0.sleep(SECOND / 10).await;
                    match command {
                        Command::Subscribe { ticket, .. } => session.done(ticket),
                        Command::Publish { payload, ticket, .. } => {
                            session.received(payload);
                            session.done(ticket);
                        }
                        Command::Append(append) => {
                            offset += 1;
                            let position = Position::new("a", offset).unwrap();
                            session.appended(append.ticket, position);
                        }
                        command => panic!("{command:?}"),
                    }
                }
            }
        })
    }

    fn keeps_history(&self) -> bool {
        true
    }
}

#[test]
fn what_is_being_appended_is_confirmed_if_there_is_time() {
    let sim = Sim::new();
    let cluster = Cluster::new(sim.clone(), Slow(sim.clone()));
    let keep = Keep::new(1, SECOND);
    let history = History::on(&cluster, keep, |_, _| "message").unwrap();
    sim.run(async {
        let events = cluster.events();
        while events.recv().await != Some(ClusterEvent::Connected) {}
        // Of those that are appended before the node leaves, the backplane confirms some in time.
        let mut appends: Vec<_> = (0..30).map(|_| Box::pin(history.append("tea", "x"))).collect();
        for append in &mut appends {
            assert!(poll_once(append).await.is_none());
        }
        let began = sim.now();
        let mut leaving = Box::pin(cluster.leave());
        assert!(poll_once(&mut leaving).await.is_none());
        sim.settle().await;
        assert_eq!(history.append("tea", "late").await, Err(AppendError::Unavailable), "at once");
        leaving.await;
        assert!(sim.now() - began <= SECOND + SECOND / 10);
        let mut answers = Vec::new();
        for append in appends {
            answers.push(append.await.map(|position| position.offset()));
        }
        let kept = answers.iter().take_while(|answer| answer.is_ok()).count();
        assert!((5..15).contains(&kept), "{answers:?}");
        assert_eq!(answers[..kept], (1..=kept as u64).map(Ok).collect::<Vec<_>>());
        assert!(answers[kept..].iter().all(|answer| *answer == Err(AppendError::Unknown)));
        let counts = cluster.counts();
        assert_eq!((counts.kept, counts.unconfirmed), (kept as u64, 30 - kept as u64));
    });
}

/// Takes no commands, and ends its session when it is told to.
struct Idle(Receiver<()>);

impl Backplane for Idle {
    fn serve<'a>(&'a self, session: &'a Session) -> SessionFuture<'a> {
        Box::pin(async move {
            session.connected();
            let _ = self.0.recv().await;
            "it was told to".into()
        })
    }

    fn keeps_history(&self) -> bool {
        true
    }
}

#[test]
fn what_the_backplane_did_not_take_before_its_session_ended_is_not_kept() {
    let sim = Sim::new();
    sim.run(async {
        let (end, ends) = async_channel::bounded(1);
        let cluster = Cluster::new(sim.clone(), Idle(ends));
        let keep = Keep::new(100, SECOND);
        let history = History::on(&cluster, keep, |_, _| "").expect("it says that it keeps");
        sim.settle().await;
        let mut given = Box::pin(history.append("tea", "given to the session"));
        assert_eq!(poll_once(&mut given).await, None);
        sim.settle().await;
        let mut late = Box::pin(history.append("tea", "asked for as the session ends"));
        end.try_send(()).expect("it waits");
        assert_eq!(poll_once(&mut late).await, None);
        assert_eq!(given.await, Err(AppendError::Unavailable));
        assert_eq!(late.await, Err(AppendError::Unavailable));
        assert_eq!((cluster.counts().not_kept, cluster.counts().unconfirmed), (2, 0));
    });
}
