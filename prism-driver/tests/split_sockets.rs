//! The two halves of a socket, and receiving as a stream.

use std::{
    error::Error,
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use async_channel::unbounded;
use futures_lite::future::poll_once;
use futures_util::{SinkExt, StreamExt, TryStreamExt};
use prism_driver::{
    CloseCode, Connection, Disconnect, Failure, OwnedMessage, Runtime, Socket, socket,
};
use prism_test::{Received, Sim};

use crate::common::{
    close,
    handlers::MessageLog,
    routes::RouteServer,
    s,
    sockets::{connected, connected_to, owned},
    text,
};

// ---- two tasks

#[test]
fn one_task_sends_while_another_receives() {
    let sim = Sim::default();
    let (socket, _echo, _, _) = connected(&sim);
    let (sending, receiving) = socket.split();
    let (tell, told) = unbounded();
    sim.spawn(async move {
        for n in 0..100 {
            sending.send(&n.to_string()).await.unwrap();
        }
        tell.send(sending).await.unwrap();
    });
    let (forward, received) = unbounded();
    sim.spawn(async move {
        while let Ok(message) = receiving.recv().await {
            forward.send(message).await.unwrap();
        }
    });
    sim.run(async {
        for n in 0..100 {
            assert_eq!(received.recv().await.unwrap(), owned(&n.to_string()));
        }
        // The receiver ends when the connection is closed.
        let sending = told.recv().await.unwrap();
        assert!(sending.close(CloseCode::NORMAL, ""));
        assert!(received.recv().await.is_err());
    });
}

#[test]
fn two_tasks_can_share_a_whole_socket() {
    let sim = Sim::default();
    let (socket, _echo, _, _) = connected(&sim);
    let socket = Arc::new(socket);
    let sender = socket.clone();
    sim.spawn(async move { sender.send("from the other task").await.unwrap() });
    sim.run(async { assert_eq!(socket.recv().await.unwrap(), owned("from the other task")) });
}

#[test]
fn the_receiving_half_learns_how_the_sending_half_closed() {
    let sim = Sim::default();
    let (socket, _, _, ended) = connected(&sim);
    let (sending, receiving) = socket.split();
    sim.run(async {
        assert!(sending.close(CloseCode::new(4000).unwrap(), "done"));
        let ending = receiving.recv().await.unwrap_err();
        assert!(matches!(&ending, Disconnect::Local { reason, .. } if reason == "done"));
        assert_eq!(ended.recv().await.unwrap().unwrap().code(), 4000);
    });
}

// ---- dropping the halves

#[test]
fn without_the_sending_half_the_connection_still_receives() {
    let sim = Sim::default();
    let (socket, connection, _, _) = connected(&sim);
    let (sending, receiving) = socket.split();
    sim.run(async {
        drop(sending);
        sim.pass(s(60)).await;
        connection.send("still received").await.unwrap();
        assert_eq!(receiving.recv().await.unwrap(), owned("still received"));
    });
}

#[test]
fn without_the_receiving_half_messages_are_discarded() {
    let sim = Sim::default();
    let (socket, connection, faults, _) = connected(&sim);
    let (sending, receiving) = socket.split();
    sim.run(async {
        // More than the receiver's queue holds: some stay in the transport.
        for _ in 0..50 {
            connection.send(&[7; 2_000]).await.unwrap();
        }
        sim.settle().await;
        assert!(faults.to_client().unread() > 0);
        drop(receiving);
        sim.settle().await;
        assert_eq!((connection.buffered(), faults.to_client().unread()), (0, 0));
        // The server's keepalive would notice if its pings were not answered.
        sim.pass(s(3600)).await;
        connection.send("dropped too").await.unwrap();
        sending.send("echoed in vain").await.unwrap();
        sim.settle().await;
        assert_eq!((connection.buffered(), faults.to_client().unread()), (0, 0));
        assert!(connection.is_open());
    });
}

#[test]
fn dropping_both_halves_closes_with_1000() {
    for sender_first in [true, false] {
        let sim = Sim::default();
        let (socket, _, _, ended) = connected(&sim);
        let (sending, receiving) = socket.split();
        // A handle does not keep a connection open.
        let _handle = sending.connection().clone();
        sim.run(async {
            if sender_first {
                drop(sending);
                drop(receiving);
            } else {
                drop(receiving);
                drop(sending);
            }
            let theirs = ended.recv().await.unwrap().unwrap();
            assert!(matches!(theirs, Disconnect::Peer { .. }), "{theirs}");
            assert_eq!((theirs.code(), sim.now()), (1000, s(0)));
        });
    }
}

// ---- moving them out of their function

/// Asserts that a connection outlives the function of its route, which moves its socket into other tasks with
/// `move_out`. These send each message back, until it is `drop`.
fn assert_lives_on(move_out: impl Fn(&Sim, Socket) + Send + Sync + 'static) {
    let sim = Sim::default();
    let (tasks, (returned, returns)) = (sim.clone(), unbounded());
    let route = socket(move |socket| {
        move_out(&tasks, socket);
        let returned = returned.clone();
        async move { returned.send(()).await.unwrap() }
    });
    let server = RouteServer::start(&sim, route);
    sim.run(async {
        let mut peer = server.open().await;
        returns.recv().await.unwrap();
        for number in 0..100 {
            sim.settle().await;
            peer.send(&number.to_string()).await;
            assert_eq!(peer.next().await, text(&number.to_string()));
        }
        assert_eq!(server.stats.counts().open, 1);
        peer.send("drop").await;
        assert_eq!(peer.all().await, [close(1000, ""), Received::End(Ok(()))]);
        drop(peer);
        sim.settle().await;
        assert_eq!(server.stats.counts().open, 0);
    });
}

#[test]
fn a_connection_lives_on_with_a_socket_that_is_moved_to_another_task() {
    assert_lives_on(|sim, socket| {
        sim.spawn(async move {
            while let Ok(message) = socket.recv().await
                && message.as_text() != Some("drop")
            {
                socket.send(message).await.unwrap();
            }
        });
    });
}

#[test]
fn a_connection_lives_on_with_halves_that_are_moved_to_other_tasks() {
    assert_lives_on(|sim, socket| {
        let (sending, receiving) = socket.split();
        let (forward, forwarded) = unbounded();
        sim.spawn(async move {
            while let Ok(message) = receiving.recv().await
                && message.as_text() != Some("drop")
            {
                forward.send(message).await.unwrap();
            }
        });
        sim.spawn(async move {
            while let Ok(message) = forwarded.recv().await {
                sending.send(message).await.unwrap();
            }
        });
    });
}

#[test]
fn a_panic_that_drops_a_socket_closes_with_1011() {
    let sim = Sim::default();
    let (socket, _, _, ended) = connected(&sim);
    let panicked = catch_unwind(AssertUnwindSafe(move || {
        let _socket = socket;
        panic!("on purpose");
    }));
    assert!(panicked.is_err());
    let theirs = sim.run(ended.recv()).unwrap().unwrap();
    assert_eq!(theirs.code(), 1011);
}

// ---- a stream

/// Returns a socket, and the other end, which has sent one, two, three.
fn with_three_messages(sim: &Sim) -> (Socket, Connection) {
    let (handler, _, out) = MessageLog::new();
    let (socket, _, _) = connected_to(sim, handler);
    let connection = sim.run(async {
        let connection = out.recv().await.unwrap();
        for text in ["one", "two", "three"] {
            connection.send(text).await.unwrap();
        }
        sim.settle().await;
        connection
    });
    (socket, connection)
}

fn three() -> Vec<OwnedMessage> {
    ["one", "two", "three"].map(owned).into()
}

#[test]
fn a_stream_yields_every_message_until_the_peer_closes() {
    let sim = Sim::default();
    let (mut socket, connection) = with_three_messages(&sim);
    sim.run(async {
        assert!(connection.close(CloseCode::GOING_AWAY, "maintenance"));
        let all: Vec<_> = socket.by_ref().try_collect().await.unwrap();
        assert_eq!(all, three());
        assert!(socket.next().await.is_none(), "the stream stays ended");
        assert_eq!(socket.recv().await.unwrap_err().reason(), "maintenance");
    });
}

#[test]
fn a_stream_yields_what_had_arrived_when_we_closed() {
    let sim = Sim::default();
    let (socket, _connection) = with_three_messages(&sim);
    let (sending, mut receiving) = socket.split();
    sim.run(async {
        assert!(sending.close(CloseCode::NORMAL, ""));
        let all: Vec<_> = receiving.by_ref().try_collect().await.unwrap();
        assert_eq!(all, three());
        assert!(receiving.next().await.is_none(), "the stream stays ended");
    });
}

#[test]
fn a_stream_yields_a_failure_once_as_its_last_item() {
    let sim = Sim::default();
    let (mut socket, _, faults, _) = connected(&sim);
    sim.run(async {
        faults.to_client().fail(io::ErrorKind::ConnectionReset);
        let failure = socket.next().await.unwrap().unwrap_err();
        assert!(matches!(failure, Failure::Io(_)), "{failure}");
        for _ in 0..3 {
            assert!(socket.next().await.is_none());
            let reason = socket.recv().await.unwrap_err();
            assert!(matches!(reason, Disconnect::Failed(Failure::Io(_))), "{reason}");
        }
    });
}

#[test]
fn a_waiting_stream_is_woken_by_a_message_and_by_the_end() {
    let sim = Sim::default();
    let (socket, connection, _, _) = connected(&sim);
    let (_sending, receiving) = socket.split();
    let (tell, told) = unbounded();
    sim.spawn(async move {
        let all: Vec<_> = receiving.try_collect().await.unwrap();
        tell.send(all).await.unwrap();
    });
    sim.run(async {
        sim.settle().await;
        connection.send("one").await.unwrap();
        sim.settle().await;
        assert!(connection.close(CloseCode::NORMAL, ""));
        assert_eq!(told.recv().await.unwrap(), [owned("one")]);
    });
}

#[test]
fn recv_and_the_stream_share_the_messages() {
    let sim = Sim::default();
    let (mut socket, _connection) = with_three_messages(&sim);
    sim.run(async {
        assert_eq!(socket.recv().await.unwrap(), owned("one"));
        assert_eq!(socket.next().await.unwrap().unwrap(), owned("two"));
        assert_eq!(socket.recv().await.unwrap(), owned("three"));
        assert!(poll_once(socket.next()).await.is_none());
    });
}

#[test]
fn an_echo_is_a_stream_forwarded_to_a_sink() {
    let sim = Sim::default();
    let (handler, log, out) = MessageLog::new();
    let (socket, _, ended) = connected_to(&sim, handler);
    let (sending, receiving) = socket.split();
    let (tell, told) = unbounded();
    sim.spawn(async move {
        let echo = receiving.err_into::<Box<dyn Error + Send + Sync>>();
        tell.send(echo.forward(sending.sink_err_into()).await).await.unwrap();
    });
    sim.run(async {
        let connection = out.recv().await.unwrap();
        for n in 0..200 {
            connection.send(&n.to_string()).await.unwrap();
        }
        sim.settle().await;
        assert!(connection.close(CloseCode::NORMAL, ""));
        told.recv().await.unwrap().unwrap();
        ended.recv().await.unwrap().unwrap();
    });
    let numbers: Vec<_> = (0..200).map(|n| n.to_string()).collect();
    assert_eq!(log.lines()[..200], numbers);
    assert_eq!(log.lines()[200..], ["closed by us with 1000"]);
}
