//! Handlers of a single connection, which a route's function makes: what the function sees, what becomes
//! of the handler, and what both cost.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use futures_lite::future::poll_once;
use prism_driver::{
    Authorized, Connection, ConnectionHandler, Disconnect, IntoRoute, Message, Options, Request,
    Runtime, per_connection, serve_upgraded,
};
use prism_test::{Received, Sim, pipe};

use crate::common::{
    close,
    handlers::{DropLog, Echo, Log, Recorder},
    kinds::Each,
    net::Net,
    routes::RouteServer,
    s, serve, text,
};

/// Counts the messages of its connection.
#[derive(Default)]
struct Counter(u64);

impl ConnectionHandler for Counter {
    async fn on_message(&mut self, connection: &Connection, _: Message<'_>) {
        self.0 += 1;
        connection.send(&self.0.to_string()).await.unwrap();
    }
}

#[test]
fn each_connection_has_a_state_of_its_own() {
    let sim = Sim::default();
    let server = RouteServer::start(&sim, per_connection(|_| Counter::default()));
    sim.run(async {
        let (mut one, mut other) = (server.open().await, server.open().await);
        for expected in 1..100 {
            one.send("?").await;
            assert_eq!(one.next().await, text(&expected.to_string()));
        }
        other.send("?").await;
        assert_eq!(other.next().await, text("1"));
    });
}

#[test]
fn the_function_sees_the_request_and_may_use_the_connection() {
    let sim = Sim::default();
    let log = Log::default();
    let ended = log.clone();
    let route = per_connection(move |connection| {
        let ended = ended.clone();
        connection.on_end(move || ended.add("ended"));
        let (path, token) = (connection.path(), connection.header("x-token").unwrap());
        let (room, user) = (connection.query_param("room").unwrap(), connection.data::<&str>());
        let peer_addr = connection.peer_addr().unwrap();
        connection.try_send(format!("{path} {token} {room} {user:?} {peer_addr}")).unwrap();
        Each(Recorder::new().0)
    });
    let route = route.authorize(async |_: Request| Ok(Authorized::new("ada")));
    let server = RouteServer::start(&sim, route);
    sim.run(async {
        let mut peer = server.open().await;
        assert_eq!(peer.next().await, text("/chat abc 1 Some(\"ada\") 127.0.0.1:50000"));
        assert_eq!(peer.next().await, text("welcome"), "`on_connect` runs afterwards");
        peer.close(1000, "").await;
        assert_eq!(peer.all().await, [close(1000, ""), Received::End(Ok(()))]);
    });
    assert_eq!(log.lines(), ["ended"]);
}

#[test]
fn a_function_that_panics_closes_with_1011_and_no_method_runs() {
    let sim = Sim::default();
    let (hooks, calls) = (Log::default(), AtomicUsize::new(0));
    let (recorder, log, _gate) = Recorder::new();
    let (recorder, ended) = (Arc::new(recorder), hooks.clone());
    let server = RouteServer::start(
        &sim,
        per_connection(move |connection| {
            let ended = ended.clone();
            connection.on_end(move || ended.add("ended"));
            connection.wake();
            let is_first = calls.fetch_add(1, Ordering::Relaxed) == 0;
            assert!(!is_first, "on purpose");
            Each(recorder.clone())
        }),
    );
    sim.run(async {
        let mut doomed = server.open().await;
        doomed.send_together(&["unread", "as well"]).await;
        assert_eq!(doomed.all().await, [close(1011, "internal error"), Received::End(Ok(()))]);
        drop(doomed);
        sim.settle().await;
        assert_eq!(sim.now(), s(0), "at once");
        assert_eq!((log.lines().len(), hooks.lines().len()), (0, 1), "{:?}", log.lines());
        assert_eq!((server.stats.counts().open, server.stats.counts().closed), (0, 1));

        let mut other = server.open().await;
        other.send("still here").await;
        assert_eq!([other.next().await, other.next().await], [text("welcome"), text("still here")]);
    });
}

#[test]
fn after_a_function_that_panics_the_server_shuts_down() {
    let sim = Sim::default();
    let panics = |_: &Connection| -> Counter { panic!("on purpose") };
    let server = RouteServer::start(&sim, per_connection(panics));
    sim.run(async {
        let mut silent = server.open().await;
        silent.mute();
        assert_eq!(silent.next().await, close(1011, "internal error"));
        let outcome = server.begin_stop().recv().await.unwrap();
        // The peer does not end its side. It has the close timeout for that.
        assert_eq!((outcome.closed + outcome.failed, outcome.cut, sim.now()), (1, 0, s(5)));
    });
}

/// Logs how its connection ends, and then that it is dropped.
struct Logging {
    log: Log,
    _dropped: DropLog,
}

