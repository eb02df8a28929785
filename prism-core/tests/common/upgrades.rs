//! Requests for the tests of `handshake_server.rs`: good ones, and bad ones (RFC 6455 §4.2.1, RFC 9110,
//! RFC 9112).

use crate::common::heads::{self, head};

const GOOD: [&str; 6] = [
    "GET /chat HTTP/1.1",
    "Host: example.org",
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version: 13",
];

/// The good request, with additional lines.
pub(crate) fn plus(lines: &[&str]) -> Vec<u8> {
    heads::plus(&GOOD, lines)
}

/// The good request, with other lines in place of the one that starts with `start`.
fn with(start: &str, lines: &[&str]) -> Vec<u8> {
    heads::with(&GOOD, start, lines)
}

/// Good requests, each with what it adds to the response.
pub(crate) fn good_requests() -> Vec<(&'static str, Vec<u8>, &'static str)> {
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
pub(crate) fn bad_requests() -> Vec<(&'static str, Vec<u8>, u16)> {
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
        ("a name that is not a token", plus(&["X(A): b"]), 400),
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
