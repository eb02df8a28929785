//! The keys of a handshake (RFC 6455 §4.1, §4.2.2).

use core::fmt;

use base64::{Engine, engine::general_purpose::STANDARD};
use sha1_smol::Sha1;

/// RFC 6455 §1.3: the string that only a WebSocket server appends to the key.
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// Computes the value of `Sec-WebSocket-Accept` for a `Sec-WebSocket-Key` (RFC 6455 §4.2.2, step
/// 5.4).
///
/// The handshakes of this crate do this already. Call it if another library handles HTTP, and a
/// [`WebSocket`](crate::WebSocket) takes over the upgraded connection. The key is used as is,
/// without a check.
///
/// ```
/// let value = prism_core::accept_key("dGhlIHNhbXBsZSBub25jZQ==");
/// assert_eq!(value.as_str(), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
/// ```
#[must_use]
pub fn accept_key(key: impl AsRef<[u8]>) -> AcceptKey {
    let mut hash = Sha1::new();
    hash.update(key.as_ref());
    hash.update(GUID);
    let mut value = [0; 28];
    // Always exact: 20 bytes encode to 28 characters.
    let written = STANDARD.encode_slice(hash.digest().bytes(), &mut value);
    debug_assert_eq!(written, Ok(value.len()));
    AcceptKey(value)
}

/// A value of `Sec-WebSocket-Accept`: 28 characters. [`accept_key`] computes it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct AcceptKey([u8; 28]);

impl AcceptKey {
    /// Returns the characters.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // Base64 is ASCII, so this is never the default.
        core::str::from_utf8(&self.0).unwrap_or_default()
    }

    pub(super) const fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for AcceptKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for AcceptKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

/// Returns whether a key is valid: "when decoded, is 16 bytes in length" (RFC 6455 §4.2.1, 5), and
/// canonical base64 (RFC 4648 §3.5).
pub(super) fn is_key(key: &[u8]) -> bool {
    let mut nonce = [0; 18];
    key.len() == 24 && STANDARD.decode_slice(key, &mut nonce) == Ok(16)
}

/// Encodes a client's key: the nonce in base64 (RFC 6455 §4.1, 7).
pub(super) fn key_of(nonce: [u8; 16]) -> [u8; 24] {
    let mut key = [0; 24];
    STANDARD.encode_slice(nonce, &mut key).expect("16 bytes are 24 characters");
    key
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::{accept_key, is_key, key_of};

    #[test]
    fn the_accept_key_is_that_of_the_rfc() {
        let value = accept_key(key_of(*b"the sample nonce"));
        assert_eq!(value.to_string(), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn a_key_is_sixteen_bytes_in_canonical_base64() {
        assert!(is_key(b"dGhlIHNhbXBsZSBub25jZQ=="));
        for bad in [
            &b""[..],
            b"AQIDBAUGBwgJCgsMDQ4P",     // 15 bytes
            b"AQIDBAUGBwgJCgsMDQ4PEBE=", // 17 bytes
            b"AQIDBAUGBwgJCgsMDQ4PEBES", // 18 bytes
            b"dGhlIHNhbXBsZSBub25jZQ",   // no padding
            b"dGhlIHNhbXBsZSBub25jZQ=",
            b"dGhlIHNhbXBsZSBub25jZR==", // stray bits at the end
            b"dGhlIHNhbXBsZSBub25j-_==", // the URL-safe alphabet
            b"dGhlIHNhbXBs ZSBub25jZQ=",
            b"========================",
        ] {
            assert!(!is_key(bad), "{}", bad.escape_ascii());
        }
    }
}
