//! Clients that follow redirects (RFC 9110 §15.4), and those that must not.

use std::time::Duration;

use futures_lite::AsyncWriteExt;
use prism_driver::{Client, ConnectError, InvalidRedirect, Options, Proxy, Refusal, Runtime};
use prism_test::{PipeEnd, Sim, pipe};

use crate::common::{
    http::read_head,
    net::{Net, Reach::After},
    proxied::{Connecting, start},
    s,
};

/// Starts a client at `ws://a.example/old?x=1`, which sends some headers.
fn connecting(redirects: u32) -> Connecting {
    connecting_with(|client| client.redirects(redirects))
}

fn connecting_with(settings: impl FnOnce(Client<Net>) -> Client<Net>) -> Connecting {
    let sim = Sim::default();
    let net = Net::new(&sim);
    for (name, address) in [
        ("a.example", "192.0.2.1:80"),
        ("A.EXAMPLE", "192.0.2.1:80"),
        ("b.example", "192.0.2.2:80"),
        ("proxy.example", "192.0.2.3:80"),
    ] {
        net.name(name, &[(address, After(Duration::ZERO))]);
    }
    start(sim, net, "ws://a.example/old?x=1", |mut client| {
        for (name, value) in HEADERS {
            client = client.header(name, value).unwrap();
        }
        settings(client.subprotocol("chat").unwrap())
    })
}

const HEADERS: [(&str, &str); 6] = [
    ("Authorization", "Bearer secret"),
    ("cookie", "session=secret"),
    ("Proxy-Authorization", "Basic secret"),
    ("X-Api-Key", "secret"),
    ("Origin", "https://page.example"),
    ("user-agent", "prism"),
];

impl Connecting {
    /// Reads the next request, at any address, and returns it with its connection.
    fn request(&self) -> (String, PipeEnd) {
        let (mut io, _) = self.arrival();
        (self.sim.run(read_head(&mut io)), io)
    }

    /// Reads the next request, and answers it. Returns it.
    fn answer(&self, answer: &str) -> String {
        let (request, mut io) = self.request();
        self.write(&mut io, answer.as_bytes());
        request
    }

    /// Reads the next request, and redirects the client. Returns the request.
    fn redirect(&self, status: u16, location: &str) -> String {
        self.answer(&format!(
            "HTTP/1.1 {status} Moved\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n"
        ))
    }

    /// Accepts the last request, and asserts that its path is that of the connection. Returns it.
    #[track_caller]
    fn accept(&self) -> String {
        let (request, mut io) = self.request();
        let key = header(&request, "Sec-WebSocket-Key").unwrap();
        let answer = format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Protocol: chat\r\nSec-WebSocket-Accept: {}\r\n\r\n",
            prism_core::accept_key(key).as_str()
        );
        self.write(&mut io, answer.as_bytes());
        let socket = self.outcome().unwrap();
        let connection = socket.connection();
        let target = connection.query().map_or_else(
            || connection.path().to_owned(),
            |query| format!("{}?{query}", connection.path()),
        );
        assert_eq!(target, request.split(' ').nth(1).unwrap());
        assert_eq!(connection.subprotocol(), Some("chat"));
        request
    }

    #[track_caller]
    fn refusal(&self) -> Refusal {
        match self.outcome().map(drop) {
            Err(ConnectError::Refused(refusal)) => refusal,
            other => panic!("{other:?}"),
        }
    }

    #[track_caller]
    fn invalid(&self) -> InvalidRedirect {
        match self.outcome().map(drop) {
            Err(ConnectError::Redirect(reason)) => reason,
            other => panic!("{other:?}"),
        }
    }
}

