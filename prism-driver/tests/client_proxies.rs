//! Clients behind an HTTP proxy (RFC 9110 §9.3.6): the tunnel, and every answer that is none.

use std::{future::pending, io::ErrorKind, time::Duration};

use async_channel::bounded;
use futures_lite::{AsyncReadExt, AsyncWriteExt};
use prism_driver::{Client, ConnectError, Options, Proxy, ProxyFailure, Runtime, serve_stream};
use prism_test::{PipeEnd, Sim};

use crate::common::{
    cancellation::{assert_canceled_or_echoing, at_each_step},
    handlers::Echo,
    http::read_head,
    ms,
    net::{
        Net,
        Reach::{After, Never, RefusedAfter},
    },
    proxied::{Connecting, PROXY, connecting, connecting_to, kind, start},
    s, serve_handshake,
};

const URL: &str = "ws://example.org/chat?room=1";
const ESTABLISHED: &[u8] = b"HTTP/1.1 200 Connection established\r\n\r\n";

fn proxy() -> Proxy {
    Proxy::new("http://proxy.example:3128").unwrap()
}

fn proxy_with_password() -> Proxy {
    Proxy::new("http://alice:secret@proxy.example:3128").unwrap()
}

/// Connects through a proxy that answers the first request with these bytes, and then closes.
fn answered(proxy: Proxy, answer: &[u8]) -> Connecting {
    let connecting = connecting(URL, proxy);
    let (mut io, _) = connecting.arrival();
    connecting.sim.run(read_head(&mut io));
    connecting.write(&mut io, answer);
    connecting
}

// ---- the tunnel

