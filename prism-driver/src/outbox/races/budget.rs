//! Loom tests of the server's budget: tasks send to stalled connections, write for them and end them.

use std::{
    sync::Arc,
    task::{Context, Waker},
};

use loom::thread;
use prism_core::PreparedMessage;

use crate::{
    connection::Connection,
    options::server::ServerOptions,
    outbox::{
        budget::Budget,
        races::{Sink, Sleep, connection, write_until},
    },
    server::stats::ServerStats,
};

/// Returns a budget that a few stalled connections fit into, but not a kilobyte besides.
fn small_budget() -> (Arc<Budget>, ServerStats) {
    let (mut options, stats) = (ServerOptions::default(), ServerStats::default());
    (options.max_buffered, options.connection.high_water_mark) = (2_500, 1);
    (Budget::new(&options, stats.clone()), stats)
}

/// Returns a connection that waits for its transport and whose owner sleeps.
fn stalled(sink: &Sink, budget: &Arc<Budget>) -> Connection {
    let connection = connection(sink, 10_000);
    let mut cx = Context::from_waker(Waker::noop());
    connection.try_send("a").unwrap();
    assert!(connection.outbox().step(cx.waker()).poll_write(&mut cx).1.is_pending());
    connection.count_in(budget);
    assert!(matches!(
        connection.outbox().step(cx.waker()).prepare_sleep(true),
        Ok(Sleep::Until(_))
    ));
    connection
}

#[test]
fn an_ended_connection_is_no_longer_counted() {
    loom::model(|| {
        let (budget, stats) = small_budget();
        let sink = Sink::with_room(1);
        let connection = connection(&sink, 10_000);
        connection.try_send("a").unwrap();
        let sender = thread::spawn({
            let connection = connection.clone();
            move || {
                // The connection may have ended already.
                let _ = connection.try_send(&PreparedMessage::new(&[b'b'; 1_000]));
            }
        });
        let ender = thread::spawn({
            let connection = connection.clone();
            move || connection.abort()
        });
        let mut cx = Context::from_waker(Waker::noop());
        for _ in 0..2 {
            if connection.outbox().step(cx.waker()).poll_write(&mut cx).1.is_pending() {
                connection.count_in(&budget);
            }
            sink.0.lock().unwrap().room = 500;
        }
        sender.join().unwrap();
        ender.join().unwrap();
        assert_eq!(stats.counts().buffered, 0);
    });
}

#[test]
fn concurrent_senders_evict_one_connection_and_wake_its_owner() {
    loom::model(|| {
        let (budget, stats) = small_budget();
        let sinks = [(); 3].map(|()| Sink::with_room(0));
        let [first, second, third] = sinks.each_ref().map(|sink| stalled(sink, &budget));
        let message = PreparedMessage::new(&[b'b'; 1_000]);
        let senders = [&second, &third].map(|connection| {
            let (connection, message) = (connection.clone(), message.clone());
            thread::spawn(move || connection.try_send(&message).unwrap())
        });
        write_until(&first, || false);
        senders.into_iter().for_each(|sender| sender.join().unwrap());
        let open = [&first, &second, &third].map(Connection::is_open);
        assert_eq!((open, stats.counts().evicted), ([false, true, true], 1));
        for connection in [first, second, third] {
            connection.outbox().give_up();
        }
        assert_eq!(stats.counts().buffered, 0);
    });
}

#[test]
fn progress_just_before_an_eviction_prevents_it() {
    loom::model(|| {
        let (budget, stats) = small_budget();
        let sinks = [(); 3].map(|()| Sink::with_room(0));
        let [first, second, third] = sinks.each_ref().map(|sink| stalled(sink, &budget));
        let sender = thread::spawn({
            let (third, message) = (third.clone(), PreparedMessage::new(&[b'b'; 1_000]));
            move || third.try_send(&message).unwrap()
        });
        sinks[0].0.lock().unwrap().room = 1;
        let mut cx = Context::from_waker(Waker::noop());
        let (took, _) = first.outbox().step(cx.waker()).poll_write(&mut cx);
        sender.join().unwrap();
        let open = [&first, &second, &third].map(Connection::is_open);
        // If the first made progress, the second has been stalled for longest.
        assert_eq!((open, stats.counts().evicted), ([took, !took, true], 1));
        for connection in [first, second, third] {
            connection.outbox().give_up();
        }
        assert_eq!(stats.counts().buffered, 0);
    });
}
