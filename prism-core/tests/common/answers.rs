//! Responses to the request of `handshake_client.rs`: good ones, bad ones, and refusals (RFC 6455
//! §4.1, RFC 9110, RFC 9112).

use prism_core::HandshakeError;

use crate::common::heads::{self, head};

const GOOD: [&str; 4] = [
    "HTTP/1.1 101 Switching Protocols",
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
];

/// The good response, with additional lines.
pub(crate) fn plus(lines: &[&str]) -> Vec<u8> {
    heads::plus(&GOOD, lines)
}

/// The good response, with other lines in place of the one that starts with `start`.
pub(crate) fn with(start: &str, lines: &[&str]) -> Vec<u8> {
    heads::with(&GOOD, start, lines)
}

/// Good responses, each with its subprotocol.
pub(crate) fn good_answers() -> Vec<(&'static str, Vec<u8>, Option<&'static str>)> {
    let interim = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n";
    let older = b"HTTP/1.0 102 Processing\r\n\r\n";
    let (chat, none) = ("Sec-WebSocket-Protocol: chat", "Sec-WebSocket-Extensions: \t");
    vec![
        ("the RFC's example", plus(&[]), None),
        ("names and values in odd case", with("Upgrade", &["uPgRaDe: WebSocket"]), None),
        ("a list", with("Connection", &["CONNECTION: keep-alive, upgrade"]), None),
        ("a list of no subprotocols", plus(&["Sec-WebSocket-Protocol: , ,"]), None),
        ("a later HTTP/1", with("HTTP", &["HTTP/1.2 101 Switching Protocols"]), None),
        ("no phrase", with("HTTP", &["HTTP/1.1 101 "]), None),
        ("no phrase and no space", with("HTTP", &["HTTP/1.1 101"]), None),
        ("another phrase", with("HTTP", &["HTTP/1.1 101 caf\u{e9} \t!"]), None),
        (
            "white space",
            with("Sec", &["Sec-WebSocket-Accept: \t s3pPLMBiTxaQ9kYGzzhZRbK+xOo= "]),
            None,
        ),
        ("a subprotocol", plus(&["Sec-WebSocket-Protocol: v2.chat"]), Some("v2.chat")),
        ("interim answers before", [&interim[..], &plus(&[])].concat(), None),
        ("an interim answer in HTTP/1.0", [&older[..], &plus(&[])].concat(), None),
        ("no subprotocol by name", plus(&["Sec-WebSocket-Protocol:"]), None),
        ("none twice", plus(&["Sec-WebSocket-Protocol: \t"; 2]), None),
        ("none, and one", plus(&["Sec-WebSocket-Protocol:", chat]), Some("chat")),
        ("one, and none", plus(&[chat, "Sec-WebSocket-Protocol: "]), Some("chat")),
        ("no extension by name", plus(&["Sec-WebSocket-Extensions:"]), None),
        ("a list of none", plus(&["Sec-WebSocket-Extensions: , ,", none]), None),
    ]
}

