//! RFC 6455 §4.1, and what RFC 9110 and 9112 say of an answer: the client's side of the opening
//! handshake.

mod common;

use bytes::BytesMut;
use common::heads::{self, head};
use prism_core::{
    Accept, Answer, ClientHandshake, ClientRequest, Config, Event, HandshakeError, InvalidHeader,
    InvalidRequest, MaskKeys, Message, RecvBuffer, ServerHandshake,
};

const NONCE: [u8; 16] = *b"the sample nonce";

const GOOD: [&str; 4] = [
    "HTTP/1.1 101 Switching Protocols",
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
];

/// The good answer, with more lines.
fn plus(lines: &[&str]) -> Vec<u8> {
    heads::plus(&GOOD, lines)
}

/// The good answer, with lines in place of the one that begins with `start`.
fn with(start: &str, lines: &[&str]) -> Vec<u8> {
    heads::with(&GOOD, start, lines)
}

fn keys() -> MaskKeys {
    MaskKeys::new(|bytes| bytes.fill(0))
}

/// A client's handshake, that has offered `chat` and `v2.chat`.
fn start(config: &Config) -> ClientHandshake {
    let request = ClientRequest::new("example.org", "/chat").unwrap();
    let request = request.protocol("chat").unwrap().protocol("v2.chat").unwrap();
    ClientHandshake::start(config, &request, NONCE, &mut BytesMut::new())
}

/// What came of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Outcome {
    /// The sub-protocol, and what was behind the answer.
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
                Self::Accepted(accepted.protocol().map(String::from), Vec::new())
            }
            Answer::Refused(response) => Self::Refused(response.status(), response.body().into()),
        }
    }
}

