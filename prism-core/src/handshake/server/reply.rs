//! [`Reply`]: any response of a server other than a 101, such as an error or a page.

use core::fmt::Write;

use bytes::{BufMut, Bytes, BytesMut};

use crate::handshake::http::header_block::{HeaderBlock, InvalidHeader};

/// The approximate length of a head, without added headers.
const HEAD: usize = 256;

/// An HTTP response that opens no WebSocket: an error, a redirect or a page.
///
/// It contains `Connection: close`, so that no bytes after the request are taken for another
/// request. If you use `prism-core` directly: send it and shut down the transport's write side. Then
/// discard what arrives until the transport ends, for a second at most, and close it. To close while
/// bytes are unread would reset a TCP connection, and the client might lose the reply.
///
/// The body is shared: cloning a reply copies only its headers. Keep a page that is the same for
/// everyone as [`Bytes`] or as a `&'static str`: a reply can be made from either without a copy. A
/// [`String`](alloc::string::String) or a [`Vec<u8>`](alloc::vec::Vec) converts as well.
///
/// # Caching
///
/// A cache may store a response that does not forbid it, even some errors (RFC 9110 §15.1: 404,
/// 405, 410, 414, 501). For this reason, a reply with a status of 400 or above contains
/// `Cache-Control: no-store`, unless it has a `Cache-Control` [header](Self::header) of its own. No
/// other reply gets one.
///
/// ```
/// # use prism_core::Reply;
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
    fields: HeaderBlock,
    /// Empty if the status allows no content.
    content: Bytes,
}

impl Reply {
    /// Creates a reply without a body.
    ///
    /// A `status` that cannot be final, that is, one outside 200 to 599, becomes 500.
    #[must_use]
    pub fn new(status: u16) -> Self {
        let status = if matches!(status, 200..=599) { status } else { 500 };
        Self { status, fields: HeaderBlock::default(), content: Bytes::new() }
    }

    /// Creates a reply with a status and a text, as `text/plain; charset=utf-8`. Whether it is
    /// UTF-8 is not checked.
    #[must_use]
    pub fn text(status: u16, text: impl Into<Bytes>) -> Self {
        Self::new(status).with_content("text/plain; charset=utf-8", text.into())
    }

    /// Creates a reply with status 200 and a page, as `text/html; charset=utf-8`. Whether it is
    /// UTF-8 is not checked.
    #[must_use]
    pub fn html(page: impl Into<Bytes>) -> Self {
        Self::new(200).with_content("text/html; charset=utf-8", page.into())
    }

    /// Adds a header. A `Content-Type` replaces an earlier one; any other header may appear several
    /// times.
    ///
    /// # Errors
    /// [`InvalidHeader::Name`] or [`InvalidHeader::Value`] if the header is malformed, and
    /// [`InvalidHeader::Reserved`] if it is one that the reply sets itself, such as `Connection`,
    /// `Upgrade` or `Content-Length`.
    pub fn header(mut self, name: &str, value: &str) -> Result<Self, InvalidHeader> {
        // RFC 9110 §5.3: "A sender MUST NOT generate multiple field lines with the same name",
        // unless they form a list. Of several content types recipients pick one, and not all the
        // same (§8.3).
        if name.eq_ignore_ascii_case("Content-Type") {
            self.fields.remove(name);
        }
        self.fields.push(name, value)?;
        Ok(self)
    }

    /// Sets the body and its `Content-Type`, in place of earlier ones. A 204, a 205 and a 304 never
    /// have a body, even if one is set.
    ///
    /// ```
    /// # use prism_core::Reply;
    /// const ICON: &[u8] = b"\0\0\x01\0"; // say, include_bytes!("favicon.ico")
    /// let reply = Reply::new(200).body("image/x-icon", ICON)?.header("Cache-Control", "max-age=86400")?;
    /// # Ok::<(), prism_core::InvalidHeader>(())
    /// ```
    ///
    /// # Errors
    /// [`InvalidHeader::Value`] if the content type contains a control character.
    pub fn body(self, content_type: &str, body: impl Into<Bytes>) -> Result<Self, InvalidHeader> {
        Ok(self.header("Content-Type", content_type)?.set_content(body.into()))
    }

    /// Returns the status.
    #[must_use]
    pub const fn status(&self) -> u16 {
        self.status
    }

    /// Returns whether the reply has a header of this name, which is not case-sensitive: one that
    /// was [added](Self::header), the `Content-Type` of its body, or the `Cache-Control` of a
    /// [reply that must not be cached](Self#caching). Headers about the message and the connection,
    /// such as `Content-Length`, are not included.
    #[must_use]
    pub fn has_header(&self, name: &str) -> bool {
        self.fields.contains(name)
            || self.forbids_caching() && name.eq_ignore_ascii_case("Cache-Control")
    }

    /// Returns the body as it is sent: empty for a 204, a 205 or a 304. Cloning it copies nothing.
    #[must_use]
    pub const fn content(&self) -> &Bytes {
        &self.content
    }

