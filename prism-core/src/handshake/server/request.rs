//! [`Request`]: the head of a request, and whether it is a valid opening handshake.

use alloc::borrow::Cow;
use core::{fmt, mem::MaybeUninit};

use crate::handshake::{
    accept_key::{AcceptKey, accept_key, is_key},
    error::HandshakeError,
    http::{
        body_length::parse_content_length,
        extensions::are_extensions,
        head::{MAX_HEADERS, first_line, is_other_version},
        headers::{Headers, Only},
        known::{Known, Name},
        target::{self, is_authority, parse_path},
        tokens,
    },
};

/// What `Upgrade` and `:protocol` name.
const WEBSOCKET: &str = "websocket";

/// The head of a valid HTTP/1.1 or HTTP/1.0 request. It borrows the receive buffer.
/// ([`from_parts`](Self::from_parts) makes one of what another library has parsed, also for HTTP/2.)
///
/// It may ask for anything: [`wants_upgrade`](Self::wants_upgrade) tells an upgrade request from a
/// request for a page, and [`upgrade`](Self::upgrade) checks the rest of the handshake.
/// [`into_owned`](Self::into_owned) copies it out of the buffer.
#[derive(Clone)]
pub struct Request<'a> {
    method: &'a str,
    target: &'a str,
    path: Cow<'a, str>,
    version: Version<'a>,
    headers: Headers<'a>,
    known: Known<'a>,
}

