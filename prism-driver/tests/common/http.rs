//! Handshakes by hand: a request as a browser sends it, and reading the answer.

use futures_lite::{AsyncReadExt, AsyncWriteExt};
use prism_test::{Peer, PipeEnd};

/// A good request for `/chat?room=1`.
pub const REQUEST: &str = "GET /chat?room=1 HTTP/1.1\r\nHost: example.org\r\n\
    Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nX-Token: abc\r\n\r\n";

/// The answer to the key of [`REQUEST`] (RFC 6455 §1.3).
pub const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// Reads up to the end of a head, byte by byte, so that nothing after it is consumed.
pub async fn read_head(io: &mut PipeEnd) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        io.read_exact(&mut byte).await.unwrap();
        head.push(byte[0]);
    }
    String::from_utf8(head).unwrap()
}

/// Reads until the transport ends. Panics if it ends with an error.
pub async fn read_to_end(io: &mut PipeEnd) -> String {
    let mut answer = String::new();
    io.read_to_string(&mut answer).await.unwrap();
    answer
}

/// Opens a connection with [`REQUEST`].
pub async fn shake_hands(mut io: PipeEnd) -> Peer {
    io.write_all(REQUEST.as_bytes()).await.unwrap();
    let head = read_head(&mut io).await;
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    Peer::new(io)
}
