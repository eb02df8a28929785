//! The client: its handshake, and its socket with `send` and `recv`.

use async_channel::Receiver;
use futures_lite::{AsyncWriteExt, future::poll_once};
use prism_driver::{
    Client, CloseCode, ConnectError, Disconnect, Failure, Options, OwnedMessage, ProtocolError,
    Runtime, SendError, Socket,
};
use prism_test::{PipeEnd, Sim, pipe};

use crate::common::{
    handlers::{Echo, HandOut, Recorder},
    http::{read_head, read_to_end},
    s, serve_handshake,
    sockets::{client, connected, connected_to, owned},
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
fn close_returns_once_the_peer_has_closed_too() {
    let sim = Sim::default();
    let (socket, connection, _, ended) = connected(&sim);
    sim.run(async {
        connection.send("never received").await.unwrap();
        let outcome = socket.close(CloseCode::NORMAL, "done").await;
        assert!(matches!(&outcome, Disconnect::Local { reason, .. } if reason == "done"));
        let theirs = ended.recv().await.unwrap().unwrap();
        assert!(matches!(&theirs, Disconnect::Peer { reason, .. } if reason == "done"));
        assert_eq!(sim.now(), s(0), "neither side waits");
        let again = socket.close(CloseCode::NORMAL, "late").await;
        assert!(matches!(&again, Disconnect::Local { reason, .. } if reason == "done"));
    });
}

#[test]
fn after_the_end_recv_returns_what_had_arrived_then_the_reason() {
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
fn dropping_a_socket_closes_even_with_unread_messages() {
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
fn dropped_recv_futures_lose_no_message() {
    let sim = Sim::default();
    let (socket, connection, _, _) = connected(&sim);
    sim.run(async {
        let mut received = 0;
        for n in 0..100 {
            let mut dropped = Box::pin(socket.recv());
            assert!(poll_once(&mut dropped).await.is_none());
            connection.send(&n.to_string()).await.unwrap();
            // Every second message may still be on its way.
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
fn an_unread_socket_keeps_its_connection_alive() {
    let sim = Sim::default();
    let (socket, connection, _, ended) = connected(&sim);
    sim.run(async {
        for n in 0..16 {
            connection.send(&n.to_string()).await.unwrap();
        }
        // The server's keepalive pings have to be answered.
        sim.pass(s(3600)).await;
        assert!(ended.is_empty() && connection.is_open());
        for n in 0..16 {
            assert_eq!(socket.recv().await.unwrap(), owned(&n.to_string()));
        }
    });
}

#[test]
fn an_unread_socket_slows_its_peer_and_loses_nothing() {
    let sim = Sim::default();
    let (socket, connection, faults, _) = connected(&sim);
    sim.run(async {
        faults.to_client().set_capacity(1_000);
        let sender = connection.clone();
        sim.spawn(async move {
            for n in 0..200 {
                sender.send(&format!("{n:0>2000}")).await.unwrap();
            }
        });
        sim.settle().await;
        assert_eq!(faults.to_client().unread(), 1_000, "the transport is full");
        assert!(connection.buffered() >= 64 << 10, "and the server's outbox");
        for n in 0..200 {
            assert_eq!(socket.recv().await.unwrap(), owned(&format!("{n:0>2000}")));
        }
    });
}

#[test]
fn a_transport_failure_is_the_reason() {
    let sim = Sim::default();
    let (socket, _, faults, _) = connected(&sim);
    sim.run(async {
        faults.to_client().fail(std::io::ErrorKind::ConnectionReset);
        let reason = socket.recv().await.unwrap_err();
        assert!(matches!(reason, Disconnect::Failed(Failure::Io(_))), "{reason}");
    });
}

#[test]
fn a_server_protocol_error_is_the_reason() {
    let sim = Sim::default();
    let (socket, _, faults, _) = connected(&sim);
    sim.run(async {
        faults.to_client().insert(b"\x83\x00");
        let reason = socket.recv().await.unwrap_err();
        let expected = ProtocolError::ReservedOpcode(3);
        assert!(matches!(reason, Disconnect::Failed(Failure::Protocol(e)) if e == expected));
    });
}

// ---- a handler

#[test]
fn a_client_can_run_a_handler() {
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
        sim.block(s(1));
        assert!(connection.close(CloseCode::NORMAL, "enough"));
        assert_eq!(outcome.recv().await.unwrap().reason(), "enough");
    });
    let lines = log.lines();
    assert_eq!(lines.first().unwrap(), "connect");
    assert_eq!(lines.last().unwrap(), "disconnect closed by the peer with 1000 (enough)");
}

// ---- handshakes that fail

/// Starts a client, and returns the server's end of its transport and the client's result.
fn connecting(sim: &Sim) -> (PipeEnd, Receiver<Result<Socket, ConnectError>>) {
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
        assert_eq!(error.to_string(), "the server refused with status 401; expected 101");
        let ConnectError::Refused(refusal) = error else { panic!("{error:?}") };
        assert_eq!((refusal.status, &refusal.body[..]), (401, &b"who are you?"[..]));
        assert_eq!(refusal.header("www-authenticate").as_deref(), Some("Basic"));
        assert_eq!(sim.now(), s(0), "the client does not wait for the end of the transport");
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
fn a_silent_server_is_given_up_after_the_handshake_timeout() {
    let sim = Sim::default();
    let (mut server, outcome) = connecting(&sim);
    sim.run(async {
        read_head(&mut server).await;
        // An incomplete answer does not count.
        server.write_all(b"HTTP/1.1 101 Switching").await.unwrap();
        let error = outcome.recv().await.unwrap().unwrap_err();
        assert!(matches!(error, ConnectError::TimedOut), "{error}");
        assert_eq!(sim.now(), s(10));
        assert_eq!(read_to_end(&mut server).await, "", "the transport is closed");
    });
}

#[test]
fn an_invalid_answer_is_a_handshake_error() {
    for (answer, expected) in [
        (&b""[..], "the transport ended"),
        (b"SSH-2.0-OpenSSH\r\n", "HTTP"),
        (b"HTTP/1.1 101 Switching Protocols\r\n\r\n", "Upgrade"),
        (b"HTTP/2.0 503 Service Unavailable\r\n\r\n", "expected HTTP/1.1"),
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
fn an_invalid_url_is_refused_with_a_reason() {
    for (url, why) in [
        ("http://example.org/", "expected \"ws://\" or \"wss://\" at the start"),
        ("ws://exa mple.org/", "' ' (U+0020) at character 9 is not allowed in a host"),
        ("ws://:80/", "the host is missing"),
        ("ws://example.org:99999/", "invalid port; expected at most 65535"),
        ("ws://example.org/a\r\nX: y", "'\\r' (U+000D) at character 19 is a control character"),
    ] {
        let error = Client::new_on(Sim::default(), url).map(drop).expect_err(url);
        assert_eq!(error.to_string(), format!("invalid URL: {why}"), "{url:?}");
        let cause = std::error::Error::source(&error).map(ToString::to_string);
        assert_eq!(
            (cause.as_deref(), matches!(error, ConnectError::InvalidUrl(_))),
            (Some(why), true)
        );
    }
}

/// Returns the first two lines of the request that a client sends for a URL.
fn request_to(url: &str) -> (String, String) {
    let sim = Sim::default();
    let (mut server, io, _) = pipe();
    let client = Client::new_on(sim.clone(), url).unwrap_or_else(|error| panic!("{url}: {error}"));
    sim.spawn(async move { drop(client.connect_stream(io).await) });
    let request = sim.run(read_head(&mut server));
    let mut lines = request.lines().map(str::to_owned);
    (lines.next().unwrap(), lines.next().unwrap())
}

#[test]
fn the_host_header_has_no_default_port_and_no_zone() {
    for (url, host) in [
        ("ws://example.org", "example.org"),
        ("ws://example.org:80/", "example.org"),
        ("ws://example.org:443/", "example.org:443"),
        ("wss://example.org:443/", "example.org"),
        ("wss://example.org:80/", "example.org:80"),
        ("ws://127.0.0.1:80/", "127.0.0.1"),
        ("ws://[::1]:80/", "[::1]"),
        ("ws://[fe80::1%25eth0]/", "[fe80::1]"),
        ("ws://[fe80::1%eth0]:8080/", "[fe80::1]:8080"),
    ] {
        assert_eq!(request_to(url).1, format!("Host: {host}"), "{url}");
    }
}

#[test]
fn path_and_query_are_what_was_sent() {
    for (target, path, query) in [
        ("", "/", None),
        ("?room=1", "/", Some("room=1")),
        ("/?", "/", Some("")),
        ("/a b/ü?c d=\"e\"", "/a%20b/%C3%BC", Some("c%20d=%22e%22")),
        ("/a%20b?c%20d?e", "/a%20b", Some("c%20d?e")),
    ] {
        let url = format!("ws://example.org{target}");
        let sent = query.map_or_else(|| path.to_owned(), |query| format!("{path}?{query}"));
        assert_eq!(request_to(&url).0, format!("GET {sent} HTTP/1.1"));

        let sim = Sim::default();
        let (io, _, _) = serve_handshake(&sim, Echo, Options::default());
        let client = Client::new_on(sim.clone(), &url).unwrap();
        let socket = sim.run(client.connect_stream(io)).unwrap();
        assert_eq!((socket.connection().path(), socket.connection().query()), (path, query));
    }
}
