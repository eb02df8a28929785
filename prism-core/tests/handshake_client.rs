//! RFC 6455 §4.1, and RFC 9110 and 9112 on responses: the client's side of the opening handshake.

use bytes::BytesMut;
use prism_core::{
    Accept, Answer, ClientHandshake, ClientRequest, Config, Event, HandshakeError, InvalidHeader,
    InvalidRequest, MaskKeys, Message, RecvBuffer, ServerHandshake,
};

use crate::common::{
    answers::{Ends, bad_answers, good_answers, plus, refusals},
    heads::head,
};

const NONCE: [u8; 16] = *b"the sample nonce";

fn keys() -> MaskKeys {
    MaskKeys::new(|bytes| bytes.fill(0))
}

/// Starts a client's handshake that offers `chat` and `v2.chat`.
fn start(config: &Config) -> ClientHandshake {
    let request = ClientRequest::new("example.org", "/chat").unwrap();
    let request = request.subprotocol("chat").unwrap().subprotocol("v2.chat").unwrap();
    ClientHandshake::start(config, &request, NONCE, &mut BytesMut::new())
}

/// The outcome of a response.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Outcome {
    /// The subprotocol, and the bytes after the response.
    Accepted(Option<String>, Vec<u8>),
    /// The status and the body.
    Refused(u16, Vec<u8>),
    Error(HandshakeError),
    NeedsMore,
}

impl From<Answer<'_>> for Outcome {
    fn from(answer: Answer<'_>) -> Self {
        match answer {
            Answer::Accepted(accepted) => {
                Self::Accepted(accepted.subprotocol().map(String::from), Vec::new())
            }
            Answer::Refused(response) => Self::Refused(response.status(), response.body().into()),
        }
    }
}

/// Passes a response to a client in these pieces, and then, if necessary, the end of the transport.
fn receive<'a>(config: &Config, pieces: impl IntoIterator<Item = &'a [u8]>, eof: bool) -> Outcome {
    let mut handshake = start(config);
    let mut input = RecvBuffer::new();
    let mut outcome = Outcome::NeedsMore;
    for piece in pieces {
        input.extend_from_slice(piece);
        if matches!(outcome, Outcome::NeedsMore) {
            outcome = match handshake.receive(&mut input) {
                Ok(None) => Outcome::NeedsMore,
                Ok(Some(answer)) => answer.into(),
                Err(error) => Outcome::Error(error),
            };
        }
    }
    if eof && outcome == Outcome::NeedsMore {
        outcome = handshake.receive_eof(&mut input).map_or_else(Outcome::Error, Outcome::from);
    }
    if let Outcome::Accepted(_, rest) = &mut outcome {
        rest.extend_from_slice(input.unparsed());
    }
    outcome
}

fn receive_whole(answer: &[u8]) -> Outcome {
    receive(&Config::default(), [answer], false)
}

#[test]
fn the_request_is_that_of_the_rfc() -> Result<(), InvalidRequest> {
    let request = ClientRequest::new("server.example.com", "/chat?a=b")?
        .origin("http://example.com")?
        .subprotocol("chat")?
        .header("X-A", "b")?
        .subprotocol("superchat")?;
    let mut out = BytesMut::new();
    let _handshake = ClientHandshake::start(&Config::default(), &request, NONCE, &mut out);
    let expected = head([
        "GET /chat?a=b HTTP/1.1",
        "Host: server.example.com",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Protocol: chat, superchat",
        "Origin: http://example.com",
        "X-A: b",
    ]);
    assert_eq!(out, expected);
    Ok(())
}

#[test]
fn headers_cannot_be_injected_into_a_request() {
    use InvalidRequest::{Header, Host, Subprotocol, Target};
    for target in
        ["", "a", "/a b", "/a\r\nX: y", "/\t", "/\0", "/\x7f", "/\u{e9}", "/a#b", "*", "ws://a/"]
    {
        assert_eq!(ClientRequest::new("h", target).err(), Some(Target), "{target:?}");
    }
    let zones = ["[fe80::1%25eth0]", "[fe80::1%eth0]:80"];
    for host in ["", "a b", "a\r\nX: y", "a/b", "u@a", "a#", "\u{e9}", "a\0"].iter().chain(&zones) {
        assert_eq!(ClientRequest::new(host, "/").err(), Some(Host), "{host:?}");
    }
    let request = || ClientRequest::new("[::1]:80", "/").unwrap();
    for subprotocol in ["", "a b", "a,b", "a\r\nX: y", "\"a\"", "\u{e9}"] {
        assert_eq!(request().subprotocol(subprotocol).err(), Some(Subprotocol), "{subprotocol:?}");
    }
    let twice = request().subprotocol("a").and_then(|request| request.subprotocol("a"));
    assert_eq!(twice.err(), Some(InvalidRequest::DuplicateSubprotocol));
    let value = Some(Header(InvalidHeader::Value));
    assert_eq!(request().header("X", "a\r\nY: b").err(), value);
    assert_eq!(request().origin("a\nb").err(), value);
    assert_eq!(request().header("X Y", "a").err(), Some(Header(InvalidHeader::Name)));
    for name in ["host", "Upgrade", "connection", "Sec-WebSocket-Key", "content-length"] {
        assert_eq!(request().header(name, "a").err(), Some(Header(InvalidHeader::Reserved)));
    }
}

