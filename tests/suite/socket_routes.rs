//! Routes whose connections are run by an async function with a socket: its part of the contract, over
//! real sockets. `prism-driver` tests each line in virtual time.

use std::{
    sync::mpsc::{Sender, channel},
    time::Duration,
};

use futures_lite::future::{or, poll_once, yield_now};

use super::support::{
    TIMEOUT,
    handlers::Gate,
    peer::{BINARY, PING, PONG, Peer, TEXT},
    server::serve,
    wait_until,
};
use crate::{
    prism::{
        Authorized, CloseCode, Disconnect, Options, OwnedMessage, Request, Route, SendError,
        ServerOptions, Socket, socket,
    },
    runtime::Network,
};

/// Answers each message with its number, and returns after `enough` of them.
fn counting(enough: u64) -> Route<Network> {
    socket(move |socket: Socket| async move {
        for number in 1..=enough {
            let Ok(message) = socket.recv().await else { return };
            assert_ne!(message, OwnedMessage::Text("panic".into()), "on purpose");
            let _ = socket.send(number.to_string()).await; // fails if the connection is closing
        }
    })
}

#[test]
fn contract_2_messages_are_received_in_wire_order() {
    let route = socket(async |socket: Socket| {
        while let Ok(message) = socket.recv().await {
            let _ = socket.send(&message).await; // fails only if the connection is closing
        }
    });
    let server = serve(|server| server.websocket("/", route));
    let mut peer = server.open("/");
    for number in 0..1_000_u32 {
        peer.send(BINARY, &number.to_be_bytes());
    }
    for number in 0..1_000_u32 {
        peer.expect(BINARY, &number.to_be_bytes());
    }
}

/// Reports how the connection ended, and returns when the gate is open.
fn lingering(gate: Gate, outcome: Sender<(Disconnect, Result<(), SendError>)>) -> Route<Network> {
    socket(move |socket: Socket| {
        let (gate, outcome) = (gate.clone(), outcome.clone());
        async move {
            let ending = loop {
                if let Err(ending) = socket.recv().await {
                    break ending;
                }
            };
            let sent = socket.send("late").await;
            let _ = outcome.send((ending, sent)); // fails if the scenario is over
            gate.pass().await;
        }
    })
}

#[test]
fn contract_4_a_function_counts_until_it_returns() {
    let (gate, (outcome, outcomes)) = (Gate::closed(), channel());
    let mut options = ServerOptions::default().max_connections(1);
    options.connection.protocol.close_timeout = Duration::from_millis(100);
    let server =
        serve(|server| server.options(options).websocket("/", lingering(gate.clone(), outcome)));
    let mut peer = server.open("/");
    peer.send_close(4001, "bye");
    peer.expect_close(4001, "bye");
    peer.expect_end();
    let (ending, sent) = outcomes.recv_timeout(TIMEOUT).expect("it learns of the end");
    assert_eq!(
        (ending.code(), ending.reason(), sent),
        (4001, "bye".into(), Err(SendError::Closed))
    );
    drop(peer);
    wait_until("the function is counted as stuck", || server.stats().counts().stuck == 1);
    let mut next = server.dial();
    next.write(Peer::request("/").as_bytes());
    assert_eq!(server.stats().counts().open, 1);
    assert!(next.has_no_input(), "there is no room for another connection");
    gate.open();
    assert_eq!(next.head().status, 101);
    wait_until("it is not counted any more", || server.stats().counts().stuck == 0);
}

#[test]
fn contract_5_a_function_that_returns_closes_with_1000_after_its_messages() {
    let route = socket(async |socket: Socket| {
        for number in 0..100_u8 {
            socket.send(&[number; 5_000]).await.expect("an open connection");
        }
    });
    let server = serve(|server| server.websocket("/", route));
    let mut peer = server.open("/");
    for number in 0..100_u8 {
        peer.expect(BINARY, &[number; 5_000]);
    }
    peer.expect_close(1000, "");
    peer.send_close(1000, "");
    peer.expect_end();
}

