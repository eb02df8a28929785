//! A handler that sends to many connections: its session writes for those that are idle.

use std::{
    future::poll_fn,
    io::ErrorKind::HostUnreachable,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Context, Waker},
    time::Duration,
};

use async_channel::{Receiver, bounded};
use prism_driver::{
    Connection, Disconnect, Failure, Handler, Message, Options, Runtime, serve_upgraded,
};
use prism_test::{Faults, Peer, Received, Sim, pipe};

use crate::common::{io_error, s, text};

/// Sends each message to all other members; then does what the message says.
#[derive(Default)]
struct Hub {
    members: Mutex<Vec<Connection>>,
    gate: Option<Receiver<()>>,
    /// How often the tasks of the connections were polled.
    polls: AtomicUsize,
    clock_is_broken: AtomicBool,
}

impl Handler for Hub {
    async fn on_connect(&self, connection: &Connection) {
        self.members.lock().unwrap().push(connection.clone());
    }

    async fn on_message(&self, connection: &Connection, message: Message<'_>) {
        for member in self.members.lock().unwrap().iter() {
            if member.id() != connection.id() {
                member.try_send(message).unwrap();
            }
        }
        match message.as_text() {
            Some("panic") => panic!("on purpose"),
            Some("break the clock") => self.clock_is_broken.store(true, Ordering::Relaxed),
            Some("wait") => self.gate.as_ref().unwrap().recv().await.unwrap(),
            _ => {}
        }
    }
}

struct Member {
    peer: Peer,
    faults: Faults,
    ended: Receiver<Disconnect>,
}

/// Joins a hub in a task whose polls are counted.
fn join(sim: &Sim, hub: &Arc<Hub>) -> Member {
    let (server, client, faults) = pipe();
    let (end, ended) = bounded(1);
    let (runtime, hub) = (sim.clone(), hub.clone());
    sim.spawn(async move {
        let options = Options::default();
        let mut serving = pin!(serve_upgraded(runtime, server, "/", &options, hub.clone()));
        let reason = poll_fn(|cx| {
            hub.polls.fetch_add(1, Ordering::Relaxed);
            serving.as_mut().poll(cx)
        });
        let _ = end.try_send(reason.await);
    });
    Member { peer: Peer::new(client), faults, ended }
}

fn join_many(sim: &Sim, hub: &Arc<Hub>, count: usize) -> Vec<Member> {
    (0..count).map(|_| join(sim, hub)).collect()
}

#[test]
fn no_task_is_woken_for_a_member_that_keeps_up() {
    let (sim, hub) = (Sim::default(), Arc::<Hub>::default());
    let mut publisher = join(&sim, &hub);
    let mut members = join_many(&sim, &hub, 50);
    sim.run(async {
        sim.settle().await;
        let before = hub.polls.load(Ordering::Relaxed);
        publisher.peer.send("news").await;
        sim.settle().await;
        assert_eq!(hub.polls.load(Ordering::Relaxed) - before, 1, "only the publisher's task");
        for member in &mut members {
            assert_eq!(member.peer.next().await, text("news"));
        }
    });
}

#[test]
fn messages_from_one_read_leave_in_one_write_per_member() {
    let (sim, hub) = (Sim::default(), Arc::<Hub>::default());
    let mut publisher = join(&sim, &hub);
    let mut members = join_many(&sim, &hub, 3);
    sim.run(async {
        sim.settle().await;
        publisher.peer.send_together(&["1", "2", "3", "4", "5"]).await;
        sim.settle().await;
        for member in &mut members {
            assert_eq!(member.faults.to_client().writes(), 1);
            for n in 1..=5 {
                assert_eq!(member.peer.next().await, text(&n.to_string()));
            }
        }
    });
}