/// A client gets an answer in these pieces, and then the end of the transport, if it is needed.
fn hear<'a>(config: &Config, pieces: impl IntoIterator<Item = &'a [u8]>, eof: bool) -> Outcome {
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

fn hear_whole(answer: &[u8]) -> Outcome {
    hear(&Config::default(), [answer], false)
}

/// The answers that open the connection, each with its sub-protocol.
fn good_answers() -> Vec<(&'static str, Vec<u8>, Option<&'static str>)> {
    let interim = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n";
    vec![
        ("the RFC's example", plus(&[]), None),
        ("names and values in odd case", with("Upgrade", &["uPgRaDe: WebSocket"]), None),
        ("a list", with("Connection", &["CONNECTION: keep-alive, upgrade"]), None),
        ("no phrase", with("HTTP", &["HTTP/1.1 101 "]), None),
        ("no phrase and no space", with("HTTP", &["HTTP/1.1 101"]), None),
        ("another phrase", with("HTTP", &["HTTP/1.1 101 caf\u{e9} \t!"]), None),
        (
            "white space",
            with("Sec", &["Sec-WebSocket-Accept: \t s3pPLMBiTxaQ9kYGzzhZRbK+xOo= "]),
            None,
        ),
        ("a sub-protocol", plus(&["Sec-WebSocket-Protocol: v2.chat"]), Some("v2.chat")),
        ("interim answers before", [&interim[..], &plus(&[])].concat(), None),
    ]
}

/// The answers that do not, each with its error.
fn bad_answers() -> Vec<(&'static str, Vec<u8>, HandshakeError)> {
    use HandshakeError::*;
    let accept = |value| with("Sec", &[&format!("Sec-WebSocket-Accept: {value}")]);
    vec![
        // RFC 9112 §2.2, §4, §5: the syntax of a head.
        ("garbage", b"\x00\xff\x13garbage\r\n\r\n".to_vec(), NotHttp),
        ("another protocol", b"HTTX".to_vec(), NotHttp),
        ("an empty line before", [b"\r\n", &plus(&[])[..]].concat(), NotHttp),
        ("HTTP/1.0", with("HTTP", &["HTTP/1.0 101 Switching Protocols"]), UnsupportedHttpVersion),
        ("HTTP/2.0", with("HTTP", &["HTTP/2.0 101 Switching Protocols"]), UnsupportedHttpVersion),
        ("HTTP/1.0 400", with("HTTP", &["HTTP/1.0 400 Bad Request"]), UnsupportedHttpVersion),
        ("no status", with("HTTP", &["HTTP/1.1 "]), InvalidStatusLine),
        ("a status of four digits", with("HTTP", &["HTTP/1.1 1010 x"]), InvalidStatusLine),
        ("a status of two digits", with("HTTP", &["HTTP/1.1 10 x"]), InvalidStatusLine),
        ("status 000", with("HTTP", &["HTTP/1.1 000 x"]), InvalidStatusLine),
        ("two spaces", with("HTTP", &["HTTP/1.1  101 x"]), InvalidStatusLine),
        ("LF alone", b"HTTP/1.1 101 Switching Protocols\n".to_vec(), BareNewline),
        ("CR alone", plus(&["X-A: a\rb"]), BareNewline),
        ("a line folded", plus(&["X-A: a", "\tb"]), FoldedHeader),
        ("NUL", plus(&["X-A: a\0b"]), ControlCharacter),
        ("ESC in the phrase", with("HTTP", &["HTTP/1.1 101 \x1b[31m"]), ControlCharacter),
        ("a space before the colon", plus(&["X-A : b"]), InvalidHeader),
        ("no name", plus(&[": b"]), InvalidHeader),
        ("no colon", plus(&["X-A"]), InvalidHeader),
        // RFC 6455 §4.1, 2 to 6: what a 101 must say.
        ("no Upgrade", with("Upgrade", &[]), MissingUpgrade),
        ("another Upgrade", with("Upgrade", &["Upgrade: websocketx"]), MissingUpgrade),
        ("two Upgrades", with("Upgrade", &["Upgrade: websocket, h2c"]), MissingUpgrade),
        ("no Connection", with("Connection", &[]), MissingConnection),
        ("close", with("Connection", &["Connection: close"]), MissingConnection),
        ("no accept", with("Sec", &[]), InvalidAccept),
        ("an accept for another key", accept("AAAAAAAAAAAAAAAAAAAAAAAAAAA="), InvalidAccept),
        ("an accept cut short", accept("s3pPLMBiTxaQ9kYGzzhZRbK+xOo"), InvalidAccept),
        ("an accept in another case", accept("S3PPLMBITXAQ9KYGZZHZRBK+XOO="), InvalidAccept),
        (
            "two accepts",
            plus(&["Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo="]),
            InvalidAccept,
        ),
        ("an extension", plus(&["Sec-WebSocket-Extensions: x-surprise"]), UnexpectedExtension),
        ("an empty extension", plus(&["Sec-WebSocket-Extensions:"]), UnexpectedExtension),
        ("another sub-protocol", plus(&["Sec-WebSocket-Protocol: surprise"]), UnexpectedProtocol),
        ("another case", plus(&["Sec-WebSocket-Protocol: Chat"]), UnexpectedProtocol),
        ("an empty sub-protocol", plus(&["Sec-WebSocket-Protocol:"]), UnexpectedProtocol),
        ("two in one line", plus(&["Sec-WebSocket-Protocol: chat, v2.chat"]), UnexpectedProtocol),
        ("two in two lines", plus(&["Sec-WebSocket-Protocol: chat"; 2]), UnexpectedProtocol),
        // The limits.
        ("too many headers", plus(&["X: y"; 98]), TooManyHeaders(100)),
        ("a large head", plus(&[&format!("X: {}", "y".repeat(16 << 10))]), HeadTooLarge(16 << 10)),
        (
            "interim answers without end",
            b"HTTP/1.1 100 x\r\n\r\n".repeat(911),
            HeadTooLarge(16 << 10),
        ),
    ]
}

/// When a refusal is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ends {
    ByItself,
    WithTheTransport,
}

