//! Rooms, with connections in memory: exclusions, and what a leave hook may do.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use prism_rooms::{Elsewhere, Rooms};
use prism_tokio::{
    CloseCode, Connection, ConnectionHandler, ConnectionId, Message, Options, serve_upgraded,
};
use tokio::{io::DuplexStream, runtime::Builder, sync::mpsc, time::sleep};

use crate::common::{TestClient, fail_on_deadlock, silent_client, soon};

type Log = Arc<Mutex<Vec<String>>>;

/// Rooms that log their departures: the first room, and whether the connection has ended.
fn rooms_with_log() -> (Rooms, Log) {
    let (rooms, log) = (Rooms::new(), Log::default());
    rooms.on_leave({
        let log = log.clone();
        move |departure| {
            let end = if departure.ended { "ended" } else { "stays" };
            log.lock().unwrap().push(format!("{} {end}", departure.left[0]));
        }
    });
    (rooms, log)
}

#[track_caller]
fn expect_log(log: &Log, lines: &[&str]) {
    assert_eq!(*log.lock().unwrap(), lines);
}

#[tokio::test(start_paused = true)]
async fn a_delivery_counts_the_members_that_miss_the_message() {
    let rooms = Rooms::new();
    let peers = [silent_client().await, silent_client().await];
    for (connection, _) in &peers {
        rooms.join(connection, "tea").unwrap();
    }
    let first = rooms.to("tea").send([7; 80_000]);
    assert_eq!((first.delivered, first.dropped), (2, 0));
    let second = rooms.to("tea").send([7; 80_000]);
    assert_eq!((second.delivered, second.dropped), (0, 2));
}

#[tokio::test(start_paused = true)]
async fn excluded_connections_are_sent_nothing() {
    let rooms = Rooms::new();
    let (ann, ben, eve) =
        (TestClient::new().await, TestClient::new().await, TestClient::new().await);
    for client in [&ann, &ben, &eve] {
        rooms.join(&client.connection, "tea").unwrap();
    }
    let [ann_id, ben_id] = [&ann, &ben].map(|client| client.connection.id());
    for to in [rooms.to("tea"), rooms.to("tea").and("milk"), rooms.everyone()] {
        assert_eq!(to.except(ann_id).except(ben_id).send("for eve").delivered, 1);
    }
    assert_eq!(rooms.to("tea").send("for all").delivered, 3);
    for client in [&ann, &ben] {
        assert_eq!(client.recv_text().await, "for all", "and nothing before it");
    }
    for _ in 0..3 {
        assert_eq!(eve.recv_text().await, "for eve");
    }
    let closed = rooms.to("tea").except(ann_id).close(CloseCode::NORMAL, "bye");
    assert_eq!((closed.here, closed.elsewhere), (2, Elsewhere::NoCluster));
    soon(ben.connection.closed()).await;
    assert_eq!(rooms.members("tea"), [ann_id]);
}

#[tokio::test(start_paused = true)]
async fn leave_hooks_run_in_registration_order_for_later_departures() {
    let (rooms, log) = rooms_with_log();
    let ann = TestClient::new().await;
    rooms.join(&ann.connection, "tea").unwrap();
    rooms.leave(ann.connection.id(), "tea");
    expect_log(&log, &["tea stays"]);
    rooms.on_leave(|_| panic!("on purpose"));
    rooms.on_leave({
        let log = log.clone();
        move |departure| log.lock().unwrap().push(format!("and {}", departure.left[0]))
    });
    rooms.join(&ann.connection, "milk").unwrap();
    assert_eq!(rooms.leave_all(ann.connection.id()).len(), 1);
    expect_log(&log, &["tea stays", "milk stays", "and milk"]);
    // Leaving a room that it is not in calls no hook, and neither does its end when it is in no room.
    assert!(!rooms.leave(ann.connection.id(), "tea"));
    assert!(rooms.leave_all(ann.connection.id()).is_empty());
    ann.task.abort();
    soon(ann.connection.closed()).await;
    expect_log(&log, &["tea stays", "milk stays", "and milk"]);
}

/// Calls every method of rooms.
fn call_every_method(rooms: &Rooms, connection: &Connection) {
    for room in ["tea", "milk"] {
        let _ = rooms.join(connection, room);
        rooms.to(room).and("milk").send("somebody left");
        assert_eq!(
            rooms.contains(room, connection.id()),
            rooms.members(room).contains(&connection.id())
        );
        assert_eq!(rooms.len(room) == 0, !rooms.names().iter().any(|name| **name == *room));
    }
    rooms.everyone().send("somebody left");
    rooms.on_leave(|_| {});
    assert_eq!(rooms.one(connection.id()).is_some(), rooms.add(connection));
    rooms.leave(connection.id(), "milk");
    rooms.leave_all(connection.id());
}

