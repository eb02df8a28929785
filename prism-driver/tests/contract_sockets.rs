//! The contract of the sockets of routes, rules 2 and 4 to 6: what is received, and how a connection
//! ends. The name of each test begins with the number of its rule.

use std::{
    future::poll_fn,
    io,
    task::{Poll, ready},
};

use async_channel::{Receiver, unbounded};
use futures_util::StreamExt;
use prism_driver::{CloseCode, OwnedMessage, Runtime, SendError, ServerOptions, Socket, socket};
use prism_test::{Received, Sim};

use crate::common::{
    close,
    handlers::{DropLog, Log},
    routes::RouteServer,
    s, text,
};

/// Returns the text of a message.
fn text_of(message: &OwnedMessage) -> String {
    message.as_message().as_text().unwrap().to_owned()
}

/// Logs each message, and after a `wait` does not go on before the gate opens.
async fn record(socket: Socket, log: Log, gate: Receiver<()>) {
    while let Ok(message) = socket.recv().await {
        let text = text_of(&message);
        log.add(text.as_str());
        if text == "wait" {
            gate.recv().await.unwrap();
        }
        // The connection may be closing already.
        let _ = socket.send(&message).await;
    }
    log.add("left");
}

// ---- 2. Messages are received in wire order. Different connections run in parallel.

#[test]
fn contract_2_messages_are_received_in_wire_order() {
    let sim = Sim::default();
    let (log, (_open, gate)) = (Log::default(), unbounded());
    let route = socket({
        let log = log.clone();
        move |socket| record(socket, log.clone(), gate.clone())
    });
    let server = RouteServer::start(&sim, route);
    let sent: Vec<_> = (0..100).map(|number| number.to_string()).collect();
    sim.run(async {
        let mut peer = server.open().await;
        let together: Vec<_> = sent.iter().map(String::as_str).collect();
        peer.send_together(&together).await;
        for sent in &sent {
            assert_eq!(peer.next().await, text(sent));
        }
    });
    assert_eq!(log.lines(), sent);
}

#[test]
fn contract_2_different_connections_run_in_parallel() {
    let sim = Sim::default();
    let (log, (open, gate)) = (Log::default(), unbounded());
    let route = socket(move |socket| record(socket, log.clone(), gate.clone()));
    let server = RouteServer::start(&sim, route);
    sim.run(async {
        let (mut first, mut second) = (server.open().await, server.open().await);
        first.send("wait").await;
        sim.settle().await;
        second.send("hello").await;
        assert_eq!(second.next().await, text("hello"));
        open.send(()).await.unwrap();
        assert_eq!(first.next().await, text("wait"));
    });
}

// ---- 4. The function's future is never dropped before it completes. Closing makes its pending sends
// ----    fail instead. Until it returns, the connection counts.

/// Starts a server for a single connection, whose function returns when the gate opens. Returns what it
/// logs.
fn start_waiting(sim: &Sim, gate: Receiver<()>) -> (RouteServer, Log) {
    let log = Log::default();
    let route = socket({
        let log = log.clone();
        move |socket| {
            let (log, gate) = (log.clone(), gate.clone());
            async move {
                let _dropped = DropLog(log.clone());
                let ending = loop {
                    if let Err(ending) = socket.recv().await {
                        break ending;
                    }
                };
                log.add(ending.to_string());
                gate.recv().await.unwrap();
                log.add(format!("{:?}", socket.send("late").await));
            }
        }
    });
    let options = ServerOptions::default().max_connections(1);
    (RouteServer::with_options(sim, options, route), log)
}

#[test]
fn contract_4_a_function_runs_to_its_end_and_counts_until_then() {
    let sim = Sim::default();
    let (open, gate) = unbounded();
    let (server, log) = start_waiting(&sim, gate);
    sim.run(async {
        let (mut peer, _) = server.open_with_faults().await;
        peer.close(4001, "bye").await;
        assert_eq!(peer.all().await, [close(4001, "bye"), Received::End(Ok(()))]);
        drop(peer);
        let (next, _) = server.net.connect_raw().unwrap();
        sim.pass(s(3600)).await;
        assert_eq!(log.lines(), ["closed by the peer with 4001 (bye)"]);
        let counts = server.stats.counts();
        assert_eq!((counts.open, counts.stuck, counts.accepted), (1, 1, 1), "there is no room");
        open.send(()).await.unwrap();
        sim.settle().await;
        assert_eq!(log.lines()[1..], ["Err(Closed)", "dropped"]);
        let counts = server.stats.counts();
        assert_eq!((counts.open, counts.stuck, counts.accepted), (0, 0, 2));
        drop(next);
    });
}

