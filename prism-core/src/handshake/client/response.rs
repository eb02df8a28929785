//! [`Response`]: what a server sent, as a client reads it: status, headers and body.

use alloc::borrow::Cow;
use core::fmt;

use crate::handshake::{
    error::HandshakeError,
    http::{
        head::{MAX_HEADERS, first_line},
        headers::Headers,
        status_line::parse_status,
    },
};

/// The HTTP response of a server: status, headers, and the body of a refusal. It borrows the
/// receive buffer.
#[derive(Clone, Copy)]
pub struct Response<'a> {
    status: u16,
    reason: &'a str,
    headers: Headers<'a>,
    body: &'a [u8],
}

impl<'a> Response<'a> {
    /// Returns the status code.
    #[must_use]
    pub const fn status(&self) -> u16 {
        self.status
    }

    /// Returns the reason phrase; empty if it is missing or not UTF-8.
    #[must_use]
    pub const fn reason(&self) -> &'a str {
        self.reason
    }

    /// Returns the header lines.
    #[must_use]
    pub const fn headers(&self) -> Headers<'a> {
        self.headers
    }

    /// Returns the value of a header. The values of several lines are [joined](Headers::join) with
    /// commas (semicolons for `Cookie`).
    #[must_use]
    pub fn header(&self, name: &str) -> Option<Cow<'a, str>> {
        self.headers.joined(name)
    }

    /// Returns the values of a header, one for each line.
    pub fn header_all<'n>(
        &self,
        name: &'n str,
    ) -> impl Iterator<Item = Cow<'a, str>> + Clone + use<'a, 'n> {
        self.headers.all_text(name)
    }

    /// Returns the body of a refusal: its first 8 KiB, or as much as had arrived when
    /// [`receive_eof`](crate::ClientHandshake::receive_eof) was called. It is empty for a 101.
    #[must_use]
    pub const fn body(&self) -> &'a [u8] {
        self.body
    }

    /// Parses a whole head.
    pub(crate) fn parse(head: &'a [u8]) -> Result<Self, HandshakeError> {
        let status = parse_status(head)?.ok_or(HandshakeError::InvalidStatusLine)?;
        let fields = head.get(first_line(head).len() + 2..).unwrap_or_default();
        httparse::parse_headers(fields, &mut [httparse::EMPTY_HEADER; MAX_HEADERS])
            .map_err(|_| HandshakeError::InvalidHeader)?;
        Ok(Self::of(status, head, &[]))
    }

    /// Creates the response from a head that was parsed before.
    pub(crate) fn of(status: u16, head: &'a [u8], body: &'a [u8]) -> Self {
        let reason = first_line(head).get("HTTP/1.1 101 ".len()..).unwrap_or_default();
        let reason = core::str::from_utf8(reason).unwrap_or_default();
        Self { status, reason, headers: Headers::of(head), body }
    }
}

impl fmt::Debug for Response<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Response")
            .field("status", &self.status)
            .field("reason", &self.reason)
            .field("headers", &self.headers)
            .field("body", &format_args!("\"{}\"", self.body.escape_ascii()))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;

    use super::{HandshakeError::*, Response};

    #[test]
    fn a_status_line_is_strict_except_for_its_phrase() {
        for (line, status, reason) in [
            ("HTTP/1.1 101 Switching Protocols", 101, "Switching Protocols"),
            ("HTTP/1.1 101 ", 101, ""),
            ("HTTP/1.1 101", 101, ""),
            ("HTTP/1.1 999 caf\u{e9}", 999, "caf\u{e9}"),
            ("HTTP/1.0 503 Service Unavailable", 503, "Service Unavailable"),
            ("HTTP/1.2 404", 404, ""),
        ] {
            let head = format!("{line}\r\n\r\n");
            let response = Response::parse(head.as_bytes()).expect(line);
            assert_eq!((response.status(), response.reason()), (status, reason));
        }
        for (line, error) in [
            ("HTTP/1.0 101 x", UnsupportedHttpVersion),
            ("HTTP/2.0 101 x", UnsupportedHttpVersion),
            ("HTTP/2 101 x", InvalidStatusLine),
            ("HTTP/1.1", InvalidStatusLine),
            ("HTTP/1.1  101 x", InvalidStatusLine),
            ("HTTP/1.1 1010 x", InvalidStatusLine),
            ("HTTP/1.1 +01 x", InvalidStatusLine),
            ("HTTP/1.1 099 x", InvalidStatusLine),
            ("http/1.1 101 x", NotHttp),
        ] {
            let head = format!("{line}\r\n\r\n");
            assert_eq!(Response::parse(head.as_bytes()).map(drop), Err(error), "{line}");
        }
    }

    #[test]
    fn the_values_of_a_header_are_joined() {
        let head = b"HTTP/1.1 401 Unauthorized\r\nVia: a\r\nVIA: b\r\nAge: 1\r\n\r\n";
        let response = Response::parse(head).expect("a good head");
        for (name, value) in [("via", Some("a, b")), ("Age", Some("1")), ("Vary", None)] {
            assert_eq!(response.header(name).as_deref(), value, "{name}");
        }
        assert!(response.header_all("via").eq(["a", "b"]));
    }

    #[test]
    fn debug_output_is_escaped() {
        let response = Response::of(400, b"HTTP/1.1 400 a\x1bb\r\n\r\n", b"\x1b[31m");
        let debug = format!("{response:?}");
        assert!(debug.contains(r#"reason: "a\u{1b}b""#), "{debug}");
        assert!(debug.contains(r#"body: "\x1b[31m""#), "{debug}");
    }
}
