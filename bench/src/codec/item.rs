//! [`Item`]: the work, which is the same for every library.

use bytes::{Bytes, BytesMut};
use prism_core::{Header, Role};

use crate::frame;

/// A batch of messages that is decoded or encoded as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Item {
    /// The name in tables.
    pub name: &'static str,
    /// What is done with the messages.
    pub work: Work,
    /// Whether the messages are text, with characters of one to four bytes.
    pub text: bool,
    /// The length of a message, in bytes.
    pub len: usize,
    /// How many messages a batch has: as many as one read of a busy socket may return.
    pub messages: usize,
    /// The offset of the input in its memory, in bytes.
    ///
    /// A copy is slower where, by the lowest twelve bits of the addresses, it reads from just behind what it
    /// has written. Whether a library's allocations happen to lie like this says nothing about the library.
    pub place: usize,
}

/// What is done with an item's messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// A server decodes what a client has masked.
    Decode,
    /// This side encodes them: a client masks, a server does not.
    Encode(Role),
    /// A server's connection echoes them, from one read to one write.
    Echo,
    /// A server reads the request of a browser, and accepts it.
    Handshake,
    /// A server compresses and encodes JSON.
    Deflate,
    /// A server decodes and decompresses JSON.
    Inflate,
}

/// All items, in the order of the tables.
pub const ITEMS: &[Item] = &[
    binary("decode 32 B", Work::Decode, 32, 64),
    binary("decode 512 B", Work::Decode, 512, 32),
    binary("decode 4 KiB", Work::Decode, 4 << 10, 4),
    binary("decode 64 KiB", Work::Decode, 64 << 10, 1),
    Item { text: true, ..binary("decode 64 KiB text", Work::Decode, 64 << 10, 1) },
    binary("encode 32 B", Work::Encode(Role::Server), 32, 64),
    binary("encode 512 B", Work::Encode(Role::Server), 512, 32),
    binary("encode 64 KiB", Work::Encode(Role::Server), 64 << 10, 1),
    binary("encode 32 B masked", Work::Encode(Role::Client), 32, 64),
    binary("echo 16 x 32 B", Work::Echo, 32, 16),
    binary("echo 1 x 32 B", Work::Echo, 32, 1),
    binary("handshake", Work::Handshake, 0, 16),
    Item { text: true, ..binary("deflate 1 KiB JSON", Work::Deflate, 1 << 10, 16) },
    Item { text: true, ..binary("inflate 1 KiB JSON", Work::Inflate, 1 << 10, 16) },
];

impl Item {
    /// Returns the item with this name.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Self> {
        ITEMS.iter().find(|item| item.name == name)
    }

    /// Returns the same item, with its input at another offset in each round.
    #[must_use]
    pub const fn of_round(self, round: usize) -> Self {
        // Visits all cache lines of a page, in large steps.
        Self { place: round * 27 % 64 * 64, ..self }
    }

    /// Returns the payload of each message of the batch.
    pub(super) fn payload(&self) -> Bytes {
        if self.text { text(self.len) } else { noise(self.len) }
    }

    /// Returns the batch as a client sends it. Each message has its own mask key.
    pub(super) fn masked_wire(&self) -> Bytes {
        self.frames(|number| Some((0x9e37_79b9_u32.wrapping_mul(number as u32 + 1)).to_le_bytes()))
    }

    /// Returns the batch as a server sends it.
    pub(super) fn plain_wire(&self) -> Bytes {
        self.frames(|_| None)
    }

    /// Returns the header of each message's frame.
    pub(super) fn header(&self, mask: Option<[u8; 4]>) -> Header {
        frame::header(self.text, mask, self.len)
    }

    fn frames(&self, mask: impl Fn(usize) -> Option<[u8; 4]>) -> Bytes {
        let payload = self.payload();
        let mut wire = BytesMut::zeroed(self.place);
        for number in 0..self.messages {
            frame::append(&mut wire, self.text, mask(number), &payload);
        }
        wire.freeze().slice(self.place..)
    }
}

const fn binary(name: &'static str, work: Work, len: usize, messages: usize) -> Item {
    Item { name, work, text: false, len, messages, place: 0 }
}

/// Returns bytes without a pattern, the same ones each time.
fn noise(len: usize) -> Bytes {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    (0..len).map(|_| next()).collect()
}

/// Returns `len` bytes of text: half ASCII, half other characters.
fn text(len: usize) -> Bytes {
    const PIECE: &str = "Plain words, then Wörter, слова, 文字 and 🦀: ";
    let mut text = PIECE.repeat(len / PIECE.len());
    text.extend(std::iter::repeat_n('.', len - text.len()));
    text.into()
}
