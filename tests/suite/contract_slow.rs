//! Contracts 7 and 8 over real sockets: what a handler that is slow, or sends from elsewhere, can rely
//! on.

use std::{
    sync::{Mutex, mpsc::channel},
    thread,
};

use futures_lite::future::poll_once;

use super::support::{
    block_on,
    handlers::{Echo, Gate, GatedEcho, recorder},
    kinds::on_both_kinds,
    peer::{BINARY, PING, PONG, Peer, TEXT},
    server::{TestServer, serve},
};
use crate::prism::{CloseCode, Connection, Handler, Message, TrySendError};

#[test]
fn contract_7_a_send_dropped_while_it_waits_sends_nothing() {
    on_both_kinds(|kind| {
        let (recorder, events) = recorder();
        let server = serve(|server| server.websocket("/", kind.route(recorder)));
        let mut peer = server.open("/");
        let connection = events.connected();
        // The peer does not read, so most sends find no room.
        let mut sent = Vec::new();
        let mut dropped = 0;
        block_on(async {
            for number in 0..4_000_u32 {
                let message = number.to_be_bytes().repeat(4 << 10);
                match poll_once(connection.send(&message)).await {
                    Some(outcome) => {
                        outcome.map(|()| sent.push(number)).expect("an open connection");
                    }
                    None => dropped += 1,
                }
            }
            assert!(connection.close(CloseCode::NORMAL, ""), "an open connection");
        });
        assert!(dropped > 0, "every send found room");
        for number in sent {
            peer.expect(BINARY, &number.to_be_bytes().repeat(4 << 10));
        }
        peer.expect_close(1000, "");
    });
}

#[test]
fn contract_8_pings_wait_while_a_handler_runs() {
    on_both_kinds(|kind| {
        let (recorder, events) = recorder();
        let (outcome, _outcomes) = channel();
        let gate = Gate::closed();
        let handler = GatedEcho { gate: gate.clone(), recorder, outcome };
        let server = serve(|server| {
            server.websocket("/", kind.route(handler)).websocket("/echo", kind.route(Echo))
        });
        let mut peer = server.open("/");
        peer.send(TEXT, b"slowly");
        events.message();
        peer.send(PING, b"hello?");
        // Pings of other connections are answered meanwhile.
        let mut other = server.open("/echo");
        other.send(PING, b"hello?");
        other.expect(PONG, b"hello?");
        assert!(peer.has_no_input());
        gate.open();
        peer.expect(TEXT, b"slowly");
        peer.expect(PONG, b"hello?");
    });
}

#[test]
fn contract_8_the_handle_sends_from_any_thread() {
    on_both_kinds(|kind| {
        let (recorder, events) = recorder();
        let server = serve(|server| server.websocket("/", kind.route(recorder)));
        let mut peer = server.open("/");
        let connection = events.connected();
        let senders: Vec<_> = (0..4_u8)
            .map(|thread| {
                let connection = connection.clone();
                thread::spawn(move || {
                    for number in 0..250_u8 {
                        block_on(connection.send(&[thread, number])).expect("an open connection");
                    }
                })
            })
            .collect();
        // Each thread's messages keep their order.
        let mut next = [0_u8; 4];
        for _ in 0..1_000 {
            let message = peer.next().expect("a message");
            let [thread, number] = message.payload[..] else { panic!("{message:?}") };
            assert_eq!(number, next[usize::from(thread)]);
            next[usize::from(thread)] += 1;
        }
        assert_eq!(next, [250; 4]);
        for sender in senders {
            sender.join().expect("every message was sent");
        }
    });
}

/// Sends every message to all connections.
#[derive(Default)]
struct Broadcast(Mutex<Vec<Connection>>);

impl Handler for Broadcast {
    async fn on_connect(&self, connection: &Connection) {
        self.0.lock().unwrap().push(connection.clone());
        connection.send("you are in").await.expect("an open connection");
    }

    async fn on_message(&self, _: &Connection, message: Message<'_>) {
        let connections = self.0.lock().unwrap().clone();
        for connection in connections {
            let sent = connection.try_send(message);
            assert_ne!(sent, Err(TrySendError::Full));
        }
    }
}

fn open_peers(server: &TestServer, count: usize) -> Vec<Peer> {
    let mut peers: Vec<_> = (0..count).map(|_| server.open("/")).collect();
    peers.iter_mut().for_each(|peer| peer.expect(TEXT, b"you are in"));
    peers
}

#[test]
fn contract_8_a_broadcast_reaches_every_open_connection() {
    on_both_kinds(|kind| {
        let server = serve(|server| server.websocket("/", kind.route(Broadcast::default())));
        let mut peers = open_peers(&server, 50);
        let closed = peers.pop().expect("fifty peers");
        closed.close_and_expect_disconnect();
        for round in 0..10_u8 {
            peers[0].send(BINARY, &[round; 100]);
            for peer in &mut peers {
                peer.expect(BINARY, &[round; 100]);
            }
        }
    });
}
