//! A client: its handshake, and a socket to `send` and `recv` on.

mod common;

use async_channel::Receiver;
use common::{
    handlers::{Echo, HandOut, Recorder},
    http::{read_head, read_to_end},
    pipe::{End, pipe},
    s, serve_handshake,
    sim::Sim,
    sockets::{client, connected, connected_to, owned},
};
use futures_lite::{AsyncWriteExt, future::poll_once};
use prism_driver::{
    Client, CloseCode, ConnectError, Disconnect, Failure, Options, OwnedMessage, ProtocolError,
    Runtime, SendError, Socket,
};

// ---- a socket

#[test]
fn a_socket_sends_and_receives() {
    let sim = Sim::default();
    let (socket, connection, _, _) = connected(&sim);
    sim.run(async {
        socket.send("echoed").await.unwrap();
        assert_eq!(socket.recv().await.unwrap(), owned("echoed"));
        socket.send(&[1, 2, 3]).await.unwrap();
        assert_eq!(socket.recv().await.unwrap(), OwnedMessage::Binary(vec![1, 2, 3]));
        connection.send("unasked").await.unwrap();
        assert_eq!(socket.recv().await.unwrap(), owned("unasked"));
        assert_eq!((connection.path(), connection.query()), ("/chat", Some("room=1")));
        assert_eq!(
            (socket.connection().path(), socket.connection().query()),
            ("/chat", Some("room=1"))
        );
    });
}

#[test]
fn a_message_that_comes_with_the_101_is_received() {
    let sim = Sim::default();
    let (recorder, _, _gate) = Recorder::new();
    let (socket, _, _) = connected_to(&sim, recorder);
    sim.run(async { assert_eq!(socket.recv().await.unwrap(), owned("welcome")) });
}

#[test]
fn close_returns_when_the_peer_has_agreed_and_the_peer_learns_the_reason() {
    let sim = Sim::default();
    let (socket, connection, _, ended) = connected(&sim);
    sim.run(async {
        connection.send("not received, and dropped").await.unwrap();
        let outcome = socket.close(CloseCode::NORMAL, "done").await;
        assert!(matches!(&outcome, Disconnect::Local { reason, .. } if reason == "done"));
        let theirs = ended.recv().await.unwrap().unwrap();
        assert!(matches!(&theirs, Disconnect::Peer { reason, .. } if reason == "done"));
        assert_eq!(sim.now(), s(0), "both at once");
        let again = socket.close(CloseCode::NORMAL, "late").await;
        assert!(matches!(&again, Disconnect::Local { reason, .. } if reason == "done"));
    });
}

#[test]
fn after_the_end_recv_gives_what_had_come_and_then_keeps_giving_the_reason() {
    let sim = Sim::default();
    let (socket, connection, _, _) = connected(&sim);
    sim.run(async {
        connection.send("the last one").await.unwrap();
        assert!(connection.close(CloseCode::GOING_AWAY, "maintenance"));
        sim.pass(s(60)).await;
        assert_eq!(socket.recv().await.unwrap(), owned("the last one"));
        for _ in 0..3 {
            let reason = socket.recv().await.unwrap_err();
            assert!(matches!(&reason, Disconnect::Peer { .. }), "{reason}");
            assert_eq!((reason.code(), reason.reason().as_str()), (1001, "maintenance"));
        }
        assert_eq!(socket.send("late").await, Err(SendError::Closed));
    });
}

#[test]
fn dropping_a_socket_closes_with_1000() {
    let sim = Sim::default();
    let (socket, _, _, ended) = connected(&sim);
    sim.run(async {
        socket.send("still leaves").await.unwrap();
        drop(socket);
        let theirs = ended.recv().await.unwrap().unwrap();
        assert!(matches!(theirs, Disconnect::Peer { .. }), "{theirs}");
        assert_eq!((theirs.code(), sim.now()), (1000, s(0)));
    });
}

#[test]
fn dropping_a_socket_whose_channel_is_full_closes_too() {
    let sim = Sim::default();
    let (socket, connection, _, ended) = connected(&sim);
    sim.run(async {
        for _ in 0..100 {
            connection.send("not received").await.unwrap();
        }
        sim.settle().await;
        drop(socket);
        assert_eq!(ended.recv().await.unwrap().unwrap().code(), 1000);
        assert_eq!(sim.now(), s(0));
    });
}

