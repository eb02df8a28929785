//! RFC 6455 §4.2, and RFC 9110 and 9112 on requests: the server's side of the opening handshake.

mod common;

use bytes::BytesMut;
use common::heads::{self, head};
use prism_core::{
    Accept, Config, Event, HandshakeError, InvalidHeader, Message, RecvBuffer, ServerHandshake,
};

const GOOD: [&str; 6] = [
    "GET /chat HTTP/1.1",
    "Host: example.org",
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version: 13",
];

const ANSWER: &str = "HTTP/1.1 101 Switching Protocols\r\n\
                      Upgrade: websocket\r\n\
                      Connection: Upgrade\r\n\
                      Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n";

/// The good request, with additional lines.
fn plus(lines: &[&str]) -> Vec<u8> {
    heads::plus(&GOOD, lines)
}

/// The good request, with other lines in place of the one that starts with `start`.
fn with(start: &str, lines: &[&str]) -> Vec<u8> {
    heads::with(&GOOD, start, lines)
}

/// The outcome of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Outcome {
    /// The response, and the bytes after the request.
    Accepted(String, Vec<u8>),
    Refused(HandshakeError),
    NeedsMore,
}

impl Outcome {
    fn status(&self) -> u16 {
        match self {
            Self::Accepted(..) => 101,
            Self::Refused(error) => error.status(),
            Self::NeedsMore => 0,
        }
    }
}

/// Passes a request in these pieces to a server that speaks `v2.chat` and `chat`.
fn serve<'a>(config: &Config, pieces: impl IntoIterator<Item = &'a [u8]>) -> Outcome {
    let mut handshake = ServerHandshake::new(config);
    let (mut input, mut out) = (RecvBuffer::new(), BytesMut::new());
    let mut outcome = Outcome::NeedsMore;
    for piece in pieces {
        input.extend_from_slice(piece);
        if !matches!(outcome, Outcome::NeedsMore) {
            continue;
        }
        match handshake.receive(&mut input) {
            Ok(None) => {}
            Ok(Some(mut offer)) => {
                offer.select_subprotocol(["v2.chat", "chat"]);
                offer.accept(&Accept::new(), config, &mut out);
                let answer = String::from_utf8(out.to_vec()).unwrap();
                outcome = Outcome::Accepted(answer, Vec::new());
            }
            Err(error) => outcome = Outcome::Refused(error),
        }
    }
    if let Outcome::Accepted(_, rest) = &mut outcome {
        rest.extend_from_slice(input.unparsed());
    }
    outcome
}

fn serve_whole(request: &[u8]) -> Outcome {
    serve(&Config::default(), [request])
}

/// Good requests, each with what it adds to the response.
fn good_requests() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    vec![
        ("the RFC's example", plus(&[]), ""),
        ("a value in odd case", with("Upgrade", &["uPGRADE: WebSocket"]), ""),
        ("a list", with("Connection", &["Connection: keep-alive, ,Upgrade"]), ""),
        ("two lines", with("Connection", &["Connection: keep-alive", "Connection: upgrade"]), ""),
        ("another protocol too", with("Upgrade", &["Upgrade: h2c, websocket"]), ""),
        ("no space", with("Upgrade", &["Upgrade:websocket"]), ""),
        ("spaces", with("Sec-WebSocket-V", &["Sec-WebSocket-Version: \t 13 \t"]), ""),
        ("an empty line before", [b"\r\n\r\n", &plus(&[])[..]].concat(), ""),
        ("a query", with("GET", &["GET /?a=b&c=%20d HTTP/1.1"]), ""),
        ("an absolute target", with("GET", &["GET ws://example.org/chat HTTP/1.1"]), ""),
        ("no body, sent so", plus(&["Content-Length: 0"]), ""),
        ("other bytes in a value", plus(&["X-A: caf\u{e9} \"\t"]), ""),
        ("an extension", plus(&["Sec-WebSocket-Extensions: permessage-deflate; a=\"1\", b"]), ""),
        ("names of methods", plus(&["Sec-WebSocket-Extensions: constructor; toString=x"]), ""),
        ("an empty subprotocol", plus(&["Sec-WebSocket-Protocol:"]), ""),
        (
            "empty subprotocols",
            plus(&["Sec-WebSocket-Protocol: ,,", "Sec-WebSocket-Protocol:"]),
            "",
        ),
        ("an empty extension", plus(&["Sec-WebSocket-Extensions: \t"]), ""),
        ("empty extensions", plus(&["Sec-WebSocket-Extensions: , ,"]), ""),
        (
            "an empty and a known one",
            plus(&["Sec-WebSocket-Protocol:", "Sec-WebSocket-Protocol: chat"]),
            "Sec-WebSocket-Protocol: chat\r\n",
        ),
        ("an unknown subprotocol", plus(&["Sec-WebSocket-Protocol: Chat, v3"]), ""),
        (
            "a known subprotocol",
            plus(&["Sec-WebSocket-Protocol: x,chat"]),
            "Sec-WebSocket-Protocol: chat\r\n",
        ),
        (
            "two known ones: the server's order counts",
            plus(&["Sec-WebSocket-Protocol: chat", "Sec-WebSocket-Protocol: v2.chat"]),
            "Sec-WebSocket-Protocol: v2.chat\r\n",
        ),
    ]
}