#[test]
fn contract_5_a_function_receives_nothing_after_its_close() {
    let (outcome, outcomes) = channel();
    let route = socket(move |socket: Socket| {
        let outcome = outcome.clone();
        async move {
            socket.send("ready").await.expect("an open connection");
            assert!(socket.connection().close(CloseCode::NORMAL, "enough"), "an open connection");
            let received = socket.recv().await;
            let _ = outcome.send((received, socket.send("late").await)); // the scenario waits
        }
    });
    let server = serve(|server| server.websocket("/", route));
    let mut peer = server.open("/");
    peer.expect(TEXT, b"ready");
    peer.expect_close(1000, "enough");
    peer.send(TEXT, b"but I was about to say");
    peer.send_close(1000, "");
    peer.expect_end();
    let (received, sent) = outcomes.recv_timeout(TIMEOUT).expect("it learns of the end");
    let ending = received.expect_err("nothing is received");
    assert!(matches!(&ending, Disconnect::Local { reason, .. } if reason == "enough"), "{ending}");
    assert_eq!(sent, Err(SendError::Closed));
}

#[test]
fn contract_6_a_panic_ends_only_its_own_connection() {
    let panics = |socket: Socket| {
        assert_ne!(socket.connection().query(), Some("panic"), "on purpose");
        async move { drop(socket.recv().await) }
    };
    let server =
        serve(|server| server.websocket("/", counting(10)).websocket("/early", socket(panics)));
    let bystander = server.open("/");
    let mut peer = server.open("/");
    peer.send(TEXT, b"panic");
    peer.expect_close(1011, "internal error");
    peer.send_close(1011, "");
    peer.expect_end();
    let mut peer = server.open("/early?panic");
    peer.expect_close(1011, "internal error");
    peer.send_close(1011, "");
    peer.expect_end();
    for mut peer in [bystander, server.open("/")] {
        peer.send(TEXT, b"hello");
        peer.expect(TEXT, b"1");
    }
    wait_until("both are over", || server.stats().counts().closed >= 2);
}

#[test]
fn contract_7_a_send_dropped_while_it_waits_sends_nothing() {
    let (outcome, outcomes) = channel();
    let route = socket(move |socket: Socket| {
        let outcome = outcome.clone();
        async move {
            // The peer does not read, so most sends find no room.
            let (mut sent, mut dropped) = (Vec::new(), 0);
            for number in 0..4_000_u32 {
                let message = number.to_be_bytes().repeat(4 << 10);
                match poll_once(socket.send(message)).await {
                    Some(outcome) => {
                        outcome.map(|()| sent.push(number)).expect("an open connection");
                    }
                    None => dropped += 1,
                }
            }
            outcome.send((sent, dropped)).expect("the scenario waits");
        }
    });
    let server = serve(|server| server.websocket("/", route));
    let mut peer = server.open("/");
    let (sent, dropped) = outcomes.recv_timeout(TIMEOUT).expect("the function is done");
    assert!(dropped > 0, "every send found room");
    for number in sent {
        peer.expect(BINARY, &number.to_be_bytes().repeat(4 << 10));
    }
    peer.expect_close(1000, "");
}

#[test]
fn contract_7_a_recv_dropped_while_it_waits_loses_nothing() {
    let route = socket(async |socket: Socket| {
        loop {
            // Most of these are dropped, many after they have been woken for a message.
            let received = async { Some(socket.recv().await) };
            let gave_up = async {
                yield_now().await;
                None
            };
            match or(gave_up, received).await {
                Some(Ok(message)) => socket.send(message).await.expect("an open connection"),
                Some(Err(_)) => return,
                None => {}
            }
        }
    });
    let server = serve(|server| server.websocket("/", route));
    let mut peer = server.open("/");
    for burst in 0..100_u32 {
        for number in 0..10 {
            peer.send(BINARY, &[burst, number].map(u32::to_be_bytes).concat());
        }
        for number in 0..10 {
            peer.expect(BINARY, &[burst, number].map(u32::to_be_bytes).concat());
        }
    }
}