#[test]
fn recv_futures_that_are_dropped_lose_no_message() {
    let sim = Sim::default();
    let (socket, connection, _, _) = connected(&sim);
    sim.run(async {
        let mut received = 0;
        for n in 0..100 {
            let mut dropped = Box::pin(socket.recv());
            assert!(poll_once(&mut dropped).await.is_none());
            connection.send(&n.to_string()).await.unwrap();
            // Between nothing and everything has arrived.
            if n % 2 == 0 {
                sim.settle().await;
            }
            drop(dropped);
            while let Some(message) = poll_once(socket.recv()).await {
                assert_eq!(message.unwrap(), owned(&received.to_string()));
                received += 1;
            }
            sim.settle().await;
            while let Some(message) = poll_once(socket.recv()).await {
                assert_eq!(message.unwrap(), owned(&received.to_string()));
                received += 1;
            }
        }
        assert_eq!(received, 100);
    });
}

#[test]
fn a_socket_whose_owner_does_not_receive_keeps_the_connection_alive() {
    let sim = Sim::default();
    let (socket, connection, _, ended) = connected(&sim);
    sim.run(async {
        for n in 0..16 {
            connection.send(&n.to_string()).await.unwrap();
        }
        // The server's keepalive pings; somebody must answer.
        sim.pass(s(3600)).await;
        assert!(ended.is_empty() && connection.is_open());
        for n in 0..16 {
            assert_eq!(socket.recv().await.unwrap(), owned(&n.to_string()));
        }
    });
}

#[test]
fn a_socket_whose_owner_does_not_receive_holds_its_peer_back_and_loses_nothing() {
    let sim = Sim::default();
    let (socket, connection, script, _) = connected(&sim);
    sim.run(async {
        script.set_capacity_to_client(1_000);
        let sender = connection.clone();
        sim.spawn(async move {
            for n in 0..200 {
                sender.send(&format!("{n:0>2000}")).await.unwrap();
            }
        });
        sim.settle().await;
        assert_eq!(script.unread_by_client(), 1_000, "the transport is full");
        assert!(connection.buffered() >= 64 << 10, "and the server's outbox");
        for n in 0..200 {
            assert_eq!(socket.recv().await.unwrap(), owned(&format!("{n:0>2000}")));
        }
    });
}

#[test]
fn a_transport_that_fails_is_the_reason() {
    let sim = Sim::default();
    let (socket, _, script, _) = connected(&sim);
    sim.run(async {
        script.break_to_client(std::io::ErrorKind::ConnectionReset);
        let reason = socket.recv().await.unwrap_err();
        assert!(matches!(reason, Disconnect::Failed(Failure::Io(_))), "{reason}");
    });
}

#[test]
fn a_protocol_error_of_the_server_is_the_reason() {
    let sim = Sim::default();
    let (socket, _, script, _) = connected(&sim);
    sim.run(async {
        script.send_to_client(b"\x83\x00");
        let reason = socket.recv().await.unwrap_err();
        let expected = ProtocolError::ReservedOpcode(3);
        assert!(matches!(reason, Disconnect::Failed(Failure::Protocol(e)) if e == expected));
    });
}

// ---- a handler

#[test]
fn a_client_may_run_a_handler_too() {
    let sim = Sim::default();
    let (server, out) = HandOut::new();
    let (io, _, _) = serve_handshake(&sim, server, Options::default());
    let (recorder, log, _gate) = Recorder::new();
    sim.run(async {
        let (told, outcome) = async_channel::bounded(1);
        let running = client(&sim);
        sim.spawn(async move {
            told.send(running.run_stream(io, recorder).await.unwrap()).await.unwrap();
        });
        let connection = out.recv().await.unwrap();
        // The server echoes the client's welcome, which the client sends back, and so on.
        sim.take(s(1));
        assert!(connection.close(CloseCode::NORMAL, "enough"));
        assert_eq!(outcome.recv().await.unwrap().reason(), "enough");
    });
    let lines = log.lines();
    assert_eq!(lines.first().unwrap(), "connect");
    assert_eq!(lines.last().unwrap(), "disconnect closed by the peer with 1000 (enough)");
}

// ---- handshakes that fail

/// A client that talks to a server driven by hand.
fn connecting(sim: &Sim) -> (End, Receiver<Result<Socket, ConnectError>>) {
    let (server, io, _) = pipe();
    let (told, outcome) = async_channel::bounded(1);
    let client = client(sim);
    sim.spawn(async move { told.send(client.connect_stream(io).await).await.unwrap() });
    (server, outcome)
}

