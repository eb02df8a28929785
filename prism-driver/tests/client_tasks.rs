//! Clients that run a handler: in a task of its own, or in the future that connects. Each takes a handler
//! of either kind.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Wake, Waker},
};

use futures_lite::future::{poll_once, zip};
use prism_driver::{
    Client, CloseCode, ConnectError, Connection, ConnectionHandler, ConnectionTask, Disconnect,
    Failure, Handler, Message, Network, Options, Runtime, SendError, serve_stream, serve_upgraded,
};
use prism_test::{Peer, Sim, pipe};

use crate::common::{
    handlers::{Echo, HandOut, Log, MessageLog, Recorder},
    http::shake_hands,
    kept_tasks::KeptTasks,
    ms,
    net::{Net, Reach},
    s, serve_handshake,
    sockets::client,
};

/// Counts the messages of its connection, and logs how that ends.
struct Counter {
    received: u64,
    log: Log,
}

impl Counter {
    fn new(log: &Log) -> Self {
        Self { received: 0, log: log.clone() }
    }
}

impl ConnectionHandler for Counter {
    async fn on_message(&mut self, _: &Connection, message: Message<'_>) {
        self.received += 1;
        self.log.add(format!("{}: {}", self.received, message.as_text().unwrap()));
    }

    async fn on_disconnect(&mut self, _: &Connection, reason: Disconnect) {
        self.log.add(reason.to_string());
    }
}

/// Opens a connection that runs a handler in a task of its own. Returns that task, and the server's handle.
fn spawned(sim: &Sim, handler: impl ConnectionHandler) -> (ConnectionTask, Connection) {
    let (server_handler, out) = HandOut::new();
    let (io, _, _) = serve_handshake(sim, server_handler, Options::default());
    sim.run(async {
        let task = client(sim).spawn_stream(io, handler).await.unwrap();
        (task, out.recv().await.unwrap())
    })
}

#[test]
fn a_spawned_connection_is_usable_at_once() {
    let (sim, log) = (Sim::default(), Log::default());
    let (io, _, _) = serve_handshake(&sim, Echo, Options::default());
    sim.run(async {
        let task = client(&sim).spawn_stream(io, Counter::new(&log)).await.unwrap();
        // Before the task has run for the first time.
        task.connection().try_send("one").unwrap();
        task.connection().send("two").await.unwrap();
        assert_eq!(task.connection().path(), "/chat");
        sim.settle().await;
        assert_eq!(log.lines(), ["1: one", "2: two"]);
    });
}

#[test]
fn the_task_returns_the_reason_after_on_disconnect() {
    let (sim, log) = (Sim::default(), Log::default());
    let (mut task, other) = spawned(&sim, Counter::new(&log));
    sim.run(async {
        assert!(poll_once(&mut task).await.is_none());
        assert!(other.close(CloseCode::new(4001).unwrap(), "enough"));
        let reason = task.await;
        assert!(matches!(reason, Disconnect::Peer { .. }), "{reason:?}");
        assert_eq!((reason.code(), reason.reason()), (4001, "enough".into()));
        assert_eq!(log.lines(), ["closed by the peer with 4001 (enough)"]);
    });
}

/// Logs when it is dropped, and when it is woken.
struct LogsDrop(Log);

