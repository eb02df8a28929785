//! Servers that trust proxies to name their clients. The peers here are proxies, or pretend to be.

use std::sync::mpsc::channel;

use super::support::{
    handlers::{Echo, recorder},
    head::Head,
    peer::{Peer, TEXT},
    server::{TestServer, serve, serve_at},
    wait_until,
};
use crate::prism::{ForwardedHeader, Reply, Request, Server, ServerOptions};

const XFF: ForwardedHeader = ForwardedHeader::XForwardedFor;

/// The page of a server is the address of its client.
fn with_page(server: Server) -> Server {
    server.get("/", |request| Reply::text(200, request.peer_addr().to_string()))
}

/// Requests the page, with these bytes before the request and these lines in it.
#[track_caller]
fn page(server: &TestServer, before: &[u8], lines: &str) -> (Head, String) {
    let mut peer = server.dial();
    let request = format!("GET / HTTP/1.1\r\nHost: localhost\r\n{lines}\r\n");
    peer.write(&[before, request.as_bytes()].concat());
    peer.response()
}

/// Opens a connection on a path, with these bytes before the request and these lines in it.
fn open(server: &TestServer, path: &str, before: &[u8], lines: &str) -> (Peer, Head) {
    let mut peer = server.dial();
    let request = Peer::request(path).replacen("\r\n", &format!("\r\n{lines}"), 1);
    peer.write(&[before, request.as_bytes()].concat());
    let head = peer.head();
    (peer, head)
}

#[test]
fn the_client_that_a_trusted_proxy_names_is_the_peer() {
    let (recorder, events) = recorder();
    let (seen, sees) = channel();
    let server = serve(|server| {
        with_page(server.trust_proxies(XFF, ["127.0.0.1", "10.0.0.0/8"]).expect("networks"))
            .authorize(move |request: Request| {
                let seen = seen.clone();
                async move {
                    seen.send(request.peer_addr()).expect("the scenario waits");
                    Ok(())
                }
            })
            .websocket("/ws", recorder)
    });
    let lines = "X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-For: 2001:db8::7, 10.0.0.1\r\n";
    let client = "[2001:db8::7]:0".parse().expect("an address");
    let (_peer, head) = open(&server, "/ws", b"", lines);
    assert_eq!(head.status, 101);
    assert_eq!(events.connected().peer_addr(), Some(client));
    assert_eq!(sees.recv(), Ok(client));
    assert_eq!(page(&server, b"", lines).1, client.to_string());
    let (head, body) = page(&server, b"", "X-Forwarded-For: here\r\n");
    assert_eq!(head.status, 400, "{body}");
    assert_eq!(server.stats().counts().refused.bad_proxy_header, 1);
}

#[test]
fn a_forged_header_changes_nothing() {
    let (recorder, events) = recorder();
    let server = serve(|server| {
        with_page(server.trust_proxies(XFF, ["10.0.0.0/8", "::1"]).expect("networks"))
            .websocket("/ws", recorder)
    });
    for lines in [
        "X-Forwarded-For: 10.0.0.1\r\n",
        "X-Forwarded-For: 6.6.6.6, 10.0.0.1\r\n",
        "X-Forwarded-For: x\r\n",
    ] {
        let (peer, head) = open(&server, "/ws", b"", lines);
        assert_eq!(head.status, 101, "{lines}");
        let own = peer.stream.local_addr().expect("a socket");
        assert_eq!(events.connected().peer_addr(), Some(own), "{lines}");
        drop(peer);
        events.ended();
        assert!(page(&server, b"", lines).1.starts_with("127.0.0.1:"), "{lines}");
    }
}

/// Listens on an IPv6 socket that accepts IPv4, like a listener on `[::]`.
#[test]
fn an_ipv4_proxy_of_an_ipv6_listener_is_known_by_its_ipv4_address() {
    let server = serve_at("[::ffff:127.0.0.1]:0", |server| {
        with_page(server.trust_proxies(XFF, ["127.0.0.1"]).expect("an address"))
    });
    let (_, body) = page(&server, b"", "X-Forwarded-For: 192.0.2.1\r\n");
    assert_eq!(body, "192.0.2.1:0");
    assert!(page(&server, b"", "").1.starts_with("127.0.0.1:"));
}

