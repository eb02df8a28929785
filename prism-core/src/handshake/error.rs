//! [`HandshakeError`]: what can be wrong with a request or an answer, and what to say about it.

use alloc::format;
use core::fmt;

use super::reply::Reply;

/// The peer's part of the handshake was wrong. There is no connection.
///
/// Its text says what was wrong and what was expected. The machine is fused: every later call gives
/// the same error. A server sends [`reply`](Self::reply) and closes the transport; a client just
/// closes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HandshakeError {
    /// A CR or LF stood alone (RFC 9112 §2.2).
    BareNewline,
    /// A control character, such as NUL, in the head (RFC 9110 §5.5).
    ControlCharacter,
    /// The handshake is over: it gave its request or answer already.
    Finished,
    /// A header went on in the next line (RFC 9112 §5.2).
    FoldedHeader,
    /// The head is larger than this many bytes, the configured limit.
    HeadTooLarge(usize),
    /// `Sec-WebSocket-Accept` was missing, there twice, or not the answer to our key (RFC 6455
    /// §4.1).
    InvalidAccept,
    /// `Content-Length` was no number, or there were different ones (RFC 9112 §6.3).
    InvalidContentLength,
    /// A `%` in the path of a request was not followed by two hexadecimal digits (RFC 3986 §2.1).
    InvalidEscape,
    /// `Sec-WebSocket-Extensions` was malformed (RFC 6455 §9.1).
    InvalidExtensions,
    /// A header line was malformed (RFC 9112 §5).
    InvalidHeader,
    /// `Host` was missing, there twice, or malformed (RFC 9112 §3.2).
    InvalidHost,
    /// `Sec-WebSocket-Key` was missing, there twice, or not 16 bytes in base64 (RFC 6455 §4.2.1).
    InvalidKey,
    /// `Sec-WebSocket-Protocol` was malformed (RFC 6455 §4.1).
    InvalidSubprotocols,
    /// The first line of a request was malformed (RFC 9112 §3).
    InvalidRequestLine,
    /// The first line of an answer was malformed (RFC 9112 §4).
    InvalidStatusLine,
    /// The request's target was neither a path nor an absolute `http:` or `ws:` address (RFC 9112
    /// §3.2).
    InvalidTarget,
    /// `Sec-WebSocket-Version` was not one number (RFC 6455 §4.1).
    InvalidVersion,
    /// An upgrade was asked for by another method than GET (RFC 6455 §4.2.1).
    MethodNotAllowed,
    /// `Connection` had no `upgrade` (RFC 6455 §4.1, §4.2.1).
    MissingConnection,
    /// `Upgrade` had no `websocket` (RFC 6455 §4.1, §4.2.1).
    MissingUpgrade,
    /// The first bytes were not HTTP.
    NotHttp,
    /// The head has more header lines than this, the configured limit.
    TooManyHeaders(usize),
    /// A request for an upgrade came with a body.
    UnexpectedBody,
    /// The transport ended before the answer's head did.
    UnexpectedEof,
    /// The server agreed to an extension that was not offered (RFC 6455 §4.1).
    UnexpectedExtension,
    /// The server agreed to a subprotocol that was not offered, or to several (RFC 6455 §4.1).
    UnexpectedSubprotocol,
    /// The major version of HTTP is not 1 (RFC 9110 §15.6.6), or HTTP/1.0 switches protocols (§15.2).
    UnsupportedHttpVersion,
    /// Another version of WebSocket than 13, or none (RFC 6455 §4.4).
    UnsupportedVersion,
    /// The request was HTTP/1.0, which has no upgrade (RFC 9110 §7.8, RFC 6455 §4.2.1).
    UpgradeOfHttp10,
}

impl HandshakeError {
    /// The status that a server answers with.
    ///
    /// What only a server can get wrong is 502, as a gateway would tell its own client.
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
            Self::MethodNotAllowed => 405,
            // RFC 9110 §15.5.22: "the server refuses to perform the request using the current
            // protocol but might be willing to do so after the client upgrades". A request whose
            // Connection lacks the token asks for no upgrade either, whatever its Upgrade says
            // (RFC 9110 §7.8): a proxy that does not know WebSocket drops just these, and may speak
            // HTTP/1.0, in which there is no upgrade at all.
            Self::MissingConnection
            | Self::MissingUpgrade
            | Self::UnsupportedVersion
            | Self::UpgradeOfHttp10 => 426,
            Self::HeadTooLarge(_) | Self::TooManyHeaders(_) => 431,
            Self::Finished => 500,
            Self::InvalidAccept
            | Self::InvalidStatusLine
            | Self::UnexpectedExtension
            | Self::UnexpectedSubprotocol => 502,
            Self::UnsupportedHttpVersion => 505,
        }
    }

    /// The answer to a request with this error: its text, and what the status asks for.
    #[must_use]
    pub fn reply(&self) -> Reply {
        let reply = Reply::text(self.status(), format!("{self}\n"));
        match self {
            Self::MethodNotAllowed => reply.allow_get(),
            _ => reply,
        }
    }
}

impl fmt::Display for HandshakeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BareNewline => "CR or LF alone in the head; lines end with CR LF",
            Self::ControlCharacter => "control character in the head",
            Self::Finished => "the handshake is over; there is one per connection",
            Self::FoldedHeader => "header line that begins with a space; each must fit in one line",
            Self::HeadTooLarge(limit) => return write!(f, "head of more than {limit} bytes"),
            Self::InvalidAccept => "expected exactly one Sec-WebSocket-Accept, that for our key",
            Self::InvalidContentLength => "invalid Content-Length; expected one number",
            Self::InvalidEscape => {
                "malformed escape in the path; expected \"%\" and two hexadecimal digits"
            }
            Self::InvalidExtensions => "malformed Sec-WebSocket-Extensions",
            Self::InvalidHeader => "malformed header line; expected \"Name: value\"",
            Self::InvalidHost => "expected exactly one Host header, with a host",
            Self::InvalidKey => "expected exactly one Sec-WebSocket-Key, 16 bytes in base64",
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
            Self::UnexpectedBody => "request for an upgrade with a body; expected none",
            Self::UnexpectedEof => "the transport ended before the whole head of an answer came",
            Self::UnexpectedExtension => "extension that was not offered; expected none",
            Self::UnexpectedSubprotocol => "expected one of the subprotocols offered, or none",
            Self::UnsupportedHttpVersion => "unsupported version of HTTP; expected HTTP/1.1",
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
