//! What a connection had accepted and not written when it ended.

use std::sync::{Arc, Mutex};

use prism_driver::{
    Connection, ConnectionHandler, Disconnect, Ended, Message, OwnedMessage, TrySendError, WhenSlow,
};
use prism_test::Sim;

use super::{Counting, accept, accept_and_drop, network, refuse, run};
use crate::common::s;

/// The size of a frame of a client with this payload, which is short: head, mask key, payload.
const fn frame(payload: usize) -> u64 {
    (2 + 4 + payload) as u64
}

/// Notes what is unwritten in `on_disconnect`.
struct Notes(Arc<Mutex<Vec<u64>>>);

impl ConnectionHandler for Notes {
    async fn on_message(&mut self, _: &Connection, _: Message<'_>) {}

    async fn on_disconnect(&mut self, connection: &Connection, _: Disconnect) {
        self.0.lock().unwrap().push(connection.unwritten());
    }
}

#[test]
fn what_was_accepted_and_not_written_is_counted_where_the_end_is_told() {
    let sim = Sim::default();
    let (net, reconnect) = network(&sim);
    let handle = reconnect.handle();
    let (told, noted) = (Arc::new(Mutex::new(Vec::new())), Arc::default());
    let (telling, counting) = (told.clone(), handle.clone());
    let reconnect = reconnect.on_retry(move |retry| {
        telling.lock().unwrap().push((retry.unwritten, counting.unwritten()));
    });
    run(&sim, reconnect, Notes(Arc::clone(&noted)));
    sim.run(async {
        let first = accept(&sim, &net).await;
        handle.send("arrives").await.unwrap();
        sim.settle().await;
        assert_eq!(first.received.lines(), ["arrives"]);
        let ours = handle.current().unwrap();
        assert_eq!(ours.unwritten(), 0);
        first.faults.to_server().set_capacity(0);
        handle.send("lost").await.unwrap();
        assert_eq!((ours.unwritten(), handle.unwritten()), (frame(4), 0), "it may be written yet");
        first.connection.abort();
        sim.settle().await;
        assert_eq!((ours.unwritten(), ours.buffered()), (frame(4), 0));

        // An attempt loses nothing.
        refuse(&net, 503, "").await;
        let third = accept(&sim, &net).await;
        sim.settle().await;
        third.faults.to_server().set_capacity(0);
        handle.send("1").await.unwrap();
        handle.send("22").await.unwrap();
        third.connection.abort();
        // And neither does a connection that has written all.
        accept_and_drop(&sim, &net).await;
        sim.settle().await;
    });
    let [first, third] = [frame(4), frame(1) + frame(2)];
    let total = first + third;
    assert_eq!(*told.lock().unwrap(), [(first, first), (0, first), (third, total), (0, total)]);
    assert_eq!(*noted.lock().unwrap(), [first, third, 0]);
    assert_eq!(handle.unwritten(), total);
}

#[test]
fn the_last_connection_is_counted_before_it_gives_up() {
    let sim = Sim::default();
    let (net, reconnect) = network(&sim);
    let handle = reconnect.handle();
    let counting = handle.clone();
    let reconnect = reconnect
        .retry_if(|_| false)
        .on_giving_up(move |_| assert_eq!(counting.unwritten(), frame(4)));
    let ended = run(&sim, reconnect, Counting::new().0);
    sim.run(async {
        let server = accept(&sim, &net).await;
        sim.settle().await;
        server.faults.to_server().set_capacity(0);
        handle.send("lost").await.unwrap();
        server.connection.abort();
        ended.recv().await.unwrap();
    });
    assert_eq!(handle.unwritten(), frame(4));
}

#[test]
fn with_next_the_last_socket_is_counted_in_the_following_call() {
    let sim = Sim::default();
    let (net, mut reconnect) = network(&sim);
    let handle = reconnect.handle();
    sim.run(async {
        let (socket, server) =
            futures_lite::future::zip(reconnect.next(), accept(&sim, &net)).await;
        let socket = socket.unwrap();
        server.faults.to_server().set_capacity(0);
        socket.send("lost").await.unwrap();
        server.connection.abort();
        socket.recv().await.unwrap_err();
        sim.settle().await;
        assert_eq!((socket.connection().unwritten(), handle.unwritten()), (frame(4), 0));
        futures_lite::future::zip(reconnect.next(), accept(&sim, &net)).await;
        assert_eq!(handle.unwritten(), frame(4));
    });
}

/// Closes when its outbox is full.
struct ClosesWhenSlow;

impl ConnectionHandler for ClosesWhenSlow {
    async fn on_connect(&mut self, connection: &Connection) {
        connection.set_when_slow(WhenSlow::Close);
    }

    async fn on_message(&mut self, _: &Connection, _: Message<'_>) {}
}

#[test]
fn a_server_that_does_not_read_is_left_for_another_connection() {
    // The server answers the close frame or not.
    for answers in [true, false] {
        let sim = Sim::default();
        let (net, reconnect) = network(&sim);
        let handle = reconnect.handle();
        let reconnect = reconnect.on_retry(|retry| {
            assert!(matches!(retry.reason, Ended::Disconnected(_)), "{:?}", retry.reason);
        });
        let ended = run(&sim, reconnect, ClosesWhenSlow);
        sim.run(async {
            let first = accept(&sim, &net).await;
            sim.settle().await;
            first.faults.to_server().set_capacity(0);
            let ours = handle.connected().await.unwrap();
            let filler = OwnedMessage::Binary(vec![0; 1 << 20]);
            while ours.try_send(&filler) != Err(TrySendError::Full) {}
            assert!(!ours.is_open(), "the policy has closed it");
            if answers {
                first.faults.to_server().set_capacity(usize::MAX);
            }
            // The deadlines of a peer that takes nothing, and the delay.
            let mut waited = 0;
            while net.attempts().len() < 2 {
                sim.pass(s(1)).await;
                waited += 1;
                assert!(waited < 100 && ended.is_empty(), "it has given up");
            }
            accept(&sim, &net).await;
        });
    }
}
