//! [`HandshakeError`]: what can be wrong with a request or a response, and the reply of a server to
//! such a request.

use alloc::format;
use core::fmt;

use crate::handshake::server::reply::Reply;

/// An error in the peer's part of the handshake, so that no WebSocket was opened. Only
/// [`Finished`](Self::Finished) is an error of the caller.
///
/// The error's text says what was wrong and what was expected. The error is final.
///
/// If you use `prism-core` directly: every later call to a method of the handshake returns the same
/// error. A server sends the [`reply`](Self::reply), and closes the transport as described at
/// [`Reply`]; a client only closes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HandshakeError {
    /// A CR or LF stands alone (RFC 9112 §2.2).
    BareNewline,
    /// The request is in HTTP/2 and is not an extended CONNECT, which is how HTTP/2 opens a WebSocket
    /// (RFC 8441 §4).
    ConnectExpected,
    /// The head contains a control character, such as NUL (RFC 9110 §5.5).
    ControlCharacter,
    /// The handshake has already returned its request or its answer, so the caller is at fault,
    /// not the peer.
    Finished,
    /// A header continues on the next line (RFC 9112 §5.2).
    FoldedHeader,
    /// The head exceeds the configured limit. The value is that limit, in bytes.
    HeadTooLarge(usize),
    /// `Sec-WebSocket-Accept` is missing, appears twice, or does not match the client's key (RFC
    /// 6455 §4.1).
    InvalidAccept,
    /// `Content-Length` is not a number, or appears with different values (RFC 9112 §6.3).
    InvalidContentLength,
    /// The server's answer to the offer of permessage-deflate is malformed, or has a parameter that is
    /// unknown, repeated or unexpected, or has an invalid value (RFC 7692 §7.1).
    InvalidDeflateAnswer,
    /// A `%` in a request's path is not followed by two hexadecimal digits (RFC 3986 §2.1).
    InvalidEscape,
    /// `Sec-WebSocket-Extensions` is malformed (RFC 6455 §9.1).
    InvalidExtensions,
    /// A header line is malformed (RFC 9112 §5).
    InvalidHeader,
    /// `Host` is missing, appears twice, or is malformed (RFC 9112 §3.2).
    InvalidHost,
    /// `Sec-WebSocket-Key` is missing, appears twice, or is not 16 bytes in base64 (RFC 6455
    /// §4.2.1).
    InvalidKey,
    /// `Sec-WebSocket-Protocol` is malformed (RFC 6455 §4.1).
    InvalidSubprotocols,
    /// The first line of a request is malformed (RFC 9112 §3).
    InvalidRequestLine,
    /// The first line of a response is malformed (RFC 9112 §4).
    InvalidStatusLine,
    /// The request's target is neither a valid path, nor an absolute `http:`, `https:`, `ws:` or
    /// `wss:` URL, nor the `*` of an OPTIONS request (RFC 9112 §3.2).
    InvalidTarget,
    /// `Sec-WebSocket-Version` is not a single number (RFC 6455 §4.1).
    InvalidVersion,
    /// The upgrade request has a method other than GET (RFC 6455 §4.2.1).
    MethodNotAllowed,
    /// `Connection` does not contain `upgrade` (RFC 6455 §4.1, §4.2.1).
    MissingConnection,
    /// `Upgrade` does not contain `websocket` (RFC 6455 §4.1, §4.2.1).
    MissingUpgrade,
    /// The first bytes are not HTTP.
    NotHttp,
    /// The head has more header lines than the configured limit. The value is that limit.
    TooManyHeaders(usize),
    /// The upgrade request has a body.
    UnexpectedBody,
    /// The transport reached its end before the head of a 101, or the status of a refusal, had
    /// arrived.
    UnexpectedEof,
    /// The server agreed to an extension that was not offered, or to several (RFC 6455 §4.1). Prism
    /// offers permessage-deflate only, and only if [`Config::deflate`](crate::Config::deflate) is set.
    UnexpectedExtension,
    /// The server agreed to a subprotocol that was not offered, or to several (RFC 6455 §4.1).
    UnexpectedSubprotocol,
    /// The major version of HTTP is not 1 (RFC 9110 §15.6.6), or a response in HTTP/1.0 has the
    /// status 101 (§15.2).
    UnsupportedHttpVersion,
    /// The extended CONNECT is for a protocol other than `websocket` (RFC 8441 §4).
    UnsupportedProtocol,
    /// The WebSocket version is missing, or is not 13 (RFC 6455 §4.4).
    UnsupportedVersion,
    /// The upgrade request is HTTP/1.0, which does not support upgrades (RFC 9110 §7.8, RFC 6455
    /// §4.2.1).
    UpgradeOfHttp10,
}

