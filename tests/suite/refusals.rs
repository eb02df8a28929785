//! Servers that refuse a request and then misbehave: their decision still reaches the client.

use std::{thread, time::Duration};

use super::support::{
    block_on,
    peer::{CLOSE, Peer, TEXT, close_payload},
    server::listen,
};
use crate::{
    prism::{Client, ConnectError, Options, OwnedMessage, Refusal},
    runtime::adopt,
};

const UNAUTHORIZED: &str = "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic\r\n\r\nwho are";

/// Returns the refusal that a client gets from a server that sends `answer` and then calls `then`.
fn refused_by(answer: &'static str, then: fn(Peer)) -> Refusal {
    let (listener, url) = listen();
    let server = thread::spawn(move || {
        let (mut peer, _) = Peer::accept(&listener);
        peer.write(answer.as_bytes());
        then(peer);
    });
    let refusal =
        refusal(block_on(Client::new(&url).unwrap().options(no_handshake_timeout()).connect()));
    server.join().expect("the client disconnects");
    refusal
}

/// Returns options without a handshake timeout, so that only other limits end the handshake.
fn no_handshake_timeout() -> Options {
    let mut options = Options::default();
    options.handshake_timeout = Duration::MAX;
    options
}

fn refusal(outcome: Result<impl Sized, ConnectError>) -> Refusal {
    match outcome.map(drop) {
        Err(ConnectError::Refused(refusal)) => refusal,
        other => panic!("expected a refusal, but {other:?}"),
    }
}

/// Resets the connection. Data in flight may be lost, but not what has arrived.
fn reset(peer: Peer) {
    let stream = socket2::Socket::from(peer.stream);
    stream.set_linger(Some(Duration::ZERO)).expect("a socket");
}

#[test]
fn an_endless_body_does_not_delay_a_refusal() {
    let refusal = refused_by(UNAUTHORIZED, Peer::expect_disconnect);
    assert_eq!((refusal.status, &refusal.body[..]), (401, &b"who are"[..]));
    assert_eq!(refusal.header("www-authenticate").as_deref(), Some("Basic"));
}

#[test]
fn a_body_stalled_within_a_chunk_does_not_delay_a_refusal() {
    let answer =
        "HTTP/1.1 502 Bad Gateway\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nbad\r\n9\r\n gate";
    let refusal = refused_by(answer, Peer::expect_disconnect);
    assert_eq!((refusal.status, &refusal.body[..]), (502, &b"bad gate"[..]));
}

#[test]
fn a_reset_after_the_head_does_not_hide_a_refusal() {
    // Repeated, because the reset may arrive before or after the client has read the head.
    for _ in 0..50 {
        assert_eq!(refused_by(UNAUTHORIZED, reset).status, 401);
    }
}

#[test]
fn an_http_1_0_refusal_keeps_its_status() {
    let answer = "HTTP/1.0 503 Service Unavailable\r\nRetry-After: 9\r\n\r\nlater";
    let refusal = refused_by(answer, drop);
    assert_eq!((refusal.status, &refusal.body[..]), (503, &b"later"[..]));
    assert_eq!(refusal.header("retry-after").as_deref(), Some("9"));
}

#[test]
fn a_refusal_is_read_even_if_the_request_cannot_be_sent() {
    let (listener, url) = listen();
    let stream = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let mut peer = Peer::from_stream(listener.accept().expect("a client").0, false);
    peer.write(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\n\r\nbusy");
    reset(peer);
    let client = Client::new(&url).unwrap().options(no_handshake_timeout());
    let refusal = refusal(block_on(client.connect_stream(adopt(stream))));
    assert_eq!((refusal.status, &refusal.body[..]), (503, &b"busy"[..]));
}

#[test]
fn an_empty_subprotocol_header_is_ignored() {
    let (listener, url) = listen();
    let server = thread::spawn(move || {
        let (mut peer, request) = Peer::accept(&listener);
        let empty = "\r\nSec-WebSocket-Protocol: \r\nSec-WebSocket-Extensions:\r\n\r\n";
        peer.write(Peer::upgrade_response(&request).replace("\r\n\r\n", empty).as_bytes());
        peer.send(TEXT, b"hello");
        peer.expect(CLOSE, &close_payload(1000, ""));
    });
    let client = Client::new(&url).unwrap().subprotocol("chat").unwrap();
    let socket = block_on(client.connect()).expect("a connection");
    assert_eq!(socket.connection().subprotocol(), None);
    assert_eq!(block_on(socket.recv()).expect("a message"), OwnedMessage::Text("hello".into()));
    drop(socket);
    server.join().expect("the client disconnects");
}
