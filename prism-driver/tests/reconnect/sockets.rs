//! `next`: one socket after the other.

use async_channel::bounded;
use futures_lite::future::{or, poll_once, zip};
use prism_driver::{CloseCode, Disconnect, Ended, Runtime, serve_stream};
use prism_test::Sim;

use super::{Retries, SERVER, accept, accept_and_drop, network, quiet, refuse};
use crate::common::{
    cancellation::at_each_step,
    handlers::{Echo, Log},
    ms,
    net::{Net, Reach::After},
    s,
    sockets::owned,
};

#[test]
fn each_connection_is_a_socket() {
    let sim = Sim::default();
    let (net, mut reconnect) = network(&sim);
    let (tell, told) = bounded(10);
    sim.spawn(async move {
        while let Some(socket) = reconnect.next().await {
            socket.send("hello").await.unwrap();
            while let Ok(message) = socket.recv().await {
                tell.send(message).await.unwrap();
            }
        }
        tell.close();
    });
    sim.run(async {
        for text in ["one", "two", "three"] {
            refuse(&net, 503, "").await;
            let server = accept(&sim, &net).await;
            server.connection.send(text).await.unwrap();
            assert_eq!(told.recv().await.unwrap(), owned(text));
            sim.settle().await;
            assert_eq!(server.received.lines(), ["hello"]);
            server.connection.abort();
        }
        assert!(accept(&sim, &net).await.connection.close(CloseCode::NORMAL, "the end"));
        assert!(told.recv().await.is_err(), "a final code");
    });
}

#[test]
fn next_can_be_dropped_at_any_time() {
    let sim = Sim::default();
    let (net, mut reconnect) = network(&sim);
    // Longer than each call: an attempt that began again with each would never succeed.
    net.address(SERVER, After(s(3)));
    let (server, runtime) = (net.clone(), sim.clone());
    sim.spawn(async move {
        accept_and_drop_later(&runtime, &server).await;
        accept_and_drop_later(&runtime, &server).await;
    });
    sim.run(async {
        for expected in 1..=2 {
            let mut calls = 0;
            let socket = loop {
                calls += 1;
                assert!(calls < 100, "the attempt begins again with each call");
                let pause = async {
                    sim.sleep(ms(100)).await;
                    None
                };
                if let Some(socket) = or(reconnect.next(), pause).await {
                    break socket;
                }
            };
            assert!(calls >= 30, "{calls}");
            assert_eq!(net.attempts().len(), expected);
            socket.recv().await.unwrap_err();
        }
    });
}

/// Accepts a connection that lives for a second.
async fn accept_and_drop_later(sim: &Sim, net: &Net) {
    let server = accept(sim, net).await;
    sim.sleep(s(1)).await;
    server.connection.abort();
}

#[test]
fn a_next_that_is_dropped_at_any_step_leaves_no_connection_behind() {
    at_each_step(|sim, cancel_point| {
        let (net, mut reconnect) = network(sim);
        let (server, runtime) = (net.clone(), sim.clone());
        sim.spawn(async move {
            let (_, io, _) = server.arrival().await;
            // The client may be gone.
            let _ = serve_stream(runtime, io, &quiet(), Echo).await;
        });
        let socket = cancel_point.run(sim, async move { reconnect.next().await });
        if socket.is_none() {
            assert_eq!(net.in_progress(), 0);
            sim.run(sim.pass(s(1)));
            assert_eq!(net.tasks(), 0, "a task was left behind");
        }
    });
}

#[test]
fn the_life_of_a_socket_counts() {
    let sim = Sim::default();
    let (net, reconnect) = network(&sim);
    let (mut reconnect, retries) = Retries::of(reconnect);
    sim.run(async {
        for _ in 0..5 {
            let (socket, ()) = zip(reconnect.next(), accept_and_drop(&sim, &net)).await;
            socket.unwrap().recv().await.unwrap_err();
        }
        let (socket, server) = zip(reconnect.next(), accept(&sim, &net)).await;
        assert_eq!(retries.attempts(), [1, 2, 3, 4, 5]);
        sim.pass(s(100)).await;
        server.connection.abort();
        // However late the application asks for the next one.
        sim.pass(s(100)).await;
        drop(socket);
        zip(reconnect.next(), accept(&sim, &net)).await;
        assert_eq!(retries.attempts(), [1, 2, 3, 4, 5, 1]);
    });
}

#[test]
fn a_socket_that_lived_briefly_does_not_reset_the_backoff_by_being_kept() {
    let sim = Sim::default();
    let (net, reconnect) = network(&sim);
    let (mut reconnect, retries) = Retries::of(reconnect);
    sim.run(async {
        for _ in 0..3 {
            let (socket, ()) = zip(reconnect.next(), accept_and_drop(&sim, &net)).await;
            sim.pass(s(100)).await;
            drop(socket);
        }
        zip(reconnect.next(), accept(&sim, &net)).await;
    });
    assert_eq!(retries.attempts(), [1, 2, 3]);
}

#[test]
fn dropping_a_socket_that_is_open_is_a_close_by_this_side() {
    let sim = Sim::default();
    let (net, reconnect) = network(&sim);
    let log = Log::default();
    let over = log.clone();
    let mut reconnect = reconnect.on_giving_up(move |ended| {
        let closed = matches!(ended, Ended::Closed(Some(Disconnect::Local { .. })));
        over.add(format!("{closed}: {ended}"));
    });
    sim.run(async {
        let (socket, _server) = zip(reconnect.next(), accept(&sim, &net)).await;
        drop(socket.unwrap());
        for _ in 0..3 {
            assert!(reconnect.next().await.is_none());
        }
    });
    assert_eq!(log.lines(), ["true: closed by us with 1000"]);
    assert_eq!(net.attempts().len(), 1);
}

#[test]
fn next_waits_for_the_end_of_the_last_connection() {
    let sim = Sim::default();
    let (net, mut reconnect) = network(&sim);
    sim.run(async {
        let (socket, server) = zip(reconnect.next(), accept(&sim, &net)).await;
        let (_sender, receiver) = socket.unwrap().split();
        let mut next = Box::pin(reconnect.next());
        assert!(poll_once(&mut next).await.is_none());
        sim.pass(s(1000)).await;
        assert!(poll_once(&mut next).await.is_none());
        assert_eq!(net.attempts().len(), 1);
        server.connection.abort();
        receiver.recv().await.unwrap_err();
        let (socket, _server) = zip(next, accept(&sim, &net)).await;
        assert!(socket.is_some());
    });
}

#[test]
fn the_handle_sends_on_the_socket_and_closes_it() {
    let sim = Sim::default();
    let (net, mut reconnect) = network(&sim);
    let handle = reconnect.handle();
    sim.run(async {
        let (socket, server) = zip(reconnect.next(), accept(&sim, &net)).await;
        handle.send("from elsewhere").await.unwrap();
        sim.settle().await;
        assert_eq!(server.received.lines(), ["from elsewhere"]);
        handle.close(CloseCode::NORMAL, "bye");
        assert_eq!(socket.unwrap().recv().await.unwrap_err().reason(), "bye");
        assert!(reconnect.next().await.is_none());
    });
}

#[test]
fn the_last_socket_outlives_the_client() {
    let sim = Sim::default();
    let (net, mut reconnect) = network(&sim);
    sim.run(async {
        let (socket, server) = zip(reconnect.next(), accept(&sim, &net)).await;
        drop(reconnect);
        sim.settle().await;
        server.connection.send("still open").await.unwrap();
        assert_eq!(socket.unwrap().recv().await.unwrap(), owned("still open"));
    });
}
