//! Streams that were not accepted by a server of Prism: an in-memory pipe, a Unix socket, and a
//! stream whose handshake is done already.

use std::{net::TcpStream, thread, time::Duration};

use futures_lite::future::zip;

use super::support::{
    block_on,
    handlers::{Echo, recorder},
    pattern,
    peer::{BINARY, Peer, TEXT},
    server::listen,
};
use crate::{
    prism::{
        AcceptError, Client, CloseCode, Disconnect, Message, Options, serve_stream, serve_upgraded,
    },
    runtime::{adopt, pipe, unix_pair},
};

/// Runs a conversation between Prism's client and a handler over a pair of streams.
macro_rules! converse {
    ($pair:expr) => {{
        let (ours, theirs) = $pair;
        let mut options = Options::default();
        // Each side must end its own direction: the other side must not depend on a drop.
        options.protocol.close_timeout = Duration::MAX;
        let client = async {
            let client = Client::new("ws://localhost/any/path?q").expect("a good address");
            let client = client.options(options.clone());
            let socket = client.connect_stream(theirs).await.expect("a connection");
            for message in [Message::Text("hello"), Message::Binary(&pattern(200_000))] {
                socket.send(message).await.expect("an open connection");
                let returned = socket.recv().await.expect("an echo");
                assert!(returned.as_message() == message);
            }
            let code = CloseCode::new(4005).expect("a code that may travel");
            let ending = socket.close(code, "thanks").await;
            assert!(matches!(ending, Disconnect::Local { .. }), "{ending:?}");
        };
        let server = serve_stream(ours, &options, Echo);
        let (ending, ()) = block_on(zip(server, client));
        let ending = ending.expect("a good handshake");
        assert_eq!((ending.code(), ending.reason()), (4005, "thanks".into()));
    }};
}

#[test]
fn an_in_memory_pipe_carries_a_websocket() {
    converse!(pipe());
}

#[test]
fn a_unix_socket_carries_a_websocket() {
    converse!(unix_pair());
}

/// Returns two connected TCP sockets.
fn tcp_pair() -> (TcpStream, Peer) {
    let (listener, _) = listen();
    let peer = Peer::dial(listener.local_addr().expect("a bound listener"));
    (listener.accept().expect("the peer").0, peer)
}

#[test]
fn an_externally_accepted_socket_is_served() {
    let (ours, mut peer) = tcp_pair();
    let talking = thread::spawn(move || {
        peer.write(Peer::request("/whatever").as_bytes());
        assert_eq!(peer.head().status, 101);
        peer.send(TEXT, b"hello");
        peer.expect(TEXT, b"hello");
        peer.send_close(1000, "");
        peer.expect_close(1000, "");
        peer.expect_end();
    });
    let ending = block_on(serve_stream(adopt(ours), &Options::default(), Echo));
    assert_eq!(ending.expect("a good handshake").code(), 1000);
    talking.join().expect("the peer finishes");
}

#[test]
fn a_stream_without_an_upgrade_is_refused_and_reported() {
    let (ours, mut peer) = tcp_pair();
    let talking = thread::spawn(move || {
        peer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
        assert_eq!(peer.response().0.status, 426);
    });
    let refused = block_on(serve_stream(adopt(ours), &Options::default(), Echo));
    assert!(matches!(refused, Err(AcceptError::Refused(426))), "{refused:?}");
    talking.join().expect("the peer gets its answer");

    let (ours, peer) = tcp_pair();
    drop(peer);
    let refused = block_on(serve_stream(adopt(ours), &Options::default(), Echo));
    assert!(matches!(refused, Err(AcceptError::Io(_))), "{refused:?}");
}

#[test]
fn an_upgraded_stream_is_served_from_its_first_frame() {
    let (ours, mut peer) = tcp_pair();
    let (recorder, events) = recorder();
    let talking = thread::spawn(move || {
        peer.send(BINARY, b"no handshake before this");
        peer.send_close(4006, "and little after it");
        let answer = peer.next().expect("a close frame").payload;
        assert_eq!(answer[..2], 4006_u16.to_be_bytes());
        peer.expect_end();
    });
    let options = Options::default();
    let ending = block_on(serve_upgraded(adopt(ours), "/upgraded", &options, recorder));
    assert_eq!((ending.code(), ending.reason()), (4006, "and little after it".into()));
    let connection = events.connected();
    assert_eq!((connection.path(), connection.query()), ("/upgraded", None));
    assert_eq!(events.message().as_message(), Message::Binary(b"no handshake before this"));
    assert_eq!(events.ended().code(), 4006);
    talking.join().expect("the peer finishes");
}