#[test]
fn contract_8_pings_are_answered_while_a_function_is_slow() {
    let gate = Gate::closed();
    let waits = gate.clone();
    let route = socket(move |socket: Socket| {
        let gate = waits.clone();
        async move {
            gate.pass().await;
            while let Ok(message) = socket.recv().await {
                let _ = socket.send(&message).await; // fails only if the connection is closing
            }
        }
    });
    let server = serve(|server| server.websocket("/", route));
    let mut peer = server.open("/");
    for number in 0..16_u8 {
        peer.send(BINARY, &[number]);
        peer.send(PING, &[number]);
        peer.expect(PONG, &[number]);
    }
    peer.send(BINARY, &[16]);
    peer.send(PING, b"behind 17 messages");
    gate.open();
    // The pong may overtake the echoes of messages that still wait for the function.
    let mut echoes = 0;
    for _ in 0..18 {
        let frame = peer.next().expect("an echo or the pong");
        match frame.opcode {
            PONG => assert_eq!(frame.payload, b"behind 17 messages"),
            _ => {
                assert_eq!(frame.payload, [echoes]);
                echoes += 1;
            }
        }
    }
    assert_eq!(echoes, 17);
}

#[test]
fn contract_9_an_outbox_holds_at_most_its_mark_and_a_message() {
    const MESSAGE: usize = 24 << 10;
    let (fullest, most) = channel();
    let route = socket(move |socket: Socket| {
        let most = fullest.clone();
        async move {
            let mut fullest = 0;
            for _ in 0..500 {
                socket.send(&[b'x'; MESSAGE]).await.expect("an open connection");
                fullest = fullest.max(socket.connection().buffered());
            }
            most.send(fullest).expect("the scenario waits");
        }
    });
    let mark = Options::default().high_water_mark;
    let server = serve(|server| server.websocket("/", route));
    let mut peer = server.open("/");
    for _ in 0..500 {
        assert_eq!(peer.next().expect("a message").payload.len(), MESSAGE);
    }
    let fullest = most.recv_timeout(TIMEOUT).expect("the function is done");
    assert!(fullest < mark + MESSAGE + 14, "{fullest} bytes were buffered");
}

#[test]
fn a_shutdown_closes_with_1001_and_waits_for_the_functions() {
    let (gate, (outcome, outcomes)) = (Gate::closed(), channel());
    let server = serve(|server| server.websocket("/", lingering(gate.clone(), outcome)));
    let mut peer = server.open("/");
    server.begin_stop();
    peer.expect_close(1001, "the server is shutting down");
    peer.send_close(1001, "");
    peer.expect_end();
    let (ending, _) = outcomes.recv_timeout(TIMEOUT).expect("it learns of the end");
    assert_eq!(ending.code(), 1001);
    assert_eq!(server.stats().counts().open, 1, "the function is running");
    gate.open();
    let stopped = server.stopped();
    assert_eq!((stopped.closed, stopped.failed, stopped.cut), (1, 0, 0));
}

#[test]
fn a_function_has_its_state_in_locals_and_knows_its_user() {
    struct User(&'static str);
    let greets = socket(async |socket: Socket| {
        let User(name) = socket.connection().data().expect("attached");
        let host = socket.header("Host").expect("the request had one");
        socket.send(format!("{name} at {host}")).await.expect("an open connection");
    });
    let greets = greets.authorize(async |_: Request| Ok(Authorized::new(User("ada"))));
    let server = serve(|server| server.websocket("/", counting(3)).websocket("/greets", greets));
    let mut peers = [server.open("/"), server.open("/")];
    for number in ["1", "2", "3"] {
        for peer in &mut peers {
            peer.send(TEXT, b"?");
            peer.expect(TEXT, number.as_bytes());
        }
    }
    for peer in &mut peers {
        peer.expect_close(u16::from(CloseCode::NORMAL), "");
    }
    server.open("/greets").expect(TEXT, b"ada at localhost");
}
