//! RFC 6455 §4.2, and RFC 9110 and 9112 on requests: the server's side of the opening handshake.

use bytes::BytesMut;
use prism_core::{
    Accept, Config, Event, HandshakeError, InvalidHeader, Message, OwnedOffer, OwnedRequest,
    RecvBuffer, ServerHandshake, State,
};

use crate::common::{
    heads::head,
    upgrades::{bad_requests, good_requests, plus},
};

const ANSWER: &str = "HTTP/1.1 101 Switching Protocols\r\n\
                      Upgrade: websocket\r\n\
                      Connection: Upgrade\r\n\
                      Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n";

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

#[test]
fn a_later_header_that_ends_like_a_version_is_no_version() {
    for line in ["GET /", "G", "GET / HTTP", "GET / HTTP/1", "GET / HTTP/1."] {
        for header in ["Host: 1.2", "User-Agent: curl/8.2", "X: HTTP/1.2", "X: y HTTP/1.9", ":.2"] {
            let head = format!("{line}\r\n{header}\r\n\r\n");
            let mut input = RecvBuffer::new();
            input.extend_from_slice(head.as_bytes());
            let request = ServerHandshake::new(&Config::default()).receive_request(&mut input);
            assert!(request.is_err(), "{head:?}");
        }
    }
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
    // A limit of more than 128 counts as 128.
    for (config, limit) in [(Config::default(), 100), (Config::default().max_headers(1000), 128)] {
        let mut lines = vec!["X: y"; limit - 5];
        assert_eq!(serve(&config, [&plus(&lines)[..]]).status(), 101);

        lines.push("X-One-More: y");
        let request = plus(&lines);
        // The rest of the head is not awaited.
        let unfinished = &request[..request.len() - 2];
        let refused = Outcome::Refused(HandshakeError::TooManyHeaders(limit));
        assert_eq!(serve(&config, [unfinished]), refused);
        assert_eq!(refused.status(), 431);
    }
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
fn an_owned_offer_lists_the_same_subprotocols() {
    let mut handshake = ServerHandshake::new(&Config::default());
    let mut input = RecvBuffer::new();
    input.extend_from_slice(&plus(&["Sec-WebSocket-Protocol: a, b", "sec-websocket-protocol: c"]));
    let mut offer = handshake.receive(&mut input).unwrap().unwrap();
    offer.select_subprotocol(["b"]);
    let mut offer = offer.into_owned();
    assert_eq!(offer.subprotocol(), Some("b"), "what was selected before stays so");
    assert_eq!(offer.subprotocols().collect::<Vec<_>>(), ["a", "b", "c"]);
    assert_eq!(offer.select_subprotocol(["x", "c", "a"]), Some("c"));
    assert_eq!(offer.subprotocol(), Some("c"));
    assert_eq!(offer.select_subprotocol(["A"]), None);
    assert_eq!(offer.subprotocol(), None);
}

#[test]
fn a_later_response_equals_an_immediate_one() -> Result<(), InvalidHeader> {
    let (config, own) = (Config::default(), ["v2.chat", "chat"]);
    let accept = Accept::new().header("Set-Cookie", "a=b")?;
    for (name, request, _) in good_requests() {
        let (mut input, mut at_once, mut later) =
            (RecvBuffer::new(), BytesMut::new(), BytesMut::new());
        input.extend_from_slice(&request);
        let mut offer = ServerHandshake::new(&config).receive(&mut input).unwrap().unwrap();
        let mut owned = offer.request().upgrade().unwrap().into_owned();
        offer.select_subprotocol(own);
        offer.accept(&accept, &config, &mut at_once);

        input.clear();
        input.extend_from_slice(&vec![b'#'; 2 * request.len()]);
        let kept = owned.request().clone();
        owned.select_subprotocol(own);
        let ws = owned.accept(&accept, &config, &mut later);
        assert_eq!(later, at_once, "{name}");
        assert_eq!((ws.state(), kept.method()), (State::Open, "GET"), "{name}");
    }
    Ok(())
}

/// A server may have another thread decide about an offer.
#[test]
fn owned_requests_and_offers_can_be_sent_to_other_threads() {
    const fn assert_shareable<T: Clone + Send + Sync + 'static>() {}
    assert_shareable::<OwnedRequest>();
    assert_shareable::<OwnedOffer>();
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