impl ConnectionHandler for LogsDrop {
    async fn on_message(&mut self, _: &Connection, _: Message<'_>) {}
}

impl Drop for LogsDrop {
    fn drop(&mut self) {
        self.0.add("dropped");
    }
}

impl Wake for LogsDrop {
    fn wake(self: Arc<Self>) {
        self.0.add("woken");
    }
}

#[test]
fn the_handler_is_dropped_before_the_task_returns() {
    let (sim, log) = (Sim::default(), Log::default());
    let (mut task, _other) = spawned(&sim, LogsDrop(log.clone()));
    let waker = Waker::from(Arc::new(LogsDrop(log.clone())));
    assert!(Pin::new(&mut task).poll(&mut Context::from_waker(&waker)).is_pending());
    task.connection().abort();
    sim.run(sim.settle());
    assert_eq!(log.lines()[..2], ["dropped", "woken"]);
}

#[test]
fn the_task_returns_our_own_reason_and_that_of_a_failure() {
    for abort in [false, true] {
        let (sim, log) = (Sim::default(), Log::default());
        let (task, _other) = spawned(&sim, Counter::new(&log));
        let connection = task.connection().clone();
        let reason = sim.run(async {
            if abort {
                connection.abort();
            } else {
                assert!(connection.close(CloseCode::NORMAL, "done"));
            }
            task.await
        });
        let expected = if abort { "aborted by us" } else { "closed by us with 1000 (done)" };
        assert_eq!((reason.to_string(), log.lines()), (expected.into(), vec![expected.into()]));
    }
}

#[test]
fn dropping_the_task_leaves_the_connection_running() {
    let (sim, log) = (Sim::default(), Log::default());
    let (mut task, other) = spawned(&sim, Counter::new(&log));
    sim.run(async {
        assert!(poll_once(&mut task).await.is_none(), "a dropped task may have waited");
        let connection = task.connection().clone();
        drop(task);
        other.send("still here").await.unwrap();
        sim.pass(s(3600)).await;
        assert_eq!(log.lines(), ["1: still here"]);
        assert!(connection.close(CloseCode::NORMAL, ""));
        sim.settle().await;
        assert_eq!(log.lines().len(), 2);
    });
}

#[test]
fn a_panic_of_the_handler_is_the_tasks_reason() {
    let sim = Sim::default();
    let (recorder, log, _gate) = Recorder::new();
    let (task, other) = spawned(&sim, recorder);
    sim.run(async {
        other.send("panic").await.unwrap();
        let reason = task.await;
        assert!(matches!(reason, Disconnect::Failed(Failure::HandlerPanicked)), "{reason:?}");
    });
    assert!(log.contains("disconnect the handler panicked"));
}

#[test]
fn a_task_that_is_dropped_with_its_runtime_is_the_reason() {
    for has_run in [false, true] {
        let (sim, log) = (Sim::default(), Log::default());
        let runtime = KeptTasks::new(&sim);
        let (io, _, server) = serve_handshake(&sim, Echo, Options::default());
        let client = Client::new_on(runtime.clone(), "ws://example.org/").unwrap();
        sim.run(async {
            let mut task = client.spawn_stream(io, Counter::new(&log)).await.unwrap();
            let connection = task.connection().clone();
            if has_run {
                runtime.poll();
            }
            assert!(poll_once(&mut task).await.is_none());
            runtime.shut_down();
            let reason = task.await;
            assert!(matches!(reason, Disconnect::Failed(Failure::TaskDropped)), "{reason:?}");
            assert!(log.lines().is_empty(), "`on_disconnect` did not run");
            assert_eq!(connection.send("late").await, Err(SendError::Closed));
            assert_eq!(server.recv().await.unwrap().unwrap().code(), 1006);
        });
    }
}

// ---- over a network

/// Sends `hello` and closes.
struct Greeter;

impl Handler for Greeter {
    async fn on_connect(&self, connection: &Connection) {
        connection.send("hello").await.unwrap();
        assert!(connection.close(CloseCode::new(4001).unwrap(), "bye"));
    }