#[test]
fn a_refusal_reaches_the_caller_with_status_headers_and_body() {
    let sim = Sim::default();
    let (mut server, outcome) = connecting(&sim);
    sim.run(async {
        let request = read_head(&mut server).await;
        assert!(request.starts_with("GET /chat?room=1 HTTP/1.1\r\nHost: example.org\r\n"));
        let answer = b"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic\r\n\
            Content-Length: 12\r\n\r\nwho are you?";
        server.write_all(answer).await.unwrap();
        let error = outcome.recv().await.unwrap().unwrap_err();
        assert_eq!(error.to_string(), "the server refused with 401");
        let ConnectError::Refused(refusal) = error else { panic!("{error:?}") };
        assert_eq!((refusal.status, &refusal.body[..]), (401, &b"who are you?"[..]));
        assert_eq!(refusal.header("www-authenticate").as_deref(), Some("Basic"));
        assert_eq!(sim.now(), s(0), "it does not wait for the server to leave");
    });
}

#[test]
fn a_refusal_by_our_own_server_reaches_the_caller() {
    let sim = Sim::default();
    let mut options = Options::default();
    options.protocol.max_headers = 2;
    let (io, _, _) = serve_handshake(&sim, Echo, options);
    let error = sim.run(client(&sim).connect_stream(io)).unwrap_err();
    assert!(matches!(&error, ConnectError::Refused(r) if r.status == 431), "{error}");
}

#[test]
fn a_server_that_does_not_answer_is_given_up_after_the_handshake_timeout() {
    let sim = Sim::default();
    let (mut server, outcome) = connecting(&sim);
    sim.run(async {
        read_head(&mut server).await;
        // Part of an answer is no answer.
        server.write_all(b"HTTP/1.1 101 Switching").await.unwrap();
        let error = outcome.recv().await.unwrap().unwrap_err();
        assert!(matches!(error, ConnectError::TimedOut), "{error}");
        assert_eq!(sim.now(), s(10));
        assert_eq!(read_to_end(&mut server).await, "", "the transport is closed");
    });
}

#[test]
fn a_server_that_leaves_or_speaks_something_else_is_an_error_of_its_own() {
    for (answer, expected) in [
        (&b""[..], "the transport ended"),
        (b"SSH-2.0-OpenSSH\r\n", "HTTP"),
        (b"HTTP/1.1 101 Switching Protocols\r\n\r\n", "Upgrade"),
    ] {
        let sim = Sim::default();
        let (mut server, outcome) = connecting(&sim);
        sim.run(async {
            read_head(&mut server).await;
            server.write_all(answer).await.unwrap();
            drop(server);
            let error = outcome.recv().await.unwrap().unwrap_err();
            assert!(matches!(error, ConnectError::Handshake(_)), "{error:?}");
            assert!(error.to_string().contains(expected), "{error}");
        });
    }
}

#[test]
fn an_address_that_can_not_be_connected_to_says_why() {
    for (url, why) in [
        ("", "it can not be parsed"),
        ("ws://", "it can not be parsed"),
        ("ws://exa mple.org/", "it can not be parsed"),
        ("http://example.org/", "expected ws:// or wss://"),
        ("https://example.org/", "expected ws:// or wss://"),
        ("example.org", "expected ws:// or wss://"),
        ("/chat", "expected ws:// or wss://"),
        ("ws://user:secret@example.org/", "user names belong in an Authorization header"),
        ("ws://:80/", "there is no host"),
        ("ws://example.org/#top", "fragments mean nothing to WebSocket (RFC 6455 §3)"),
    ] {
        let error = Client::new_on(Sim::default(), url).map(drop).expect_err(url);
        let expected = format!("not an address to connect to: {why}");
        assert_eq!(error.to_string(), expected, "{url:?}");
    }
}

#[test]
fn a_port_that_is_none_is_an_error() {
    for port in ["99999", "65536", "http", "-1"] {
        let url = format!("ws://example.org:{port}/");
        let error = Client::new_on(Sim::default(), &url).map(drop).expect_err(&url);
        assert!(matches!(error, ConnectError::InvalidUrl(_)), "{url}: {error}");
    }
}

#[test]
fn addresses_may_be_short_and_have_ports_and_be_numbers() {
    for url in [
        "ws://example.org",
        "ws://example.org?room=1",
        "wss://example.org/",
        "ws://example.org:8080/chat?room=1",
        "ws://127.0.0.1/",
        "ws://[::1]:8080/",
    ] {
        assert!(Client::new_on(Sim::default(), url).is_ok(), "{url}");
    }
}

#[test]
fn a_scheme_may_be_in_capitals() {
    assert!(Client::new_on(Sim::default(), "WS://example.org/").is_ok());
}