/// Bad requests, each with the status of its refusal.
fn bad_requests() -> Vec<(&'static str, Vec<u8>, u16)> {
    [bad_http(), bad_upgrades()].concat()
}

fn bad_http() -> Vec<(&'static str, Vec<u8>, u16)> {
    vec![
        // RFC 9112 §2.2, §5: the syntax of a head.
        ("LF alone", [&b"GET / HTTP/1.1\n"[..], &plus(&[])].concat(), 400),
        ("CR alone", plus(&["X-A: a\rb"]), 400),
        ("LF alone at the end of a header", plus(&["X-A: a\nX-B: b"]), 400),
        ("a line folded", with("Sec-WebSocket-K", &["Sec-WebSocket-Key: dGhl", " IHNhbXB="]), 400),
        ("the first header folded", with("Host", &[" Host: example.org"]), 400),
        ("space before the colon", plus(&["X-A : b"]), 400),
        ("no name", plus(&[": b"]), 400),
        ("no colon", plus(&["X-A"]), 400),
        ("a name that is no token", plus(&["X(A): b"]), 400),
        ("NUL", plus(&["X-A: a\0b"]), 400),
        ("ESC", plus(&["X-A: a\x1b[31m"]), 400),
        ("DEL", plus(&["X-A: \x7f"]), 400),
        // RFC 9112 §3: the request line.
        ("TLS", b"\x16\x03\x01\x00\xc8\x01\x00\x00\xc4\x03\x03".to_vec(), 400),
        ("a space first", b" GET / HTTP/1.1\r\n".to_vec(), 400),
        ("LF first", b"\nGET / HTTP/1.1\r\n".to_vec(), 400),
        ("the preface of HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), 505),
        ("HTTP/1.0", with("GET", &["GET / HTTP/1.0"]), 426),
        ("HTTP/2.0", with("GET", &["GET / HTTP/2.0"]), 505),
        ("no version", with("GET", &["GET /"]), 400),
        ("no such version", with("GET", &["GET / HTTP/11"]), 400),
        ("no such protocol", with("GET", &["GET / RTSP/1.0"]), 400),
        ("a space behind", with("GET", &["GET / HTTP/1.1 "]), 400),
        ("two spaces", with("GET", &["GET  / HTTP/1.1"]), 400),
        ("a space in the target", with("GET", &["GET /a b HTTP/1.1"]), 400),
        ("ESC in the target", with("GET", &["GET /\x1b[31mred HTTP/1.1"]), 400),
        ("a target that is not ASCII", with("GET", &["GET /\u{e9} HTTP/1.1"]), 400),
        ("a fragment", with("GET", &["GET /a#b HTTP/1.1"]), 400),
        ("an empty target", with("GET", &["GET  HTTP/1.1"]), 400),
        ("an asterisk", with("GET", &["GET * HTTP/1.1"]), 400),
        ("an authority", with("GET", &["GET example.org:80 HTTP/1.1"]), 400),
        ("another scheme", with("GET", &["GET file://example.org/ HTTP/1.1"]), 400),
        // RFC 9112 §3.2: Host.
        ("no Host", with("Host", &[]), 400),
        ("two Hosts", plus(&["host: example.org"]), 400),
        ("an empty Host", with("Host", &["Host: "]), 400),
        ("two Hosts in one", with("Host", &["Host: a b"]), 400),
        ("a Host with a path", with("Host", &["Host: a/b"]), 400),
        ("a Host with a user", with("Host", &["Host: a@b"]), 400),
        // RFC 9112 §6: the body.
        ("a body", plus(&["Content-Length: 5"]), 400),
        ("two lengths", plus(&["Content-Length: 0", "Content-Length: 5"]), 400),
        ("two equal lengths", plus(&["Content-Length: 0", "Content-Length: 0"]), 400),
        ("a length with a sign", plus(&["Content-Length: +0"]), 400),
        ("an endless length", plus(&["Content-Length: 99999999999999999999"]), 400),
        ("a transfer coding", plus(&["Transfer-Encoding: chunked"]), 400),
        ("a length and a coding", plus(&["Content-Length: 0", "Transfer-Encoding: x"]), 400),
    ]
}

fn bad_upgrades() -> Vec<(&'static str, Vec<u8>, u16)> {
    vec![
        // RFC 6455 §4.2.1, 1: the method.
        ("HEAD", with("GET", &["HEAD / HTTP/1.1"]), 405),
        ("POST", with("GET", &["POST / HTTP/1.1"]), 405),
        ("get", with("GET", &["get / HTTP/1.1"]), 405),
        ("CONNECT", with("GET", &["CONNECT / HTTP/1.1"]), 405),
        // 3 and 4: Upgrade and Connection.
        ("POST, no Upgrade", head(["POST / HTTP/1.1", "Host: a"]), 405),
        ("no Upgrade", with("Upgrade", &[]), 426),
        ("h2c", with("Upgrade", &["Upgrade: h2c"]), 426),
        ("websocketx", with("Upgrade", &["Upgrade: websocketx, web socket"]), 426),
        ("no Connection", with("Connection", &[]), 426),
        ("close", with("Connection", &["Connection: close"]), 426),
        ("notupgrade", with("Connection", &["Connection: notupgrade"]), 426),
        // 5: the key.
        ("no key", with("Sec-WebSocket-K", &[]), 400),
        ("an empty key", with("Sec-WebSocket-K", &["Sec-WebSocket-Key: "]), 400),
        ("15 bytes", with("Sec-WebSocket-K", &["Sec-WebSocket-Key: AQIDBAUGBwgJCgsMDQ4P"]), 400),
        ("18", with("Sec-WebSocket-K", &["Sec-WebSocket-Key: AQIDBAUGBwgJCgsMDQ4PEBES"]), 400),
        (
            "no padding",
            with("Sec-WebSocket-K", &["Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ"]),
            400,
        ),
        ("two keys", plus(&["Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="]), 400),
        // 6 and §4.4: the version.
        ("no version of WebSocket", with("Sec-WebSocket-V", &[]), 426),
        ("version 8", with("Sec-WebSocket-V", &["Sec-WebSocket-Version: 8"]), 426),
        ("version 99", with("Sec-WebSocket-V", &["Sec-WebSocket-Version: 99"]), 426),
        ("version 255", with("Sec-WebSocket-V", &["Sec-WebSocket-Version: 255"]), 426),
        ("version 013", with("Sec-WebSocket-V", &["Sec-WebSocket-Version: 013"]), 400),
        ("version 13x", with("Sec-WebSocket-V", &["Sec-WebSocket-Version: 13x"]), 400),
        ("versions 13, 8", with("Sec-WebSocket-V", &["Sec-WebSocket-Version: 13, 8"]), 400),
        ("two versions", plus(&["Sec-WebSocket-Version: 13"]), 400),
        // 8 and 9: subprotocols and extensions.
        ("a subprotocol with a space", plus(&["Sec-WebSocket-Protocol: a b"]), 400),
        ("a subprotocol in quotes", plus(&["Sec-WebSocket-Protocol: \"a\""]), 400),
        ("a parameter without a name", plus(&["Sec-WebSocket-Extensions: deflate; =1"]), 400),
        ("an open quote", plus(&["Sec-WebSocket-Extensions: a; b=\"c"]), 400),
        // The limits.
        ("too many headers", plus(&["X: y"; 100]), 431),
        ("a thousand headers", plus(&["X: y"; 1000]), 431),
        ("a header that is too large", plus(&[&format!("X: {}", "y".repeat(16 << 10))]), 431),
        ("a target that is too large", format!("GET /{}", "a".repeat(16 << 10)).into(), 431),
        ("empty lines without end", b"\r\n".repeat(9 << 10), 431),
    ]
}

#[test]
fn a_later_http_1_version_is_read_as_http_1_1() {
    for version in ["HTTP/1.1", "HTTP/1.2", "HTTP/1.9"] {
        let mut input = RecvBuffer::new();
        input.extend_from_slice(format!("GET /a {version}\r\nHost: h\r\n\r\n").as_bytes());
        let request = ServerHandshake::new(&Config::default()).receive_request(&mut input);
        assert_eq!(request.unwrap().expect("a whole request").path(), "/a", "{version}");
    }
}

#[test]
fn good_requests_are_accepted() {
    for (name, request, added) in good_requests() {
        let answer = format!("{ANSWER}{added}\r\n");
        assert_eq!(serve_whole(&request), Outcome::Accepted(answer, Vec::new()), "{name}");
    }
}

#[test]
fn bad_requests_are_refused_with_the_right_status() {
    for (name, request, status) in bad_requests() {
        let outcome = serve_whole(&request);
        assert_eq!(outcome.status(), status, "{name}: {outcome:?}");
    }
}

#[test]
fn the_outcome_does_not_depend_on_how_a_request_is_cut() {
    let good = good_requests().into_iter().map(|(name, request, _)| (name, request));
    let bad = bad_requests().into_iter().map(|(name, request, _)| (name, request));
    let config = Config::default();
    for (name, mut request) in good.chain(bad) {
        request.extend_from_slice(b"what follows");
        let whole = serve(&config, [&request[..]]);
        assert_eq!(serve(&config, request.chunks(1)), whole, "{name}, byte by byte");
        // Long requests repeat themselves, and are cut in some places only.
        for cut in (0..request.len()).filter(|cut| *cut < 1000 || cut % 997 == 0) {
            let pieces = request.split_at(cut);
            assert_eq!(serve(&config, [pieces.0, pieces.1]), whole, "{name}, cut at {cut}");
        }
    }
}

#[test]
fn an_unfinished_request_needs_more_bytes() {
    let request = plus(&[]);
    for end in 0..request.len() {
        assert_eq!(serve_whole(&request[..end]), Outcome::NeedsMore, "{end}");
    }
}

#[test]
fn bytes_after_the_request_are_kept() {
    let mut handshake = ServerHandshake::new(&Config::default());
    let (mut input, mut out) = (RecvBuffer::new(), BytesMut::new());
    input.extend_from_slice(&plus(&[]));
    input.extend_from_slice(b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"); // §5.7: "Hello"
    let offer = handshake.receive(&mut input).unwrap().unwrap();
    let mut ws = offer.accept(&Accept::new(), &Config::default(), &mut out);
    let event = ws.receive(&mut input, &mut out).unwrap().unwrap();
    assert_eq!(event, Event::Message(Message::Text("Hello")));
}

#[test]
fn the_configured_limits_are_exact() {
    let request = plus(&[]);
    let mut config = Config::default().max_headers(5).max_head_size(request.len());
    assert_eq!(serve(&config, [&request[..]]).status(), 101);
    config.max_head_size -= 1;
    let too_large = HandshakeError::HeadTooLarge(request.len() - 1);
    assert_eq!(serve(&config, [&request[..]]), Outcome::Refused(too_large));
    config.max_headers = 4;
    let too_many = HandshakeError::TooManyHeaders(4);
    assert_eq!(serve(&config, [&request[..]]), Outcome::Refused(too_many));
}

#[test]
fn one_header_over_the_limit_is_refused_as_soon_as_it_arrives() {
    let lines: Vec<_> = (0..100 - 5).map(|n| format!("X-{n}: y")).collect();
    let mut lines: Vec<_> = lines.iter().map(String::as_str).collect();
    assert_eq!(serve(&Config::default(), [&plus(&lines)[..]]).status(), 101);

    lines.push("X-One-More: y");
    let request = plus(&lines);
    // The rest of the head is not awaited.
    let unfinished = &request[..request.len() - 2];
    let refused = Outcome::Refused(HandshakeError::TooManyHeaders(100));
    assert_eq!(serve(&Config::default(), [unfinished]), refused);
    assert_eq!(refused.status(), 431);
}

#[test]
fn a_plain_request_is_read() {
    let mut handshake = ServerHandshake::new(&Config::default());
    let mut input = RecvBuffer::new();
    let lines =
        ["POST http://a.b:1/x/y?z=1?2 HTTP/1.1", "Host: c", "content-length: 3", "X: 1", "x: 2"];
    input.extend_from_slice(&head(lines));
    input.extend_from_slice(b"abc");
    let request = handshake.receive_request(&mut input).unwrap().unwrap();
    assert_eq!((request.method(), request.target()), ("POST", "http://a.b:1/x/y?z=1?2"));
    assert_eq!((request.path(), request.query()), ("/x/y", Some("z=1?2")));
    assert_eq!((request.host(), request.header("host").as_deref()), ("a.b:1", Some("c")));
    assert_eq!(request.header("X").as_deref(), Some("1, 2"));
    let values: Vec<_> = request.headers().all("X").collect();
    assert_eq!(values, [b"1", b"2"]);
    assert!(!request.wants_upgrade());
    assert_eq!(request.upgrade().err(), Some(HandshakeError::MethodNotAllowed));
    assert_eq!(input.unparsed(), b"abc");
}

#[test]
fn a_connection_has_one_request() {
    let mut handshake = ServerHandshake::new(&Config::default());
    let mut input = RecvBuffer::new();
    input.extend_from_slice(&plus(&[]).repeat(2));
    assert!(handshake.receive(&mut input).unwrap().is_some());
    assert_eq!(handshake.receive(&mut input).err(), Some(HandshakeError::Finished));
}

#[test]
fn an_error_is_final() {
    for (name, request, _) in bad_requests() {
        let mut handshake = ServerHandshake::new(&Config::default());
        let mut input = RecvBuffer::new();
        input.extend_from_slice(&request);
        let error = handshake.receive(&mut input).err();
        input.clear();
        input.extend_from_slice(&plus(&[]));
        assert!(error.is_some(), "{name}");
        assert_eq!(handshake.receive(&mut input).err(), error, "{name}");
        assert_eq!(handshake.receive_request(&mut input).err(), error, "{name}");
    }
}

#[test]
fn an_offer_lists_its_subprotocols() {
    let mut handshake = ServerHandshake::new(&Config::default());
    let mut input = RecvBuffer::new();
    input.extend_from_slice(&plus(&["Sec-WebSocket-Protocol: a, b", "sec-websocket-protocol: c"]));
    let mut offer = handshake.receive(&mut input).unwrap().unwrap();
    assert_eq!(offer.subprotocols().collect::<Vec<_>>(), ["a", "b", "c"]);
    assert_eq!(offer.subprotocol(), None);
    assert_eq!(offer.select_subprotocol(["x", "c", "a"]), Some("c"));
    assert_eq!(offer.subprotocol(), Some("c"));
    assert_eq!(offer.select_subprotocol(["A"]), None);
    assert_eq!(offer.subprotocol(), None);
}

#[test]
fn the_response_has_the_headers_of_the_server() -> Result<(), InvalidHeader> {
    let config = Config::default();
    let mut handshake = ServerHandshake::new(&config);
    let (mut input, mut out) = (RecvBuffer::new(), BytesMut::new());
    input.extend_from_slice(&plus(&[]));
    let offer = handshake.receive(&mut input).unwrap().unwrap();
    let accept = Accept::new().header("Set-Cookie", "a=b")?.header("Set-Cookie", "c=d")?;
    offer.accept(&accept, &config, &mut out);
    let answer = format!("{ANSWER}Set-Cookie: a=b\r\nSet-Cookie: c=d\r\n\r\n");
    assert_eq!(out, answer.as_bytes());

    let refused = |name, value| Accept::new().header(name, value).err();
    assert_eq!(refused("X-A", "b\r\nX-B: c"), Some(InvalidHeader::Value));
    assert_eq!(refused("X-A\r\n", "b"), Some(InvalidHeader::Name));
    assert_eq!(refused("Sec-WebSocket-Protocol", "b"), Some(InvalidHeader::Reserved));
    Ok(())
}

#[test]
fn a_refusal_says_what_was_expected() {
    let reply = |error: HandshakeError| {
        let mut out = BytesMut::new();
        error.reply().write(&mut out, false);
        String::from_utf8(out.to_vec()).unwrap()
    };
    let text = reply(HandshakeError::InvalidKey);
    assert!(text.starts_with("HTTP/1.1 400 Bad Request\r\nConnection: close\r\n"), "{text}");
    assert!(text.ends_with("expected exactly one, 16 bytes in base64\n"));
    let text = reply(HandshakeError::UnsupportedVersion);
    assert!(text.starts_with("HTTP/1.1 426 Upgrade Required\r\n"), "{text}");
    for line in ["Upgrade: websocket", "Connection: Upgrade, close", "Sec-WebSocket-Version: 13"] {
        assert!(text.contains(&format!("\r\n{line}\r\n")), "{text}");
    }
    assert!(reply(HandshakeError::MethodNotAllowed).contains("\r\nAllow: GET\r\n"));
}

#[test]
fn debug_output_is_escaped() {
    let mut handshake = ServerHandshake::new(&Config::default());
    let mut input = RecvBuffer::new();
    input.extend_from_slice(&plus(&["X-A: \u{202e}\u{9b}31m"]));
    let offer = handshake.receive(&mut input).unwrap().unwrap();
    let shown = format!("{offer:?}");
    assert!(shown.is_ascii() && !shown.contains(char::is_control), "{shown}");
}
