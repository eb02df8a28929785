//! Handlers of a single connection: their state, what their function sees, and how they are woken.

use std::{
    sync::mpsc::{Receiver, Sender, channel},
    thread,
};

use super::support::{
    TIMEOUT,
    handlers::{Recorder, Seen, recorder},
    peer::{Peer, TEXT},
    server::serve,
};
use crate::prism::{
    Authorized, Connection, ConnectionHandler, Disconnect, Message, Request, per_connection,
};

/// Answers each message with the number of messages so far.
#[derive(Default)]
struct Counter(u64);

impl ConnectionHandler for Counter {
    async fn on_message(&mut self, connection: &Connection, _: Message<'_>) {
        self.0 += 1;
        let _ = connection.send(&self.0.to_string()).await; // fails if the connection is closing
    }
}

fn ask(peer: &mut Peer) -> String {
    peer.send(TEXT, b"?");
    String::from_utf8(peer.next().expect("an answer").payload).expect("text")
}

#[test]
fn each_connection_has_a_state_of_its_own() {
    let server = serve(|server| server.websocket("/", per_connection(|_| Counter::default())));
    let mut peers: Vec<_> = (0..10).map(|_| server.open("/")).collect();
    for round in 1..100 {
        for peer in &mut peers {
            assert_eq!(ask(peer), round.to_string());
        }
    }
}

/// Says what its function has seen.
struct Greeter(String);

impl ConnectionHandler for Greeter {
    async fn on_connect(&mut self, connection: &Connection) {
        connection.send(&self.0).await.expect("an open connection");
    }

    async fn on_message(&mut self, _: &Connection, _: Message<'_>) {}
}

#[test]
fn the_function_sees_the_request() {
    struct User(&'static str);
    let route = per_connection(|connection| {
        let (room, User(name)) = (connection.param("room").unwrap(), connection.data().unwrap());
        let (host, peer) = (connection.header("Host").unwrap(), connection.peer_addr().unwrap());
        Greeter(format!("{room} {name} {host} {}", peer.ip()))
    });
    let route = route.authorize(async |_: Request| Ok(Authorized::new(User("ada"))));
    let server = serve(|server| server.websocket("/rooms/{room}", route));
    server.open("/rooms/tea").expect(TEXT, b"tea ada localhost 127.0.0.1");
}

#[test]
fn a_function_that_panics_closes_with_1011_and_the_server_goes_on() {
    let route = per_connection(|connection: &Connection| {
        assert_ne!(connection.query(), Some("panic"), "on purpose");
        Counter::default()
    });
    let server = serve(|server| server.websocket("/", route));
    let mut bystander = server.open("/");
    for _ in 0..3 {
        let mut peer = server.open("/?panic");
        peer.expect_close(1011, "internal error");
        peer.send_close(1011, "");
        peer.expect_end();
    }
    assert_eq!((ask(&mut bystander), ask(&mut server.open("/"))), ("1".into(), "1".into()));
}

// ---- wake-ups

/// Finds numbers in a channel whenever it is woken, and reports them. Records when it is dropped.
struct Woken {
    numbers: Receiver<u32>,
    found: Sender<u32>,
    recorder: Recorder,
}

impl ConnectionHandler for Woken {
    async fn on_connect(&mut self, connection: &Connection) {
        self.recorder.record(Seen::Connected(connection.clone()));
    }

    async fn on_message(&mut self, connection: &Connection, message: Message<'_>) {
        let _ = connection.send(message).await; // fails if the connection is closing
    }

    async fn on_wake(&mut self, connection: &Connection) {
        while let Ok(number) = self.numbers.try_recv() {
            self.found.send(number).expect("the scenario waits");
            let _ = connection.send(&number.to_string()).await; // fails if it is closing
        }
    }

    async fn on_disconnect(&mut self, _: &Connection, reason: Disconnect) {
        self.recorder.record(Seen::Ended(reason));
    }
}

#[test]
fn a_handler_is_woken_from_any_thread_and_dropped_after_on_disconnect() {
    let (recorder, events) = recorder();
    let ((sender, numbers), (found, all_found)) = (channel(), channel());
    let made = std::sync::Mutex::new(Some(Woken { numbers, found, recorder }));
    let server = serve(|server| {
        server.websocket("/", per_connection(move |_| made.lock().unwrap().take().unwrap()))
    });
    let mut peer = server.open("/");
    let connection = events.connected();
    // Idle, each time.
    for number in 0..100 {
        sender.send(number).expect("the handler is there");
        connection.wake();
        assert_eq!(all_found.recv_timeout(TIMEOUT), Ok(number));
        peer.expect(TEXT, number.to_string().as_bytes());
    }
    // Busy, from several threads.
    let threads = [1_000, 2_000, 3_000].map(|first| {
        let (sender, connection) = (sender.clone(), connection.clone());
        thread::spawn(move || {
            for number in first..first + 500 {
                sender.send(number).expect("the handler is there");
                connection.wake();
            }
        })
    });
    let mut echoes = 0;
    for _ in 0..500 {
        peer.send(TEXT, b"echo");
    }
    for _ in 0..2_000 {
        echoes += usize::from(peer.next().expect("a message").payload == b"echo");
    }
    assert_eq!((echoes, all_found.try_iter().count()), (500, 1_500));
    for thread in threads {
        thread.join().expect("no panic");
    }
    peer.close_and_expect_disconnect();
    connection.wake();
    assert_eq!(events.ended().code(), 1000);
    events.nothing_more(); // waits until the handler is dropped
}
