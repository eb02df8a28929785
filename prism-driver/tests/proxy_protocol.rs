//! `proxy_protocol`: a trusted proxy begins each connection with a header that names the client.

use futures_lite::AsyncWriteExt;
use prism_driver::{ForwardedHeader, Reply, Runtime, Server, ServerOptions, ServerStats};
use prism_test::{Faults, Peer, PipeEnd, Received, Sim};

use crate::common::{
    close,
    handlers::Echo,
    http::{REQUEST, read_head, read_to_end},
    ms,
    net::{Net, PEER},
    s,
    site::start,
    text,
};

const V1: &[u8] = b"PROXY TCP4 192.0.2.1 127.0.0.1 56324 80\r\n";
const V2: &[u8] =
    b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x10\xc0\0\x02\x01\x7f\0\0\x01\xdc\x04\0\x50\x04\0\x01\0";
const V2_IPV6: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x21\x21\0\x24\
    \x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x02\xdc\x04\0\x50";
const UNKNOWN: &[u8] = b"PROXY UNKNOWN\r\n";
const LOCAL: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0";
const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 198.51.100.7\r\n\r\n";

/// Starts a server to which 127.0.0.1 has to speak the PROXY protocol.
fn server(sim: &Sim, set: impl FnOnce(Server<Net>) -> Server<Net>) -> (Net, ServerStats) {
    let mut stats = None;
    let net = start(sim, |server: Server<Net>| {
        stats = Some(server.stats());
        let server = server.proxy_protocol(["127.0.0.1"]).unwrap();
        let page =
            |request: prism_driver::Request| Reply::text(200, request.peer_addr().to_string());
        set(server.get("/", page).websocket("/chat", Echo))
    });
    (net, stats.expect("the server was set up"))
}

async fn send(net: &Net, peer: &str, parts: &[&[u8]]) -> (PipeEnd, Faults) {
    let (mut io, faults) = net.connect_from(peer).unwrap();
    io.write_all(&parts.concat()).await.unwrap();
    (io, faults)
}

async fn answer(net: &Net, peer: &str, parts: &[&[u8]]) -> String {
    read_to_end(&mut send(net, peer, parts).await.0).await
}

#[track_caller]
fn assert_seen(answer: &str, client: &str) {
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert_eq!(answer.split_once("\r\n\r\n").unwrap().1, client);
}

#[test]
fn the_header_names_the_client() {
    let sim = Sim::default();
    let (net, _) = server(&sim, |server| server);
    for (header, client) in [
        (V1, "192.0.2.1:56324"),
        (V2, "192.0.2.1:56324"),
        (V2_IPV6, "[2001:db8::1]:56324"),
        (UNKNOWN, PEER),
        (LOCAL, PEER),
    ] {
        assert_seen(&sim.run(answer(&net, PEER, &[header, GET])), client);
    }
}

#[test]
fn what_follows_the_header_is_http_however_it_is_cut() {
    let frames = b"\x81\x83\0\0\0\0one\x81\x83\0\0\0\0two\x88\x80\0\0\0\0";
    for header in [V1, V2] {
        let bytes = [header, REQUEST.as_bytes(), frames].concat();
        for piece in (1..=bytes.len()).rev() {
            let sim = Sim::default();
            let (net, _) = server(&sim, |server| server);
            sim.run(async {
                let (mut io, faults) = net.connect_raw().unwrap();
                faults.set_piece(piece);
                io.write_all(&bytes).await.unwrap();
                assert!(read_head(&mut io).await.starts_with("HTTP/1.1 101 "));
                let expected = [text("one"), text("two"), close(1005, ""), Received::End(Ok(()))];
                assert_eq!(Peer::new(io).all().await, expected, "{piece} bytes at a time");
            });
        }
    }
}