#[test]
fn good_responses_open_the_connection() {
    for (name, answer, subprotocol) in good_answers() {
        let expected = Outcome::Accepted(subprotocol.map(String::from), Vec::new());
        assert_eq!(receive_whole(&answer), expected, "{name}");
    }
}

#[test]
fn bad_responses_are_refused() {
    for (name, answer, error) in bad_answers() {
        assert_eq!(receive_whole(&answer), Outcome::Error(error), "{name}");
    }
}

#[test]
fn a_refusal_has_the_first_8_kib_of_its_body() {
    for (name, answer, (status, body), ends) in refusals() {
        let refused = Outcome::Refused(status, body);
        let at_once = if ends == Ends::ByItself { refused.clone() } else { Outcome::NeedsMore };
        assert_eq!(receive_whole(&answer), at_once, "{name}");
        assert_eq!(receive(&Config::default(), [&answer[..]], true), refused, "{name}");
    }
}

/// The status decides. What follows changes nothing, and so is not awaited indefinitely.
#[test]
fn a_refusal_is_known_from_its_status_on() {
    for (name, answer, (status, whole), _) in refusals() {
        let known_from = "HTTP/1.1 503 ".len();
        for cut in (0..answer.len()).filter(|cut| *cut < 1000 || cut % 97 == 0) {
            let (mut handshake, mut input) = (start(&Config::default()), RecvBuffer::new());
            input.extend_from_slice(&answer[..cut]);
            if handshake.receive(&mut input).unwrap().is_some() {
                break;
            }
            assert_eq!(handshake.is_refused(), cut >= known_from, "{name}, {cut}");
            match handshake.receive_eof(&mut input).map(Outcome::from) {
                Ok(Outcome::Refused(known, body)) => {
                    assert!(cut >= known_from, "{name}, {cut}");
                    assert!(known == status && whole.starts_with(&body), "{name}, {cut}: {body:?}");
                }
                other => {
                    assert_eq!(other, Err(HandshakeError::UnexpectedEof));
                    assert!(cut < known_from, "{name}, {cut}");
                }
            }
            assert!(!handshake.is_refused(), "{name}, {cut}: it is over");
        }
    }
}

#[test]
fn a_refusal_with_a_bad_head_has_neither_headers_nor_body() {
    let large = format!("Set-Cookie: {}", "y".repeat(16 << 10));
    for line in ["Retry After: 5", " folded: 1", "X: \0", "X: a\nb", &large] {
        let answer = head(["HTTP/1.1 503 Busy", "Content-Length: 2", line]);
        let answer = [&answer[..], b"no"].concat();
        for pieces in [vec![&answer[..]], answer.chunks(1).collect()] {
            let (mut handshake, mut input) = (start(&Config::default()), RecvBuffer::new());
            let refused = pieces.iter().any(|piece| {
                input.extend_from_slice(piece);
                let Some(Answer::Refused(response)) = handshake.receive(&mut input).unwrap() else {
                    return false;
                };
                assert_eq!((response.status(), response.body()), (503, &b""[..]));
                assert_eq!(response.headers().iter().count(), 0);
                true
            });
            assert!(refused, "{line:?}");
        }
    }
}

#[test]
fn an_invalid_response_is_refused_at_its_first_wrong_byte() {
    for (start, error) in [
        ("SSH-", HandshakeError::NotHttp),
        ("HTTP/2.0", HandshakeError::UnsupportedHttpVersion),
        ("HTTP/1.0 101 ", HandshakeError::UnsupportedHttpVersion),
        ("HTTP/1.1 1010", HandshakeError::InvalidStatusLine),
    ] {
        assert_eq!(receive_whole(start.as_bytes()), Outcome::Error(error), "{start}");
        let before = &start.as_bytes()[..start.len() - 1];
        let expected = if start == "SSH-" { Outcome::Error(error) } else { Outcome::NeedsMore };
        assert_eq!(receive_whole(before), expected, "{start}");
    }
}