/// Returns the value of a header of a request.
fn header<'a>(request: &'a str, name: &str) -> Option<&'a str> {
    let lines = request.lines().filter_map(|line| line.split_once(": "));
    lines.into_iter().find(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

// ---- followed

#[test]
fn each_kind_of_redirect_is_followed() {
    for status in [301, 302, 303, 307, 308] {
        let connecting = connecting(1);
        connecting.redirect(status, "/new?y=2");
        let request = connecting.accept();
        assert!(request.starts_with("GET /new?y=2 HTTP/1.1\r\nHost: a.example\r\n"), "{request}");
        assert_eq!(connecting.sim.now(), Duration::ZERO);
    }
}

#[test]
fn a_location_is_absolute_or_relative() {
    for (location, target, host) in [
        ("ws://b.example/new", "/new", "b.example"),
        ("http://b.example", "/", "b.example"),
        ("//b.example/?z", "/?z", "b.example"),
        ("new", "/new", "a.example"),
        ("?y=2", "/old?y=2", "a.example"),
        ("../new#part", "/new", "a.example"),
        ("  /new  ", "/new", "a.example"),
    ] {
        let connecting = connecting(1);
        connecting.redirect(302, location);
        let request = connecting.accept();
        assert!(
            request.starts_with(&format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n")),
            "{request}"
        );
    }
}

#[test]
fn as_many_redirects_are_followed_as_are_allowed() {
    let connecting = connecting(3);
    for location in ["1", "2", "3"] {
        connecting.redirect(307, location);
    }
    assert!(connecting.accept().starts_with("GET /3 "));
}

#[test]
fn every_connection_but_the_last_is_closed() {
    let connecting = connecting(1);
    let (mut io, faults) = connecting.arrival();
    connecting.sim.run(read_head(&mut io));
    connecting.write(&mut io, b"HTTP/1.1 302 Found\r\nLocation: /new\r\nContent-Length: 0\r\n\r\n");
    connecting.accept();
    assert!(faults.dropped_by_client());
}

#[test]
fn a_redirect_whose_body_never_ends_is_followed_after_a_second() {
    let connecting = connecting(1);
    let (mut io, _) = connecting.arrival();
    connecting.sim.run(read_head(&mut io));
    connecting.write(&mut io, b"HTTP/1.1 302 Found\r\nLocation: /new\r\n\r\nMoved");
    connecting.accept();
    assert_eq!(connecting.sim.now(), s(1));
}

#[test]
fn the_exceptions_of_a_proxy_apply_to_each_server() {
    let proxy = Proxy::new("http://proxy.example").unwrap().no_proxy("a.example");
    let connecting = connecting_with(|client| client.redirects(1).proxy(proxy));
    connecting.redirect(302, "ws://b.example/new");
    let request = connecting.answer("HTTP/1.1 403 Forbidden\r\n\r\n");
    assert!(request.starts_with("CONNECT b.example:80 HTTP/1.1\r\n"), "{request}");
    let error = connecting.outcome().map(drop).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the proxy proxy.example:80 refused with status 403; expected 200"
    );
}

// ---- what goes along

#[test]
fn all_headers_go_along_within_an_origin() {
    for location in ["/new", "ws://a.example/new", "http://A.EXAMPLE:80/new"] {
        let connecting = connecting(1);
        connecting.redirect(302, location);
        let request = connecting.accept();
        for (name, value) in HEADERS {
            assert_eq!(header(&request, name), Some(value), "{location} {name}");
        }
        assert_eq!(header(&request, "Sec-WebSocket-Protocol"), Some("chat"));
    }
}

#[test]
fn no_secrets_cross_an_origin() {
    for location in ["ws://b.example/new", "//a.example:8080/new"] {
        let connecting = connecting(2);
        connecting.net.address("192.0.2.1:8080", After(Duration::ZERO));
        connecting.redirect(302, location);
        // They do not come back either.
        let request = connecting.redirect(302, "ws://a.example/back");
        let back = connecting.accept();
        for request in [request, back] {
            assert!(!request.contains("secret"), "{location}: {request}");
            assert_eq!(header(&request, "Origin"), None);
            assert_eq!(header(&request, "User-Agent"), Some("prism"));
            assert_eq!(header(&request, "Sec-WebSocket-Protocol"), Some("chat"));
        }
    }
}

#[test]
fn each_request_has_a_key_of_its_own() {
    let connecting = connecting(1);
    let first = connecting.redirect(302, "/new");
    let second = connecting.accept();
    assert_ne!(header(&first, "Sec-WebSocket-Key"), header(&second, "Sec-WebSocket-Key"));
}

// ---- not followed

#[test]
fn no_redirect_is_followed_by_default() {
    let connecting = connecting(0);
    connecting.redirect(302, "/new");
    let refusal = connecting.refusal();
    assert_eq!((refusal.status, refusal.redirects), (302, 0));
    assert_eq!(refusal.header("Location").as_deref(), Some("/new"));
}

#[test]
fn one_redirect_too_many_is_a_refusal_that_says_how_many_were_followed() {
    for (most, text) in [(1, " (after one redirect)"), (2, " (after 2 redirects)")] {
        let connecting = connecting(most);
        for _ in 0..=most {
            connecting.redirect(302, "/again");
        }
        let error = connecting.outcome().map(drop).unwrap_err();
        let expected = format!("the server refused with status 302; expected 101{text}");
        assert_eq!(error.to_string(), expected);
        assert!(matches!(error, ConnectError::Refused(refusal) if refusal.redirects == most));
    }
}

#[test]
fn other_statuses_are_refusals() {
    for status in [300, 304, 305, 306, 401] {
        let connecting = connecting(5);
        connecting.redirect(302, "/new");
        connecting.redirect(status, "/newer");
        let refusal = connecting.refusal();
        assert_eq!((refusal.status, refusal.redirects), (status, 1));
    }
}

#[test]
fn an_invalid_location_is_an_error() {
    let connecting = connecting(1);
    connecting.answer("HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(connecting.invalid(), InvalidRedirect::NoLocation);
    let connecting = self::connecting(1);
    connecting
        .answer("HTTP/1.1 302 Found\r\nLocation: /a\r\nLocation: /b\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(connecting.invalid(), InvalidRedirect::NoLocation);
    let connecting = self::connecting(1);
    connecting.redirect(302, "ftp://b.example/");
    assert_eq!(connecting.invalid(), InvalidRedirect::UnsupportedScheme);
    for location in ["ws://", "ws://b.example:99999/", "ws://me:secret@b.example/"] {
        let connecting = self::connecting(1);
        connecting.redirect(302, location);
        let reason = connecting.invalid();
        assert!(matches!(reason, InvalidRedirect::InvalidUrl(_)), "{reason:?}");
        assert!(!reason.to_string().contains("secret"), "{reason}");
    }
}

#[cfg(not(feature = "tls"))]
#[test]
fn a_redirect_to_wss_needs_tls() {
    let connecting = connecting(1);
    connecting.redirect(302, "https://b.example/");
    let outcome = connecting.outcome();
    assert!(matches!(outcome, Err(ConnectError::InvalidUrl(_))), "{outcome:?}");
}

#[test]
fn a_connected_stream_leads_to_one_server() {
    let sim = Sim::default();
    let (mut server, io, _) = pipe();
    let client = Client::new_on(sim.clone(), "ws://a.example/").unwrap();
    let client = client.redirects(5).options(Options::default());
    sim.spawn(async move {
        read_head(&mut server).await;
        let answer = b"HTTP/1.1 302 Found\r\nLocation: /new\r\nContent-Length: 0\r\n\r\n";
        server.write_all(answer).await.unwrap();
        read_head(&mut server).await;
    });
    let outcome = sim.run(client.connect_stream(io)).map(drop);
    let Err(ConnectError::Refused(refusal)) = outcome else { panic!("{outcome:?}") };
    assert_eq!((refusal.status, refusal.redirects), (302, 0));
}
