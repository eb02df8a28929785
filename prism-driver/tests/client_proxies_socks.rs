//! Clients behind a SOCKS5 proxy (RFC 1928, RFC 1929).

use std::{io::ErrorKind, time::Duration};

use futures_lite::AsyncReadExt;
use prism_driver::{ConnectError, Proxy, ProxyFailure, Runtime};
use prism_test::{Faults, PipeEnd, Sim};

use crate::common::{
    net::{Net, Reach::After},
    proxied::{Connecting, PROXY, connecting, start},
    s,
};

const URL: &str = "ws://example.org/chat?room=1";

/// The reply "succeeded", with an address of the proxy's.
const SUCCEEDED: &[u8] = &[5, 0, 0, 1, 192, 0, 2, 9, 0, 80];

fn proxy() -> Proxy {
    Proxy::new("socks5h://proxy.example:3128").unwrap()
}

fn proxy_with_password() -> Proxy {
    Proxy::new("socks5h://alice:secret@proxy.example:3128").unwrap()
}

fn with_password() -> Connecting {
    connecting(URL, proxy_with_password())
}

impl Connecting {
    /// Reads this many bytes from a client.
    fn read(&self, io: &mut PipeEnd, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        self.sim.run(async { io.read_exact(&mut bytes).await.unwrap() });
        bytes
    }
}

/// Starts a client without credentials, and lets the proxy choose the method 0.
fn accepted(url: &str, proxy: Proxy) -> (Connecting, PipeEnd, Faults) {
    let connecting = connecting(url, proxy);
    let (mut io, faults) = connecting.arrival();
    assert_eq!(connecting.read(&mut io, 3), [5, 1, 0]);
    connecting.write(&mut io, &[5, 0]);
    (connecting, io, faults)
}

/// Returns the request for a connection to a name.
fn request_for(name: &str, port: u16) -> Vec<u8> {
    let length = u8::try_from(name.len()).unwrap();
    [&[5, 1, 0, 3, length], name.as_bytes(), &port.to_be_bytes()].concat()
}

// ---- the connection

#[test]
fn the_proxy_resolves_the_name_with_socks5h() {
    let (connecting, mut io, _) = accepted(URL, proxy());
    let expected = request_for("example.org", 80);
    assert_eq!(connecting.read(&mut io, expected.len()), expected);
    connecting.write(&mut io, SUCCEEDED);
    let socket = connecting.assert_echoes(io);
    assert_eq!(socket.connection().path(), "/chat");
    assert_eq!(connecting.net.lookups(), ["proxy.example"]);
    assert_eq!(connecting.sim.now(), Duration::ZERO);
}

#[test]
fn an_address_is_sent_as_such() {
    let ipv4: &[u8] = &[5, 1, 0, 1, 192, 0, 2, 1, 0x1f, 0x90];
    let ipv6 = [&[5, 1, 0, 4, 0x20, 1, 0xd, 0xb8][..], &[0; 11], &[1, 0, 80]].concat();
    for (url, expected) in [("ws://192.0.2.1:8080/", ipv4), ("ws://[2001:db8::1]/", &ipv6)] {
        let (connecting, mut io, _) = accepted(url, proxy());
        assert_eq!(connecting.read(&mut io, expected.len()), expected, "{url}");
        // The reply may name a host of any length.
        connecting.write(&mut io, &[&[5, 0, 0, 3, 255][..], &[b'a'; 255], &[0, 80]].concat());
        connecting.assert_echoes(io);
    }
}

/// Starts a client whose `socks5://` proxy is asked for the addresses of `example.org`.
fn resolving(addresses: &[&str]) -> Connecting {
    let sim = Sim::default();
    let net = Net::new(&sim);
    net.name("proxy.example", &[(PROXY, After(Duration::ZERO))]);
    let addresses: Vec<_> = addresses.iter().map(|it| (*it, After(Duration::ZERO))).collect();
    net.name("example.org", &addresses);
    let proxy = Proxy::new("socks5://proxy.example:3128").unwrap();
    start(sim, net, URL, |client| client.proxy(proxy))
}

