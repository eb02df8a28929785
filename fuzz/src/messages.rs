//! Messages of all kinds and sizes, and the policies for slow peers.

use arbitrary::Arbitrary;
use prism_driver::{OwnedMessage, WhenSlow};

use crate::common::frame::Frame;

/// A description of a message.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub struct MessageSpec {
    pub prepared: bool,
    pub text: bool,
    pub len: u16,
}

impl MessageSpec {
    /// Returns the message, filled with one letter.
    pub fn message(self, filling: u8) -> OwnedMessage {
        let bytes = vec![b'a' + filling % 26; size(self.len)];
        if self.text {
            OwnedMessage::Text(bytes.into_iter().map(char::from).collect())
        } else {
            OwnedMessage::Binary(bytes)
        }
    }
}

/// Returns a size of one of four orders: tiny messages, small ones, ones that are shared if they are
/// prepared, and ones around the size from which they are written without a copy.
pub fn size(any: u16) -> usize {
    usize::from(match any % 4 {
        0 => any % 8,
        1 => any % 100,
        2 => any % 1_024,
        _ => 16_000 + any % 1_000,
    })
}

/// Returns the frame of a message, as a server sends it.
pub fn frame(message: &OwnedMessage) -> Frame {
    match message {
        OwnedMessage::Text(text) => Frame::text(text),
        OwnedMessage::Binary(bytes) => Frame::binary(bytes),
    }
}

/// See [`WhenSlow`].
#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum Slow {
    Wait,
    DropNewest,
    DropOldest,
    Close,
}

impl From<Slow> for WhenSlow {
    fn from(slow: Slow) -> Self {
        match slow {
            Slow::Wait => Self::Wait,
            Slow::DropNewest => Self::DropNewest,
            Slow::DropOldest => Self::DropOldest,
            Slow::Close => Self::Close,
        }
    }
}
