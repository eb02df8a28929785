//! [`ALPN`]: the protocol over TLS.

/// The only protocol that is offered and accepted (RFC 7301): a WebSocket over HTTP/2 has another handshake.
pub(super) const ALPN: &[u8] = b"http/1.1";
