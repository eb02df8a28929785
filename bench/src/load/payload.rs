//! A message's payload, and its frame.

use std::str::FromStr;

use bytes::BytesMut;

use crate::frame;

/// The payload of a message.
#[derive(Clone, Copy, Debug)]
pub struct Payload {
    /// Its length in bytes.
    pub size: usize,
    /// Whether it is text, of characters of one to four bytes. (Up to five bytes it is `hello`.)
    pub text: bool,
}

/// A fixed mask: it makes no difference to a server, and the run can be repeated.
const MASK: [u8; 4] = [0x37, 0xFA, 0x21, 0x3D];

/// The shortest texts.
const SHORT_TEXT: &str = "hello";

impl Payload {
    /// Returns the whole frame, masked.
    pub(super) fn frame(self) -> Vec<u8> {
        let payload = if self.text { self.text() } else { self.binary() };
        let mut wire = BytesMut::new();
        frame::append(&mut wire, self.text, Some(MASK), &payload);
        wire.into()
    }

    fn binary(self) -> Vec<u8> {
        (0..self.size).map(|i| (i * 31 % 251).to_le_bytes()[0]).collect()
    }

    fn text(self) -> Vec<u8> {
        if self.size <= SHORT_TEXT.len() {
            return SHORT_TEXT.as_bytes()[..self.size].to_vec();
        }
        const PHRASE: &str = "Grüße, κόσμε! Привет, 世界 🦀 and plain words; ";
        let mut text = String::with_capacity(self.size);
        for char in PHRASE.chars().cycle() {
            if text.len() + char.len_utf8() > self.size {
                break;
            }
            text.push(char);
        }
        text.extend((text.len()..self.size).map(|_| '.'));
        text.into_bytes()
    }
}

impl FromStr for Payload {
    type Err = std::num::ParseIntError;

    /// Parses `512` as binary, and `text-512` as text.
    fn from_str(word: &str) -> Result<Self, Self::Err> {
        let text = word.strip_prefix("text-");
        Ok(Self { size: text.unwrap_or(word).parse()?, text: text.is_some() })
    }
}
