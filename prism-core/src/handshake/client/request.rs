//! [`ClientRequest`]: the request that a client sends.

use alloc::string::String;
use core::fmt;

use bytes::{BufMut, BytesMut};

use crate::handshake::http::{
    header_block::{HeaderBlock, InvalidHeader},
    target::{is_authority, is_target_text},
    tokens::is_token,
};

/// A client's upgrade request: the host, the target, and further headers.
///
/// All parts are checked here, so that none can inject a header or another request. `Debug` shows the host, the path
/// and the names of the headers: the rest may contain secrets.
///
/// ```
/// use prism_core::{ClientRequest, InvalidRequest};
///
/// let request = ClientRequest::new("example.org:8080", "/chat?room=1")?
///     .subprotocol("v2.chat")?
///     .subprotocol("v1.chat")?
///     .origin("https://example.org")?
///     .header("Authorization", "Bearer 42")?;
/// assert_eq!(ClientRequest::new("example.org", "/a b").err(), Some(InvalidRequest::Target));
/// # Ok::<(), InvalidRequest>(())
/// ```
#[derive(Clone)]
pub struct ClientRequest {
    host: String,
    target: String,
    /// A comma-separated list.
    subprotocols: String,
    fields: HeaderBlock,
}

impl ClientRequest {
    /// Creates a request for a `target` (path and query) on a `host`, which includes the port,
    /// unless that is the scheme's default (RFC 6455 §4.1, item 4).
    ///
    /// # Errors
    /// [`InvalidRequest::Host`] if `host` is empty, contains a character that cannot occur in a
    /// host or port, or has an IPv6 zone (`[fe80::1%eth0]`). A zone has a meaning on the local
    /// machine only, and must not be sent (RFC 6874 §4). [`InvalidRequest::Target`] if `target`
    /// does not start with `/`, or contains a character that must be escaped.
    pub fn new(host: &str, target: &str) -> Result<Self, InvalidRequest> {
        let has_zone = host.starts_with('[') && host.contains('%');
        if has_zone || !is_authority(host.as_bytes()) {
            return Err(InvalidRequest::Host);
        }
        if !target.starts_with('/') || !is_target_text(target) {
            return Err(InvalidRequest::Target);
        }
        let (host, target) = (host.into(), target.into());
        Ok(Self { host, target, subprotocols: String::new(), fields: HeaderBlock::default() })
    }

