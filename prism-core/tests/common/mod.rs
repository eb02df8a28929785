//! Shared by the scenarios: frames built and parsed by hand (RFC 6455 §5.2), one connection under
//! test, and two connections joined in memory. All time is virtual.
#![allow(unreachable_pub, reason = "the scenarios use it as a library")]

pub mod answers;
#[cfg(feature = "deflate")]
pub mod bits;
pub mod clock;
#[cfg(feature = "deflate")]
pub mod counting;
#[cfg(feature = "deflate")]
pub mod deflate;
pub mod frame;
pub mod heads;
pub mod machine;
pub mod pair;
pub mod upgrades;
pub mod vectors;

use prism_core::{Event, Message, ProtocolError};

/// An event or an error that owns its data, so that it can be kept and compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    Text(String),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(u16, String),
    Error(ProtocolError),
}

impl From<Event<'_>> for Seen {
    fn from(event: Event<'_>) -> Self {
        match event {
            Event::Message(Message::Text(text)) => Self::Text(text.into()),
            Event::Message(Message::Binary(bytes)) => Self::Binary(bytes.into()),
            Event::Ping(payload) => Self::Ping(payload.into()),
            Event::Pong(payload) => Self::Pong(payload.into()),
            Event::Close(frame) => Self::Close(frame.code.into(), frame.reason.into()),
        }
    }
}

/// A text message that was seen.
pub fn text(text: &str) -> Seen {
    Seen::Text(text.into())
}

/// A binary message that was seen.
pub fn binary(bytes: impl AsRef<[u8]>) -> Seen {
    Seen::Binary(bytes.as_ref().into())
}

/// A ping that was seen.
pub fn ping(payload: impl AsRef<[u8]>) -> Seen {
    Seen::Ping(payload.as_ref().into())
}

/// A pong that was seen.
pub fn pong(payload: impl AsRef<[u8]>) -> Seen {
    Seen::Pong(payload.as_ref().into())
}

/// A close frame that was seen.
pub fn close(code: u16, reason: &str) -> Seen {
    Seen::Close(code, reason.into())
}

/// The error of a peer that broke the protocol.
pub const fn error(error: ProtocolError) -> Seen {
    Seen::Error(error)
}
