//! RFC 9110 §9.3.6 and RFC 9112: a client asks an HTTP proxy for a tunnel.

use bytes::BytesMut;
use prism_core::{
    BasicCredentials, Config, HandshakeError, InvalidRequest, RecvBuffer, TunnelHandshake,
};

use crate::common::heads::head;

fn start(config: &Config) -> TunnelHandshake {
    TunnelHandshake::start(config, "example.org:443", None, &mut BytesMut::new()).unwrap()
}

/// The status of the response, and what follows its head; `None` if more is needed.
type Outcome = Result<Option<(u16, Vec<u8>)>, HandshakeError>;

/// Passes a response to a client in these pieces.
fn receive<'a>(config: &Config, pieces: impl IntoIterator<Item = &'a [u8]>) -> Outcome {
    let mut handshake = start(config);
    let mut input = RecvBuffer::new();
    let mut outcome = Ok(None);
    for piece in pieces {
        input.extend_from_slice(piece);
        if outcome == Ok(None) {
            let response = handshake.receive(&mut input);
            outcome = response.map(|response| response.map(|r| (r.status(), Vec::new())));
        }
    }
    if let Ok(Some((_, rest))) = &mut outcome {
        rest.extend_from_slice(input.unparsed());
    }
    outcome
}

#[test]
fn the_request_names_the_server_twice() -> Result<(), InvalidRequest> {
    let credentials = BasicCredentials::new("Aladdin", "open sesame")?;
    for (credentials, line) in [
        (None, None),
        (Some(&credentials), Some("Proxy-Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==")),
    ] {
        let mut out = BytesMut::new();
        TunnelHandshake::start(&Config::default(), "[::1]:8080", credentials, &mut out)?;
        let lines = ["CONNECT [::1]:8080 HTTP/1.1", "Host: [::1]:8080"];
        assert_eq!(out, head(lines.into_iter().chain(line)));
    }
    Ok(())
}

#[test]
fn a_server_without_a_port_or_with_other_characters_is_refused() {
    for authority in [
        "",
        "h",
        "h:",
        ":",
        "h:a",
        "[::1]",
        "h:80 ",
        "h:80\r\nX: y",
        "u@h:80",
        "h/:80",
        "[fe80::1%1]:80",
    ] {
        let mut out = BytesMut::new();
        let outcome = TunnelHandshake::start(&Config::default(), authority, None, &mut out);
        assert_eq!(outcome.map(drop), Err(InvalidRequest::Host), "{authority:?}");
        assert!(out.is_empty());
    }
}

/// Responses, and what they mean.
fn responses() -> Vec<(&'static str, Outcome)> {
    use HandshakeError::{
        BareNewline, ControlCharacter, FoldedHeader, InvalidHeader, InvalidStatusLine, NotHttp,
        UnsupportedHttpVersion,
    };
    let read = |status, rest: &str| Ok(Some((status, rest.as_bytes().to_vec())));
    vec![
        ("HTTP/1.1 200 Connection established\r\n\r\n", read(200, "")),
        ("HTTP/1.0 200 OK\r\nProxy-agent: a\r\n\r\n", read(200, "")),
        ("HTTP/1.1 200\r\n\r\n", read(200, "")),
        ("HTTP/1.1 204 \r\nContent-Length: 4\r\n\r\nbody", read(204, "body")),
        ("HTTP/1.1 407 No\r\nContent-Length: 4\r\n\r\nbody", read(407, "body")),
        (
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103\r\nA: b\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
            read(200, ""),
        ),
        ("HTTP/1.1 101 Switching Protocols\r\n\r\n", read(101, "")),
        ("HTTP/1.1 200 OK\r\nA: b\r\n", Ok(None)),
        ("HTTP/1.1 100 Continue\r\n\r\n", Ok(None)),
        ("SSH-2.0-OpenSSH\r\n", Err(NotHttp)),
        ("\x05\x00", Err(NotHttp)),
        ("HTTP/2.0 200 OK\r\n\r\n", Err(UnsupportedHttpVersion)),
        ("HTTP/1.1 2000 OK\r\n\r\n", Err(InvalidStatusLine)),
        ("HTTP/1.1 200 OK\n\n", Err(BareNewline)),
        ("HTTP/1.1 200 OK\r\nA: b\0\r\n\r\n", Err(ControlCharacter)),
        ("HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n", Err(FoldedHeader)),
        ("HTTP/1.1 200 OK\r\nA b\r\n\r\n", Err(InvalidHeader)),
    ]
}

#[test]
fn a_response_means_the_same_however_it_is_split() {
    let config = Config::default();
    for (text, expected) in responses() {
        let bytes = text.as_bytes();
        assert_eq!(receive(&config, [bytes]), expected, "{text:?}");
        assert_eq!(receive(&config, bytes.chunks(1)), expected, "{text:?} byte by byte");
        for at in 0..bytes.len() {
            let (first, second) = bytes.split_at(at);
            assert_eq!(receive(&config, [first, second]), expected, "{text:?} split at {at}");
        }
    }
}

#[test]
fn all_heads_together_are_limited() {
    let mut config = Config::default();
    config.max_head_size = 64;
    let endless = format!("HTTP/1.1 200 OK\r\nA: {}", "b".repeat(1000));
    assert_eq!(receive(&config, [endless.as_bytes()]), Err(HandshakeError::HeadTooLarge(64)));
    let interim = "HTTP/1.1 102 Processing\r\n\r\n".repeat(100);
    assert_eq!(receive(&config, [interim.as_bytes()]), Err(HandshakeError::HeadTooLarge(64)));
    config.max_headers = 2;
    let three = "HTTP/1.1 200 OK\r\nA: b\r\nA: b\r\nA: b\r\n\r\n";
    assert_eq!(receive(&config, [three.as_bytes()]), Err(HandshakeError::TooManyHeaders(2)));
}

#[test]
fn the_outcome_is_final() {
    let mut handshake = start(&Config::default());
    let mut input = RecvBuffer::new();
    input.extend_from_slice(b"HTTP/1.1 200 OK\r\n\r\n");
    assert_eq!(handshake.receive(&mut input).unwrap().unwrap().status(), 200);
    assert_eq!(handshake.receive(&mut input).map(drop), Err(HandshakeError::Finished));
    let mut handshake = start(&Config::default());
    input.extend_from_slice(b"GET / HTTP/1.1\r\n\r\n");
    for _ in 0..2 {
        assert_eq!(handshake.receive(&mut input).map(drop), Err(HandshakeError::NotHttp));
        input.extend_from_slice(b"HTTP/1.1 200 OK\r\n\r\n");
    }
}
