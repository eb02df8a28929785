//! The contract of the sockets of routes, rules 7 to 9: what waits to be received or sent. The name of
//! each test begins with the number of its rule. Also what a socket knows, and how a server that shuts
//! down waits for it.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use async_channel::{Receiver, Sender, unbounded};
use futures_lite::future::{or, poll_once, yield_now};
use prism_driver::{
    Authorized, CloseCode, Connection, Options, OwnedMessage, Request, Route, Runtime, SendError,
    Socket, TrySendError, socket,
};
use prism_test::{Peer, Received, Sim};

use crate::common::{close, net::Net, routes::RouteServer, s, text};

/// Returns a route whose function receives one message each time that the gate opens, and sends it back.
fn gated_echo(gate: Receiver<()>) -> Route<Net> {
    socket(move |socket: Socket| {
        let gate = gate.clone();
        async move {
            while gate.recv().await.is_ok()
                && let Ok(message) = socket.recv().await
            {
                let _ = socket.send(&message).await; // fails only if the connection is closing
            }
        }
    })
}

// ---- 7. A `recv` that is dropped while it waits has taken nothing, and a `send` has sent nothing.

#[test]
fn contract_7_a_dropped_recv_has_taken_nothing() {
    let sim = Sim::default();
    let route = socket(async |socket: Socket| {
        loop {
            // Each is polled once, and many are dropped after they have been woken for a message.
            match poll_once(socket.recv()).await {
                Some(Ok(message)) => socket.send(&message).await.unwrap(),
                Some(Err(_)) => return,
                None => {
                    let received = async { Some(socket.recv().await) };
                    let gave_up = async {
                        yield_now().await;
                        None
                    };
                    if let Some(message) = or(gave_up, received).await {
                        socket.send(&message.unwrap()).await.unwrap();
                    }
                }
            }
        }
    });
    let server = RouteServer::start(&sim, route);
    sim.run(async {
        let mut peer = server.open().await;
        for number in 0..100 {
            let sent = [number, number + 1_000, number + 2_000].map(|number| number.to_string());
            peer.send_together(&sent.each_ref().map(String::as_str)).await;
            for sent in &sent {
                assert_eq!(peer.next().await, text(sent));
            }
        }
    });
}

#[test]
fn contract_7_a_dropped_send_has_sent_nothing() {
    let sim = Sim::default();
    let (open, gate) = unbounded::<()>();
    let route = socket(move |socket: Socket| {
        let gate = gate.clone();
        async move {
            gate.recv().await.unwrap();
            socket.send("0123456789").await.unwrap();
            assert_eq!(poll_once(socket.send("dropped")).await, None, "there is no room");
            socket.send("kept").await.unwrap();
        }
    });
    let server = RouteServer::start(&sim, route.options(Options::default().high_water_mark(10)));
    sim.run(async {
        let (mut peer, faults) = server.open_with_faults().await;
        faults.to_client().set_capacity(0);
        open.send(()).await.unwrap();
        sim.settle().await;
        faults.to_client().set_capacity(1000);
        let expected = [text("0123456789"), text("kept"), close(1000, "")];
        assert_eq!([peer.next().await, peer.next().await, peer.next().await], expected);
    });
}

// ---- 8. A function may be slow. Up to 16 messages (or 64 KiB) wait for it, and pings are answered
// ----    meanwhile. Then nothing more is read, and the peer does not count as silent.

#[test]
fn contract_8_pings_are_answered_until_16_messages_wait() {
    let sim = Sim::default();
    let (open, gate) = unbounded();
    let server = RouteServer::start(&sim, gated_echo(gate));
    sim.run(async {
        let mut peer = server.open().await;
        for number in 0..16 {
            peer.send(&*number.to_string()).await;
            peer.ping(b"still there?").await;
            assert_eq!(peer.next().await, Received::Pong(b"still there?".to_vec()));
        }
        peer.send("16").await;
        peer.ping(b"not now").await;
        // Far beyond the pong timeout. The peer is alive, but nothing is read from it.
        sim.pass(s(600)).await;
        while let Some(seen) = poll_once(peer.next()).await {
            assert_eq!(seen, Received::Ping, "while 17 messages wait");
        }
        // As soon as there is room for the last one, the ping is read.
        open.send(()).await.unwrap();
        assert_eq!(peer.next_but_pings().await, text("0"));
        assert_eq!(peer.next_but_pings().await, Received::Pong(b"not now".to_vec()));
        for number in 1..=16 {
            open.send(()).await.unwrap();
            assert_eq!(peer.next_but_pings().await, text(&number.to_string()));
        }
    });
}