/// The answers that refuse, each with what comes of it, and when.
fn refusals() -> Vec<(&'static str, Vec<u8>, Outcome, Ends)> {
    use Ends::{ByItself, WithTheTransport};
    let answer = |lines: &[&str], body: &[u8]| [&head(lines.iter().copied())[..], body].concat();
    let refused = |status, body: &[u8]| Outcome::Refused(status, body.into());
    let long = [b'x'; 8 << 10];
    let ok = ["HTTP/1.1 200 OK", "Content-Length: 0"];
    let found = ["HTTP/1.1 302 Found", "Location: /", "Content-Length: 2"];
    let failed = ["HTTP/1.1 500 Oh", "Content-Length: 9"];
    let large = ["HTTP/1.1 400 x", "Content-Length: 99999"];
    let chunked = ["HTTP/1.1 403 Forbidden", "Transfer-Encoding: chunked"];
    let chunks = b"3\r\nsor\r\n2;x\r\nry\r\n0\r\n";
    let wordy = b"1;aaaaaaaaaaaaaaaaaaaaaaaaa\r\nz\r\n".repeat(600);
    let large_chunk = [b"ffffffff\r\n", &long[..]].concat();
    vec![
        ("otherwise good", with("HTTP", &ok), refused(200, b""), ByItself),
        ("a redirection", answer(&found, b"hi"), refused(302, b"hi"), ByItself),
        ("no length", answer(&failed[..1], b"sorry"), refused(500, b"sorry"), WithTheTransport),
        ("half", answer(&failed, b"sorry"), refused(500, b"sorry"), WithTheTransport),
        ("no body by its status", answer(&["HTTP/1.1 204"], b""), refused(204, b""), ByItself),
        ("a large body", answer(&large, &long), refused(400, &long), ByItself),
        ("the same without length", answer(&large[..1], &long), refused(400, &long), ByItself),
        ("chunks", answer(&chunked, chunks), refused(403, b"sorry"), ByItself),
        ("a chunk cut off", answer(&chunked, b"8\r\nsor"), refused(403, b"sor"), WithTheTransport),
        ("wordy chunks", answer(&chunked, &wordy), refused(403, &[b'z'; 512]), ByItself),
        ("a large chunk", answer(&chunked, &large_chunk), refused(403, &long), ByItself),
    ]
}