#[test]
fn a_large_fan_out_is_written_in_portions() {
    let (sim, hub) = (Sim::default(), Arc::<Hub>::default());
    let mut publisher = join(&sim, &hub);
    let members = join_many(&sim, &hub, 1000);
    let reached = || members.iter().filter(|member| member.faults.to_client().writes() > 0).count();
    sim.run(async {
        sim.settle().await;
        let polls = hub.polls.load(Ordering::Relaxed);
        publisher.peer.send_together(&["news", "more"]).await;
        let mut before = 0;
        while before < 1000 {
            assert!(sim.step());
            let now = reached();
            assert!(now - before <= 64, "{} in one turn", now - before);
            before = now;
        }
        sim.settle().await;
        assert!(members.iter().all(|member| member.faults.to_client().writes() == 1));
        let turns = hub.polls.load(Ordering::Relaxed) - polls;
        assert!(turns <= 1000 / 64 + 2, "{turns} turns: no member was written to twice");
    });
}

#[test]
fn messages_leave_when_the_handler_waits() {
    let (open, gate) = bounded(1);
    let (sim, hub) = (Sim::default(), Arc::new(Hub { gate: Some(gate), ..Hub::default() }));
    let mut publisher = join(&sim, &hub);
    let mut member = join(&sim, &hub);
    sim.run(async {
        sim.settle().await;
        publisher.peer.send("wait").await;
        assert_eq!(member.peer.next().await, text("wait"));
        assert!(open.is_empty(), "the handler still waits");
        open.send(()).await.unwrap();
    });
}

#[test]
fn messages_leave_when_the_handler_panics() {
    let (sim, hub) = (Sim::default(), Arc::<Hub>::default());
    let mut publisher = join(&sim, &hub);
    let mut member = join(&sim, &hub);
    sim.run(async {
        sim.settle().await;
        publisher.peer.send("panic").await;
        assert_eq!(member.peer.next().await, text("panic"));
        assert!(matches!(publisher.peer.next().await, Received::Close(1011, _)));
    });
}

#[test]
fn a_slow_member_gets_its_messages_later_and_delays_nobody() {
    let (sim, hub) = (Sim::default(), Arc::<Hub>::default());
    let mut publisher = join(&sim, &hub);
    let mut members = join_many(&sim, &hub, 3);
    sim.run(async {
        sim.settle().await;
        members[1].faults.to_client().set_capacity(2);
        publisher.peer.send("first").await;
        publisher.peer.send("second").await;
        for quick in [0, 2] {
            assert_eq!(members[quick].peer.next().await, text("first"));
            assert_eq!(members[quick].peer.next().await, text("second"));
        }
        assert_eq!(members[1].peer.next().await, text("first"));
        assert_eq!(members[1].peer.next().await, text("second"));
    });
}

#[test]
fn a_full_member_is_woken_only_by_its_transport() {
    let (sim, hub) = (Sim::default(), Arc::<Hub>::default());
    let mut publisher = join(&sim, &hub);
    let mut stuck = join(&sim, &hub);
    sim.run(async {
        sim.settle().await;
        stuck.faults.to_client().set_capacity(0);
        publisher.peer.send("0").await;
        sim.settle().await;
        let before = hub.polls.load(Ordering::Relaxed);
        for n in 1..10 {
            publisher.peer.send(&n.to_string()).await;
            sim.settle().await;
        }
        assert_eq!(hub.polls.load(Ordering::Relaxed) - before, 9, "only the publisher's task");
        stuck.faults.to_client().set_capacity(2);
        for n in 0..10 {
            assert_eq!(stuck.peer.next().await, text(&n.to_string()));
        }
        // Once it takes everything again, its task is not woken either.
        stuck.faults.to_client().set_capacity(100);
        sim.settle().await;
        let before = hub.polls.load(Ordering::Relaxed);
        publisher.peer.send("more").await;
        assert_eq!(stuck.peer.next().await, text("more"));
        assert_eq!(hub.polls.load(Ordering::Relaxed) - before, 1, "only the publisher's task");
    });
}

#[test]
fn a_member_that_takes_nothing_hits_the_write_timeout() {
    let (sim, hub) = (Sim::default(), Arc::<Hub>::default());
    let mut publisher = join(&sim, &hub);
    let stuck = join(&sim, &hub);
    sim.run(async {
        sim.settle().await;
        stuck.faults.to_client().set_capacity(0);
        publisher.peer.send("news").await;
        sim.pass(s(29)).await;
        assert!(stuck.ended.is_empty());
        sim.pass(s(2)).await;
        let ended = stuck.ended.try_recv().unwrap();
        assert!(matches!(ended, Disconnect::Failed(Failure::WriteStalled)), "{ended}");
    });
}