#[test]
fn a_leave_hook_may_call_every_method() {
    fail_on_deadlock(async || {
        let (ann, ben) = (TestClient::new().await, TestClient::new().await);
        let (rooms, log) = rooms_with_log();
        rooms.on_leave({
            let (others, log) = (ann.connection.clone(), log.clone());
            move |departure| {
                // The calls below cause departures too, so make them only once.
                if log.lock().unwrap().len() % 100 == 1 {
                    call_every_method(departure.rooms, departure.connection);
                    call_every_method(departure.rooms, &others);
                    log.lock().unwrap().resize(100, String::new());
                }
            }
        });
        rooms.join(&ann.connection, "tea").unwrap();
        rooms.join(&ben.connection, "tea").unwrap();
        rooms.leave(ann.connection.id(), "tea");
        assert_eq!(log.lock().unwrap().len(), 100);
        rooms.join(&ann.connection, "tea").unwrap();
        ben.task.abort();
        soon(ben.connection.closed()).await;
        assert_eq!(log.lock().unwrap().len(), 100);
        assert!(rooms.rooms_of(ben.connection.id()).is_empty());
    });
}

#[test]
fn dropping_the_runtime_calls_the_hooks_for_all_connections() {
    let (rooms, log) = rooms_with_log();
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.expect("a runtime");
    let clients = runtime.block_on(async {
        let clients = [TestClient::new().await, TestClient::new().await];
        for client in &clients {
            rooms.join(&client.connection, "tea").unwrap();
        }
        clients
    });
    drop(runtime);
    expect_log(&log, &["tea ended", "tea ended"]);
    assert!(rooms.names().is_empty());
    drop(clients);
}

#[tokio::test(start_paused = true)]
async fn counts_follow_joins_and_leaves() {
    let rooms = Rooms::new();
    let counts = || {
        let of_tea = (rooms.len("tea"), rooms.is_empty("tea"));
        (rooms.connection_count(), rooms.room_count(), of_tea)
    };
    assert_eq!(counts(), (0, 0, (0, true)));
    let (ann, ben) = (TestClient::new().await, TestClient::new().await);
    rooms.add(&ann.connection);
    assert_eq!(counts(), (1, 0, (0, true)), "one may be in no room");
    for (client, room) in [(&ann, "tea"), (&ben, "tea"), (&ben, "milk")] {
        rooms.join(&client.connection, room).unwrap();
    }
    assert_eq!(counts(), (2, 2, (2, false)));
    assert!(rooms.leave(ben.connection.id(), "milk"));
    assert_eq!(counts(), (2, 1, (2, false)));
}

#[test]
fn recipients_print_the_rooms_and_the_exceptions() {
    let rooms = Rooms::new();
    let printed = format!("{:?}", rooms.to("tea").and("milk").or_close());
    assert!(printed.starts_with("Recipients { scope: "), "{printed}");
    assert!(printed.contains("milk") && printed.contains("or_close: true"), "{printed}");
}

/// Hands its connection to the test, and reports when it is woken.
struct Woken {
    opened: mpsc::UnboundedSender<Connection>,
    woken: mpsc::UnboundedSender<ConnectionId>,
}

impl ConnectionHandler for Woken {
    async fn on_connect(&mut self, connection: &Connection) {
        self.opened.send(connection.clone()).expect("the test waits for it");
    }

    async fn on_message(&mut self, _: &Connection, _: Message<'_>) {}

    async fn on_wake(&mut self, connection: &Connection) {
        self.woken.send(connection.id()).expect("the test waits for it");
    }
}

/// Returns a connection whose handler reports when it is woken, and the peer's end.
async fn woken_client(woken: &mpsc::UnboundedSender<ConnectionId>) -> (Connection, DuplexStream) {
    let (opened, mut connections) = mpsc::unbounded_channel();
    let (ours, peer) = tokio::io::duplex(1024);
    let handler = Woken { opened, woken: woken.clone() };
    tokio::spawn(async move { serve_upgraded(ours, "/", &Options::default(), handler).await });
    (connections.recv().await.expect("a connection"), peer)
}

#[tokio::test(start_paused = true)]
async fn waking_recipients_wakes_the_handler_of_each_once_and_no_other() {
    let rooms = Rooms::new();
    let (reports, mut reported) = mpsc::unbounded_channel();
    let (ann, _ann) = woken_client(&reports).await;
    let (ben, _ben) = woken_client(&reports).await;
    let (eve, _eve) = woken_client(&reports).await;
    for (connection, room) in [(&ann, "tea"), (&ann, "milk"), (&ben, "tea"), (&eve, "cocoa")] {
        rooms.join(connection, room).unwrap();
    }
    for (recipients, mut expected) in [
        (rooms.to("tea").and("milk"), vec![ann.id(), ben.id()]),
        (rooms.to("tea").except(ann.id()), vec![ben.id()]),
        (rooms.to("water"), vec![]),
        (rooms.everyone(), vec![ann.id(), ben.id(), eve.id()]),
    ] {
        recipients.wake();
        sleep(Duration::from_secs(1)).await; // of virtual time: all tasks have run
        let mut woken: Vec<_> = std::iter::from_fn(|| reported.try_recv().ok()).collect();
        woken.sort_unstable();
        expected.sort_unstable();
        assert_eq!(woken, expected, "{recipients:?}");
    }
}
