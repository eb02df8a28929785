//! Those who send to stalled connections, write for them and end them, and the server's budget.

use std::{
    sync::Arc,
    task::{Context, Waker},
};

use loom::thread;
use prism_core::PreparedMessage;

use crate::outbox::races::{Sink, Sleep, connection, write_until};
use crate::{
    connection::Connection, options::server::ServerOptions, outbox::budget::Budget,
    server::stats::ServerStats,
};

/// A budget that has room for a few connections, but not for a kilobyte that waits as well.
fn small_budget() -> (Arc<Budget>, ServerStats) {
    let (mut options, stats) = (ServerOptions::default(), ServerStats::default());
    (options.max_buffered, options.connection.high_water_mark) = (2_500, 1);
    (Budget::new(&options, stats.clone()), stats)
}

/// One that waits for its transport, and whose owner sleeps.
fn stalled(sink: &Sink, budget: &Arc<Budget>) -> Connection {
    let connection = connection(sink, 10_000);
    let mut cx = Context::from_waker(Waker::noop());
    connection.try_send("a").unwrap();
    assert!(connection.outbox().poll_write(&mut cx).1.is_pending());
    connection.count_in(budget);
    assert!(matches!(connection.outbox().prepare_sleep(&cx, true), Ok(Sleep::Until(_))));
    connection
}

#[test]
fn whatever_happens_while_a_connection_is_counted_nothing_is_counted_in_the_end() {
    loom::model(|| {
        let (budget, stats) = small_budget();
        let sink = Sink::with_room(1);
        let connection = connection(&sink, 10_000);
        connection.try_send("a").unwrap();
        let sender = thread::spawn({
            let connection = connection.clone();
            move || {
                // It may be over already.
                let _ = connection.try_send_prepared(&PreparedMessage::new(&[b'b'; 1_000]));
            }
        });
        let ender = thread::spawn({
            let connection = connection.clone();
            move || connection.abort()
        });
        let mut cx = Context::from_waker(Waker::noop());
        for _ in 0..2 {
            if connection.outbox().poll_write(&mut cx).1.is_pending() {
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
fn whoever_exceeds_the_budget_one_is_evicted_its_owner_learns_of_it_and_no_other_is_evicted() {
    loom::model(|| {
        let (budget, stats) = small_budget();
        let sinks = [(); 3].map(|()| Sink::with_room(0));
        let [first, second, third] = sinks.each_ref().map(|sink| stalled(sink, &budget));
        let message = PreparedMessage::new(&[b'b'; 1_000]);
        let senders = [&second, &third].map(|connection| {
            let (connection, message) = (connection.clone(), message.clone());
            thread::spawn(move || connection.try_send_prepared(&message).unwrap())
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
fn one_whose_peer_takes_something_just_before_it_would_be_evicted_is_not() {
    loom::model(|| {
        let (budget, stats) = small_budget();
        let sinks = [(); 3].map(|()| Sink::with_room(0));
        let [first, second, third] = sinks.each_ref().map(|sink| stalled(sink, &budget));
        let sender = thread::spawn({
            let (third, message) = (third.clone(), PreparedMessage::new(&[b'b'; 1_000]));
            move || third.try_send_prepared(&message).unwrap()
        });
        sinks[0].0.lock().unwrap().room = 1;
        let mut cx = Context::from_waker(Waker::noop());
        let (took, _) = first.outbox().poll_write(&mut cx);
        sender.join().unwrap();
        let open = [&first, &second, &third].map(Connection::is_open);
        // Then the second has stalled for longest.
        assert_eq!((open, stats.counts().evicted), ([took, !took, true], 1));
        for connection in [first, second, third] {
            connection.outbox().give_up();
        }
        assert_eq!(stats.counts().buffered, 0);
    });
}