#[test]
fn contract_8_of_long_messages_only_64_kib_wait_or_one() {
    let sim = Sim::default();
    for (len, waiting) in [(30_000, 2), (100_000, 1), (1_000, 16)] {
        let (open, gate) = unbounded();
        let server = RouteServer::start(&sim, gated_echo(gate));
        sim.run(async {
            let mut peer = server.open().await;
            for _ in 0..waiting {
                peer.send(&vec![7; len]).await;
                peer.ping(b"there is room").await;
                assert_eq!(peer.next_but_pings().await, Received::Pong(b"there is room".to_vec()));
            }
            peer.send(&vec![7; len]).await;
            peer.ping(b"not now").await;
            sim.pass(s(60)).await;
            while let Some(seen) = poll_once(peer.next()).await {
                assert_eq!(
                    seen,
                    Received::Ping,
                    "while {} messages of {len} bytes wait",
                    waiting + 1
                );
            }
            open.send(()).await.unwrap();
            assert_eq!(peer.next_but_pings().await, Received::Binary(vec![7; len]));
            assert_eq!(peer.next_but_pings().await, Received::Pong(b"not now".to_vec()));
        });
    }
}

#[test]
fn contract_8_a_slow_function_slows_its_peer_down() {
    const LEN: usize = 10_000;
    let sim = Sim::default();
    let (open, gate) = unbounded();
    let server = RouteServer::start(&sim, gated_echo(gate));
    sim.run(async {
        let (mut peer, faults) = server.open_with_faults().await;
        for _ in 0..100 {
            peer.send(&[7; LEN]).await;
        }
        sim.pass(s(60)).await;
        let unread = faults.to_server().unread();
        // 17 messages, and what one read returns at most.
        assert!(unread >= (100 - 17) * LEN - (128 << 10), "{unread} of {} bytes", 100 * LEN);
        for _ in 0..100 {
            open.send(()).await.unwrap();
            assert_eq!(peer.next_but_pings().await, Received::Binary(vec![7; LEN]));
        }
        assert_eq!(faults.to_server().unread(), 0);
    });
}

#[test]
fn contract_8_closing_does_not_wait_for_a_slow_function() {
    let sim = Sim::default();
    let (hand, out) = unbounded::<Connection>();
    let (open, gate) = unbounded::<()>();
    let route = socket(move |socket: Socket| {
        let (hand, gate) = (hand.clone(), gate.clone());
        async move {
            hand.send(socket.connection().clone()).await.unwrap();
            gate.recv().await.unwrap();
        }
    });
    let server = RouteServer::start(&sim, route);
    sim.run(async {
        let mut peer = server.open().await;
        let connection = out.recv().await.unwrap();
        for number in 0..20 {
            peer.send(&*number.to_string()).await;
        }
        sim.settle().await;
        assert!(connection.close(CloseCode::new(4000).unwrap(), "enough"));
        assert_eq!(peer.all().await, [close(4000, "enough"), Received::End(Ok(()))]);
        drop(peer);
        connection.closed().await;
        assert_eq!(sim.now(), s(0));
        open.send(()).await.unwrap();
        sim.settle().await;
        assert_eq!(server.stats.counts().open, 0);
    });
}

// ---- 9. An outbox is never larger than its high-water mark plus one message.

