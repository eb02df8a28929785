//! [`OwnedRequest`]: a copy of a request's head, independent of the receive buffer.

use alloc::{borrow::Cow, boxed::Box};
use core::fmt;

use crate::handshake::{
    http::{
        headers::{Headers, OwnedHeaders},
        target,
    },
    server::{request::Request, subprotocols},
};

/// An owned copy of a [`Request`], independent of the receive buffer. [`Request::into_owned`]
/// creates it.
///
/// Its methods return the same values as those of [`Request`].
#[derive(Clone)]
pub struct OwnedRequest {
    /// The method, the target and the path, without separators.
    text: Box<str>,
    method_end: usize,
    target_end: usize,
    headers: OwnedHeaders,
}

impl Request<'_> {
    /// Copies the request out of the receive buffer. This takes two allocations.
    ///
    /// ```
    /// use prism_core::{Config, RecvBuffer, ServerHandshake};
    ///
    /// let mut input = RecvBuffer::new();
    /// input.extend_from_slice(b"GET /%61?b HTTP/1.1\r\nHost: example.org\r\nCookie: c=d\r\n\r\n");
    /// let request = ServerHandshake::new(&Config::default()).receive_request(&mut input);
    /// let kept = request?.expect("a whole request").into_owned();
    /// input.clear();
    /// assert_eq!((kept.method(), kept.path(), kept.query()), ("GET", "/a", Some("b")));
    /// assert_eq!(kept.header("cookie").as_deref(), Some("c=d"));
    /// # Ok::<(), prism_core::HandshakeError>(())
    /// ```
    #[must_use]
    pub fn into_owned(self) -> OwnedRequest {
        let (method, target) = (self.method(), self.target());
        OwnedRequest {
            text: [method, target, self.path()].concat().into(),
            method_end: method.len(),
            target_end: method.len() + target.len(),
            headers: self.headers().into_owned(),
        }
    }
}

impl OwnedRequest {
    /// Returns the method, such as `GET`. Methods are case-sensitive (RFC 9110 §9.1).
    #[must_use]
    pub fn method(&self) -> &str {
        &self.text[..self.method_end]
    }

    /// Returns the target as received, in visible ASCII: `/path?query`, an absolute URL, or the `*`
    /// of an OPTIONS request.
    #[must_use]
    pub fn target(&self) -> &str {
        &self.text[self.method_end..self.target_end]
    }

    /// Returns the target's path, without the query, in its [normal form](crate::normalize_path).
    /// It is `*` for `OPTIONS *` (RFC 9110 §9.3.7).
    #[must_use]
    pub fn path(&self) -> &str {
        &self.text[self.target_end..]
    }

    /// Returns what follows the first `?` of the target, as received.
    #[must_use]
    pub fn query(&self) -> Option<&str> {
        target::query(self.target())
    }

    /// Returns the host and port that the client asked for, as received: the authority of an
    /// absolute target, which takes precedence (RFC 9112 §3.2.2), or the `Host` header. It is empty
    /// if there is neither, which only HTTP/1.0 allows.
    #[must_use]
    pub fn host(&self) -> &str {
        target::host(self.target(), self.headers().only("Host"))
    }

    /// Returns the header lines.
    #[must_use]
    pub const fn headers(&self) -> Headers<'_> {
        self.headers.as_headers()
    }

    /// Returns the header lines in their owned form. Clone it to keep the headers and nothing else
    /// of the request.
    #[must_use]
    pub const fn owned_headers(&self) -> &OwnedHeaders {
        &self.headers
    }

    /// Returns the subprotocols that the request offers, in the client's order of preference (RFC
    /// 6455 §4.1).
    pub fn subprotocols(&self) -> impl Iterator<Item = &str> + Clone {
        subprotocols::offered(self.headers())
    }

    /// Returns the value of a header. The values of several lines are [joined](Headers::join) with
    /// commas (semicolons for `Cookie`).
    #[must_use]
    pub fn header(&self, name: &str) -> Option<Cow<'_, str>> {
        self.headers().joined(name)
    }

    /// Returns the values of a header, one for each line.
    pub fn header_all<'r, 'n>(
        &'r self,
        name: &'n str,
    ) -> impl Iterator<Item = Cow<'r, str>> + Clone + use<'r, 'n> {
        self.headers().all_text(name)
    }
}

impl fmt::Debug for OwnedRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnedRequest")
            .field("method", &self.method())
            .field("target", &self.target())
            .field("headers", &self.headers)
            .finish()
    }
}
