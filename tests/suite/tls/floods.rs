//! Peers that send as much as they can over TLS.

use std::{
    io::Write,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use super::{client, echo, tls_of};
use crate::{
    prism::{Options, ServerOptions},
    suite::support::{
        authority::Authority,
        block_on,
        handlers::Echo,
        peer::Peer,
        server::{TestServer, serve},
        tls_peer::{TlsPeer, VERSIONS, config},
        wait_until,
    },
};

fn serve_with(authority: &Authority, options: impl Into<ServerOptions>) -> TestServer {
    let tls = tls_of(&authority.issue("localhost"));
    serve(|server| server.options(options).tls(tls).websocket("/", Echo))
}

/// Encrypts bytes, each after 30 `KeyUpdate`s, of which rustls allows 32 in a row (RFC 8446 §4.6.3).
fn flood(peer: &mut TlsPeer, content: &[u8]) -> Vec<u8> {
    let mut flood = Vec::new();
    for byte in content {
        (0..30).for_each(|_| peer.tls.refresh_traffic_keys().expect("an open connection"));
        flood.extend(peer.encrypt(&[*byte]));
    }
    flood
}

#[test]
fn a_handshake_that_floods_records_without_content_is_evicted_at_once() {
    let authority = Authority::new();
    let mut options = ServerOptions::default().max_handshakes(1);
    options.connection.handshake_timeout = Duration::from_secs(600);
    let server = serve_with(&authority, options);
    let mut peer = TlsPeer::open(server.address(), config(&authority, VERSIONS[1]));
    let head = Peer::request("/").replace("\r\n\r\n", "\r\nX: ");
    let (began, mut flooding) = (Instant::now(), flood(&mut peer, head.as_bytes()));
    // Encrypting takes about as long as decrypting. When this is done, the peer has had its time, and may be evicted.
    while began.elapsed() < Duration::from_secs(1) && flooding.len() < 8 << 20 {
        flooding.extend(flood(&mut peer, b"x"));
    }
    let flooding = thread::spawn(move || {
        // It goes on until the connection is reset, because much of it is unread.
        while began.elapsed() < Duration::from_secs(60) {
            if peer.stream.write_all(&flooding).is_err() {
                return true;
            }
            flooding = flood(&mut peer, b"x");
        }
        false
    });
    block_on(async {
        let socket = client(&server, "localhost", &authority).connect().await.expect("it trusts");
        echo(&socket, "hello").await;
    });
    assert!(flooding.join().expect("it does not panic"), "the flood was not stopped");
    wait_until("it is counted", || server.stats().counts().refused.evicted == 1);
}

#[test]
fn an_open_connection_that_floods_records_without_content_is_closed_like_any_other() {
    let authority = Authority::new();
    let server = serve_with(&authority, Options::default());
    let mut peer = TlsPeer::open_websocket(server.address(), config(&authority, VERSIONS[1]));
    // A message that never ends.
    let frame = [&b"\x82\xfe\x7f\xff"[..], &[0; 300]].concat();
    let flood = flood(&mut peer, &frame);
    peer.stream.write_all(&flood).expect("the server reads");
    block_on(async {
        let socket = client(&server, "localhost", &authority).connect().await.expect("it trusts");
        echo(&socket, "hello").await;
        assert_eq!(server.stats().counts().open, 2);
    });
    server.begin_stop();
    peer.read_until(b"\x03\xe9the server is shutting down");
    drop(peer);
    server.stopped();
}

#[test]
fn a_request_of_16_kib_may_come_together_with_the_end_of_the_tls_handshake() {
    let authority = Authority::new();
    let server = serve_with(&authority, Options::default());
    let config = Arc::new(config(&authority, VERSIONS[1]));
    let request = Peer::request("/");
    for len in [4_000, 15_000, 16_384] {
        let filler = "x".repeat(len - request.len() - "X: \r\n".len());
        let head = request.replace("\r\n\r\n", &format!("\r\nX: {filler}\r\n\r\n"));
        assert_eq!(head.len(), len);
        let mut peer = TlsPeer::dial(server.address(), config.clone());
        let hello = peer.take_output();
        peer.stream.write_all(&hello).expect("the server reads");
        while peer.tls.is_handshaking() {
            peer.tls.read_tls(&mut peer.stream).expect("a flight of the server");
            peer.tls.process_new_packets().expect("the server speaks TLS");
        }
        // Both are in one write.
        peer.write(head.as_bytes());
        let answer = peer.read_until(b"\r\n\r\n");
        assert!(answer.starts_with(b"HTTP/1.1 101 "), "{len}: {}", answer.escape_ascii());
    }
}
