//! RFC 9110 and 9112: requests that are not for a WebSocket.

use prism_core::{Config, HandshakeError, OwnedRequest, RecvBuffer, Request, ServerHandshake};

use crate::common::heads::head;

/// Reads a request in these pieces. Returns its method, target, path and host.
fn read<'a>(
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> Result<Option<[String; 4]>, HandshakeError> {
    let mut handshake = ServerHandshake::new(&Config::default());
    let mut input = RecvBuffer::new();
    for piece in pieces {
        input.extend_from_slice(piece);
        if let Some(request) = handshake.receive_request(&mut input)? {
            let parts = [request.method(), request.target(), request.path(), request.host()];
            return Ok(Some(parts.map(str::to_owned)));
        }
    }
    Ok(None)
}

#[track_caller]
fn with_request(lines: &[&str], test: impl FnOnce(&Request<'_>)) {
    let mut handshake = ServerHandshake::new(&Config::default());
    let mut input = RecvBuffer::new();
    input.extend_from_slice(&head(lines.iter().copied()));
    test(&handshake.receive_request(&mut input).expect("a good request").expect("a whole one"));
}

const HOST: &str = "Host: a.b";

/// Good requests, with their path and host.
const GOOD: [(&[&str], &str, &str); 17] = [
    (&["GET / HTTP/1.1", HOST], "/", "a.b"),
    // As sent by a proxy, or its health check, that knows nothing newer.
    (&["GET / HTTP/1.0"], "/", ""),
    (&["GET / HTTP/1.0", "Host:"], "/", ""),
    (&["GET / HTTP/1.0", "Connection: close", HOST], "/", "a.b"),
    (&["OPTIONS / HTTP/1.0"], "/", ""),
    (&["HEAD /a?b HTTP/1.0"], "/a", ""),
    (&["POST http://c:1/a HTTP/1.0", HOST], "/a", "c:1"),
    (&["GET / HTTP/1.0", "Upgrade: websocket", "Connection: Upgrade"], "/", ""),
    // RFC 9110 §9.3.7.
    (&["OPTIONS * HTTP/1.1", HOST], "*", "a.b"),
    (&["OPTIONS * HTTP/1.0"], "*", ""),
    (&["OPTIONS http://c HTTP/1.1", HOST], "/", "c"),
    // RFC 3986 §6.2.2.
    (&["GET /%61dmin/%c3%A9?%61 HTTP/1.1", HOST], "/admin/%C3%A9", "a.b"),
    (&["GET /a/../b/%2e%2e/c HTTP/1.1", HOST], "/c", "a.b"),
    (&["GET /../../etc/passwd HTTP/1.1", HOST], "/etc/passwd", "a.b"),
    (&["GET /a%2f..%2fb HTTP/1.1", HOST], "/a%2F..%2Fb", "a.b"),
    (&["GET http://c/%7Ea/. HTTP/1.1", HOST], "/~a/", "c"),
    (&["GET /{a}|b HTTP/1.1", HOST], "/%7Ba%7D%7Cb", "a.b"),
];

const BAD: [(&[&str], HandshakeError); 24] = [
    (&["GET / HTTP/1.1"], HandshakeError::InvalidHost),
    (&["GET / HTTP/1.1", "Host:"], HandshakeError::InvalidHost),
    (&["OPTIONS * HTTP/1.1"], HandshakeError::InvalidHost),
    (&["GET / HTTP/1.0", HOST, HOST], HandshakeError::InvalidHost),
    (&["GET / HTTP/1.0", "Host: a/b"], HandshakeError::InvalidHost),
    (
        &["GET / HTTP/1.0", "Content-Length: 1", "Content-Length: 2"],
        HandshakeError::InvalidContentLength,
    ),
    (&["GET / HTTP/2.0", HOST], HandshakeError::UnsupportedHttpVersion),
    (&["GET / HTTP/0.9"], HandshakeError::UnsupportedHttpVersion),
    (&["GET / HTTP/3.0"], HandshakeError::UnsupportedHttpVersion),
    (&["GET /"], HandshakeError::InvalidRequestLine),
    (&["GET / HTTP/1.1", HOST, "X : b"], HandshakeError::InvalidHeader),
    (&["GET / HTTP/1.1", HOST, "X"], HandshakeError::InvalidHeader),
    (&["GET / HTTP/1.1", HOST, "\u{e9}: b"], HandshakeError::InvalidHeader),
    (&["GET * HTTP/1.1", HOST], HandshakeError::InvalidTarget),
    (&["options * HTTP/1.1", HOST], HandshakeError::InvalidTarget),
    (&["OPTIONS *? HTTP/1.1", HOST], HandshakeError::InvalidTarget),
    (&["OPTIONS a HTTP/1.1", HOST], HandshakeError::InvalidTarget),
    (&["GET %2F HTTP/1.1", HOST], HandshakeError::InvalidTarget),
    (&["GET /%zz HTTP/1.1", HOST], HandshakeError::InvalidEscape),
    (&["GET /% HTTP/1.1", HOST], HandshakeError::InvalidEscape),
    (&["GET /%4 HTTP/1.1", HOST], HandshakeError::InvalidEscape),
    (&["GET /%4?1 HTTP/1.1", HOST], HandshakeError::InvalidEscape),
    (&["GET /a/%%41/b HTTP/1.0"], HandshakeError::InvalidEscape),
    (&["GET http://c/%g0 HTTP/1.1", HOST], HandshakeError::InvalidEscape),
];

#[test]
fn good_requests_have_a_normal_path_and_a_host() {
    for (lines, path, host) in GOOD {
        let read = read([&head(lines.iter().copied())[..]]).expect(lines[0]).expect(lines[0]);
        assert_eq!([&read[2], &read[3]], [path, host], "{lines:?}");
        assert!(lines[0].starts_with(&format!("{} {} ", read[0], read[1])), "{lines:?}");
    }
}

#[test]
fn bad_requests_are_refused() {
    for (lines, error) in BAD {
        assert_eq!(read([&head(lines.iter().copied())[..]]), Err(error), "{lines:?}");
        let status = if error == HandshakeError::UnsupportedHttpVersion { 505 } else { 400 };
        assert_eq!(error.status(), status, "{error}");
    }
}

#[test]
fn the_outcome_does_not_depend_on_how_a_request_is_cut() {
    let good = GOOD.map(|(lines, ..)| lines);
    for lines in good.into_iter().chain(BAD.map(|(lines, _)| lines)) {
        let request = head(lines.iter().copied());
        let whole = read([&request[..]]);
        assert_eq!(read(request.chunks(1)), whole, "{lines:?}, byte by byte");
        for cut in 0..request.len() {
            let (first, second) = request.split_at(cut);
            assert_eq!(read([first, second]), whole, "{lines:?}, cut at {cut}");
        }
    }
}

/// RFC 9110 §7.8: "A server MUST ignore an Upgrade header field that is received in an HTTP/1.0
/// request".
#[test]
fn http_1_0_is_never_upgraded() {
    let lines = [
        "GET / HTTP/1.0",
        HOST,
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Version: 13",
    ];
    with_request(&lines, |request| {
        assert!(!request.wants_upgrade());
        assert_eq!(request.upgrade().err(), Some(HandshakeError::UpgradeOfHttp10));
        assert_eq!(HandshakeError::UpgradeOfHttp10.status(), 426);
    });
    let mut newer = lines;
    newer[0] = "GET / HTTP/1.1";
    with_request(&newer, |request| assert!(request.wants_upgrade() && request.upgrade().is_ok()));
}

#[test]
fn all_lines_of_a_header_are_returned() {
    let lines = [
        "GET / HTTP/1.1",
        HOST,
        "X-Forwarded-For: 6.6.6.6",
        "Cookie: a=b",
        "x-forwarded-for: 10.0.0.1",
        "cookie: session=c",
    ];
    with_request(&lines, |request| {
        let header = |name| request.header(name).map(String::from);
        assert_eq!(header("X-Forwarded-For").as_deref(), Some("6.6.6.6, 10.0.0.1"));
        assert_eq!(header("Cookie").as_deref(), Some("a=b; session=c"));
        assert_eq!((header("host").as_deref(), header("X")), (Some("a.b"), None));
        assert!(request.header_all("x-forwarded-for").eq(["6.6.6.6", "10.0.0.1"]));
    });
}

/// Copies a request, and checks that the copy gives the same answers.
#[track_caller]
fn assert_owned_equals(request: &Request<'_>) -> OwnedRequest {
    let owned = request.clone().into_owned();
    assert_eq!((owned.method(), owned.target()), (request.method(), request.target()));
    assert_eq!((owned.path(), owned.query()), (request.path(), request.query()));
    assert_eq!(owned.host(), request.host());
    assert!(owned.headers().iter().eq(request.headers().iter()));
    assert!(owned.owned_headers().as_headers().iter().eq(request.headers().iter()));
    for name in ["host", "HOST", "Cookie", "X", "x-odd", "Upgrade", ""] {
        assert_eq!(owned.header(name), request.header(name), "{name}");
        assert!(owned.header_all(name).eq(request.header_all(name)), "{name}");
    }
    assert_eq!(format!("{owned:?}"), format!("Owned{request:?}"));
    owned
}

#[test]
fn an_owned_request_equals_the_borrowed_one() {
    for (lines, path, host) in GOOD {
        with_request(lines, |request| {
            let owned = assert_owned_equals(request);
            assert_eq!((owned.path(), owned.host()), (path, host), "{lines:?}");
        });
    }
}

#[test]
fn an_owned_request_outlives_the_receive_buffer() {
    let mut input = RecvBuffer::new();
    input.extend_from_slice(b"POST http://c:1/%61/../b?d=%20?e HTTP/1.1\r\nHost: a.b\r\n");
    input.extend_from_slice(b"Cookie: a=b\r\nX-Odd: caf\xe9\r\ncookie: c=d\r\nX:\r\n\r\n");
    let request = ServerHandshake::new(&Config::default()).receive_request(&mut input);
    let owned = assert_owned_equals(&request.expect("a good request").expect("a whole one"));
    input.clear();
    input.extend_from_slice(&[b'#'; 300]);

    assert_eq!((owned.method(), owned.target()), ("POST", "http://c:1/%61/../b?d=%20?e"));
    assert_eq!((owned.path(), owned.query(), owned.host()), ("/b", Some("d=%20?e"), "c:1"));
    assert_eq!(owned.header("Cookie").as_deref(), Some("a=b; c=d"));
    assert!(owned.header_all("Cookie").eq(["a=b", "c=d"]));
    assert_eq!(owned.header("X-Odd").as_deref(), Some("caf\u{fffd}"));
    assert_eq!(owned.headers().all("X-Odd").collect::<Vec<_>>(), [b"caf\xe9"]);
    let kept = owned.owned_headers().clone();
    drop(owned);
    assert_eq!(kept.as_headers().joined("host").as_deref(), Some("a.b"));
}