#[test]
fn the_client_resolves_the_name_with_socks5() {
    let connecting = resolving(&["192.0.2.1:80"]);
    let (mut io, _) = connecting.arrival();
    assert_eq!(connecting.read(&mut io, 3), [5, 1, 0]);
    connecting.write(&mut io, &[5, 0]);
    assert_eq!(connecting.read(&mut io, 10), [5, 1, 0, 1, 192, 0, 2, 1, 0, 80]);
    connecting.write(&mut io, SUCCEEDED);
    connecting.assert_echoes(io);
    assert_eq!(connecting.net.lookups(), ["example.org", "proxy.example"]);
}

#[test]
fn the_next_address_is_asked_for_if_the_proxy_cannot_reach_one() {
    let connecting = resolving(&["[2001:db8::1]:80", "192.0.2.1:80", "192.0.2.2:80"]);
    for (length, reply) in [(22, 8), (10, 5), (10, 0)] {
        let (mut io, _) = connecting.arrival();
        connecting.read(&mut io, 3);
        connecting.write(&mut io, &[5, 0]);
        connecting.read(&mut io, length);
        connecting.write(&mut io, &[5, reply, 0, 1, 0, 0, 0, 0, 0, 0]);
        if reply == 0 {
            connecting.assert_echoes(io);
            return;
        }
    }
}

#[test]
fn a_proxy_that_is_silent_for_its_share_of_the_time_is_asked_for_the_next_address() {
    let connecting = resolving(&["192.0.2.1:80", "192.0.2.2:80"]);
    let (_silent, _) = connecting.arrival();
    let (mut io, _) = connecting.arrival();
    assert_eq!(connecting.sim.now(), s(5), "half of the connect timeout");
    assert_eq!(connecting.read(&mut io, 3), [5, 1, 0]);
    connecting.write(&mut io, &[5, 0]);
    assert_eq!(connecting.read(&mut io, 10), [5, 1, 0, 1, 192, 0, 2, 2, 0, 80]);
    connecting.write(&mut io, SUCCEEDED);
    connecting.assert_echoes(io);
}

#[test]
fn bytes_behind_the_reply_are_an_error() {
    let (connecting, mut io, _) = accepted(URL, proxy());
    let expected = request_for("example.org", 80);
    assert_eq!(connecting.read(&mut io, expected.len()), expected);
    connecting.write(&mut io, &[SUCCEEDED, b"x"].concat());
    let failure = connecting.failure();
    assert!(matches!(failure, ProxyFailure::UnexpectedBytes), "{failure:?}");
}

#[test]
fn a_name_that_this_machine_cannot_resolve_is_not_the_proxys_fault() {
    let sim = Sim::default();
    let net = Net::new(&sim);
    let proxy = Proxy::new("socks5://proxy.example:3128").unwrap();
    let connecting = start(sim, net, URL, |client| client.proxy(proxy));
    let error = connecting.outcome().map(drop).unwrap_err();
    assert!(matches!(error, ConnectError::Unreachable(_)), "{error:?}");
    assert!(error.to_string().contains("example.org: no such name"), "{error}");
}

#[test]
fn a_user_name_and_a_password_are_sent_if_the_proxy_asks() {
    for method in [0, 2] {
        let connecting = with_password();
        let (mut io, faults) = connecting.arrival();
        faults.set_piece(1);
        faults.hold_until_flushed();
        assert_eq!(connecting.read(&mut io, 4), [5, 2, 0, 2]);
        connecting.write(&mut io, &[5, method]);
        if method == 2 {
            assert_eq!(connecting.read(&mut io, 14), b"\x01\x05alice\x06secret");
            connecting.write(&mut io, &[1, 0]);
        }
        let expected = request_for("example.org", 80);
        assert_eq!(connecting.read(&mut io, expected.len()), expected);
        connecting.write(&mut io, SUCCEEDED);
        connecting.assert_echoes(io);
    }
}

// ---- no connection

#[test]
fn refused_credentials_are_said_to_be_refused() {
    // The proxy accepts no method, or wants a password although none was offered.
    for method in [0xff, 2] {
        let connecting = connecting(URL, proxy());
        let (mut io, _) = connecting.arrival();
        connecting.write(&mut io, &[5, method]);
        let failure = connecting.failure();
        assert!(matches!(failure, ProxyFailure::CredentialsRequired), "{failure:?}");
    }
    let connecting = with_password();
    let (mut io, _) = connecting.arrival();
    connecting.write(&mut io, &[5, 0xff]);
    let failure = connecting.failure();
    assert!(matches!(failure, ProxyFailure::UnsupportedAuthentication), "{failure:?}");
}

