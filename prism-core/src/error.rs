//! The errors of a connection, by the party at fault: the peer ([`ProtocolError`]) or the caller
//! ([`SendError`]).

use core::fmt;

use crate::close_code::CloseCode;

/// A violation of the protocol by the peer, or the loss of the peer. The connection has failed.
///
/// The error is final. It is reported to the peer with a close frame, unless it has no
/// [`close_code`](Self::close_code). Section numbers refer to RFC 6455.
///
/// If you use `prism-core` directly: every later `receive` returns the same error. A
/// [`WebSocket`](crate::WebSocket) has already appended the close frame to its output; with the
/// halves, pass the error to [`Outbound::fail`](crate::Outbound::fail). Send the output, and shut
/// down the transport's write side once [`wants_shutdown`](crate::WebSocket::wants_shutdown)
/// returns `true`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProtocolError {
    /// The peer did not answer a close frame within the [close
    /// timeout](crate::Config::close_timeout).
    CloseTimeout,
    /// A control frame announced this many bytes of payload; at most 125 are allowed (§5.5).
    ControlTooLong(u64),
    /// A control frame was a fragment (§5.5).
    FragmentedControl,
    /// A new message began before the fragmented one was finished (§5.4).
    InterleavedMessage,
    /// A close frame held a code that must not be sent (§7.4).
    InvalidCloseCode(u16),
    /// A close frame's reason was not UTF-8 (§5.5.1).
    InvalidCloseReason,
    /// A compressed message was not valid DEFLATE data, or incomplete (RFC 7692 §7.2.2).
    InvalidDeflate,
    /// A text message was not UTF-8 (§8.1).
    InvalidUtf8,
    /// Nothing was received from the peer within
    /// [`Config::pong_timeout`](crate::Config::pong_timeout) of a keepalive ping. If no ping was sent,
    /// because much was unsent, the peer did not take any of that either.
    KeepaliveTimeout,
    /// A length had its top bit set (§5.2).
    LengthOverflow,
    /// A server sent a masked frame (§5.1).
    MaskedFrame,
    /// A message exceeded the configured limit. The value is that limit, in bytes.
    MessageTooBig(usize),
    /// A length was not in its shortest form (§5.2).
    NonMinimalLength,
    /// A frame had a reserved bit set that no extension uses (§5.2). With permessage-deflate, that
    /// includes RSV1 in any frame other than the first of a message (RFC 7692 §6.1).
    ReservedBits,
    /// A frame had an opcode that is not defined (§5.2).
    ReservedOpcode(u8),
    /// At some point, a compressed message had more than 4,096 blocks plus one for each 64 bytes
    /// decompressed so far. (Of blocks with fewer than 11 bytes, 16 count as one, and those in the last
    /// 4 KiB of the payload do not count.) Or it had more than 32 final blocks (RFC 7692 §7.2.3.4) plus
    /// one for each KiB of its payload.
    TooManyBlocks,
    /// More consecutive empty fragments arrived than the configured limit allows.
    TooManyEmptyFragments,
    /// A close frame's payload was one byte long, which is too short for a code (§5.5.1).
    TruncatedCloseCode,
    /// A continuation frame arrived without a message to continue (§5.4).
    UnexpectedContinuation,
    /// The transport reached its end, and no close frame had arrived (§7.1.5).
    UnexpectedEof,
    /// A client sent an unmasked frame (§5.1).
    UnmaskedFrame,
}

impl ProtocolError {
    /// Returns the code of the close frame that reports this error to the peer; `None` for
    /// [`CloseTimeout`](Self::CloseTimeout) and [`UnexpectedEof`](Self::UnexpectedEof), which are
    /// not reported.
    #[must_use]
    pub const fn close_code(&self) -> Option<CloseCode> {
        match self {
            Self::CloseTimeout | Self::UnexpectedEof => None,
            Self::InvalidCloseReason | Self::InvalidDeflate | Self::InvalidUtf8 => {
                Some(CloseCode::INVALID_PAYLOAD)
            }
            Self::KeepaliveTimeout => Some(CloseCode::INTERNAL_ERROR),
            Self::MessageTooBig(_) => Some(CloseCode::MESSAGE_TOO_BIG),
            Self::TooManyBlocks | Self::TooManyEmptyFragments => Some(CloseCode::POLICY_VIOLATION),
            _ => Some(CloseCode::PROTOCOL_ERROR),
        }
    }
}

impl fmt::Display for ProtocolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CloseTimeout => f.write_str("the close handshake was not finished in time"),
            Self::ControlTooLong(len) => {
                write!(f, "control frame of {len} bytes; expected at most 125")
            }
            Self::FragmentedControl => f.write_str("fragmented control frame"),
            Self::InterleavedMessage => {
                f.write_str("new message inside a fragmented one; expected a continuation frame")
            }
            Self::InvalidCloseCode(code) => write!(f, "close code {code} must not be sent"),
            Self::InvalidCloseReason => f.write_str("close reason is not UTF-8"),
            Self::InvalidDeflate => f.write_str("compressed message is not valid DEFLATE data"),
            Self::InvalidUtf8 => f.write_str("text message is not UTF-8"),
            Self::KeepaliveTimeout => f.write_str("no answer to the keepalive ping"),
            Self::LengthOverflow => f.write_str("64-bit length with its top bit set"),
            Self::MaskedFrame => f.write_str("masked frame from a server"),
            Self::MessageTooBig(limit) => write!(f, "message of more than {limit} bytes"),
            Self::NonMinimalLength => f.write_str("length not in its shortest form"),
            Self::ReservedBits => f.write_str("reserved bit set without an extension"),
            Self::ReservedOpcode(opcode) => write!(f, "reserved opcode {opcode:#x}"),
            Self::TooManyBlocks => {
                f.write_str("too many DEFLATE blocks for the length of a compressed message")
            }
            Self::TooManyEmptyFragments => f.write_str("too many empty fragments in a row"),
            Self::TruncatedCloseCode => f.write_str(
                "close frame with a payload of one byte; expected none, or a code of two",
            ),
            Self::UnexpectedContinuation => {
                f.write_str("continuation frame without a message to continue")
            }
            Self::UnexpectedEof => f.write_str("the transport ended without a close frame"),
            Self::UnmaskedFrame => f.write_str("unmasked frame from a client"),
        }
    }
}

impl core::error::Error for ProtocolError {}

/// The reason why something cannot be sent. Nothing of it was written.
///
/// If you use `prism-core` directly: the state of the connection has not changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SendError {
    /// A close frame was sent or received, or the connection has failed, so that nothing more may
    /// be sent.
    Closed,
    /// The payload of a ping or a pong is this many bytes long; at most 125 are allowed.
    ControlTooLong(usize),
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => f.write_str("the connection is closing or closed"),
            Self::ControlTooLong(len) => {
                write!(f, "control payload of {len} bytes; expected at most 125")
            }
        }
    }
}

impl core::error::Error for SendError {}
