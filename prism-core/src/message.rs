//! Messages, and the events of a connection.

use alloc::{string::String, vec::Vec};

use bytes::{Bytes, BytesMut};

use crate::close_frame::CloseFrame;

/// A message: text or binary, borrowed.
///
/// It is [`Copy`], and converts from the usual types that hold text or bytes:
///
/// ```
/// # use prism_core::Message;
/// assert_eq!(Message::from("hello"), Message::Text("hello"));
/// assert_eq!(Message::from(&vec![1, 2, 3]), Message::Binary(&[1, 2, 3]));
/// assert_eq!(Message::Text("hello").as_bytes(), b"hello");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Message<'a> {
    /// A text message.
    Text(&'a str),
    /// A binary message.
    Binary(&'a [u8]),
}

impl<'a> Message<'a> {
    /// Returns the payload.
    #[must_use]
    pub const fn as_bytes(&self) -> &'a [u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Binary(bytes) => bytes,
        }
    }

    /// Returns the text of a text message; `None` for a binary one.
    #[must_use]
    pub const fn as_text(&self) -> Option<&'a str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Binary(_) => None,
        }
    }

    /// Copies the payload into a message that owns it.
    #[must_use]
    pub fn into_owned(self) -> OwnedMessage {
        match self {
            Self::Text(text) => OwnedMessage::Text(text.into()),
            Self::Binary(bytes) => OwnedMessage::Binary(bytes.into()),
        }
    }
}

/// The kind of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    Binary,
}

/// A message that owns its payload.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum OwnedMessage {
    /// A text message.
    Text(String),
    /// A binary message.
    Binary(Vec<u8>),
}

impl OwnedMessage {
    /// Returns the payload.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.as_message().as_bytes()
    }

    /// Returns the text of a text message; `None` for a binary one.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        self.as_message().as_text()
    }

    /// Borrows the message.
    #[must_use]
    pub fn as_message(&self) -> Message<'_> {
        match self {
            Self::Text(text) => Message::Text(text),
            Self::Binary(bytes) => Message::Binary(bytes),
        }
    }
}

/// An event of a connection, returned by [`receive`](crate::WebSocket::receive). It borrows the
/// receive buffer and nothing else.
///
/// A [`WebSocket`](crate::WebSocket) answers pings and close frames itself. With the halves, pass
/// each event to [`Outbound::answer`](crate::Outbound::answer).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// A complete message.
    Message(Message<'a>),
    /// A ping. The pong is appended to the output at once, or [held
    /// back](crate::Config::pong_mark).
    Ping(&'a [u8]),
    /// A pong, whether requested or not. Pass it to
    /// [`handle_pong`](crate::WebSocket::handle_pong) to measure the round trip.
    Pong(&'a [u8]),
    /// The peer's close frame, which is the last event. It is answered with an echo, unless it is
    /// itself the answer to a close frame.
    Close(CloseFrame<'a>),
}

macro_rules! message_from {
    ($variant:ident: $($source:ty),*) => {$(
        impl<'a> From<$source> for Message<'a> {
            fn from(source: $source) -> Self {
                Self::$variant(source)
            }
        }
    )*};
}

message_from!(Text: &'a str, &'a String);
message_from!(Binary: &'a [u8], &'a Vec<u8>, &'a Bytes, &'a BytesMut);

impl<'a, const N: usize> From<&'a [u8; N]> for Message<'a> {
    fn from(source: &'a [u8; N]) -> Self {
        Self::Binary(source)
    }
}

impl<'a> From<&'a OwnedMessage> for Message<'a> {
    fn from(source: &'a OwnedMessage) -> Self {
        source.as_message()
    }
}

/// ```
/// # use prism_core::{Message, OwnedMessage};
/// assert_eq!(OwnedMessage::from(String::from("hello")), Message::Text("hello"));
/// ```
impl PartialEq<Message<'_>> for OwnedMessage {
    fn eq(&self, other: &Message<'_>) -> bool {
        self.as_message() == *other
    }
}

impl From<String> for OwnedMessage {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<Vec<u8>> for OwnedMessage {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Binary(bytes)
    }
}

impl From<Message<'_>> for OwnedMessage {
    fn from(message: Message<'_>) -> Self {
        message.into_owned()
    }
}