#[test]
fn a_wrong_password_is_said_to_be_wrong() {
    let connecting = with_password();
    let (mut io, _) = connecting.arrival();
    connecting.write(&mut io, &[5, 2, 1, 1]);
    let failure = connecting.failure();
    assert!(matches!(failure, ProxyFailure::CredentialsRejected), "{failure:?}");
}

#[test]
fn a_refusal_has_its_reply_and_what_it_means() {
    for (reply, meaning) in [
        (1, "general failure"),
        (2, "its rules do not allow the connection"),
        (3, "the network cannot be reached"),
        (4, "the host cannot be reached"),
        (5, "the server refuses connections"),
        (6, "the time to live has expired"),
        (7, "it does not support the command CONNECT"),
        (8, "it does not support this type of address"),
    ] {
        let (connecting, mut io, _) = accepted(URL, proxy());
        connecting.write(&mut io, &[5, reply, 0, 1]);
        let failure = connecting.failure();
        assert!(matches!(failure, ProxyFailure::RefusedSocks(found) if found == reply));
        assert_eq!(failure.to_string(), format!("refused with reply {reply}: {meaning}"));
    }
}

#[test]
fn an_answer_that_is_not_socks5_is_invalid() {
    let connecting = with_password();
    let (mut io, _) = connecting.arrival();
    connecting.write(&mut io, b"HTTP/1.1 400 Bad Request\r\n\r\n");
    assert!(matches!(connecting.failure(), ProxyFailure::InvalidAnswer(_)));
    for method in [1, 3, 0x80] {
        let connecting = with_password();
        let (mut io, _) = connecting.arrival();
        connecting.write(&mut io, &[5, method]);
        assert!(matches!(connecting.failure(), ProxyFailure::InvalidAnswer(_)), "{method}");
    }
    let not_utf8: &[u8] = &[5, 0, 0, 3, 1, 0xff, 0, 80];
    for reply in [&[4, 0, 0, 1][..], &[5, 9, 0, 1], &[5, 0, 1, 1], &[5, 0, 0, 2], not_utf8] {
        let (connecting, mut io, _) = accepted(URL, proxy());
        connecting.write(&mut io, reply);
        assert!(matches!(connecting.failure(), ProxyFailure::InvalidAnswer(_)), "{reply:?}");
    }
}

#[test]
fn a_proxy_that_closes_early_is_said_to_have_done_so() {
    for answer in [&[][..], &[5], &[5, 0], &[5, 0, 5, 0, 0], &[5, 0, 5, 0, 0, 3, 255, 1]] {
        let connecting = connecting(URL, proxy());
        let (mut io, faults) = connecting.arrival();
        connecting.write(&mut io, answer);
        connecting.sim.run(connecting.sim.settle());
        // What the client sent is read, so that the end is no reset.
        let unread = faults.to_server().unread();
        connecting.read(&mut io, unread);
        drop(io);
        assert!(matches!(connecting.failure(), ProxyFailure::Closed), "{answer:?}");
    }
    let (connecting, _io, faults) = accepted(URL, proxy());
    faults.to_client().fail(ErrorKind::ConnectionReset);
    let failure = connecting.failure();
    let ProxyFailure::Io(error) = failure else { panic!("{failure:?}") };
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
}

#[test]
fn a_silent_proxy_is_given_up_at_the_connect_timeout() {
    for answer in [&[][..], &[5, 0], &[5, 0, 5, 0, 0, 3, 255]] {
        let connecting = connecting(URL, proxy());
        let (mut io, _) = connecting.arrival();
        connecting.write(&mut io, answer);
        assert!(matches!(connecting.failure(), ProxyFailure::TimedOut), "{answer:?}");
        assert_eq!(connecting.sim.now(), s(10));
    }
}

#[test]
fn a_name_that_is_too_long_is_refused() {
    let labels = "a".repeat(60);
    let url = format!("ws://{labels}.{labels}.{labels}.{labels}.{labels}/");
    let connecting = connecting(&url, proxy());
    let error = connecting.outcome().map(drop).unwrap_err();
    assert!(matches!(error, ConnectError::InvalidUrl(_)), "{error:?}");
    assert!(error.to_string().contains("at most 255 bytes"), "{error}");
    assert!(connecting.net.attempts().is_empty());
}
