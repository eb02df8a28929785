//! HTTP heads that are nearly valid (RFC 6455 §4), and the verdict of a handshake on them.

use arbitrary::Arbitrary;
use bytes::BytesMut;
use prism_core::{
    Accept, Answer, ClientHandshake, ClientRequest, Config, HandshakeError, RecvBuffer,
    ServerHandshake, TunnelHandshake, normalize_path,
};

const GOOD_REQUEST: [&str; 6] = [
    "Host: example.org",
    "Upgrade: websocket",
    "Connection: keep-alive, Upgrade",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Protocol: chat, superchat",
];

const GOOD_ANSWER: [&str; 4] = [
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
    "Sec-WebSocket-Protocol: chat",
];

const NAMES: [&str; 10] = [
    "Host",
    "Upgrade",
    "Connection",
    "Sec-WebSocket-Key",
    "Sec-WebSocket-Version",
    "Sec-WebSocket-Protocol",
    "Sec-WebSocket-Extensions",
    "Content-Length",
    "Transfer-Encoding",
    "X",
];

/// A head, and the bytes after it.
#[derive(Arbitrary, Debug)]
pub struct Head {
    start: Start,
    lines: Vec<Line>,
    finished: bool,
    behind: Vec<u8>,
}

#[derive(Arbitrary, Debug)]
enum Start {
    Good,
    /// An answer with another status, before or instead of the good one.
    Status(u16, bool),
    Target(String),
    Raw(Vec<u8>),
    Nothing,
}

#[derive(Arbitrary, Debug)]
enum Line {
    /// All headers of a good head except the one with this number.
    AllBut(u8),
    Good(u8),
    Named(u8, String),
    Raw(Vec<u8>),
    Chunk(Vec<u8>),
    Empty,
}

impl Head {
    /// Returns the target, if the input chose one.
    pub fn target(&self) -> Option<&str> {
        if let Start::Target(target) = &self.start { Some(target) } else { None }
    }

    /// Returns the bytes, as a request or as an answer.
    pub fn encoded(&self, is_request: bool) -> Vec<u8> {
        let good = if is_request { &GOOD_REQUEST[..] } else { &GOOD_ANSWER };
        let start =
            if is_request { "GET /chat HTTP/1.1" } else { "HTTP/1.1 101 Switching Protocols" };
        let mut out = Vec::new();
        match &self.start {
            Start::Good => line(&mut out, start.as_bytes()),
            Start::Status(status, and_good) => {
                line(&mut out, format!("HTTP/1.1 {status:03} Status").as_bytes());
                if *and_good {
                    line(&mut out, b"");
                    line(&mut out, start.as_bytes());
                }
            }
            Start::Target(target) => line(&mut out, format!("GET {target} HTTP/1.1").as_bytes()),
            Start::Raw(bytes) => out.extend(bytes),
            Start::Nothing => {}
        }
        for part in &self.lines {
            match part {
                Line::AllBut(without) => {
                    for (i, header) in good.iter().enumerate() {
                        if i != usize::from(*without) {
                            line(&mut out, header.as_bytes());
                        }
                    }
                }
                Line::Good(i) => line(&mut out, good[usize::from(*i) % good.len()].as_bytes()),
                Line::Named(i, value) => {
                    let name = NAMES[usize::from(*i) % NAMES.len()];
                    line(&mut out, format!("{name}: {value}").as_bytes());
                }
                Line::Raw(bytes) => out.extend(bytes),
                Line::Chunk(bytes) => {
                    line(&mut out, format!("{:x}", bytes.len()).as_bytes());
                    line(&mut out, bytes);
                }
                Line::Empty => line(&mut out, b""),
            }
        }
        if self.finished {
            line(&mut out, b"");
        }
        out.extend(&self.behind);
        out
    }
}

fn line(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend(bytes);
    out.extend(b"\r\n");
}

/// The result of a handshake.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It succeeded, with this head as it prints, and the bytes after it.
    Open(String, Vec<u8>),
    /// The server refused.
    Refused(String),
    /// The peer's head was invalid.
    Failed(HandshakeError),
    /// The head is not finished.
    Waits,
}

fn config() -> Config {
    let mut config = Config::default();
    config.max_head_size = 600;
    config.max_headers = 12;
    config
}

