//! What is sent over TLS arrives: messages, refusals, pages, the headers of proxies.

use std::io::Write;

use super::{client, client_with, echo, serve_tls, tls_of};
use crate::{
    prism::{CloseCode, ConnectError, Disconnect, Origins, Reply},
    suite::support::{
        authority::Authority,
        block_on,
        handlers::Echo,
        server::serve,
        tls_peer::{TlsPeer, VERSIONS, config},
        wait_until,
    },
};

#[test]
fn messages_of_all_sizes_are_echoed() {
    let authority = Authority::new();
    let server = serve_tls(&authority.issue("localhost"));
    for version in VERSIONS {
        let client = client_with(&server, "localhost", config(&authority, version));
        block_on(async {
            let socket = client.connect().await.expect("it trusts");
            for len in [0, 1, 125, 126, 4_000, 16_384, 70_000, 1 << 20] {
                echo(&socket, &"x".repeat(len)).await;
            }
            let end = socket.close(CloseCode::NORMAL, "").await;
            assert!(matches!(end, Disconnect::Local { .. }), "{end:?}");
        });
    }
    wait_until("the connections have ended", || server.stats().counts().closed == 2);
    assert_eq!(server.stop().failed, 0);
}

#[test]
fn an_address_can_be_the_name() {
    let authority = Authority::new();
    let server = serve_tls(&authority.issue("127.0.0.1"));
    block_on(async {
        let socket = client(&server, "127.0.0.1", &authority).connect().await.expect("it trusts");
        echo(&socket, "hello").await;
    });
}

#[test]
fn a_refusal_can_be_read() {
    let authority = Authority::new();
    let tls = tls_of(&authority.issue("localhost"));
    let origins = Origins::these(["https://good.example"]).expect("an origin");
    let server = serve(|server| server.origins(origins).tls(tls).websocket("/", Echo));
    let connect = |origin| {
        let client = client(&server, "localhost", &authority).header("Origin", origin);
        block_on(client.expect("a header").connect())
    };
    let Err(ConnectError::Refused(refusal)) = connect("https://evil.example") else {
        panic!("expected a refusal")
    };
    assert_eq!(refusal.status, 403);
    connect("https://good.example").expect("it is allowed");
}

#[test]
fn the_header_of_a_proxy_comes_before_tls() {
    let authority = Authority::new();
    let tls = tls_of(&authority.issue("localhost"));
    let server = serve(|server| {
        let server = server.proxy_protocol(["127.0.0.1"]).expect("an address");
        server.tls(tls).get("/", |request| Reply::text(200, request.peer_addr().to_string()))
    });
    for version in VERSIONS {
        let mut peer = TlsPeer::dial(server.address(), config(&authority, version));
        // With the first bytes of TLS, or without.
        let header = b"PROXY TCP4 192.0.2.7 192.0.2.1 4711 443\r\n";
        let hello = peer.take_output();
        peer.stream.write_all(&[&header[..], &hello].concat()).expect("a connection");
        peer.shake_hands().expect("both speak TLS");
        peer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        let page = peer.read_to_end().expect("a page, and TLS's own end");
        assert!(page.ends_with(b"192.0.2.7:4711"), "{}", page.escape_ascii());
    }
}