impl<'a> Request<'a> {
    /// Returns the method, such as `GET`. Methods are case-sensitive (RFC 9110 §9.1).
    #[must_use]
    pub const fn method(&self) -> &'a str {
        self.method
    }

    /// Returns the target as received, in visible ASCII: `/path?query`, an absolute URL, or the `*`
    /// of an OPTIONS request.
    #[must_use]
    pub const fn target(&self) -> &'a str {
        self.target
    }

    /// Returns the target's path, without the query, in its [normal form](crate::normalize_path):
    /// `/%61dmin` becomes `/admin`, and so does `/a/../admin`. It is `*` for `OPTIONS *` (RFC 9110
    /// §9.3.7).
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Returns what follows the first `?` of the target, as received.
    #[must_use]
    pub fn query(&self) -> Option<&'a str> {
        target::query(self.target)
    }

    /// Returns the host and port that the client asked for, as received: the authority of an
    /// absolute target, which takes precedence (RFC 9112 §3.2.2), or the `Host` header. It is empty
    /// if there is neither, which only HTTP/1.0 allows.
    #[must_use]
    pub fn host(&self) -> &'a str {
        target::host(self.target, self.known.only(Name::Host))
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

    /// Returns whether the client asks for a WebSocket: `Upgrade` contains the token `websocket`,
    /// or in HTTP/2, `:protocol` is that token (RFC 8441 §5).
    ///
    /// Always `false` for HTTP/1.0: "A server MUST ignore an Upgrade header field that is received
    /// in an HTTP/1.0 request" (RFC 9110 §7.8).
    #[must_use]
    pub fn wants_upgrade(&self) -> bool {
        match self.version {
            Version::Http10 => false,
            Version::Http11 => tokens::has_token(self.values(Name::Upgrade), WEBSOCKET),
            Version::Http2 { protocol } => {
                protocol.is_some_and(|protocol| protocol.eq_ignore_ascii_case(WEBSOCKET))
            }
        }
    }

    /// Like [`upgrade`](Self::upgrade), but returns only the accept key. There is none in HTTP/2.
    pub(crate) fn check_upgrade(&self) -> Result<Option<AcceptKey>, HandshakeError> {
        let accept_key = match self.version {
            Version::Http2 { protocol } => {
                self.check_extended_connect(protocol)?;
                None
            }
            Version::Http10 | Version::Http11 => Some(self.check_http1_upgrade()?),
        };
        self.check_no_body()?;
        if !are_extensions(self.values(Name::Extensions)) {
            return Err(HandshakeError::InvalidExtensions);
        }
        if !tokens::are_tokens(self.values(Name::Subprotocol)) {
            return Err(HandshakeError::InvalidSubprotocols);
        }
        Ok(accept_key)
    }

    fn check_http1_upgrade(&self) -> Result<AcceptKey, HandshakeError> {
        // §4.2.1, 1: "An HTTP/1.1 or higher GET request".
        if self.method != "GET" {
            return Err(HandshakeError::MethodNotAllowed);
        }
        if self.version == Version::Http10 {
            return Err(HandshakeError::UpgradeOfHttp10);
        }
        if !self.wants_upgrade() {
            return Err(HandshakeError::MissingUpgrade);
        }
        if !tokens::has_token(self.values(Name::Connection), "upgrade") {
            return Err(HandshakeError::MissingConnection);
        }
        self.check_version()?;
        let Only::One(key) = self.known.only(Name::Key) else {
            return Err(HandshakeError::InvalidKey);
        };
        if !is_key(key) {
            return Err(HandshakeError::InvalidKey);
        }
        Ok(accept_key(key))
    }

    /// RFC 8441 §5: "implementations using this extended CONNECT to bootstrap WebSockets do not do
    /// the processing of the Sec-WebSocket-Key and Sec-WebSocket-Accept header fields".
    fn check_extended_connect(&self, protocol: Option<&str>) -> Result<(), HandshakeError> {
        match protocol {
            Some(_) if self.method != "CONNECT" => Err(HandshakeError::ConnectExpected),
            Some(_) if self.wants_upgrade() => self.check_version(),
            Some(_) => Err(HandshakeError::UnsupportedProtocol),
            None => Err(HandshakeError::ConnectExpected),
        }
    }

    /// Parses a whole head.
    pub(crate) fn parse(head: &'a [u8]) -> Result<Self, HandshakeError> {
        let mut slots = [const { MaybeUninit::uninit() }; MAX_HEADERS];
        let mut parsed = httparse::Request::new(&mut []);
        let parsed_whole = match parsed.parse_with_uninit_headers(head, &mut slots) {
            Ok(status) => status == httparse::Status::Complete(head.len()),
            Err(error) => return Err(to_handshake_error(error, first_line(head))),
        };
        let (Some(method), Some(target), Some(version), true) =
            (parsed.method, parsed.path, parsed.version, parsed_whole)
        else {
            return Err(HandshakeError::InvalidRequestLine);
        };
        let version = if version == 0 { Version::Http10 } else { Version::Http11 };
        let path = parse_path(method, target)?;
        let known = Known::among(parsed.headers.iter().map(|it| (it.name, it.value)));
        let request = Self { method, target, path, version, headers: Headers::of(head), known };
        request.check_fields()?;
        Ok(request)
    }

    /// Assembles a request of parts that are valid each by itself.
    pub(crate) fn assemble(
        version: Version<'a>,
        method: &'a str,
        target: &'a str,
        headers: Headers<'a>,
    ) -> Result<Self, HandshakeError> {
        let path = parse_path(method, target)?;
        let known = Known::among(headers);
        let request = Self { method, target, path, version, headers, known };
        request.check_fields()?;
        Ok(request)
    }

    /// Returns the values of `Sec-WebSocket-Extensions`.
    pub(crate) fn extensions(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        self.values(Name::Extensions)
    }

    fn values(&self, name: Name) -> impl Iterator<Item = &'a [u8]> + Clone + use<'a> {
        self.known.values(name, self.headers)
    }

    fn check_fields(&self) -> Result<(), HandshakeError> {
        self.check_host()?;
        self.check_length()
    }

    /// RFC 9112 §3.2: "A server MUST respond with a 400 (Bad Request) status code to any HTTP/1.1
    /// request message that lacks a Host header field and to any request message that contains more
    /// than one Host header field line or a Host header field with an invalid field value."
    fn check_host(&self) -> Result<(), HandshakeError> {
        match self.known.only(Name::Host) {
            Only::One(host) if is_authority(host) => Ok(()),
            Only::None | Only::One(b"") if self.version == Version::Http10 => Ok(()),
            _ => Err(HandshakeError::InvalidHost),
        }
    }

    /// RFC 9112 §6.3, 5: an invalid length is "an unrecoverable error", and so are different
    /// lengths.
    fn check_length(&self) -> Result<(), HandshakeError> {
        let mut lengths = self.values(Name::ContentLength);
        let first = lengths.next();
        let is_number = first.is_none_or(|first| parse_content_length(first).is_some());
        if is_number && lengths.all(|other| Some(other) == first) {
            Ok(())
        } else {
            Err(HandshakeError::InvalidContentLength)
        }
    }

    /// Frames follow an upgrade request, and their start must be unambiguous: a request can be
    /// smuggled in what one hop takes for a body and the next one for frames.
    fn check_no_body(&self) -> Result<(), HandshakeError> {
        match (self.known.only(Name::TransferEncoding), self.known.only(Name::ContentLength)) {
            (Only::None, Only::None | Only::One(b"0")) => Ok(()),
            _ => Err(HandshakeError::UnexpectedBody),
        }
    }

    /// RFC 6455 §4.2.1, 6: "A Sec-WebSocket-Version header field, with a value of 13". Any other
    /// gets "an appropriate HTTP error code (such as 426 Upgrade Required)" (§4.2.2, 4).
    fn check_version(&self) -> Result<(), HandshakeError> {
        match self.known.only(Name::Version) {
            Only::One(b"13") => Ok(()),
            Only::None => Err(HandshakeError::UnsupportedVersion),
            // §4.3: "version = DIGIT | (NZDIGIT DIGIT) | ("1" DIGIT DIGIT) | ("2" DIGIT DIGIT)".
            Only::One(
                [b'0'..=b'9']
                | [b'1'..=b'9', b'0'..=b'9']
                | [b'1' | b'2', b'0'..=b'9', b'0'..=b'9'],
            ) => Err(HandshakeError::UnsupportedVersion),
            Only::One(_) | Only::Several => Err(HandshakeError::InvalidVersion),
        }
    }
}