#[test]
fn the_outcome_does_not_depend_on_how_a_response_is_cut() {
    let good = good_answers().into_iter().map(|(name, answer, _)| (name, answer));
    let bad = bad_answers().into_iter().map(|(name, answer, _)| (name, answer));
    let refusals = refusals().into_iter().map(|(name, answer, ..)| (name, answer));
    let config = Config::default();
    for (name, answer) in good.chain(bad).chain(refusals) {
        let whole = receive(&config, [&answer[..]], true);
        assert_eq!(receive(&config, answer.chunks(1), true), whole, "{name}, byte by byte");
        for cut in (0..answer.len()).filter(|cut| *cut < 1000 || cut % 997 == 0) {
            let pieces = answer.split_at(cut);
            assert_eq!(receive(&config, [pieces.0, pieces.1], true), whole, "{name}, cut at {cut}");
        }
    }
}

#[test]
fn interim_responses_count_for_the_limit_however_they_are_cut() {
    let interim = b"HTTP/1.1 100 Continue\r\n\r\n";
    let answer = [&interim[..], b"HARDLY"].concat();
    for left in 0..=3 {
        let config = Config::default().max_head_size(interim.len() + left);
        let too_large = HandshakeError::HeadTooLarge(config.max_head_size);
        let error = if left < 2 { too_large } else { HandshakeError::NotHttp };
        assert_eq!(receive(&config, [&answer[..]], true), Outcome::Error(error), "{left} left");
        assert_eq!(receive(&config, answer.chunks(1), true), Outcome::Error(error), "{left} left");
    }
}

#[test]
fn an_unfinished_response_is_an_error() {
    let answer = plus(&[]);
    for end in 0..answer.len() {
        assert_eq!(
            receive(&Config::default(), [&answer[..end]], true),
            Outcome::Error(HandshakeError::UnexpectedEof),
            "{end}"
        );
    }
}

#[test]
fn bytes_after_the_response_are_kept() {
    let config = Config::default();
    let (mut input, mut out) = (RecvBuffer::new(), BytesMut::new());
    let mut handshake = start(&config);
    input.extend_from_slice(&plus(&[]));
    input.extend_from_slice(b"\x81\x05first");
    let Some(Answer::Accepted(accepted)) = handshake.receive(&mut input).unwrap() else {
        panic!("a good answer");
    };
    assert_eq!((accepted.response().status(), accepted.subprotocol()), (101, None));
    let mut ws = accepted.into_websocket(&config, keys());
    let event = ws.receive(&mut input, &mut out).unwrap();
    assert_eq!(event, Some(Event::Message(Message::Text("first"))));
}

#[test]
fn the_outcome_is_final() {
    for (name, answer, error) in bad_answers() {
        let mut handshake = start(&Config::default());
        let mut input = RecvBuffer::new();
        input.extend_from_slice(&answer);
        assert_eq!(handshake.receive(&mut input).err(), Some(error), "{name}");
        input.clear();
        input.extend_from_slice(&plus(&[]));
        assert_eq!(handshake.receive(&mut input).err(), Some(error), "{name}");
        assert_eq!(handshake.receive_eof(&mut input).err(), Some(error), "{name}");
    }
    let mut handshake = start(&Config::default());
    let mut input = RecvBuffer::new();
    input.extend_from_slice(&plus(&[]).repeat(2));
    assert!(handshake.receive(&mut input).unwrap().is_some());
    assert_eq!(handshake.receive(&mut input).err(), Some(HandshakeError::Finished));
}

#[test]
fn a_client_and_a_server_agree_on_a_subprotocol() {
    let config = Config::default();
    let (mut to_server, mut to_client) = (RecvBuffer::new(), RecvBuffer::new());
    let mut out = BytesMut::new();
    let request = ClientRequest::new("example.org:80", "/").unwrap().subprotocol("chat").unwrap();
    let mut client = ClientHandshake::start(&config, &request, NONCE, &mut out);
    to_server.extend_from_slice(&out.split());

    let mut server = ServerHandshake::new(&config);
    let mut offer = server.receive(&mut to_server).unwrap().unwrap();
    assert_eq!(offer.select_subprotocol(["chat"]), Some("chat"));
    let mut server = offer.accept(&Accept::new(), &config, &mut out);
    server.send("welcome", &mut out).unwrap();
    to_client.extend_from_slice(&out.split());

    let Some(Answer::Accepted(accepted)) = client.receive(&mut to_client).unwrap() else {
        panic!("a good answer");
    };
    assert_eq!(accepted.subprotocol(), Some("chat"));
    let mut client = accepted.into_websocket(&config, keys());
    let event = client.receive(&mut to_client, &mut out).unwrap();
    assert_eq!(event, Some(Event::Message(Message::Text("welcome"))));
}
