//! What foreign code does to a cluster: a backplane that panics, and wakers that call back.

use std::{
    error::Error,
    fmt,
    panic::panic_any,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc::channel,
    },
    thread,
    time::Duration,
};

use prism_rooms::{
    Backplane, Cluster, ClusterEvent, Command, MemoryBroker, Session, SessionFuture,
};
use prism_test::{DroppedWhenWoken, Sim};

use crate::cluster::World;

/// How long a scenario may take before it counts as hanging.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Panics in each way that there is, and works then.
struct Panicking<B> {
    inner: B,
    attempts: Arc<AtomicUsize>,
}

/// Panics when it is dropped, and when it is printed.
#[derive(Debug)]
struct Explosive;

impl Drop for Explosive {
    fn drop(&mut self) {
        if !thread::panicking() {
            panic!("dropped, on purpose");
        }
    }
}

impl fmt::Display for Explosive {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        panic!("printed, on purpose");
    }
}

impl Error for Explosive {}

impl<B: Backplane> Backplane for Panicking<B> {
    fn serve<'a>(&'a self, session: &'a Session) -> SessionFuture<'a> {
        match self.attempts.fetch_add(1, Ordering::Relaxed) {
            0 => panic!("in the function itself, on purpose"),
            1 => panic_any(Explosive),
            2 => Box::pin(async { panic!("in the future, on purpose") }),
            3 => Box::pin(async { panic_any(Explosive) }),
            4 => Box::pin(async { Explosive.into() }),
            5 => {
                let explosive = Explosive;
                Box::pin(async move {
                    let _explosive = explosive;
                    "the connection was refused".into()
                })
            }
            _ => self.inner.serve(session),
        }
    }
}

impl<B> Drop for Panicking<B> {
    fn drop(&mut self) {
        panic!("at last, on purpose");
    }
}

/// (The panic hook prints the panics.)
#[test]
fn panics_of_a_backplane_end_a_session_but_not_the_node() {
    let sim = Sim::new();
    let attempts = Arc::new(AtomicUsize::new(0));
    let backplane =
        Panicking { inner: MemoryBroker::new().backplane(), attempts: attempts.clone() };
    let cluster = Cluster::new(sim.clone(), backplane);
    let events = cluster.events();
    sim.run(async {
        while let Some(event) = events.recv().await {
            match event {
                ClusterEvent::Connected => break,
                ClusterEvent::ConnectFailed { .. } => {}
                _ => panic!("{event:?}"),
            }
        }
        assert_eq!(attempts.load(Ordering::Relaxed), 7);
        cluster.leave().await;
        assert_eq!(events.recv().await, None);
    });
}

/// Connects a node to itself, and refuses messages of more than 1,000 bytes.
struct Narrow;

impl Backplane for Narrow {
    fn serve<'a>(&'a self, session: &'a Session) -> SessionFuture<'a> {
        Box::pin(async move {
            session.connected();
            loop {
                for command in session.next().await {
                    match command {
                        Command::Subscribe { ticket, .. } => session.done(ticket),
                        Command::Publish { payload, ticket, .. } if payload.len() > 1000 => {
                            session.refused(ticket, "it is too large");
                        }
                        Command::Publish { payload, ticket, .. } => {
                            session.received(payload);
                            session.done(ticket);
                        }
                        command => panic!("{command:?}"),
                    }
                }
            }
        })
    }
}

#[test]
fn a_message_that_the_backplane_refuses_is_reported_and_no_other() {
    let sim = Sim::new();
    let cluster = Cluster::new(sim.clone(), Narrow);
    let events = cluster.events();
    sim.run(async {
        assert_eq!(events.recv().await, Some(ClusterEvent::Connected));
        for len in [10, 2000, 20] {
            cluster.rooms().to("tea").and("milk").send("x".repeat(len));
        }
        let reason = "it is too large".to_owned();
        assert_eq!(events.recv().await, Some(ClusterEvent::PublishRefused { reason }));
        sim.settle().await;
        let counts = cluster.counts();
        assert_eq!((counts.published, counts.unpublished), (2, 1));
        cluster.leave().await;
        assert_eq!(events.recv().await, None, "one event for both rooms, and the session goes on");
    });
}

type Waiting = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Lets a task that is dropped when it is woken wait for something of a node that cannot reach the backplane, and then
/// ends the node.
#[track_caller]
fn end_while_waiting(
    wait: impl FnOnce(&World) -> Waiting + Send + 'static,
    end: impl FnOnce(&World) + Send + 'static,
) {
    let (done, outcome) = channel();
    thread::spawn(move || {
        let world = World::new(1);
        let member = world.sim.run(world.join(0, "milk"));
        world.nodes[0].backplane.isolate();
        let rooms = &world.nodes[0].rooms;
        let connection = rooms.one(rooms.members("milk")[0]).unwrap();
        rooms.join(&connection, "tea").unwrap();
        let task = DroppedWhenWoken::waiting_for(wait(&world));
        world.sim.run(world.sim.settle()); // the node's task has seen the question
        end(&world);
        let _ = done.send(task.was_woken());
        drop(member);
    });
    assert!(outcome.recv_timeout(TIMEOUT).expect("it hangs or has panicked"), "nobody was woken");
}

fn reached(world: &World) -> Waiting {
    let rooms = world.nodes[0].rooms.clone();
    Box::pin(async move { assert!(!rooms.reached("tea").await) })
}

fn leave(world: &World) -> Waiting {
    let cluster = world.nodes[0].cluster.clone();
    Box::pin(async move { cluster.leave().await })
}

#[test]
fn a_node_that_leaves_wakes_those_who_wait_when_no_lock_is_held() {
    let end = |world: &World| {
        let cluster = &world.nodes[0].cluster;
        world.sim.run(cluster.leave());
    };
    end_while_waiting(reached, end);
    end_while_waiting(leave, end);
}

#[test]
fn a_runtime_that_ends_wakes_those_who_wait_when_no_lock_is_held() {
    let end = |world: &World| world.sim.drop_tasks();
    end_while_waiting(reached, end);
    end_while_waiting(leave, end);
}
