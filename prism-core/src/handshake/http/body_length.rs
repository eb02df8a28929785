//! [`BodyLength`]: how a response's body ends, and how `Content-Length` is parsed.

use crate::handshake::http::{
    chunked::Chunks,
    headers::{Headers, Only},
    tokens,
};

/// How the end of a body is found (RFC 9112 §6.3).
#[derive(Debug)]
pub(crate) enum BodyLength {
    Known(u64),
    Chunked(Chunks),
    UntilEof,
}

impl BodyLength {
    /// Determines how the body of a response ends.
    pub(crate) fn of(status: u16, headers: Headers<'_>) -> Self {
        if matches!(status, 204 | 304) {
            return Self::Known(0);
        }
        // RFC 9112 §6.3, 4: "chunked" is the coding that was applied last.
        let coding = tokens::elements(headers.all("Transfer-Encoding")).last();
        let length = match (coding, headers.only("Content-Length")) {
            (None, Only::One(length)) => parse_content_length(length),
            (Some(coding), _) if coding.eq_ignore_ascii_case(b"chunked") => {
                return Self::Chunked(Chunks::default());
            }
            _ => None,
        };
        length.map_or(Self::UntilEof, Self::Known)
    }
}

/// Parses a `Content-Length`: digits and nothing else (RFC 9110 §8.6).
pub(crate) fn parse_content_length(value: &[u8]) -> Option<u64> {
    let text = core::str::from_utf8(value).ok()?;
    if text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::parse_content_length;

    #[test]
    fn a_content_length_is_one_number() {
        assert_eq!((parse_content_length(b"0"), parse_content_length(b"012")), (Some(0), Some(12)));
        for bad in ["", "+0", "-1", "0, 0", "0x0", "1 ", "99999999999999999999"] {
            assert_eq!(parse_content_length(bad.as_bytes()), None, "{bad}");
        }
    }
}