    /// Appends the reply to `out`: its head and, unless `head_only` is set, its body. Set it for a
    /// HEAD request, whose reply must not have a body (RFC 9110 §9.3.2).
    ///
    /// To send a large body without copying it, write the [head](Self::write_head), and then the
    /// [content](Self::content).
    pub fn write(&self, out: &mut BytesMut, head_only: bool) {
        let content = if head_only { &[][..] } else { &self.content };
        out.reserve(HEAD + self.fields.as_bytes().len() + content.len());
        self.write_head(out);
        out.put_slice(content);
    }

    /// Appends the head to `out`: everything before the [content](Self::content).
    ///
    /// A 426 gets the mandatory headers `Upgrade` and `Sec-WebSocket-Version`. A status of 400 or
    /// above gets a [`Cache-Control`](Self#caching), unless the reply has one of its own.
    pub fn write_head(&self, out: &mut BytesMut) {
        out.reserve(HEAD + self.fields.as_bytes().len());
        put(out, format_args!("HTTP/1.1 {} {}\r\n", self.status, reason(self.status)));
        if self.status == 426 {
            // RFC 9110 §15.5.22: "The server MUST send an Upgrade header field in a 426 response".
            // RFC 6455 §4.4: it also names the versions that the server speaks.
            out.put_slice(b"Upgrade: websocket\r\nConnection: Upgrade, close\r\n");
            out.put_slice(b"Sec-WebSocket-Version: 13\r\n");
        } else {
            out.put_slice(b"Connection: close\r\n");
        }
        // RFC 9110 §8.6: "A server MUST NOT send a Content-Length header field in any response with
        // a status code of [...] 204". In a 304 it would have to be that of the corresponding 200.
        if !matches!(self.status, 204 | 304) {
            put(out, format_args!("Content-Length: {}\r\n", self.content.len()));
        }
        self.write_fields(out);
        out.put_slice(b"\r\n");
    }

    /// Appends the header lines that are about the content.
    pub(super) fn write_fields(&self, out: &mut BytesMut) {
        if self.forbids_caching() {
            out.put_slice(b"Cache-Control: no-store\r\n");
        }
        out.put_slice(self.fields.as_bytes());
    }

    /// Returns whether the reply gets a `Cache-Control: no-store`.
    fn forbids_caching(&self) -> bool {
        self.status >= 400 && !self.fields.contains("Cache-Control")
    }

    fn with_content(mut self, content_type: &'static str, content: Bytes) -> Self {
        self.fields.push_own("Content-Type", content_type);
        self.set_content(content)
    }

    fn set_content(mut self, content: Bytes) -> Self {
        // RFC 9112 §6.3: a 204 and a 304 end with their heads. RFC 9110 §15.3.6: "a server MUST NOT
        // generate content in a 205 response".
        if !matches!(self.status, 204 | 205 | 304) {
            self.content = content;
        }
        self
    }

    /// RFC 9110 §15.5.6: "The origin server MUST generate an Allow header field in a 405 response".
    pub(crate) fn allow(mut self, method: &'static str) -> Self {
        self.fields.push_own("Allow", method);
        self
    }
}

fn put(out: &mut BytesMut, text: core::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("writing to memory does not fail");
}