impl HandshakeError {
    /// Returns the status code that a server replies with.
    ///
    /// 502 stands for an error in a server's response, such as
    /// [`InvalidAccept`](Self::InvalidAccept): a gateway reports that error to its own client with
    /// this status.
    #[must_use]
    pub const fn status(&self) -> u16 {
        match self {
            Self::BareNewline
            | Self::ControlCharacter
            | Self::FoldedHeader
            | Self::InvalidContentLength
            | Self::InvalidEscape
            | Self::InvalidExtensions
            | Self::InvalidHeader
            | Self::InvalidHost
            | Self::InvalidKey
            | Self::InvalidSubprotocols
            | Self::InvalidRequestLine
            | Self::InvalidTarget
            | Self::InvalidVersion
            | Self::NotHttp
            | Self::UnexpectedBody
            | Self::UnexpectedEof => 400,
            Self::ConnectExpected | Self::MethodNotAllowed => 405,
            // RFC 9110 §15.5.22: "the server refuses to perform the request using the current
            // protocol but might be willing to do so after the client upgrades". A request without
            // the token in Connection does not ask for an upgrade either, whatever its Upgrade says
            // (RFC 9110 §7.8): a proxy that does not know WebSocket removes just these headers, and
            // may speak HTTP/1.0, which has no upgrade at all.
            Self::MissingConnection
            | Self::MissingUpgrade
            | Self::UnsupportedVersion
            | Self::UpgradeOfHttp10 => 426,
            Self::HeadTooLarge(_) | Self::TooManyHeaders(_) => 431,
            Self::Finished => 500,
            Self::InvalidAccept
            | Self::InvalidDeflateAnswer
            | Self::InvalidStatusLine
            | Self::UnexpectedExtension
            | Self::UnexpectedSubprotocol => 502,
            // RFC 9220 §3: "the server SHOULD respond to the request with a 501".
            Self::UnsupportedProtocol => 501,
            Self::UnsupportedHttpVersion => 505,
        }
    }

    /// Returns the reply to send to the client: the error's text as the body, and the headers that
    /// the status requires.
    #[must_use]
    pub fn reply(&self) -> Reply {
        let reply = Reply::text(self.status(), format!("{self}\n"));
        match self {
            Self::ConnectExpected => reply.allow("CONNECT"),
            Self::MethodNotAllowed => reply.allow("GET"),
            _ => reply,
        }
    }
}

impl fmt::Display for HandshakeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BareNewline => "CR or LF alone in the head; expected CR LF at the end of a line",
            Self::ConnectExpected => {
                "not a WebSocket request of HTTP/2; expected an extended CONNECT"
            }
            Self::ControlCharacter => "control character in the head",
            Self::Finished => "the handshake is over; there is one per connection",
            Self::FoldedHeader => {
                "header line that starts with a space; expected each header on one line"
            }
            Self::HeadTooLarge(limit) => return write!(f, "head of more than {limit} bytes"),
            Self::InvalidAccept => {
                "invalid Sec-WebSocket-Accept; expected exactly one, computed from the key"
            }
            Self::InvalidContentLength => "invalid Content-Length; expected one number",
            Self::InvalidDeflateAnswer => {
                "invalid answer to permessage-deflate; expected parameters of RFC 7692, each once"
            }
            Self::InvalidEscape => {
                "malformed escape in the path; expected \"%\" and two hexadecimal digits"
            }
            Self::InvalidExtensions => "malformed Sec-WebSocket-Extensions",
            Self::InvalidHeader => "malformed header line; expected \"Name: value\"",
            Self::InvalidHost => "invalid Host; expected exactly one, with a host",
            Self::InvalidKey => {
                "invalid Sec-WebSocket-Key; expected exactly one, 16 bytes in base64"
            }
            Self::InvalidSubprotocols => {
                "malformed Sec-WebSocket-Protocol; expected a list of tokens"
            }
            Self::InvalidRequestLine => "malformed request line; expected \"GET /path HTTP/1.1\"",
            Self::InvalidStatusLine => "malformed status line; expected \"HTTP/1.1 101 ...\"",
            Self::InvalidTarget => "invalid target; expected \"/path\" or \"ws://host/path\"",
            Self::InvalidVersion => "malformed Sec-WebSocket-Version; expected \"13\"",
            Self::MethodNotAllowed => "method not allowed; expected GET",
            Self::MissingConnection => "no upgrade in Connection; expected \"Connection: Upgrade\"",
            Self::MissingUpgrade => "no websocket in Upgrade; expected \"Upgrade: websocket\"",
            Self::NotHttp => "the first bytes are not HTTP",
            Self::TooManyHeaders(limit) => return write!(f, "more than {limit} header lines"),
            Self::UnexpectedBody => "request for an upgrade with a body; expected no body",
            Self::UnexpectedEof => {
                "the transport ended before the head of the response was complete"
            }
            Self::UnexpectedExtension => {
                "unexpected extension; expected only what the client offered"
            }
            Self::UnexpectedSubprotocol => {
                "unexpected subprotocol; expected one of those offered, or none"
            }
            Self::UnsupportedHttpVersion => "unsupported version of HTTP; expected HTTP/1.1",
            Self::UnsupportedProtocol => "unsupported protocol; expected \":protocol: websocket\"",
            Self::UnsupportedVersion => {
                "unsupported version of WebSocket; expected \"Sec-WebSocket-Version: 13\""
            }
            Self::UpgradeOfHttp10 => {
                "HTTP/1.0 cannot be upgraded to a WebSocket; expected HTTP/1.1, also from a proxy"
            }
        })
    }
}

impl core::error::Error for HandshakeError {}
