//! [`Reply`]: an HTTP answer that opens no connection.

use alloc::vec::Vec;
use core::fmt::Write;

use bytes::{BufMut, BytesMut};

use super::fields::{Fields, InvalidHeader};

/// An HTTP answer that opens no connection: a refusal, or a plain page.
///
/// It says `Connection: close`, so that nothing behind the request is taken for another one. Send
/// it, then close the transport.
///
/// ```
/// use prism_core::Reply;
///
/// let reply = Reply::text(403, "members only").header("X-Reason", "no ticket")?;
/// let mut out = bytes::BytesMut::new();
/// reply.write(&mut out, false);
/// assert!(out.starts_with(b"HTTP/1.1 403 Forbidden\r\n"));
/// assert!(out.ends_with(b"\r\n\r\nmembers only"));
/// # Ok::<(), prism_core::InvalidHeader>(())
/// ```
#[derive(Clone, Debug)]
pub struct Reply {
    status: u16,
    fields: Fields,
    body: Vec<u8>,
}

impl Reply {
    /// An answer without a body.
    ///
    /// A `status` that ends no request, that is, any outside 200 to 599, becomes 500.
    #[must_use]
    pub fn new(status: u16) -> Self {
        let status = if matches!(status, 200..=599) { status } else { 500 };
        Self { status, fields: Fields::default(), body: Vec::new() }
    }

    /// An answer with a text in UTF-8, `text/plain`.
    #[must_use]
    pub fn text(status: u16, text: impl Into<Vec<u8>>) -> Self {
        Self::new(status).content("text/plain; charset=utf-8", text.into())
    }

    /// A page in UTF-8, `text/html`, with status 200.
    #[must_use]
    pub fn html(page: impl Into<Vec<u8>>) -> Self {
        Self::new(200).content("text/html; charset=utf-8", page.into())
    }

    /// Adds a header.
    ///
    /// # Errors
    /// If it is malformed, or one that the answer sets itself: `Connection`, `Upgrade`,
    /// `Content-Length` and their like.
    pub fn header(mut self, name: &str, value: &str) -> Result<Self, InvalidHeader> {
        self.fields.push(name, value)?;
        Ok(self)
    }

    /// Sets the body, and adds the `Content-Type` that says what it is.
    ///
    /// # Errors
    /// If the content type is malformed.
    pub fn body(self, content_type: &str, body: impl Into<Vec<u8>>) -> Result<Self, InvalidHeader> {
        let mut reply = self.header("Content-Type", content_type)?;
        reply.body = body.into();
        Ok(reply)
    }

    /// The status.
    #[must_use]
    pub const fn status(&self) -> u16 {
        self.status
    }

    /// Appends the answer to `out`; for a HEAD request without its body (RFC 9110 §9.3.2).
    ///
    /// A 426 gets the `Upgrade` and the `Sec-WebSocket-Version` it must have.
    pub fn write(&self, out: &mut BytesMut, head_only: bool) {
        // RFC 9110 §8.6: "A server MUST NOT send a Content-Length header field in any response with
        // a status code of [...] 204", and §15.4.5: a 304 has no body.
        let bodiless = matches!(self.status, 204 | 304);
        out.reserve(256 + self.fields.as_bytes().len() + self.body.len());
        put(out, format_args!("HTTP/1.1 {} {}\r\n", self.status, reason(self.status)));
        if self.status == 426 {
            // RFC 9110 §15.5.22: "The server MUST send an Upgrade header field in a 426 response";
            // RFC 6455 §4.4: and the versions it speaks.
            out.put_slice(b"Upgrade: websocket\r\nConnection: Upgrade, close\r\n");
            out.put_slice(b"Sec-WebSocket-Version: 13\r\n");
        } else {
            out.put_slice(b"Connection: close\r\n");
        }
        if !bodiless {
            put(out, format_args!("Content-Length: {}\r\n", self.body.len()));
        }
        out.put_slice(self.fields.as_bytes());
        out.put_slice(b"\r\n");
        if !bodiless && !head_only {
            out.put_slice(&self.body);
        }
    }

    fn content(mut self, content_type: &'static str, body: Vec<u8>) -> Self {
        self.fields.push_own("Content-Type", content_type);
        self.body = body;
        self
    }

    /// RFC 9110 §15.5.6: "The origin server MUST generate an Allow header field in a 405 response".
    pub(super) fn allow_get(mut self) -> Self {
        self.fields.push_own("Allow", "GET");
        self
    }
}

fn put(out: &mut BytesMut, text: core::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("memory takes any text");
}

/// The usual phrase; empty for what is rare (RFC 9112 §4: "a server MUST send the space [...] even
/// when the reason-phrase is absent").
const fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        204 => "No Content",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        304 => "Not Modified",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        409 => "Conflict",
        410 => "Gone",
        413 => "Content Too Large",
        414 => "URI Too Long",
        421 => "Misdirected Request",
        426 => "Upgrade Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        505 => "HTTP Version Not Supported",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::String;

    use bytes::BytesMut;

    use super::{InvalidHeader, Reply};

    fn written(reply: &Reply, head_only: bool) -> String {
        let mut out = BytesMut::new();
        reply.write(&mut out, head_only);
        String::from_utf8(out.to_vec()).expect("text")
    }

    #[test]
    fn an_answer_has_its_length_and_closes() -> Result<(), InvalidHeader> {
        let reply = Reply::new(200).header("X-A", "b")?.body("text/html", "<p>hi")?;
        let head = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\nX-A: b\r\n\
                    Content-Type: text/html\r\n\r\n";
        assert_eq!(written(&reply, true), head);
        assert_eq!(written(&reply, false), String::from(head) + "<p>hi");
        Ok(())
    }

    #[test]
    fn a_426_says_what_to_upgrade_to() {
        assert_eq!(
            written(&Reply::new(426), false),
            "HTTP/1.1 426 Upgrade Required\r\nUpgrade: websocket\r\nConnection: Upgrade, close\r\n\
             Sec-WebSocket-Version: 13\r\nContent-Length: 0\r\n\r\n"
        );
    }

    #[test]
    fn a_204_has_no_body() {
        let reply = Reply::text(204, "x");
        assert!(!written(&reply, false).contains("Content-Length"));
        assert!(written(&reply, false).ends_with("\r\n\r\n"));
    }

    #[test]
    fn a_status_that_ends_no_request_is_a_servers_error() {
        for status in [0, 101, 199, 600, u16::MAX] {
            assert_eq!(Reply::new(status).status(), 500);
        }
        assert!(written(&Reply::new(418), false).starts_with("HTTP/1.1 418 \r\n"));
    }

    #[test]
    fn nothing_can_be_injected() {
        assert_eq!(Reply::new(200).body("a\r\nb", "").map(drop), Err(InvalidHeader::Value));
        assert_eq!(Reply::new(200).header("upgrade", "").map(drop), Err(InvalidHeader::Reserved));
    }
}