#[test]
fn the_proxy_protocol_is_required_of_proxies_and_refused_from_others() {
    let v1 = b"PROXY TCP4 192.0.2.1 127.0.0.1 56324 80\r\n";
    let v2 = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x01\x7f\0\0\x01\xdc\x04\0\x50";
    let (recorder, events) = recorder();
    let server = serve(|server| {
        with_page(server.proxy_protocol(["127.0.0.1"]).expect("an address"))
            .websocket("/ws", recorder)
            .websocket("/echo", Echo)
    });
    for header in [&v1[..], v2] {
        assert_eq!(page(&server, header, "").1, "192.0.2.1:56324");
        let (peer, head) = open(&server, "/ws", header, "");
        assert_eq!(head.status, 101);
        let client = "192.0.2.1:56324".parse().expect("an address");
        assert_eq!(events.connected().peer_addr(), Some(client));
        drop(peer);
        events.ended();
    }
    for bad in [&b""[..], b"PROXY TCP4 192.0.2.1\r\n", &v2[..12]] {
        let (head, body) = page(&server, bad, "");
        assert_eq!(head.status, 400, "{body}");
        assert!(body.contains("header of the PROXY protocol"), "{body}");
    }
    assert_eq!(server.stats().counts().refused.bad_proxy_header, 3);
    // What follows the header is HTTP, and then frames, even if all of it arrives at once.
    let mut peer = server.dial();
    let frame = peer.encode(true, TEXT, b"hello");
    peer.write(&[v2, Peer::request("/echo").as_bytes(), &frame].concat());
    assert_eq!(peer.head().status, 101);
    peer.expect(TEXT, b"hello");

    let other = serve(|server| with_page(server.proxy_protocol(["10.0.0.1"]).expect("an address")));
    assert!(page(&other, b"", "").1.starts_with("127.0.0.1:"));
    assert_eq!(page(&other, v1, "").0.status, 400);
    let refused = other.stats().counts().refused;
    assert_eq!((refused.bad_proxy_header, refused.bad_request), (0, 1));
}

#[test]
fn one_connection_too_many_gets_429_and_is_counted() {
    let server = serve(|server| {
        let options = ServerOptions::default().max_connections_per_ip(Some(2));
        with_page(server.options(options)).websocket("/", Echo)
    });
    let first = server.open("/");
    let _second = server.open("/");
    // The answer does not wait for a request.
    let mut third = server.dial();
    let (head, body) = third.response();
    assert_eq!(head.status, 429, "{body}");
    assert!(body.contains("too many connections"), "{body}");
    drop((first, third));
    wait_until("the first connection has ended", || server.stats().counts().open == 1);
    let _third = server.open("/");
    assert_eq!(server.stats().counts().refused.too_many_connections, 1);
}

#[test]
fn the_limit_of_an_address_is_that_of_the_client_behind_the_proxy() {
    let server = serve(|server| {
        let options = ServerOptions::default().max_connections_per_ip(Some(1));
        let server = server.trust_proxies(XFF, ["127.0.0.1"]).expect("an address");
        server.options(options).websocket("/", Echo)
    });
    let from = |client: &str| open(&server, "/", b"", &format!("X-Forwarded-For: {client}\r\n"));
    let all = ["192.0.2.1", "192.0.2.2", "2001:db8::1"].map(from);
    assert!(all.iter().all(|(_, head)| head.status == 101), "one for each");
    for client in ["192.0.2.1", "2001:db8::2"] {
        assert_eq!(from(client).1.status, 429, "{client}");
    }
    drop(all);
    wait_until("all have ended", || server.stats().counts().open == 0);
    assert_eq!(from("192.0.2.1").1.status, 101);
}