    /// Returns the same request for another host and target, as after a redirect. The headers are
    /// kept as they are, and so are the subprotocols.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn redirected(&self, host: &str, target: &str) -> Result<Self, InvalidRequest> {
        let Self { subprotocols, fields, .. } = self.clone();
        Ok(Self { subprotocols, fields, ..Self::new(host, target)? })
    }

    /// Removes all headers that were [added](Self::header), except those with these names. Call this
    /// before the request goes to another origin (RFC 9110 §15.4): a header may be a secret, such as
    /// `Authorization`, `Cookie` or `X-Api-Key`.
    ///
    /// ```
    /// # use prism_core::{ClientRequest, InvalidRequest};
    /// let request = ClientRequest::new("example.org", "/chat")?
    ///     .header("Cookie", "session=42")?
    ///     .origin("https://example.org")?;
    /// let elsewhere = request.redirected("example.net", "/chat")?.keep_headers(&["Origin"]);
    /// # assert!(!format!("{elsewhere:?}").contains("Cookie"));
    /// # assert!(format!("{elsewhere:?}").contains("Origin"));
    /// # Ok::<(), InvalidRequest>(())
    /// ```
    #[must_use]
    pub fn keep_headers(mut self, names: &[&str]) -> Self {
        self.fields.keep(names);
        self
    }

    /// Returns the target: path and query, as they are sent.
    #[must_use]
    pub fn target(&self) -> &str {
        &self.target
    }

    /// Adds a header. The same name may be added several times; each has a line of its own.
    ///
    /// # Errors
    /// [`InvalidRequest::Header`] if the header is malformed, or the handshake sets it itself.
    pub fn header(mut self, name: &str, value: &str) -> Result<Self, InvalidRequest> {
        self.fields.push(name, value)?;
        Ok(self)
    }

    /// Sets the origin on whose behalf the client acts, as a browser would (RFC 6455 §4.1, item 8;
    /// RFC 6454).
    ///
    /// # Errors
    /// [`InvalidRequest::Header`] if it contains a control character.
    pub fn origin(self, origin: &str) -> Result<Self, InvalidRequest> {
        self.header("Origin", origin)
    }

    /// Offers a subprotocol. Those offered first are preferred (RFC 6455 §4.1, item 10).
    ///
    /// # Errors
    /// [`InvalidRequest::Subprotocol`] if the name is not a token, and
    /// [`InvalidRequest::DuplicateSubprotocol`] if it has already been offered: "elements [...]
    /// MUST all be unique strings".
    pub fn subprotocol(mut self, name: &str) -> Result<Self, InvalidRequest> {
        if !is_token(name.as_bytes()) {
            return Err(InvalidRequest::Subprotocol);
        }
        if offers(&self.subprotocols, name) {
            return Err(InvalidRequest::DuplicateSubprotocol);
        }
        if !self.subprotocols.is_empty() {
            self.subprotocols.push_str(", ");
        }
        self.subprotocols.push_str(name);
        Ok(self)
    }

    /// Returns the offered subprotocols as a comma-separated list.
    pub(crate) fn subprotocols(&self) -> &str {
        &self.subprotocols
    }

    /// Appends the request, in the order of the RFC's example (RFC 6455 §4.1).
    pub(crate) fn write(&self, key: &[u8], extensions: Option<&str>, out: &mut BytesMut) {
        let mut put = |parts: &[&[u8]]| parts.iter().for_each(|part| out.put_slice(part));
        put(&[b"GET ", self.target.as_bytes(), b" HTTP/1.1\r\nHost: ", self.host.as_bytes()]);
        put(&[b"\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: ", key]);
        put(&[b"\r\nSec-WebSocket-Version: 13\r\n"]);
        if !self.subprotocols.is_empty() {
            put(&[b"Sec-WebSocket-Protocol: ", self.subprotocols.as_bytes(), b"\r\n"]);
        }
        if let Some(extensions) = extensions {
            put(&[b"Sec-WebSocket-Extensions: ", extensions.as_bytes(), b"\r\n"]);
        }
        put(&[self.fields.as_bytes(), b"\r\n"]);
    }
}

impl fmt::Debug for ClientRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.target.split('?').next();
        f.debug_struct("ClientRequest")
            .field("host", &self.host)
            .field("path", &path.unwrap_or_default())
            .field("headers", &self.fields)
            .finish_non_exhaustive()
    }
}

/// Returns whether our comma-separated list contains a subprotocol. Names are case-sensitive.
pub(crate) fn offers(subprotocols: &str, name: &str) -> bool {
    subprotocols.split(", ").any(|offered| offered == name)
}

/// The reason why a client's request cannot be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum InvalidRequest {
    /// The user name for a proxy contains a colon, or it or the password contains a control character
    /// (RFC 7617 §2).
    Credentials,
    /// The subprotocol has already been offered (RFC 6455 §4.1, item 10).
    DuplicateSubprotocol,
    /// A header cannot be sent.
    Header(InvalidHeader),
    /// The host is empty or malformed (`host` or `host:port` is expected), or has an IPv6 zone
    /// (`%eth0`), which must not be sent.
    Host,
    /// The subprotocol is not a token (RFC 9110 §5.6.2).
    Subprotocol,
    /// The target does not start with `/`, or contains a character that must be escaped.
    Target,
}

impl fmt::Display for InvalidRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Header(error) => error.fmt(f),
            Self::Credentials => f.write_str(
                "invalid user name or password; expected no colon in the name, and no control characters",
            ),
            Self::DuplicateSubprotocol => {
                f.write_str("subprotocol offered twice; expected each name once")
            }
            Self::Host => f.write_str("invalid host; expected \"host\" or \"host:port\""),
            Self::Subprotocol => f.write_str(
                "invalid subprotocol; expected letters, digits and !#$%&'*+-.^_`|~ only",
            ),
            Self::Target => f.write_str(
                "invalid target; expected \"/path?query\", with other characters percent-encoded",
            ),
        }
    }
}

impl core::error::Error for InvalidRequest {}

impl From<InvalidHeader> for InvalidRequest {
    fn from(error: InvalidHeader) -> Self {
        Self::Header(error)
    }
}