#[test]
fn a_missing_or_malformed_header_gets_400_and_is_counted() {
    let sim = Sim::default();
    let (net, stats) = server(&sim, |server| server);
    let bad: [&[u8]; 6] = [
        GET,
        b"PROXY TCP4 192.0.2.1\r\n",
        b"PROXY TCP4 192.0.2.1 127.0.0.1 56324 80 80\r\n",
        &[b"PROXY UNKNOWN ", [b'x'; 100].as_slice()].concat(),
        b"\r\n\r\n\0\r\nQUIT\n\x31\x11\0\x0c\xc0\0\x02\x01\x7f\0\0\x01\xdc\x04\0\x50",
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\xff\xff",
    ];
    for header in bad {
        let answer = sim.run(answer(&net, PEER, &[header, GET]));
        assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
        assert!(answer.contains("PROXY protocol") && answer.contains("expected"), "{answer}");
    }
    let counts = stats.counts();
    assert_eq!((counts.refused.bad_proxy_header, counts.refused.total()), (6, 6));
    assert_eq!((counts.accepted, counts.pages), (6, 0));
}

#[test]
fn a_peer_that_is_no_proxy_sends_no_header() {
    let sim = Sim::default();
    let (net, stats) = server(&sim, |server| server);
    assert_seen(&sim.run(answer(&net, "192.0.2.9:7", &[GET])), "192.0.2.9:7");
    for header in [V1, V2] {
        let answer = sim.run(answer(&net, "192.0.2.9:7", &[header, GET]));
        assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    }
    let refused = stats.counts().refused;
    assert_eq!((refused.bad_request, refused.bad_proxy_header), (2, 0));
}

#[test]
fn an_http_proxy_behind_the_first_one_may_name_the_client() {
    let sim = Sim::default();
    let (net, _) = server(&sim, |server| {
        server.trust_proxies(ForwardedHeader::XForwardedFor, ["127.0.0.1", "192.0.2.1"]).unwrap()
    });
    // GET has X-Forwarded-For.
    assert_seen(&sim.run(answer(&net, PEER, &[V1, GET])), "198.51.100.7:0");
    assert_seen(&sim.run(answer(&net, PEER, &[V2_IPV6, GET])), "[2001:db8::1]:56324");
    // Although the proxy itself is trusted: it speaks for itself, or for a client that it cannot name.
    for header in [UNKNOWN, LOCAL] {
        assert_seen(&sim.run(answer(&net, PEER, &[header, GET])), PEER);
    }
}

#[test]
fn the_header_counts_towards_the_handshake_timeout() {
    let sim = Sim::default();
    let (net, stats) = server(&sim, |server| server);
    sim.run(async {
        let (mut io, _) = send(&net, PEER, &[&V1[..10]]).await;
        sim.pass(s(6)).await;
        io.write_all(&V1[10..]).await.unwrap();
        io.write_all(&GET[..10]).await.unwrap();
        let answer = read_to_end(&mut io).await;
        assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
        assert_eq!((sim.now(), stats.counts().refused.timed_out), (s(10), 1));
    });
}

#[test]
fn a_proxy_that_sends_no_header_is_evicted_like_any_handshake() {
    let sim = Sim::default();
    let (net, stats) =
        server(&sim, |server| server.options(ServerOptions::default().max_handshakes(1)));
    sim.run(async {
        let (mut silent, _) = send(&net, PEER, &[&V2[..14]]).await;
        sim.settle().await;
        assert_seen(&answer(&net, PEER, &[V2, GET]).await, "192.0.2.1:56324");
        assert_eq!(read_to_end(&mut silent).await, "");
        assert_eq!((sim.now(), stats.counts().refused.evicted), (ms(250), 1));
    });
}

#[test]
fn a_proxy_that_leaves_early_is_not_counted_as_malformed() {
    let sim = Sim::default();
    let (net, stats) = server(&sim, |server| server);
    sim.run(async {
        // A health check that only connects, and one that stops within the header.
        drop(send(&net, PEER, &[]).await);
        drop(send(&net, PEER, &[&V1[..20]]).await);
        sim.settle().await;
        let refused = stats.counts().refused;
        assert_eq!((refused.left, refused.total()), (2, 2));
    });
}
