//! The server's opening handshake: its answers, its timeout, and what a handler learns about the
//! request.

use futures_lite::{AsyncWriteExt, future::or};
use prism_driver::{AcceptError, Connection, Disconnect, Handler, Message, Options, Runtime};
use prism_test::{Peer, PipeEnd, Received, Sim};

use crate::common::{
    close,
    handlers::{Echo, Log, Recorder},
    http::{ACCEPT, REQUEST, read_head, read_to_end, shake_hands},
    s, serve_handshake, text,
};

/// Sends one byte per second for as long as the server takes them.
async fn drip(sim: &Sim, io: &mut PipeEnd, bytes: &[u8]) {
    for byte in bytes {
        sim.pass(s(1)).await;
        if io.write_all(&[*byte]).await.is_err() {
            break;
        }
    }
}

fn refused(result: &Result<Disconnect, AcceptError>) -> Option<u16> {
    match result {
        Err(AcceptError::Refused(status)) => Some(*status),
        _ => None,
    }
}

// ---- accepted

#[test]
fn a_valid_request_is_answered_with_101() {
    let sim = Sim::default();
    let (mut io, _, _) = serve_handshake(&sim, Echo, Options::default());
    sim.run(async {
        io.write_all(REQUEST.as_bytes()).await.unwrap();
        let head = read_head(&mut io).await;
        assert!(head.starts_with("HTTP/1.1 101 Switching Protocols\r\n"), "{head}");
        assert!(head.contains(&format!("\r\nSec-WebSocket-Accept: {ACCEPT}\r\n")), "{head}");
    });
}

#[test]
fn the_101_and_the_first_messages_leave_in_one_write() {
    let sim = Sim::default();
    let (recorder, _, _gate) = Recorder::new();
    let (mut io, faults, _) = serve_handshake(&sim, recorder, Options::default());
    sim.run(async {
        io.write_all(REQUEST.as_bytes()).await.unwrap();
        sim.settle().await;
        assert_eq!(faults.to_client().writes(), 1);
        assert!(read_head(&mut io).await.starts_with("HTTP/1.1 101 "));
        assert_eq!(Peer::new(io).next().await, text("welcome"));
    });
}

#[test]
fn frames_received_with_the_request_are_delivered() {
    let frames = b"\x81\x83\0\0\0\0one\x81\x83\0\0\0\0two\x88\x80\0\0\0\0";
    let request = [REQUEST.as_bytes(), frames].concat();
    // Among others, when one read returns the end of the head and half a frame.
    for piece in (1..=request.len()).rev() {
        let sim = Sim::default();
        let (mut io, faults, ended) = serve_handshake(&sim, Echo, Options::default());
        sim.run(async {
            faults.set_piece(piece);
            io.write_all(&request).await.unwrap();
            assert!(read_head(&mut io).await.starts_with("HTTP/1.1 101 "));
            let expected = [text("one"), text("two"), close(1005, ""), Received::End(Ok(()))];
            assert_eq!(Peer::new(io).all().await, expected, "{piece} bytes at a time");
            assert_eq!(ended.recv().await.unwrap().unwrap().code(), 1005);
        });
    }
}

/// Logs what it can learn about the request at each stage.
struct RequestLog(Log);

impl RequestLog {
    fn look(&self, stage: &str, connection: &Connection) {
        let (path, query) = (connection.path(), connection.query());
        let token = connection.header("x-token");
        self.0.add(format!("{stage}: {path} {query:?} {token:?}"));
    }
}

impl Handler for RequestLog {
    async fn on_connect(&self, connection: &Connection) {
        self.look("connect", connection);
    }

    async fn on_message(&self, connection: &Connection, _: Message<'_>) {
        self.look("message", connection);
    }

    async fn on_disconnect(&self, connection: &Connection, _: Disconnect) {
        self.look("disconnect", connection);
    }
}

#[test]
fn path_and_query_are_kept_and_headers_only_for_on_connect() {
    let sim = Sim::default();
    let log = Log::default();
    let (io, _, ended) = serve_handshake(&sim, RequestLog(log.clone()), Options::default());
    sim.run(async {
        let mut peer = shake_hands(io).await;
        peer.send("hello").await;
        peer.close(1000, "").await;
        peer.all().await;
        drop(peer);
        ended.recv().await.unwrap().unwrap();
    });
    let expected = [
        r#"connect: /chat Some("room=1") Some("abc")"#,
        r#"message: /chat Some("room=1") None"#,
        r#"disconnect: /chat Some("room=1") None"#,
    ];
    assert_eq!(log.lines(), expected);
}

// ---- timed out

#[test]
fn a_missing_request_is_answered_with_408_after_10_s() {
    let sim = Sim::default();
    let (mut io, _, ended) = serve_handshake(&sim, Echo, Options::default());
    sim.run(async {
        let answer = read_to_end(&mut io).await;
        assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
        assert_eq!(sim.now(), s(10));
        drop(io);
        assert_eq!(refused(&ended.recv().await.unwrap()), Some(408));
        assert_eq!(sim.now(), s(10));
    });
}

#[test]
fn the_handshake_timeout_covers_the_whole_request() {
    let sim = Sim::default();
    let (mut io, faults, ended) = serve_handshake(&sim, Echo, Options::default());
    sim.run(async {
        drip(&sim, &mut io, &REQUEST.as_bytes()[..13]).await;
        assert!(faults.closed_by_server());
        let answer = read_to_end(&mut io).await;
        assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
        drop(io);
        assert_eq!(refused(&ended.recv().await.unwrap()), Some(408));
    });
}