    async fn on_message(&self, _: &Connection, _: Message<'_>) {}
}

/// Returns a network on which `example.org` greets each client.
fn network(sim: &Sim) -> Net {
    let net = Net::new(sim);
    net.name("example.org", &[("[::1]:80", Reach::After(ms(10)))]);
    let (runtime, arriving) = (sim.clone(), net.clone());
    sim.spawn(async move {
        loop {
            let (_, io, _) = arriving.arrival().await;
            serve_stream(runtime.clone(), io, &Options::default(), Greeter).await.unwrap();
        }
    });
    net
}

fn net_client(net: &Net) -> Client<Net> {
    Client::new_on(net.clone(), "ws://example.org/chat?room=1").unwrap()
}

#[test]
fn spawn_connects_and_runs_the_handler() {
    let (sim, log) = (Sim::default(), Log::default());
    let net = network(&sim);
    let reason = sim.run(async {
        let task = net_client(&net).spawn(Counter::new(&log)).await.unwrap();
        assert_eq!(net.tasks(), 1);
        task.await
    });
    assert_eq!(reason.code(), 4001);
    assert_eq!(log.lines(), ["1: hello", "closed by the peer with 4001 (bye)"]);
}

#[test]
fn spawn_fails_if_there_is_no_connection() {
    let (sim, log) = (Sim::default(), Log::default());
    let net = Net::new(&sim);
    net.name("example.org", &[("[::1]:80", Reach::RefusedAfter(ms(10)))]);
    let refused = sim.run(net_client(&net).spawn(Counter::new(&log)));
    assert!(matches!(refused, Err(ConnectError::Unreachable(_))), "{refused:?}");
    assert_eq!((log.lines().len(), net.tasks()), (0, 0));
}

// ---- handlers of both kinds

/// Runs a handler in each way, and asserts that it gets a message and the reason.
fn assert_all_take<H: ConnectionHandler>(make: impl Fn() -> (H, Log)) {
    let lines = ["hello", "closed by the peer with 4001 (bye)"];
    let check = |log: &Log, way: &str| {
        let logged: Vec<_> = log.lines().iter().map(|line| line.replace("1: ", "")).collect();
        assert_eq!(logged, lines, "{way}");
    };
    let sim = Sim::default();
    let net = network(&sim);
    sim.run(async {
        let (handler, log) = make();
        assert_eq!(net_client(&net).run(handler).await.unwrap().code(), 4001);
        check(&log, "run");
        let (handler, log) = make();
        assert_eq!(net_client(&net).spawn(handler).await.unwrap().await.code(), 4001);
        check(&log, "spawn");
        let (handler, log) = make();
        let stream = net.connect("[::1]:80".parse().unwrap()).await.unwrap();
        assert_eq!(net_client(&net).run_stream(stream, handler).await.unwrap().code(), 4001);
        check(&log, "run_stream");
        let (handler, log) = make();
        let stream = net.connect("[::1]:80".parse().unwrap()).await.unwrap();
        let task = net_client(&net).spawn_stream(stream, handler).await.unwrap();
        assert_eq!(task.await.code(), 4001);
        check(&log, "spawn_stream");

        let options = Options::default();
        let (handler, log) = make();
        let (io, client, _) = pipe();
        let served = serve_upgraded(sim.clone(), io, "/", &options, handler);
        let (reason, ()) = zip(served, say_hello(Peer::new(client))).await;
        assert_eq!(reason.code(), 4001);
        check(&log, "serve_upgraded");
        let (handler, log) = make();
        let (io, client, _) = pipe();
        let served = serve_stream(sim.clone(), io, &options, handler);
        let peer = async { say_hello(shake_hands(client).await).await };
        let (reason, ()) = zip(served, peer).await;
        assert_eq!(reason.unwrap().code(), 4001);
        check(&log, "serve_stream");
    });
}

async fn say_hello(mut peer: Peer) {
    peer.send("hello").await;
    peer.close(4001, "bye").await;
    peer.all().await;
}

#[test]
fn whatever_runs_a_connection_takes_a_connection_handler() {
    assert_all_take(|| {
        let log = Log::default();
        (Counter::new(&log), log)
    });
}

#[test]
fn whatever_runs_a_connection_takes_a_shared_handler() {
    assert_all_take(|| {
        let (handler, log, _) = MessageLog::new();
        (Arc::new(handler), log)
    });
}