impl fmt::Debug for Request<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("method", &self.method)
            .field("target", &self.target)
            .field("headers", &self.headers)
            .finish()
    }
}

/// The version of HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version<'a> {
    Http10,
    Http11,
    /// Or a later version: HTTP/3 has the same (RFC 9220).
    Http2 {
        /// The value of `:protocol`, which makes a CONNECT an extended one.
        protocol: Option<&'a str>,
    },
}

/// Translates the parser's error.
fn to_handshake_error(error: httparse::Error, line: &[u8]) -> HandshakeError {
    match error {
        httparse::Error::HeaderName | httparse::Error::HeaderValue => HandshakeError::InvalidHeader,
        httparse::Error::Version => {
            let mut words = line.split(|&byte| byte == b' ').skip(2);
            match (words.next(), words.next()) {
                (Some(version), None) if is_other_version(version) => {
                    HandshakeError::UnsupportedHttpVersion
                }
                _ => HandshakeError::InvalidRequestLine,
            }
        }
        _ => HandshakeError::InvalidRequestLine,
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;

    use super::{HandshakeError, Request};

    fn with_target(target: &str, test: impl FnOnce(Result<Request<'_>, HandshakeError>)) {
        let head = format!("GET {target} HTTP/1.1\r\nHost: h:1\r\n\r\n");
        test(Request::parse(head.as_bytes()));
    }

    #[test]
    fn a_target_is_split_into_host_path_and_query() {
        for (target, host, path, query) in [
            ("/", "h:1", "/", None),
            ("/a/b?c=/d?e", "h:1", "/a/b", Some("c=/d?e")),
            ("/?", "h:1", "/", Some("")),
            ("//a?http://b/c", "h:1", "//a", Some("http://b/c")),
            ("/a://b", "h:1", "/a://b", None),
            ("ws://x", "x", "/", None),
            ("WSS://x:2?q", "x:2", "/", Some("q")),
            ("http://[::1]:80/a%20b?", "[::1]:80", "/a%20b", Some("")),
            ("/%61?%61/../%zz", "h:1", "/a", Some("%61/../%zz")),
            ("ws://x/a/..", "x", "/", None),
        ] {
            with_target(target, |request| {
                let request = request.expect(target);
                let parts = (request.target(), request.host(), request.path(), request.query());
                assert_eq!(parts, (target, host, path, query));
            });
        }
    }

    #[test]
    fn an_invalid_target_is_refused() {
        for target in [
            "*",
            "h:1",
            "a",
            "?a",
            "ftp://x/",
            "ws:/x",
            "ws://",
            "ws:///a",
            "ws://a@b/",
            "/é",
            "/a#b",
        ] {
            with_target(target, |request| {
                assert_eq!(request.map(drop), Err(HandshakeError::InvalidTarget), "{target}");
            });
        }
    }

    #[test]
    fn debug_output_is_escaped() {
        let request = Request::parse(b"GET /a?b HTTP/1.1\r\nHost: h\r\nX: \xff\r\n\r\n");
        assert_eq!(
            format!("{:?}", request.expect("a good head")),
            r#"Request { method: "GET", target: "/a?b", headers: {"Host": "h", "X": "\xff"} }"#
        );
    }

    #[test]
    fn a_malformed_request_line_is_refused() {
        for line in ["GET / HTTP/1.1x", "GET\t/ HTTP/1.1", "GET / HTTP/1", "GET / http/1.1", "GET"]
        {
            let head = format!("{line}\r\nHost: h\r\n\r\n");
            let error = Request::parse(head.as_bytes()).map(drop);
            assert_eq!(error, Err(HandshakeError::InvalidRequestLine), "{line}");
        }
        let error = Request::parse(b"GET / HTTP/1.2\r\nHost: h\r\n\r\n").map(drop);
        assert_eq!(error, Err(HandshakeError::UnsupportedHttpVersion));
    }
}