#[test]
fn contract_4_a_function_learns_how_the_connection_failed_and_runs_to_its_end() {
    let sim = Sim::default();
    let (open, gate) = unbounded();
    let (server, log) = start_waiting(&sim, gate);
    sim.run(async {
        let (peer, faults) = server.open_with_faults().await;
        faults.to_server().fail(io::ErrorKind::ConnectionReset);
        sim.pass(s(3600)).await;
        assert_eq!(log.lines(), ["the transport failed: connection reset"]);
        open.send(()).await.unwrap();
        sim.settle().await;
        assert_eq!(log.lines()[1..], ["Err(Closed)", "dropped"]);
        drop(peer);
    });
}

#[test]
fn contract_4_a_failure_fails_pending_sends() {
    let sim = Sim::default();
    let log = Log::default();
    let route = socket({
        let log = log.clone();
        move |socket: Socket| {
            let log = log.clone();
            async move {
                let _dropped = DropLog(log.clone());
                // Far more than the outbox and the pipe hold.
                let mut sent = Ok(());
                for _ in 0..1000 {
                    sent = sent.and(socket.send(&[0; 1000]).await);
                }
                log.add(format!("send: {sent:?}"));
            }
        }
    });
    let server = RouteServer::start(&sim, route);
    sim.run(async {
        let (_peer, faults) = server.open_with_faults().await;
        faults.to_client().set_capacity(10_000);
        sim.settle().await;
        assert!(log.lines().is_empty(), "the function waits for room");
        faults.to_client().fail(io::ErrorKind::ConnectionReset);
        sim.settle().await;
    });
    assert_eq!(log.lines(), ["send: Err(Closed)", "dropped"]);
}

// ---- 5. What was accepted before the close is written before the close frame; after it `send` returns
// ----    `Closed`, and no more messages are received.

/// Opens a connection whose function gets a message, and returns what the peer gets.
async fn answers_to_one_byte_pieces(sim: &Sim, server: &RouteServer) -> Vec<Received> {
    let (mut peer, faults) = server.open_with_faults().await;
    faults.set_piece(1); // the transport takes one byte at a time
    peer.send_together(&["go", "in the same read"]).await;
    sim.settle().await;
    peer.all().await
}

#[test]
fn contract_5_accepted_messages_precede_the_close_frame() {
    let sim = Sim::default();
    let log = Log::default();
    let route = socket({
        let log = log.clone();
        move |socket: Socket| {
            let log = log.clone();
            async move {
                socket.recv().await.unwrap();
                for text in ["one", "two", "three"] {
                    socket.send(text).await.unwrap();
                }
                let connection = socket.connection().clone();
                let ending = socket.close(CloseCode::new(4000).unwrap(), "done").await;
                assert_eq!(connection.send("late").await, Err(SendError::Closed));
                log.add(format!("{ending}"));
                log.add(socket.recv().await.unwrap_err().to_string());
            }
        }
    });
    let server = RouteServer::start(&sim, route);
    let seen = sim.run(answers_to_one_byte_pieces(&sim, &server));
    let expected =
        [text("one"), text("two"), text("three"), close(4000, "done"), Received::End(Ok(()))];
    assert_eq!(seen, expected);
    sim.run(sim.settle());
    assert_eq!(log.lines(), ["closed by us with 4000 (done)"; 2]);
}

#[test]
fn contract_5_a_function_that_returns_closes_with_1000_after_its_messages() {
    let sim = Sim::default();
    let route = socket(async |socket: Socket| {
        socket.recv().await.unwrap();
        for text in ["one", "two", "three"] {
            socket.send(text).await.unwrap();
        }
    });
    let server = RouteServer::start(&sim, route);
    let seen = sim.run(answers_to_one_byte_pieces(&sim, &server));
    let expected =
        [text("one"), text("two"), text("three"), close(1000, ""), Received::End(Ok(()))];
    assert_eq!(seen, expected);
    sim.run(sim.settle());
    assert_eq!(server.stats.counts().open, 0);
}

// ---- 6. A panic ends only its own connection (1011); the server lives.