impl Logging {
    fn new(log: &Log) -> Self {
        Self { log: log.clone(), _dropped: DropLog(log.clone()) }
    }
}

impl ConnectionHandler for Logging {
    async fn on_connect(&mut self, _: &Connection) {
        self.log.add("connect");
    }

    async fn on_message(&mut self, _: &Connection, message: Message<'_>) {
        assert_ne!(message, Message::Text("panic"), "on purpose");
    }

    async fn on_disconnect(&mut self, _: &Connection, _: Disconnect) {
        self.log.add("disconnect");
    }
}

#[test]
fn the_handler_is_dropped_once_after_on_disconnect() {
    let sim = Sim::default();
    for end in ["close", "reset", "panic"] {
        let log = Log::default();
        let made = log.clone();
        let server = RouteServer::start(&sim, per_connection(move |_| Logging::new(&made)));
        sim.run(async {
            let (mut peer, faults) = server.open_with_faults().await;
            sim.settle().await;
            match end {
                "close" => peer.close(1000, "").await,
                "reset" => faults.to_server().fail(std::io::ErrorKind::ConnectionReset),
                _ => peer.send("panic").await,
            }
            while !matches!(peer.next().await, Received::End(_)) {}
            drop(peer);
            sim.settle().await;
        });
        assert_eq!(log.lines(), ["connect", "disconnect", "dropped"], "{end}");
    }
}

#[test]
fn the_handler_is_dropped_with_its_task() {
    let (sim, log) = (Sim::default(), Log::default());
    let (server, _client, _) = pipe();
    let options = Options::default();
    let mut serving =
        Box::pin(serve_upgraded(sim.clone(), server, "/", &options, Logging::new(&log)));
    sim.run(async { assert!(poll_once(&mut serving).await.is_none()) });
    assert_eq!(log.lines(), ["connect"]);
    drop(serving);
    assert_eq!(log.lines(), ["connect", "dropped"]);
}

/// Panics when it is dropped.
struct PanicsOnDrop;

impl Drop for PanicsOnDrop {
    fn drop(&mut self) {
        panic!("on purpose");
    }
}

impl ConnectionHandler for PanicsOnDrop {
    async fn on_message(&mut self, _: &Connection, _: Message<'_>) {}
}

#[test]
fn contract_6_a_panic_of_a_handlers_destructor_affects_nothing_else() {
    let sim = Sim::default();
    let server = RouteServer::start(&sim, per_connection(|_| PanicsOnDrop));
    sim.run(async {
        for closed in 1..3 {
            let mut peer = server.open().await;
            peer.close(4001, "bye").await;
            assert_eq!(peer.all().await, [close(4001, "bye"), Received::End(Ok(()))]);
            drop(peer);
            sim.settle().await;
            assert_eq!((server.stats.counts().open, server.stats.counts().closed), (0, closed));
        }
        let mut client = serve(&sim, PanicsOnDrop, Options::default());
        client.0.close(4001, "bye").await;
        client.0.end().await;
        assert_eq!(client.2.recv().await.unwrap().code(), 4001);
    });
}

// ---- memory

/// A connection's own echo, with `N` bytes of state.
struct OwnEcho<const N: usize>([u8; N]);

impl<const N: usize> ConnectionHandler for OwnEcho<N> {
    async fn on_message(&mut self, connection: &Connection, message: Message<'_>) {
        // The connection may be closing already.
        let _ = connection.send(message).await;
    }
}

/// Returns the size of the task of a connection.
fn size_of_task(route: impl IntoRoute<Net>) -> usize {
    let sim = Sim::default();
    let server = RouteServer::start(&sim, route);
    let _peer = sim.run(server.open());
    server.net.last_task_size()
}

/// On tokio, a task takes a multiple of 128 bytes, and this is near the end of one.
#[test]
fn the_task_of_a_connection_with_a_shared_handler_is_small() {
    assert!(size_of_task(Echo) <= 272, "{}", size_of_task(Echo));
}

#[test]
fn a_connection_takes_the_memory_of_its_handlers_fields_only() {
    let shared = size_of_task(Echo);
    let own = [
        (0, size_of_task(per_connection(|_| OwnEcho([0; 0])))),
        (1, size_of_task(per_connection(|_| OwnEcho([0; 1])))),
        (100, size_of_task(per_connection(|_| OwnEcho([0; 100])))),
        (4096, size_of_task(per_connection(|_| OwnEcho([0; 4096])))),
    ];
    for (fields, task) in own {
        assert!(task <= shared + fields, "{fields} bytes of fields: {task}, shared: {shared}");
    }
    // The function lies in the route, not in the connection.
    let captured = [7; 1000];
    let with_captures = per_connection(move |_| {
        assert_eq!(captured.len(), 1000);
        OwnEcho([0; 0])
    });
    assert_eq!(size_of_task(with_captures), own[0].1);
}
