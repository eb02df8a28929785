//! Servers that refuse and then do not go on as they should: what they have decided reaches the client.

use std::{thread, time::Duration};

use super::support::{
    block_on,
    peer::{CLOSE, Peer, TEXT, close_payload},
    server::listen,
};
use crate::{
    prism::{Client, ConnectError, Options, OwnedMessage, Refusal},
    runtime::transport,
};

const UNAUTHORIZED: &str = "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic\r\n\r\nwho are";

/// What a client hears of a server that answers its request with this, and what `then` does.
fn refused_by(answer: &'static str, then: fn(Peer)) -> Refusal {
    let (listener, url) = listen();
    let server = thread::spawn(move || {
        let (mut peer, _) = Peer::accept(&listener);
        peer.write(answer.as_bytes());
        then(peer);
    });
    let refusal = refusal(block_on(Client::new(&url).unwrap().options(patient()).connect()));
    server.join().expect("the client has left");
    refusal
}

/// Nothing but what is told has an end.
fn patient() -> Options {
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

/// Resets the connection: what is on its way may be lost, but not what has arrived.
fn reset(peer: Peer) {
    let stream = socket2::Socket::from(peer.stream);
    stream.set_linger(Some(Duration::ZERO)).expect("a socket");
}

#[test]
fn a_body_that_never_ends_keeps_no_client_waiting() {
    let refusal = refused_by(UNAUTHORIZED, Peer::expect_gone);
    assert_eq!((refusal.status, &refusal.body[..]), (401, &b"who are"[..]));
    assert_eq!(refusal.header("www-authenticate").as_deref(), Some("Basic"));
}

#[test]
fn a_body_that_stalls_within_a_chunk_keeps_no_client_waiting() {
    let answer =
        "HTTP/1.1 502 Bad Gateway\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nbad\r\n9\r\n gate";
    let refusal = refused_by(answer, Peer::expect_gone);
    assert_eq!((refusal.status, &refusal.body[..]), (502, &b"bad gate"[..]));
}

#[test]
fn a_reset_behind_the_head_hides_no_refusal() {
    // Again and again: it may come before the client has read anything, or after.
    for _ in 0..50 {
        assert_eq!(refused_by(UNAUTHORIZED, reset).status, 401);
    }
}

#[test]
fn a_refusal_in_http_1_0_has_its_status() {
    let answer = "HTTP/1.0 503 Service Unavailable\r\nRetry-After: 9\r\n\r\nlater";
    let refusal = refused_by(answer, drop);
    assert_eq!((refusal.status, &refusal.body[..]), (503, &b"later"[..]));
    assert_eq!(refusal.header("retry-after").as_deref(), Some("9"));
}

#[test]
fn an_answer_that_comes_before_the_request_is_read_though_that_can_not_be_sent() {
    let (listener, url) = listen();
    let stream = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let mut peer = Peer::on(listener.accept().expect("a client").0, false);
    peer.write(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\n\r\nbusy");
    reset(peer);
    let client = Client::new(&url).unwrap().options(patient());
    let refusal = refusal(block_on(client.connect_stream(transport(stream))));
    assert_eq!((refusal.status, &refusal.body[..]), (503, &b"busy"[..]));
}

#[test]
fn a_sub_protocol_without_a_name_is_none() {
    let (listener, url) = listen();
    let server = thread::spawn(move || {
        let (mut peer, request) = Peer::accept(&listener);
        let empty = "\r\nSec-WebSocket-Protocol: \r\nSec-WebSocket-Extensions:\r\n\r\n";
        peer.write(Peer::acceptance(&request).replace("\r\n\r\n", empty).as_bytes());
        peer.send(TEXT, b"hello");
        peer.expect(CLOSE, &close_payload(1000, ""));
    });
    let client = Client::new(&url).unwrap().subprotocol("chat").unwrap();
    let socket = block_on(client.connect()).expect("a connection");
    assert_eq!(socket.connection().subprotocol(), None);
    assert_eq!(block_on(socket.recv()).expect("a message"), OwnedMessage::Text("hello".into()));
    drop(socket);
    server.join().expect("the client has left");
}
