//! [`RequestParts`]: a request that another library has parsed, such as a web framework.

use alloc::vec::Vec;

use crate::{
    config::Config,
    handshake::{
        error::HandshakeError,
        http::{head::MAX_HEADERS, header_block::is_value, headers::Headers, tokens::is_token},
        server::request::{Request, Version},
    },
};

/// What a request consists of besides its header fields (RFC 9110 §6.2: "control data"), as another
/// library has parsed it; see [`Request::from_parts`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestParts<'a> {
    /// A request in HTTP/1.0, which cannot be upgraded.
    Http10 {
        /// The method.
        method: &'a str,
        /// The target, in any form (RFC 9112 §3.2).
        target: &'a str,
    },
    /// A request in HTTP/1.1.
    Http11 {
        /// The method.
        method: &'a str,
        /// The target, in any form (RFC 9112 §3.2).
        target: &'a str,
    },
    /// A request in HTTP/2 (RFC 9113 §8.3.1), or in HTTP/3, which has the same parts.
    Http2 {
        /// The value of `:method`.
        method: &'a str,
        /// The value of `:protocol`. It makes a CONNECT an extended one (RFC 8441 §4).
        protocol: Option<&'a str>,
        /// The value of `:authority`, or of `Host` if there is no `:authority`.
        authority: &'a str,
        /// The value of `:path`, which starts with a slash.
        path: &'a str,
    },
}

impl<'a> Request<'a> {
    /// Makes a request of what another library has parsed, so that its upgrade is judged by the same
    /// rules. The limits of `config` on heads apply.
    ///
    /// `lines` is memory for the header fields, which the request borrows. What it contains is
    /// removed.
    ///
    /// ```
    /// use prism_core::{Accept, Config, Request, RequestParts};
    ///
    /// let (config, mut lines) = (Config::default(), Vec::new());
    /// let parts = RequestParts::Http2 {
    ///     method: "CONNECT",
    ///     protocol: Some("websocket"),
    ///     authority: "example.org",
    ///     path: "/chat",
    /// };
    /// let fields = [("sec-websocket-version", &b"13"[..])];
    /// let request = Request::from_parts(parts, fields, &mut lines, &config)?;
    /// assert_eq!((request.host(), request.path()), ("example.org", "/chat"));
    ///
    /// let (head, websocket) = request.upgrade()?.accept_response(&Accept::new(), &config);
    /// assert_eq!(head.status(), 200);
    /// # drop(websocket);
    /// # Ok::<(), prism_core::HandshakeError>(())
    /// ```
    ///
    /// # Errors
    /// If the parts do not form a valid request, or exceed the limits.
    pub fn from_parts<'f>(
        parts: RequestParts<'a>,
        fields: impl IntoIterator<Item = (&'f str, &'f [u8])>,
        lines: &'a mut Vec<u8>,
        config: &Config,
    ) -> Result<Self, HandshakeError> {
        let (version, method, target, authority) = match parts {
            RequestParts::Http10 { method, target } => (Version::Http10, method, target, None),
            RequestParts::Http11 { method, target } => (Version::Http11, method, target, None),
            RequestParts::Http2 { method, protocol, authority, path } => {
                // An absolute URL would override the authority (RFC 9112 §3.2.2). In HTTP/2 a path
                // starts with a slash, or is the asterisk of OPTIONS (RFC 9113 §8.3.1).
                if !path.starts_with(['/', '*']) {
                    return Err(HandshakeError::InvalidTarget);
                }
                (Version::Http2 { protocol }, method, path, Some(authority))
            }
        };
        if !is_token(method.as_bytes()) {
            return Err(HandshakeError::InvalidRequestLine);
        }
        let room = config.max_head_size.saturating_sub(method.len() + target.len());
        lines.clear();
        let mut lines = Lines { lines, room, config };
        if let Some(authority) = authority {
            lines.push("Host", authority.as_bytes())?;
        }
        let max_headers = config.max_headers.min(MAX_HEADERS);
        for (count, (name, value)) in fields.into_iter().enumerate() {
            if count >= max_headers {
                return Err(HandshakeError::TooManyHeaders(max_headers));
            }
            match authority {
                // RFC 9113 §8.3.1: a request is malformed if its Host "identifies an entity that
                // differs from the entity in the ":authority"".
                Some(authority) if name.eq_ignore_ascii_case("Host") => {
                    if !value.eq_ignore_ascii_case(authority.as_bytes()) {
                        return Err(HandshakeError::InvalidHost);
                    }
                }
                _ => lines.push(name, value)?,
            }
        }
        Self::assemble(version, method, target, Headers::of_lines(lines.lines))
    }
}

/// Header lines as HTTP/1.1 has them.
struct Lines<'a, 'c> {
    lines: &'a mut Vec<u8>,
    /// How many more bytes they may have.
    room: usize,
    config: &'c Config,
}

impl Lines<'_, '_> {
    fn push(&mut self, name: &str, value: &[u8]) -> Result<(), HandshakeError> {
        if !is_token(name.as_bytes()) || !is_value(value) {
            return Err(HandshakeError::InvalidHeader);
        }
        let parts = [name.as_bytes(), b": ", value, b"\r\n"];
        let length = parts.iter().map(|part| part.len()).sum();
        let too_large = HandshakeError::HeadTooLarge(self.config.max_head_size);
        self.room = self.room.checked_sub(length).ok_or(too_large)?;
        parts.iter().for_each(|part| self.lines.extend_from_slice(part));
        Ok(())
    }
}
