//! Messages of all kinds and sizes, and what may become of them.

use arbitrary::Arbitrary;
use prism_driver::{OwnedMessage, WhenSlow};

use crate::common::frame::Frame;

/// A message to be made.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub struct Load {
    pub prepared: bool,
    pub text: bool,
    pub len: u16,
}

impl Load {
    /// The message, filled with a letter.
    pub fn message(self, filling: u8) -> OwnedMessage {
        let bytes = vec![b'a' + filling % 26; size(self.len)];
        if self.text {
            OwnedMessage::Text(bytes.into_iter().map(char::from).collect())
        } else {
            OwnedMessage::Binary(bytes)
        }
    }
}

/// A size of one of four orders: messages that are tiny, that are small, that are shared if they are
/// prepared, and that leave from where they lie, or just not.
pub fn size(any: u16) -> usize {
    usize::from(match any % 4 {
        0 => any % 8,
        1 => any % 100,
        2 => any % 1_024,
        _ => 16_000 + any % 1_000,
    })
}

/// Its frame, as a server sends it.
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