#[test]
fn a_transport_failure_ends_only_its_own_connection() {
    let (sim, hub) = (Sim::default(), Arc::<Hub>::default());
    let mut publisher = join(&sim, &hub);
    let broken = join(&sim, &hub);
    let mut member = join(&sim, &hub);
    sim.run(async {
        sim.settle().await;
        broken.faults.to_client().fail_next_write(HostUnreachable);
        publisher.peer.send("news").await;
        assert_eq!(member.peer.next().await, text("news"));
        let ending = broken.ended.recv().await.unwrap();
        assert_eq!(io_error(&ending), Some(HostUnreachable), "{ending}");
    });
}

#[test]
fn a_buffering_transport_is_flushed() {
    let (sim, hub) = (Sim::default(), Arc::<Hub>::default());
    let mut publisher = join(&sim, &hub);
    let mut member = join(&sim, &hub);
    member.faults.hold_until_flushed();
    sim.run(async {
        sim.settle().await;
        publisher.peer.send("news").await;
        assert_eq!(member.peer.next().await, text("news"));
    });
}

#[test]
fn a_dropped_session_has_written_its_handlers_messages() {
    let (sim, hub) = (Sim::default(), Arc::<Hub>::default());
    let members = join_many(&sim, &hub, 200);
    sim.run(async {
        sim.settle().await;
        let (server, client, _) = pipe();
        let options = Options::default();
        {
            let mut serving = pin!(serve_upgraded(sim.clone(), server, "/", &options, hub.clone()));
            let mut publisher = Peer::new(client);
            publisher.send("news").await;
            assert!(futures_lite::future::poll_once(&mut serving).await.is_none());
        }
        assert!(members.iter().all(|member| member.faults.to_client().writes() == 1));
    });
}

/// A runtime whose clock panics once the hub has been told to break it.
#[derive(Clone)]
struct BrokenClock {
    sim: Sim,
    hub: Arc<Hub>,
}

impl Runtime for BrokenClock {
    type Sleep = <Sim as Runtime>::Sleep;

    fn now(&self) -> Duration {
        assert!(!self.hub.clock_is_broken.load(Ordering::Relaxed), "on purpose");
        self.sim.now()
    }

    fn sleep(&self, span: Duration) -> Self::Sleep {
        self.sim.sleep(span)
    }

    fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) {
        self.sim.spawn(future);
    }
}

#[test]
fn a_panicking_session_has_written_its_handlers_messages() {
    let (sim, hub) = (Sim::default(), Arc::<Hub>::default());
    let mut member = join(&sim, &hub);
    sim.run(async {
        sim.settle().await;
        let (server, client, _) = pipe();
        let options = Options::default();
        let runtime = BrokenClock { sim: sim.clone(), hub: hub.clone() };
        let mut serving = pin!(serve_upgraded(runtime, server, "/", &options, hub.clone()));
        let mut publisher = Peer::new(client);
        publisher.send("break the clock").await;
        let mut cx = Context::from_waker(Waker::noop());
        let polled = catch_unwind(AssertUnwindSafe(|| serving.as_mut().poll(&mut cx).is_ready()));
        assert!(polled.is_err(), "the clock is read after the handler");
        assert_eq!(member.peer.next().await, text("break the clock"));
        // What runs next on this thread does not count as part of that session.
        let connection = hub.members.lock().unwrap()[0].clone();
        connection.try_send("from anywhere").unwrap();
        assert_eq!(member.peer.next().await, text("from anywhere"));
        assert_eq!(sim.now(), s(0), "neither message had to wait");
    });
}

#[test]
fn sending_outside_a_session_wakes_the_members_task() {
    let (sim, hub) = (Sim::default(), Arc::<Hub>::default());
    let mut member = join(&sim, &hub);
    sim.run(async {
        sim.settle().await;
        let before = hub.polls.load(Ordering::Relaxed);
        let connection = hub.members.lock().unwrap()[0].clone();
        connection.try_send("from anywhere").unwrap();
        assert_eq!(member.peer.next().await, text("from anywhere"));
        assert_eq!(hub.polls.load(Ordering::Relaxed) - before, 1);
    });
}