/// Feeds these pieces to a server.
///
/// # Panics
/// If the answer is not HTTP, the verdict changes later, or the server holds too much memory.
pub fn serve<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Verdict {
    let (config, mut input, mut out) = (config(), RecvBuffer::new(), BytesMut::new());
    let mut handshake = ServerHandshake::new(&config);
    let mut pieces = pieces.into_iter();
    while let Some(piece) = pieces.next() {
        input.extend_from_slice(piece);
        let shown = match handshake.receive(&mut input) {
            Ok(None) => {
                assert!(input.unparsed().len() <= config.max_head_size);
                continue;
            }
            Ok(Some(mut offer)) => {
                check_path(offer.request().path());
                let shown =
                    format!("{:?} {:?}", offer.request(), offer.subprotocols().collect::<Vec<_>>());
                let chosen = offer.select_subprotocol(["superchat", "chat"]).map(str::to_owned);
                offer.accept(&Accept::new(), &config, &mut out);
                assert!(out.starts_with(b"HTTP/1.1 101 ") && out.ends_with(b"\r\n\r\n"));
                let end = handshake.receive(&mut input).map(|_| ());
                assert_eq!(end, Err(HandshakeError::Finished));
                format!("{shown} {chosen:?}")
            }
            Err(error) => {
                error.reply().write(&mut out, false);
                assert!(out.starts_with(format!("HTTP/1.1 {} ", error.status()).as_bytes()));
                input.extend_from_slice(b"GET / HTTP/1.1\r\n\r\n");
                assert_eq!(handshake.receive(&mut input).map(|_| ()), Err(error), "fused");
                return Verdict::Failed(error);
            }
        };
        return Verdict::Open(shown, behind(&input, pieces));
    }
    Verdict::Waits
}

/// Feeds these pieces to a client that has asked a proxy for a tunnel.
///
/// # Panics
/// If the verdict changes later, or the client holds too much memory.
pub fn tunnel<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Verdict {
    let (config, mut input, mut out) = (config(), RecvBuffer::new(), BytesMut::new());
    let handshake = TunnelHandshake::start(&config, "example.org:443", None, &mut out);
    let mut handshake = handshake.expect("a host and a port");
    let mut pieces = pieces.into_iter();
    while let Some(piece) = pieces.next() {
        input.extend_from_slice(piece);
        let shown = match handshake.receive(&mut input) {
            Ok(None) => {
                assert!(input.unparsed().len() <= config.max_head_size);
                continue;
            }
            Ok(Some(response)) => {
                assert!(response.status() == 101 || response.status() >= 200);
                format!("{response:?}")
            }
            Err(error) => {
                input.extend_from_slice(b"HTTP/1.1 200 OK\r\n\r\n");
                assert_eq!(handshake.receive(&mut input).map(|_| ()), Err(error), "fused");
                return Verdict::Failed(error);
            }
        };
        let end = handshake.receive(&mut input).map(|_| ());
        assert_eq!(end, Err(HandshakeError::Finished));
        return Verdict::Open(shown, behind(&input, pieces));
    }
    Verdict::Waits
}

/// Checks what must hold for the normal form of a path, if it has one.
///
/// # Panics
/// If a check fails.
pub fn check_path(path: &str) {
    let Ok(normal) = normalize_path(path) else { return };
    assert!(normal.starts_with('/') && normal.bytes().all(|byte| byte.is_ascii_graphic()));
    assert!(!normal.contains(['?', '#', '"', '\\']), "{normal}");
    assert!(!normal.split('/').any(|segment| matches!(segment, "." | "..")), "{normal}");
    assert_eq!(normalize_path(&normal).as_deref(), Ok(&*normal), "the normal form is normal");
}

/// Feeds these pieces to a client, and then the end of the transport.
///
/// # Panics
/// If the verdict changes later.
pub fn ask<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Verdict {
    let (config, mut input, mut out) = (config(), RecvBuffer::new(), BytesMut::new());
    let request = ClientRequest::new("example.org", "/chat")
        .and_then(|request| request.subprotocol("chat"))
        .expect("a good request");
    let mut handshake = ClientHandshake::start(&config, &request, *b"the sample nonce", &mut out);
    let mut pieces = pieces.into_iter();
    while let Some(piece) = pieces.next() {
        input.extend_from_slice(piece);
        match handshake.receive(&mut input) {
            Ok(None) => {}
            Ok(Some(Answer::Accepted(accepted))) => {
                let shown = format!("{:?} {:?}", accepted.response(), accepted.subprotocol());
                let end = handshake.receive(&mut input).map(|_| ());
                assert_eq!(end, Err(HandshakeError::Finished));
                return Verdict::Open(shown, behind(&input, pieces));
            }
            Ok(Some(Answer::Refused(response))) => return refused(&response),
            Err(error) => {
                assert_eq!(handshake.receive(&mut input).map(|_| ()), Err(error), "fused");
                return Verdict::Failed(error);
            }
        }
    }
    let known = handshake.is_refused();
    match handshake.receive_eof(&mut input) {
        Ok(Answer::Refused(response)) => {
            let is_bare = response.headers().iter().next().is_none();
            assert!(known || is_bare, "the head was complete");
            refused(&response)
        }
        Ok(answer) => panic!("the answer was complete before the end: {answer:?}"),
        Err(error) => {
            assert!(!known, "a refusal is final");
            Verdict::Failed(error)
        }
    }
}

fn refused(response: &prism_core::Response<'_>) -> Verdict {
    assert!(response.body().len() <= 8 << 10);
    assert_ne!(response.status(), 101);
    Verdict::Refused(format!("{response:?} {:02x?}", response.body()))
}

fn behind<'a>(input: &RecvBuffer, pieces: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut behind = input.unparsed().to_vec();
    behind.extend(pieces.flatten());
    behind
}