/// Returns the usual reason phrase, or an empty one for a rare status (RFC 9112 §4: "a server MUST
/// send the space [...] even when the reason-phrase is absent").
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
    use alloc::{format, string::String, vec};

    use bytes::{Bytes, BytesMut};

    use super::{InvalidHeader, Reply};

    fn written(reply: &Reply, head_only: bool) -> String {
        let mut out = BytesMut::new();
        reply.write(&mut out, head_only);
        String::from_utf8(out.to_vec()).expect("text")
    }

    #[test]
    fn a_reply_has_a_length_and_closes_the_connection() -> Result<(), InvalidHeader> {
        let reply = Reply::new(200).header("X-A", "b")?.body("text/html", "<p>hi")?;
        let head = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\nX-A: b\r\n\
                    Content-Type: text/html\r\n\r\n";
        assert_eq!(written(&reply, true), head);
        assert_eq!(written(&reply, false), String::from(head) + "<p>hi");
        Ok(())
    }

    #[test]
    fn a_later_content_type_replaces_an_earlier_one() -> Result<(), InvalidHeader> {
        for reply in [
            Reply::html("{}").body("a/b", "{}")?,
            Reply::text(200, "{}").header("content-type", "a/b")?,
            Reply::new(200).header("Content-Type", "x/y")?.body("a/b", "{}")?,
        ] {
            let answer = written(&reply.header("X-Content-Type", "c/d")?, false);
            let types: vec::Vec<_> = answer
                .lines()
                .filter_map(|line| line.split_once(": "))
                .filter(|(name, _)| name.eq_ignore_ascii_case("Content-Type"))
                .collect();
            assert_eq!(types.len(), 1, "{answer}");
            assert_eq!(types[0].1, "a/b");
            assert!(
                answer.contains("\r\nX-Content-Type: c/d\r\n") && answer.ends_with("\r\n\r\n{}")
            );
        }
        Ok(())
    }

    #[test]
    fn a_426_names_the_protocol_and_its_version() {
        assert_eq!(
            written(&Reply::new(426), false),
            "HTTP/1.1 426 Upgrade Required\r\nUpgrade: websocket\r\nConnection: Upgrade, close\r\n\
             Sec-WebSocket-Version: 13\r\nContent-Length: 0\r\nCache-Control: no-store\r\n\r\n"
        );
    }

    #[test]
    fn a_204_a_205_and_a_304_have_no_body() {
        for (status, length) in [(204, false), (205, true), (304, false)] {
            let answer = written(&Reply::text(status, "x"), false);
            assert_eq!(answer.contains("Content-Length: 0\r\n"), length, "{answer}");
            assert_eq!(answer.contains("Content-Length"), length, "{answer}");
            assert!(answer.ends_with("\r\n\r\n"), "{answer}");
        }
    }

    #[test]
    fn a_refusal_is_no_store_unless_it_says_otherwise() -> Result<(), InvalidHeader> {
        const NO_STORE: &str = "\r\nCache-Control: no-store\r\n";
        for status in [400, 404, 410, 426, 500, 599] {
            assert!(written(&Reply::text(status, "no"), false).contains(NO_STORE), "{status}");
            let reply = Reply::text(status, "no").header("X-Cache-Control", "x")?;
            assert!(written(&reply, true).contains(NO_STORE), "{status}");
            let kept = written(&reply.header("cache-control", "max-age=60")?, true);
            assert!(!kept.contains(NO_STORE) && kept.contains("\r\ncache-control: max-age=60\r\n"));
        }
        for status in [200, 204, 302, 304, 399] {
            assert!(!written(&Reply::text(status, "page"), false).contains("Cache-Control"));
        }
        Ok(())
    }

    #[test]
    fn has_header_knows_what_the_application_could_set() -> Result<(), InvalidHeader> {
        let reply = Reply::text(404, "no").header("X-Reason", "gone")?;
        for name in ["X-Reason", "x-reason", "Content-Type", "cache-control"] {
            assert!(reply.has_header(name), "{name}");
        }
        for name in ["X-Reason ", "Reason", "Content-Length", "Connection", ""] {
            assert!(!reply.has_header(name), "{name}");
        }
        let page = Reply::new(200);
        assert!(!page.has_header("Content-Type") && !page.has_header("Cache-Control"));
        assert!(page.header("cache-control", "max-age=60")?.has_header("Cache-Control"));
        Ok(())
    }

    #[test]
    fn a_shared_body_is_not_copied() -> Result<(), InvalidHeader> {
        let page = Bytes::from(vec![b'x'; 1000]);
        for reply in [
            Reply::html(page.clone()),
            Reply::text(200, page.clone()),
            Reply::new(200).body("text/css", page.clone())?.clone(),
        ] {
            assert_eq!(reply.content().as_ptr(), page.as_ptr());
            let (mut head, mut whole) = (BytesMut::new(), BytesMut::new());
            reply.write_head(&mut head);
            reply.write(&mut whole, false);
            assert_eq!(whole, [&head[..], reply.content()].concat());
        }
        Ok(())
    }

    /// RFC 9110 §15; RFC 6585 for 429 and 431. A rare status has none.
    #[test]
    fn a_status_has_the_reason_phrase_of_its_rfc() {
        for line in [
            "200 OK",
            "204 No Content",
            "301 Moved Permanently",
            "302 Found",
            "303 See Other",
            "304 Not Modified",
            "307 Temporary Redirect",
            "308 Permanent Redirect",
            "400 Bad Request",
            "401 Unauthorized",
            "403 Forbidden",
            "404 Not Found",
            "405 Method Not Allowed",
            "408 Request Timeout",
            "409 Conflict",
            "410 Gone",
            "413 Content Too Large",
            "414 URI Too Long",
            "418 ",
            "421 Misdirected Request",
            "426 Upgrade Required",
            "429 Too Many Requests",
            "431 Request Header Fields Too Large",
            "500 Internal Server Error",
            "501 Not Implemented",
            "502 Bad Gateway",
            "503 Service Unavailable",
            "505 HTTP Version Not Supported",
        ] {
            let head = written(&Reply::new(line[..3].parse().expect("a status")), true);
            assert_eq!(head.lines().next(), Some(&*format!("HTTP/1.1 {line}")));
        }
    }

    #[test]
    fn a_status_that_cannot_be_final_becomes_500() {
        for status in [0, 101, 199, 600, u16::MAX] {
            assert_eq!(Reply::new(status).status(), 500);
        }
    }

    #[test]
    fn headers_cannot_be_injected() {
        assert_eq!(Reply::new(200).body("a\r\nb", "").map(drop), Err(InvalidHeader::Value));
        assert_eq!(Reply::new(200).header("upgrade", "").map(drop), Err(InvalidHeader::Reserved));
    }
}