#[test]
fn the_request_is_the_one_of_the_rfc() -> Result<(), InvalidRequest> {
    let request = ClientRequest::new("server.example.com", "/chat?a=b")?
        .origin("http://example.com")?
        .protocol("chat")?
        .header("X-A", "b")?
        .protocol("superchat")?;
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
fn nothing_can_be_injected_into_a_request() {
    use InvalidRequest::{Header, Host, Protocol, Target};
    for target in
        ["", "a", "/a b", "/a\r\nX: y", "/\t", "/\0", "/\x7f", "/\u{e9}", "/a#b", "*", "ws://a/"]
    {
        assert_eq!(ClientRequest::new("h", target).err(), Some(Target), "{target:?}");
    }
    for host in ["", "a b", "a\r\nX: y", "a/b", "u@a", "a#", "\u{e9}", "a\0"] {
        assert_eq!(ClientRequest::new(host, "/").err(), Some(Host), "{host:?}");
    }
    let request = || ClientRequest::new("[::1]:80", "/").unwrap();
    for protocol in ["", "a b", "a,b", "a\r\nX: y", "\"a\"", "\u{e9}"] {
        assert_eq!(request().protocol(protocol).err(), Some(Protocol), "{protocol:?}");
    }
    let twice = request().protocol("a").and_then(|request| request.protocol("a"));
    assert_eq!(twice.err(), Some(Protocol));
    let value = Some(Header(InvalidHeader::Value));
    assert_eq!(request().header("X", "a\r\nY: b").err(), value);
    assert_eq!(request().origin("a\nb").err(), value);
    assert_eq!(request().header("X Y", "a").err(), Some(Header(InvalidHeader::Name)));
    for name in ["host", "Upgrade", "connection", "Sec-WebSocket-Key", "content-length"] {
        assert_eq!(request().header(name, "a").err(), Some(Header(InvalidHeader::Reserved)));
    }
}

#[test]
fn good_answers_open_the_connection() {
    for (name, answer, protocol) in good_answers() {
        let expected = Outcome::Accepted(protocol.map(String::from), Vec::new());
        assert_eq!(hear_whole(&answer), expected, "{name}");
    }
}

#[test]
fn bad_answers_do_not() {
    for (name, answer, error) in bad_answers() {
        assert_eq!(hear_whole(&answer), Outcome::Error(error), "{name}");
    }
}

#[test]
fn refusals_come_with_the_start_of_their_body() {
    for (name, answer, refused, ends) in refusals() {
        let at_once = if ends == Ends::ByItself { refused.clone() } else { Outcome::NeedsMore };
        assert_eq!(hear_whole(&answer), at_once, "{name}");
        assert_eq!(hear(&Config::default(), [&answer[..]], true), refused, "{name}");
    }
}

#[test]
fn how_an_answer_is_cut_makes_no_difference() {
    let good = good_answers().into_iter().map(|(name, answer, _)| (name, answer));
    let bad = bad_answers().into_iter().map(|(name, answer, _)| (name, answer));
    let refusals = refusals().into_iter().map(|(name, answer, ..)| (name, answer));
    let config = Config::default();
    for (name, answer) in good.chain(bad).chain(refusals) {
        let whole = hear(&config, [&answer[..]], true);
        assert_eq!(hear(&config, answer.chunks(1), true), whole, "{name}, byte by byte");
        for cut in (0..answer.len()).filter(|cut| *cut < 1000 || cut % 997 == 0) {
            let pieces = answer.split_at(cut);
            assert_eq!(hear(&config, [pieces.0, pieces.1], true), whole, "{name}, cut at {cut}");
        }
    }
}

#[test]
fn how_it_is_cut_makes_no_difference_where_interim_answers_have_used_up_the_limit() {
    let interim = b"HTTP/1.1 100 Continue\r\n\r\n";
    let answer = [&interim[..], b"HARDLY"].concat();
    for left in 0..=3 {
        let mut config = Config::default();
        config.max_head_size = interim.len() + left;
        let too_large = HandshakeError::HeadTooLarge(config.max_head_size);
        let error = if left < 2 { too_large } else { HandshakeError::NotHttp };
        assert_eq!(hear(&config, [&answer[..]], true), Outcome::Error(error), "{left} left");
        assert_eq!(hear(&config, answer.chunks(1), true), Outcome::Error(error), "{left} left");
    }
}

#[test]
fn the_end_of_the_transport_may_come_too_early() {
    let answer = plus(&[]);
    for end in 0..answer.len() {
        assert_eq!(
            hear(&Config::default(), [&answer[..end]], true),
            Outcome::Error(HandshakeError::UnexpectedEof),
            "{end}"
        );
    }
}

#[test]
fn what_the_server_sends_at_once_is_kept() {
    let config = Config::default();
    let (mut input, mut out) = (RecvBuffer::new(), BytesMut::new());
    let mut handshake = start(&config);
    input.extend_from_slice(&plus(&[]));
    input.extend_from_slice(b"\x81\x05first");
    let Some(Answer::Accepted(accepted)) = handshake.receive(&mut input).unwrap() else {
        panic!("a good answer");
    };
    assert_eq!((accepted.response().status(), accepted.protocol()), (101, None));
    let mut ws = accepted.into_websocket(&config, keys());
    let event = ws.receive(&mut input, &mut out).unwrap();
    assert_eq!(event, Some(Event::Message(Message::Text("first"))));
}

#[test]
fn an_end_stays() {
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
fn a_client_and_a_server_agree() {
    let config = Config::default();
    let (mut to_server, mut to_client) = (RecvBuffer::new(), RecvBuffer::new());
    let mut out = BytesMut::new();
    let request = ClientRequest::new("example.org:80", "/").unwrap().protocol("chat").unwrap();
    let mut client = ClientHandshake::start(&config, &request, NONCE, &mut out);
    to_server.extend_from_slice(&out.split());

    let mut server = ServerHandshake::new(&config);
    let mut offer = server.receive(&mut to_server).unwrap().unwrap();
    assert_eq!(offer.select_protocol(["chat"]), Some("chat"));
    let mut server = offer.accept(&Accept::new(), &config, &mut out);
    server.send("welcome", &mut out).unwrap();
    to_client.extend_from_slice(&out.split());

    let Some(Answer::Accepted(accepted)) = client.receive(&mut to_client).unwrap() else {
        panic!("a good answer");
    };
    assert_eq!(accepted.protocol(), Some("chat"));
    let mut client = accepted.into_websocket(&config, keys());
    let event = client.receive(&mut to_client, &mut out).unwrap();
    assert_eq!(event, Some(Event::Message(Message::Text("welcome"))));
}