/// Asserts that a function whose connection gets a `panic` ends that one with 1011, and no other.
fn assert_contained(sim: &Sim, server: &RouteServer) {
    sim.run(async {
        let (mut doomed, mut other) = (server.open().await, server.open().await);
        doomed.send("panic").await;
        assert_eq!(doomed.all().await, [close(1011, "internal error"), Received::End(Ok(()))]);
        assert_eq!(sim.now(), s(0), "at once");
        drop(doomed);
        other.send("still here").await;
        assert_eq!(other.next().await, text("still here"));
        let mut late = server.open().await;
        late.send("just connected").await;
        assert_eq!(late.next().await, text("just connected"));
        sim.settle().await;
        assert_eq!((server.stats.counts().open, server.stats.counts().closed), (2, 1));
    });
}

async fn echo_or_panic(socket: &Socket, message: OwnedMessage) {
    assert_ne!(text_of(&message), "panic", "on purpose");
    socket.send(&message).await.unwrap();
}

#[test]
fn contract_6_a_panic_of_the_future_ends_only_its_own_connection() {
    let sim = Sim::default();
    let route = socket(async |socket: Socket| {
        while let Ok(message) = socket.recv().await {
            echo_or_panic(&socket, message).await;
        }
    });
    assert_contained(&sim, &RouteServer::start(&sim, route));
}

#[test]
fn contract_6_a_panic_closes_with_1011_though_it_does_not_drop_the_socket() {
    let sim = Sim::default();
    // In contrast to an `async` block, this future still owns the socket when it has panicked.
    let route = socket(|mut socket: Socket| {
        poll_fn(move |cx| {
            while let Some(received) = ready!(socket.poll_next_unpin(cx)) {
                let message = received.unwrap();
                assert_ne!(text_of(&message), "panic", "on purpose");
                socket.connection().try_send(&message).unwrap();
            }
            Poll::Ready(())
        })
    });
    assert_contained(&sim, &RouteServer::start(&sim, route));
}

#[test]
fn contract_6_a_panic_closes_with_1011_though_another_task_has_a_half() {
    let sim = Sim::default();
    let spawner = sim.clone();
    let route = socket(move |socket: Socket| {
        let (sender, mut receiver) = socket.split();
        let spawner = spawner.clone();
        async move {
            while let Some(Ok(message)) = receiver.next().await {
                if text_of(&message) == "panic" {
                    spawner.spawn(async move {
                        sender.connection().closed().await;
                    });
                    panic!("on purpose");
                }
                sender.send(&message).await.unwrap();
            }
        }
    });
    assert_contained(&sim, &RouteServer::start(&sim, route));
}

#[test]
fn contract_6_a_panic_of_a_destructor_ends_only_its_own_connection() {
    struct PanicsOnDrop;
    impl Drop for PanicsOnDrop {
        fn drop(&mut self) {
            panic!("on purpose");
        }
    }
    let sim = Sim::default();
    let route = socket(|socket: Socket| {
        let owned = (PanicsOnDrop, socket);
        poll_fn(move |_| {
            let _ = &owned;
            Poll::Ready(())
        })
    });
    let server = RouteServer::start(&sim, route);
    sim.run(async {
        for closed in 1..3 {
            let mut peer = server.open().await;
            assert!(matches!(peer.next().await, Received::Close(..)));
            drop(peer);
            sim.settle().await;
            assert_eq!((server.stats.counts().open, server.stats.counts().closed), (0, closed));
        }
    });
}

#[test]
fn contract_6_a_panic_before_there_is_a_future_ends_only_its_own_connection() {
    let sim = Sim::default();
    let (log, ended) = (Log::default(), Log::default());
    let route = socket({
        let (log, ended) = (log.clone(), ended.clone());
        move |socket: Socket| {
            let ended = ended.clone();
            socket.connection().on_end(move || ended.add("hook"));
            log.add("called");
            let is_first = log.lines().len() == 1;
            assert!(!is_first, "on purpose");
            async move {
                while let Ok(message) = socket.recv().await {
                    socket.send(&message).await.unwrap();
                }
            }
        }
    });
    let server = RouteServer::start(&sim, route);
    sim.run(async {
        let mut doomed = server.open().await;
        assert_eq!(doomed.all().await, [close(1011, "internal error"), Received::End(Ok(()))]);
        assert_eq!((sim.now(), ended.lines().len()), (s(0), 1));
        drop(doomed);
        let mut other = server.open().await;
        other.send("still here").await;
        assert_eq!(other.next().await, text("still here"));
        assert_eq!((server.stats.counts().open, server.stats.counts().closed), (1, 1));
    });
}