/// Bad responses, each with its error.
pub(crate) fn bad_answers() -> Vec<(&'static str, Vec<u8>, HandshakeError)> {
    use HandshakeError::*;
    let accept = |value| with("Sec", &[&format!("Sec-WebSocket-Accept: {value}")]);
    vec![
        // RFC 9112 §2.2, §4, §5: the syntax of a head.
        ("garbage", b"\x00\xff\x13garbage\r\n\r\n".to_vec(), NotHttp),
        ("another protocol", b"HTTX".to_vec(), NotHttp),
        ("an empty line before", [b"\r\n", &plus(&[])[..]].concat(), NotHttp),
        ("HTTP/1.0", with("HTTP", &["HTTP/1.0 101 Switching Protocols"]), UnsupportedHttpVersion),
        ("HTTP/2.0", with("HTTP", &["HTTP/2.0 101 Switching Protocols"]), UnsupportedHttpVersion),
        ("HTTP/2.0 503", with("HTTP", &["HTTP/2.0 503 x"]), UnsupportedHttpVersion),
        ("HTTP/0.9", with("HTTP", &["HTTP/0.9 200 OK"]), UnsupportedHttpVersion),
        ("HTTP/2", with("HTTP", &["HTTP/2 200"]), InvalidStatusLine),
        ("no status", with("HTTP", &["HTTP/1.1 "]), InvalidStatusLine),
        ("a status of four digits", with("HTTP", &["HTTP/1.1 1010 x"]), InvalidStatusLine),
        ("a status of two digits", with("HTTP", &["HTTP/1.1 10 x"]), InvalidStatusLine),
        ("status 000", with("HTTP", &["HTTP/1.1 000 x"]), InvalidStatusLine),
        ("two spaces", with("HTTP", &["HTTP/1.1  101 x"]), InvalidStatusLine),
        ("LF alone", b"HTTP/1.1 101 Switching Protocols\n".to_vec(), BareNewline),
        ("LF behind the status", b"HTTP/1.1 101\n".to_vec(), BareNewline),
        ("NUL in the status", b"HTTP/1.1 4\x0001 x".to_vec(), ControlCharacter),
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
        (
            "none, and an extension",
            plus(&["Sec-WebSocket-Extensions:", "Sec-WebSocket-Extensions: , x-surprise"]),
            UnexpectedExtension,
        ),
        ("another subprotocol", plus(&["Sec-WebSocket-Protocol: surprise"]), UnexpectedSubprotocol),
        ("another case", plus(&["Sec-WebSocket-Protocol: Chat"]), UnexpectedSubprotocol),
        (
            "two in one line",
            plus(&["Sec-WebSocket-Protocol: chat, v2.chat"]),
            UnexpectedSubprotocol,
        ),
        ("two in two lines", plus(&["Sec-WebSocket-Protocol: chat"; 2]), UnexpectedSubprotocol),
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

/// When a refusal is complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ends {
    ByItself,
    WithTheTransport,
}

/// A refusal: its name, its bytes, its status and body, and when it is complete.
pub(crate) type Refusal = (&'static str, Vec<u8>, (u16, Vec<u8>), Ends);

/// Responses that refuse.
pub(crate) fn refusals() -> Vec<Refusal> {
    use Ends::{ByItself, WithTheTransport};
    let answer = |lines: &[&str], body: &[u8]| [&head(lines.iter().copied())[..], body].concat();
    let refused = |status, body: &[u8]| (status, body.to_vec());
    let long = [b'x'; 8 << 10];
    let ok = ["HTTP/1.1 200 OK", "Content-Length: 0"];
    let found = ["HTTP/1.1 302 Found", "Location: /", "Content-Length: 2"];
    let failed = ["HTTP/1.1 500 Oh", "Content-Length: 9"];
    let large = ["HTTP/1.1 400 x", "Content-Length: 99999"];
    let chunked = ["HTTP/1.1 403 Forbidden", "Transfer-Encoding: chunked"];
    let coded = ["HTTP/1.1 403 Forbidden", "Transfer-Encoding: gzip, Chunked"];
    let not_chunked = ["HTTP/1.1 403 Forbidden", "Transfer-Encoding: chunked, gzip"];
    let length = "Content-Length: 2";
    let old = ["HTTP/1.0 503 Service Unavailable"];
    let old_length = [old[0], "Content-Length: 5"];
    let endless = [b"1;", &[b'x'; 62][..]].concat();
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
        ("HTTP/1.0", answer(&old, b"later"), refused(503, b"later"), WithTheTransport),
        ("HTTP/1.0 with a length", answer(&old_length, b"later"), refused(503, b"later"), ByItself),
        ("HTTP/1.2", answer(&["HTTP/1.2 404 x", length], b"no"), refused(404, b"no"), ByItself),
        ("no phrase", answer(&["HTTP/1.1 404", length], b"no"), refused(404, b"no"), ByItself),
        ("chunks", answer(&chunked, chunks), refused(403, b"sorry"), ByItself),
        ("malformed chunks", answer(&chunked, b"3\r\nsor\r\nry"), refused(403, b"sor"), ByItself),
        ("chunks of something", answer(&coded, chunks), refused(403, b"sorry"), ByItself),
        (
            "something of chunks",
            answer(&not_chunked, chunks),
            refused(403, chunks),
            WithTheTransport,
        ),
        ("a chunk without end", answer(&chunked, &endless), refused(403, b""), ByItself),
        ("a chunk cut off", answer(&chunked, b"8\r\nsor"), refused(403, b"sor"), WithTheTransport),
        ("wordy chunks", answer(&chunked, &wordy), refused(403, &[b'z'; 512]), ByItself),
        ("a large chunk", answer(&chunked, &large_chunk), refused(403, &long), ByItself),
    ]
}