#[test]
fn a_client_asks_for_a_tunnel_and_then_uses_it() {
    for (url, authority) in [
        (URL, "example.org:80"),
        ("ws://example.org:8080/", "example.org:8080"),
        ("ws://192.0.2.1/", "192.0.2.1:80"),
        ("ws://[2001:db8::1]:81/", "[2001:db8::1]:81"),
    ] {
        let connecting = connecting(url, proxy());
        let (mut io, _) = connecting.arrival();
        let request = connecting.sim.run(read_head(&mut io));
        assert_eq!(request, format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n\r\n"));
        connecting.write(&mut io, ESTABLISHED);
        let socket = connecting.assert_echoes(io);
        assert!(url.contains(socket.connection().path()));
        // The proxy resolves the server's name.
        assert_eq!(connecting.net.lookups(), ["proxy.example"]);
        assert_eq!(connecting.sim.now(), Duration::ZERO);
    }
}

#[test]
fn credentials_are_sent_to_the_proxy_only() {
    let connecting = connecting(URL, proxy_with_password());
    let (mut io, _) = connecting.arrival();
    let request = connecting.sim.run(read_head(&mut io));
    assert!(
        request.ends_with("\r\nProxy-Authorization: Basic YWxpY2U6c2VjcmV0\r\n\r\n"),
        "{request}"
    );
    connecting.write(&mut io, ESTABLISHED);
    let request = connecting.sim.run(read_head(&mut io));
    assert!(request.starts_with("GET /chat?room=1 HTTP/1.1\r\n"), "{request}");
    assert!(!request.contains("Proxy"), "{request}");
}

#[test]
fn an_answer_in_pieces_and_after_interim_ones_opens_the_tunnel() {
    let connecting = connecting(URL, proxy());
    let (mut io, faults) = connecting.arrival();
    faults.set_piece(1);
    faults.hold_until_flushed();
    connecting.sim.run(async {
        read_head(&mut io).await;
        io.write_all(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n")
            .await
            .unwrap();
        io.write_all(b"HTTP/1.0 200 OK\r\nVia: a\r\nContent-Length: 4\r\n\r\n").await.unwrap();
        io.flush().await.unwrap();
    });
    connecting.assert_echoes(io);
}

#[test]
fn a_listed_server_is_connected_to_directly() {
    let sim = Sim::default();
    let net = Net::new(&sim);
    net.name("example.org", &[("192.0.2.1:80", After(ms(1)))]);
    let direct = start(sim, net, URL, |client| client.proxy(proxy().no_proxy("example.org")));
    let (io, _) = direct.arrival();
    direct.assert_echoes(io);
    assert_eq!(direct.net.lookups(), ["example.org"]);
}

#[test]
fn a_stream_that_is_connected_needs_no_proxy() {
    let sim = Sim::default();
    let (io, _, _) = serve_handshake(&sim, Echo, Options::default());
    let client = Client::new_on(sim.clone(), URL).unwrap().proxy(proxy());
    sim.run(client.connect_stream(io)).unwrap();
}

#[test]
fn an_address_with_a_zone_is_not_asked_for() {
    for url in ["ws://[fe80::1%25eth0]/", "ws://[fe80::1%253]/"] {
        let connecting = connecting(url, proxy());
        let outcome = connecting.outcome();
        assert!(matches!(outcome, Err(ConnectError::InvalidUrl(_))), "{outcome:?}");
        assert!(connecting.net.attempts().is_empty());
    }
}

// ---- no tunnel

#[test]
fn a_status_other_than_2xx_is_a_refusal() {
    for status in [101, 302, 400, 403, 404, 502] {
        let answer = format!("HTTP/1.1 {status} No\r\nContent-Length: 100\r\n\r\nno");
        let connecting = answered(proxy_with_password(), answer.as_bytes());
        let failure = connecting.failure();
        assert!(
            matches!(&failure, ProxyFailure::Refused(refusal) if refusal.status == status),
            "{failure:?}"
        );
        assert_eq!(connecting.sim.now(), Duration::ZERO, "it does not wait for the body");
    }
}

#[test]
fn a_407_says_what_is_wrong_with_the_credentials() {
    let refused = |challenges: &str| format!("HTTP/1.1 407 No\r\n{challenges}\r\n").into_bytes();
    let basic = refused("Proxy-Authenticate: Negotiate, basic realm=\"a, b\"\r\n");
    // As tinyproxy answers to a wrong password.
    let wrong_status = b"HTTP/1.0 401 Unauthorized\r\nServer: tinyproxy/1.11.1\r\n\r\n".to_vec();
    for answer in [refused(""), basic, wrong_status] {
        let failure = answered(proxy(), &answer).failure();
        assert!(matches!(failure, ProxyFailure::CredentialsRequired), "{failure:?}");
        let failure = answered(proxy_with_password(), &answer).failure();
        assert!(matches!(failure, ProxyFailure::CredentialsRejected), "{failure:?}");
    }
    let other =
        refused("Proxy-Authenticate: Negotiate\r\nProxy-Authenticate: Digest realm=\"Basic\"\r\n");
    for proxy in [proxy(), proxy_with_password()] {
        let failure = answered(proxy, &other).failure();
        assert!(matches!(failure, ProxyFailure::UnsupportedAuthentication), "{failure:?}");
    }
}

#[test]
fn bytes_behind_the_answer_are_an_error() {
    for rest in ["x", "HTTP/1.1 101 Switching Protocols\r\n\r\n"] {
        let answer = [ESTABLISHED, rest.as_bytes()].concat();
        let failure = answered(proxy(), &answer).failure();
        assert!(matches!(failure, ProxyFailure::UnexpectedBytes), "{failure:?}");
    }
    let body = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
    let failure = answered(proxy(), body).failure();
    assert!(matches!(failure, ProxyFailure::UnexpectedBytes), "{failure:?}");
}

#[test]
fn bytes_that_have_arrived_after_the_answer_are_an_error() {
    let connecting = connecting(URL, proxy());
    let (mut io, faults) = connecting.arrival();
    connecting.sim.run(read_head(&mut io));
    // The first read ends with the answer.
    faults.to_client().insert(&[ESTABLISHED, b"x"].concat());
    faults.set_piece(ESTABLISHED.len());
    let failure = connecting.failure();
    assert!(matches!(failure, ProxyFailure::UnexpectedBytes), "{failure:?}");
}

#[test]
fn an_answer_that_is_not_http_is_said_to_be_that() {
    for (answer, said) in [
        (&b"\x05\x00"[..], "not HTTP"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "not HTTP"),
        (b"HTTP/2.0 200 OK\r\n\r\n", "expected HTTP/1.1"),
        (b"HTTP/1.1 200 OK\nA: b\n\n", "CR or LF alone"),
        (b"HTTP/1.1 200 OK\r\nA\r\n\r\n", "malformed header"),
    ] {
        let failure = answered(proxy_with_password(), answer).failure();
        let ProxyFailure::InvalidAnswer(text) = failure else { panic!("{failure:?}") };
        assert!(text.contains(said), "{text}");
    }
}

#[test]
fn a_head_that_never_ends_is_given_up_after_16_kib() {
    let long_line = [b"HTTP/1.1 200 OK\r\nA: ".to_vec(), vec![b'a'; 1 << 20]].concat();
    let interim = b"HTTP/1.1 102 Processing\r\n\r\n".repeat(40_000);
    for answer in [long_line, interim] {
        let connecting = connecting(URL, proxy());
        let (mut io, faults) = connecting.arrival();
        connecting.sim.run(async {
            read_head(&mut io).await;
            // The client may be gone before this is written.
            let _ = io.write_all(&answer).await;
        });
        let failure = connecting.failure();
        let ProxyFailure::InvalidAnswer(text) = failure else { panic!("{failure:?}") };
        assert_eq!(text, "head of more than 16384 bytes");
        assert!(faults.dropped_by_client());
    }
    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "A: b\r\n".repeat(101));
    let failure = answered(proxy(), many.as_bytes()).failure();
    let ProxyFailure::InvalidAnswer(text) = failure else { panic!("{failure:?}") };
    assert_eq!(text, "more than 100 header lines");
}

#[test]
fn a_proxy_that_closes_or_resets_is_said_to_have_done_so() {
    for answer in [&b""[..], b"HTTP/1.1 200 Connection est"] {
        let failure = answered(proxy(), answer).failure();
        assert!(matches!(failure, ProxyFailure::Closed), "{failure:?}");
    }
    let connecting = connecting(URL, proxy());
    let (_io, faults) = connecting.arrival();
    faults.to_client().fail(ErrorKind::ConnectionReset);
    assert_eq!(kind(&connecting.failure()), Some(ErrorKind::ConnectionReset));
}

// ---- time

#[test]
fn one_timeout_covers_the_dialing_and_the_answer() {
    for (wait, trickle) in [(s(0), false), (s(4), false), (s(1), true)] {
        let connecting = connecting_to(URL, proxy(), &[(PROXY, After(wait))]);
        let (mut io, faults) = connecting.arrival();
        let sim = connecting.sim.clone();
        connecting.sim.spawn(async move {
            let _ = io.write_all(b"HTTP/1.1 200 OK\r\n").await;
            while trickle && io.write_all(b"A: b\r\n").await.is_ok() {
                sim.sleep(ms(500)).await;
            }
            pending::<()>().await;
        });
        let failure = connecting.failure();
        assert!(matches!(failure, ProxyFailure::TimedOut), "{failure:?}");
        assert_eq!(connecting.sim.now(), s(10));
        assert!(faults.dropped_by_client());
    }
}

#[test]
fn an_unreachable_proxy_is_named_with_its_addresses() {
    let refused = [("[::1]:3128", RefusedAfter(ms(1))), (PROXY, RefusedAfter(ms(1)))];
    let connecting = connecting_to(URL, proxy_with_password(), &refused);
    let failure = connecting.failure();
    assert_eq!(kind(&failure), Some(ErrorKind::ConnectionRefused));
    assert_eq!(
        failure.to_string(),
        "cannot be reached: [::1]:3128: refused; 127.0.0.9:3128: refused"
    );
    let connecting = connecting_to(URL, proxy(), &[(PROXY, Never)]);
    assert_eq!(kind(&connecting.failure()), Some(ErrorKind::TimedOut));
    assert_eq!(connecting.sim.now(), s(10));
}

#[test]
fn the_next_address_of_a_proxy_is_tried_after_250_ms() {
    let addresses = [("[::1]:3128", Never), (PROXY, After(ms(1)))];
    let connecting = connecting_to(URL, proxy(), &addresses);
    let (mut io, _) = connecting.arrival();
    connecting.sim.run(read_head(&mut io));
    connecting.write(&mut io, ESTABLISHED);
    connecting.assert_echoes(io);
    assert_eq!(connecting.net.attempts(), ["0 ms: [::1]:3128", "250 ms: 127.0.0.9:3128"]);
}

/// Reads up to the end of a head. Returns whether it ended.
async fn has_read_head(io: &mut PipeEnd) -> bool {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        match io.read(&mut byte).await {
            Ok(1) => head.push(byte[0]),
            _ => return false,
        }
    }
    true
}

#[test]
fn a_dropped_connect_leaves_nothing_behind() {
    at_each_step(|sim, cancel_point| {
        let net = Net::new(sim);
        net.name("proxy.example", &[("[::1]:3128", Never), (PROXY, After(ms(10)))]);
        let (tell, told) = bounded(1);
        let (runtime, arriving) = (sim.clone(), net.clone());
        sim.spawn(async move {
            let (_, mut io, faults) = arriving.arrival().await;
            faults.set_piece(10);
            tell.try_send(faults).unwrap();
            runtime.sleep(ms(10)).await;
            // The client may be gone at any point.
            if has_read_head(&mut io).await && io.write_all(ESTABLISHED).await.is_ok() {
                let _ = serve_stream(runtime, io, &Options::default(), Echo).await;
            }
        });
        let client = Client::new_on(net.clone(), URL).unwrap().proxy(proxy());
        let socket = cancel_point.run(sim, client.connect());
        assert_canceled_or_echoing(sim, &net, &told, socket);
    });
}
