//! Peers that have shut down their sending direction and still read: their messages are handled,
//! and the answers are sent.

use std::{net::Shutdown, thread};

use super::support::{
    block_on,
    handlers::{Echo, recorder},
    pattern,
    peer::{BINARY, CLOSE, Peer, TEXT},
    server::{listen, serve, serve_echo},
};
use crate::prism::{
    Client, CloseCode, Disconnect, Failure, Options, ProtocolError, SendError, serve_stream,
};

#[test]
fn a_peer_that_ends_after_its_messages_gets_every_answer() {
    let server = serve_echo(Options::default());
    let mut peer = server.open("/");
    let large = pattern(900_000);
    let mut stream = peer.stream.try_clone().expect("a socket");
    let frames = [peer.encode(true, TEXT, b"first"), peer.encode(true, BINARY, &large)].concat();
    let writing = thread::spawn(move || {
        std::io::Write::write_all(&mut stream, &frames).expect("the server reads");
        stream.shutdown(Shutdown::Write).expect("a connected socket");
    });
    peer.expect(TEXT, b"first");
    peer.expect(BINARY, &large);
    peer.expect_end();
    writing.join().expect("everything was written");
}

#[test]
fn a_peer_that_ends_after_its_close_frame_is_answered() {
    let (recorder, events) = recorder();
    let server = serve(|server| server.websocket("/", recorder));
    let mut peer = server.open("/");
    events.connected();
    peer.send_close(4001, "and out");
    peer.send_eof();
    peer.expect(CLOSE, &[&4001_u16.to_be_bytes()[..], b"and out"].concat());
    peer.expect_end();
    let ended = events.ended();
    assert!(matches!(ended, Disconnect::Peer { .. }), "{ended:?}");
    assert_eq!((ended.code(), ended.reason()), (4001, "and out".into()));
}

#[test]
fn a_peer_that_ends_after_its_request_is_accepted() {
    let (recorder, events) = recorder();
    let server = serve(|server| server.websocket("/", recorder));
    let mut peer = server.dial();
    peer.write(Peer::request("/").as_bytes());
    peer.send_eof();
    assert_eq!(peer.head().status, 101);
    events.connected();
    let ended = events.ended();
    let eof = ProtocolError::UnexpectedEof;
    assert!(matches!(ended, Disconnect::Failed(Failure::Protocol(e)) if e == eof), "{ended:?}");
    peer.expect_end();
}

#[test]
fn a_peer_that_ends_inside_its_request_is_dropped() {
    let (recorder, events) = recorder();
    let server = serve(|server| server.websocket("/", recorder));
    let mut peer = server.dial();
    peer.write(b"GET / HTTP/1.1\r\nHost: loc");
    peer.send_eof();
    peer.expect_disconnect();
    server.stop();
    events.nothing_more();
}

#[test]
fn a_client_receives_every_message_before_a_servers_end() {
    let (listener, url) = listen();
    let server = thread::spawn(move || {
        let mut peer = Peer::accept_websocket(&listener);
        peer.send(TEXT, b"first");
        peer.send(BINARY, &pattern(900_000));
        peer.send_eof();
        // What the client sent before it noticed the end is still read.
        peer.expect(TEXT, b"are you there?");
        peer.expect_disconnect();
    });
    block_on(async {
        let socket = Client::new(&url).unwrap().connect().await.expect("a connection");
        socket.send("are you there?").await.expect("an open connection");
        assert_eq!(socket.recv().await.expect("a message").as_message().as_text(), Some("first"));
        let large = socket.recv().await.expect("a message");
        assert_eq!(large.as_message().as_bytes(), pattern(900_000));
        let ending = socket.recv().await.expect_err("no message");
        let eof = ProtocolError::UnexpectedEof;
        assert!(matches!(ending, Disconnect::Failed(Failure::Protocol(e)) if e == eof));
        assert_eq!(socket.send("hello?").await, Err(SendError::Closed));
    });
    server.join().expect("the client disconnects");
}

#[test]
fn closing_does_not_wait_for_a_half_closed_peer() {
    let (recorder, events) = recorder();
    let server = serve(|server| server.websocket("/", recorder));
    let mut peer = server.open("/");
    let connection = events.connected();
    // The close frame and the peer's end cross on the wire, in either order.
    assert!(connection.close(CloseCode::NORMAL, "done"), "an open connection");
    peer.send_eof();
    peer.expect_close(1000, "done");
    peer.expect_end();
    events.ended();
}

#[test]
fn a_stream_that_ends_at_once_is_an_error() {
    let (listener, _) = listen();
    let peer = Peer::dial(listener.local_addr().expect("a bound listener"));
    peer.send_eof();
    let (ours, _) = listener.accept().expect("the peer");
    let outcome = block_on(serve_stream(crate::runtime::adopt(ours), &Options::default(), Echo));
    assert!(outcome.is_err(), "{outcome:?}");
    peer.expect_disconnect();
}
