//! [`Source`]: a message on its way into an outbox, still in the sender's memory.

use std::mem;

use bytes::{Bytes, BytesMut};
use prism_core::{Message, OpCode, PreparedMessage};

use crate::outbox::queue::{MIN_SHARED, frame::FrameBytes};

/// From this size on (in bytes), a payload goes to the transport without a copy, if nothing waits ahead of it and it
/// needs no mask: the copy would cost more than another write. Bytes that have to wait are taken from the sender, if it
/// passed them by value. Otherwise they are copied, or shared with the next connections that are sent the same message.
pub(super) const LARGE_PAYLOAD: usize = 16 << 10;

/// A message to be sent, in the form in which the sender holds it. The sender keeps it until an outbox has accepted it.
pub(crate) enum Source<'m> {
    Payload(Payload<'m>),
    /// A message that is encoded already, and shared as it is.
    Prepared(&'m PreparedMessage),
    /// A message that is encoded already, and is not to be compressed.
    PlainPrepared(&'m PreparedMessage),
}

/// A message that has to be encoded. Only a [large](LARGE_PAYLOAD) one can be taken from its sender.
pub(crate) enum Payload<'m> {
    /// A borrowed message, whose bytes are copied if they have to wait.
    Message(Message<'m>),
    /// Binary data that is shared with the sender.
    Bytes(&'m Bytes),
    /// Text that can be taken.
    String(&'m mut String),
    /// Binary data that can be taken.
    Vec(&'m mut Vec<u8>),
    /// Binary data that can be taken.
    BytesMut(&'m mut BytesMut),
    /// Borrowed text that is not to be compressed.
    // With a `Message` in its place, every source would be larger.
    PlainText(&'m str),
    /// Borrowed binary data that is not to be compressed.
    PlainBinary(&'m [u8]),
}

macro_rules! takeable {
    ($($source:ty => $variant:ident),*) => {$(
        impl<'m> From<$source> for Source<'m> {
            #[inline]
            fn from(message: $source) -> Self {
                Self::Payload(if message.len() < LARGE_PAYLOAD {
                    Payload::Message((&*message).into())
                } else {
                    Payload::$variant(message)
                })
            }
        }
    )*};
}

takeable!(&'m Bytes => Bytes, &'m mut String => String, &'m mut Vec<u8> => Vec, &'m mut BytesMut => BytesMut);

impl<'m> Source<'m> {
    /// Returns the source of a message that is only borrowed.
    #[inline]
    pub(crate) fn borrowed(message: impl Into<Message<'m>>) -> Self {
        Self::Payload(Payload::Message(message.into()))
    }

    /// Returns the source of the same message, which is not to be compressed.
    pub(crate) fn plain(self) -> Self {
        match self {
            Self::Payload(payload) => Self::Payload(match payload.into_message() {
                Message::Text(text) => Payload::PlainText(text),
                Message::Binary(bytes) => Payload::PlainBinary(bytes),
            }),
            Self::Prepared(message) | Self::PlainPrepared(message) => Self::PlainPrepared(message),
        }
    }

    /// Returns the message if it is so short that it is always copied.
    #[inline(always)]
    pub(crate) const fn as_short(&self) -> Option<Message<'m>> {
        match self {
            Self::Payload(Payload::Message(message)) if message.as_bytes().len() < MIN_SHARED => {
                Some(*message)
            }
            _ => None,
        }
    }

    /// Returns whether the message is not to be compressed.
    pub(crate) const fn is_plain(&self) -> bool {
        match self {
            Self::Payload(payload) => payload.is_plain(),
            Self::Prepared(_) => false,
            Self::PlainPrepared(_) => true,
        }
    }
}

/// Borrows the message in a payload, which is passed by value or by reference.
macro_rules! message_in {
    ($payload:expr, |$message:ident| $copied:expr) => {
        match $payload {
            Payload::Message($message) => $copied,
            Payload::Bytes(bytes) => Message::Binary(bytes),
            Payload::String(text) => Message::Text(text),
            Payload::Vec(bytes) => Message::Binary(bytes),
            Payload::BytesMut(bytes) => Message::Binary(bytes),
            Payload::PlainText(text) => Message::Text(text),
            Payload::PlainBinary(bytes) => Message::Binary(bytes),
        }
    };
}

impl<'m> Payload<'m> {
    fn into_message(self) -> Message<'m> {
        message_in!(self, |message| message)
    }
}

impl Payload<'_> {
    /// Returns whether the message is not to be compressed.
    pub(crate) const fn is_plain(&self) -> bool {
        matches!(self, Self::PlainText(_) | Self::PlainBinary(_))
    }

    /// Borrows the message.
    pub(crate) fn as_message(&self) -> Message<'_> {
        message_in!(self, |message| *message)
    }

    /// Takes the message as an unmasked frame, without a copy. Returns `None` if it is only borrowed.
    ///
    /// Spare capacity is given back, so that the frame takes no more memory than it counts. (Allocators usually do that
    /// without moving the bytes.)
    pub(super) fn take(&mut self) -> Option<FrameBytes> {
        Some(match self {
            Self::Message(_) | Self::PlainText(_) | Self::PlainBinary(_) => return None,
            Self::Bytes(bytes) => FrameBytes::shared(bytes.clone()),
            Self::String(text) => {
                let bytes = mem::take(*text).into_bytes();
                FrameBytes::new(OpCode::Text, bytes.into_boxed_slice().into())
            }
            Self::Vec(bytes) => {
                FrameBytes::new(OpCode::Binary, mem::take(*bytes).into_boxed_slice().into())
            }
            Self::BytesMut(bytes) => FrameBytes::new(OpCode::Binary, mem::take(*bytes).freeze()),
        })
    }
}

#[cfg(test)]
mod tests {
    use prism_core::Message;

    use super::Source;

    /// Every send writes one.
    #[test]
    fn a_source_is_as_small_as_a_message() {
        assert_eq!(size_of::<Source<'_>>(), size_of::<Message<'_>>());
    }
}