#[test]
fn an_incomplete_request_never_becomes_a_connection() {
    let sim = Sim::default();
    let (recorder, log, _gate) = Recorder::new();
    let (mut io, _, ended) = serve_handshake(&sim, recorder, Options::default());
    sim.run(async {
        io.write_all(&REQUEST.as_bytes()[..50]).await.unwrap();
        drop(io);
        let result = ended.recv().await.unwrap();
        assert!(matches!(result, Err(AcceptError::Io(_))), "{result:?}");
    });
    assert!(log.lines().is_empty(), "{:?}", log.lines());
}

// ---- refused

#[test]
fn invalid_requests_are_refused_with_their_status() {
    let requests = [
        (REQUEST.replace("GET", "POST"), 405),
        ("GET /chat HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(), 426),
        (REQUEST.replace("dGhlIHNhbXBsZSBub25jZQ==", "short"), 400),
        (REQUEST.replace("Version: 13", "Version: 8"), 426),
        (REQUEST.replace("HTTP/1.1", "HTTP/1.0"), 426),
        (REQUEST.replace("HTTP/1.1", "HTTP/2.0"), 505),
        (REQUEST.replace("abc", &"x".repeat(20_000)), 431),
        ("\x16\x03\x01".to_owned(), 400),
    ];
    for (request, status) in requests {
        let sim = Sim::default();
        let (recorder, log, _gate) = Recorder::new();
        let (mut io, _, ended) = serve_handshake(&sim, recorder, Options::default());
        sim.run(async {
            io.write_all(request.as_bytes()).await.unwrap();
            let answer = read_to_end(&mut io).await;
            assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{request}: {answer}");
            drop(io);
            assert_eq!(refused(&ended.recv().await.unwrap()), Some(status));
        });
        assert!(log.lines().is_empty(), "{:?}", log.lines());
    }
}

#[test]
fn a_refusal_is_delivered_while_the_peer_still_sends() {
    let sim = Sim::default();
    let (mut io, faults, ended) = serve_handshake(&sim, Echo, Options::default());
    sim.run(async {
        // An unwanted body, more than one read takes.
        io.write_all(b"GET /chat HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
        io.write_all(&vec![b'x'; 100_000]).await.unwrap();
        // The server may leave before the answer is read.
        sim.pass(s(60)).await;
        assert!(faults.dropped_by_server());
        assert_eq!(refused(&ended.recv().await.unwrap()), Some(426));
        let answer = read_to_end(&mut io).await;
        assert!(answer.starts_with("HTTP/1.1 426 "), "{answer}");
    });
}

/// RFC 9112 §11.2: what follows a refused request may be its body, and must not be taken for a request.
#[test]
fn bytes_after_a_refused_request_are_not_another_request() {
    let bad = REQUEST.strip_suffix("\r\n").unwrap();
    for refused_request in [
        format!("{bad}Content-Length: {}\r\n\r\n", REQUEST.len()),
        format!("{bad}Transfer-Encoding: chunked\r\n\r\n"),
        format!("{bad}Content-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n"),
        REQUEST.replace("Upgrade: websocket", "Upgrade: h2c"),
        REQUEST.replace("Version: 13", "Version: 12"),
        REQUEST.replace("GET", "POST"),
    ] {
        let sim = Sim::default();
        let (recorder, log, _gate) = Recorder::new();
        let (mut io, _, ended) = serve_handshake(&sim, recorder, Options::default());
        sim.run(async {
            io.write_all(&[refused_request.as_bytes(), REQUEST.as_bytes()].concat()).await.unwrap();
            let answer = read_to_end(&mut io).await;
            assert!(!answer.starts_with("HTTP/1.1 101 "), "{refused_request}: {answer}");
            assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{refused_request}: {answer}");
            assert!(answer.contains("close\r\n"), "{refused_request}: {answer}");
            drop(io);
            assert!(refused(&ended.recv().await.unwrap()).is_some());
        });
        assert!(log.lines().is_empty(), "{:?}", log.lines());
    }
}

#[test]
fn a_refused_peer_is_dropped_after_5_s_whatever_it_sends() {
    let sim = Sim::default();
    let (mut io, _, ended) = serve_handshake(&sim, Echo, Options::default());
    sim.run(async {
        io.write_all(b"GET /chat HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
        let dripping = drip(&sim, &mut io, &[b'x'; 100]);
        or(dripping, async { drop(ended.recv().await.unwrap()) }).await;
        assert_eq!(sim.now(), s(5));
    });
}

#[test]
fn a_refused_peer_that_reads_nothing_hits_the_write_timeout() {
    let sim = Sim::default();
    let (mut io, faults, ended) = serve_handshake(&sim, Echo, Options::default());
    sim.run(async {
        faults.to_client().set_capacity(1);
        io.write_all(b"GET /chat HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
        assert_eq!(refused(&ended.recv().await.unwrap()), Some(426));
        assert_eq!(sim.now(), s(30));
    });
}

#[test]
fn a_refused_peer_is_dropped_after_half_a_mebibyte() {
    let sim = Sim::default();
    let (mut io, faults, ended) = serve_handshake(&sim, Echo, Options::default());
    sim.run(async {
        io.write_all(b"GET /chat HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
        let written = io.write_all(&vec![b'x'; 1 << 20]).await;
        assert!(written.is_err(), "the server does not take all of it");
        assert_eq!(refused(&ended.recv().await.unwrap()), Some(426));
        assert_eq!(sim.now(), s(0), "the server does not wait for the peer's end");
        assert!(faults.dropped_by_server());
    });
}