#[test]
fn contract_9_an_outbox_never_exceeds_its_mark_plus_one_message() {
    const MARK: usize = 5_000;
    const MESSAGE: usize = 700;
    let sim = Sim::default();
    let most = Arc::new(AtomicUsize::new(0));
    let counted = most.clone();
    let route = socket(move |socket: Socket| {
        let most = counted.clone();
        async move {
            socket.recv().await.unwrap();
            for _ in 0..50 {
                socket.send(&[7; MESSAGE]).await.unwrap();
                most.fetch_max(socket.connection().buffered(), Ordering::Relaxed);
            }
            while socket.connection().try_send([7; MESSAGE]).is_ok() {}
            let full = socket.connection().try_send("more");
            assert_eq!(full, Err(TrySendError::Full));
            assert_eq!(socket.connection().missed(), 2);
        }
    });
    let server = RouteServer::start(&sim, route.options(Options::default().high_water_mark(MARK)));
    sim.run(async {
        let (mut peer, faults) = server.open_with_faults().await;
        faults.to_client().set_capacity(2_000);
        peer.send("go").await;
        sim.settle().await;
        let all = peer.all().await;
        assert!(all.len() > 50, "{} events", all.len());
        assert_eq!(all[all.len() - 2..], [close(1000, ""), Received::End(Ok(()))]);
    });
    let most = most.load(Ordering::Relaxed);
    assert!((MARK / 2..MARK + MESSAGE + 4).contains(&most), "{most} bytes were waiting");
}

// ---- the rest

#[test]
fn a_shutdown_closes_with_1001_and_waits_for_the_functions() {
    let sim = Sim::default();
    let (tell, told) = unbounded();
    let (open, gate) = unbounded::<()>();
    let route = socket(move |socket: Socket| {
        let (tell, gate): (Sender<String>, _) = (tell.clone(), gate.clone());
        async move {
            let ending = socket.recv().await.unwrap_err();
            tell.send(ending.to_string()).await.unwrap();
            gate.recv().await.unwrap();
            assert_eq!(socket.send("late").await, Err(SendError::Closed));
        }
    });
    let server = RouteServer::start(&sim, route);
    sim.run(async {
        let mut peer = server.open().await;
        let outcome = server.begin_stop();
        let going_away = close(1001, "the server is shutting down");
        assert_eq!(peer.all().await, [going_away, Received::End(Ok(()))]);
        drop(peer);
        let told = told.recv().await.unwrap();
        assert_eq!(told, "closed by us with 1001 (the server is shutting down)");
        sim.pass(s(1)).await;
        assert!(outcome.is_empty(), "a function is still running");
        open.send(()).await.unwrap();
        let outcome = outcome.recv().await.unwrap();
        assert_eq!((outcome.closed, outcome.failed, outcome.cut), (1, 0, 0));
        assert_eq!(sim.now(), s(1));
    });
}

async fn ask(peer: &mut Peer) -> Received {
    peer.send("?").await;
    peer.next().await
}

#[test]
fn each_connection_has_the_state_of_its_own_function() {
    let sim = Sim::default();
    let route = socket(async |socket: Socket| {
        let mut received = 0;
        while let Ok(OwnedMessage::Text(_)) = socket.recv().await {
            received += 1;
            socket.send(&received.to_string()).await.unwrap();
        }
    });
    let server = RouteServer::start(&sim, route);
    sim.run(async {
        let (mut one, mut other) = (server.open().await, server.open().await);
        assert_eq!([ask(&mut one).await, ask(&mut one).await], [text("1"), text("2")]);
        assert_eq!(ask(&mut other).await, text("1"));
        assert_eq!(ask(&mut one).await, text("3"));
    });
}

#[test]
fn a_socket_knows_its_request_and_what_its_authorization_attached() {
    struct User(String);
    let sim = Sim::default();
    let route = socket(async |socket: Socket| {
        // The headers are there for as long as the socket is.
        socket.recv().await.unwrap();
        let token = socket.header("x-token").unwrap().into_owned();
        let connection = socket.connection();
        let User(name) = connection.data().unwrap();
        let (path, query) = (connection.path(), connection.query().unwrap());
        let peer_addr = connection.peer_addr().unwrap();
        let line = format!("{name} {token} {path} {query} {peer_addr}");
        socket.send(&line).await.unwrap();
        assert!(connection.data::<String>().is_none());
    })
    .authorize(async |request: Request| {
        Ok(Authorized::new(User(format!("user of {}", request.header("X-Token").unwrap()))))
    });
    let server = RouteServer::start(&sim, route);
    sim.run(async {
        let mut peer = server.open().await;
        assert_eq!(ask(&mut peer).await, text("user of abc abc /chat room=1 127.0.0.1:50000"));
    });
}
