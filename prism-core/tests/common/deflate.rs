//! DEFLATE (RFC 1951) written and read by hand. Nothing here uses the code under test.

use std::sync::Arc;

use prism_core::deflate::{Deflate, DeflateParams, WindowBits};

use super::{bits::BitWriter, frame::Frame};

/// RSV1, which marks a compressed message (RFC 7692 §6).
pub const RSV1: u8 = 0x40;

/// The text of [`HELLO`] and [`HELLO_AGAIN`].
pub const HELLO_TEXT: &str = "Hello";

/// RFC 7692 §7.2.3.1: "Hello" in a block with fixed codes.
pub const HELLO: &[u8] = &[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];

/// RFC 7692 §7.2.3.2: "Hello" as a reference to an earlier "Hello".
pub const HELLO_AGAIN: &[u8] = &[0xf2, 0x00, 0x11, 0x00, 0x00];

/// RFC 7692 §7.2.3.3: "Hello" in a block without compression.
pub const HELLO_STORED: &[u8] = &[0x00, 0x05, 0x00, 0xfa, 0xff, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x00];

/// RFC 7692 §7.2.3.4: "Hello" in a final block, and an empty one.
pub const HELLO_FINAL: &[u8] = &[0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00];

/// RFC 7692 §7.2.3.5: "Hello" in two blocks.
pub const HELLO_IN_TWO: &[u8] =
    &[0xf2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xff, 0xff, 0xca, 0xc9, 0xc9, 0x07, 0x00];

/// RFC 7692 §7.2.3.6: an empty message.
pub const NOTHING: &[u8] = &[0x00];

/// A final block with fixed codes that is empty.
pub const EMPTY_FINAL: &[u8] = &[0x03, 0x00];

/// Returns blocks without content, each of which brings codes of its own: the shortest ones that there are.
/// They end at a byte, with an empty block without compression.
pub fn empty_dynamic(count: usize) -> Vec<u8> {
    let mut bits = BitWriter::default();
    for _ in 0..count {
        bits.put(0b100, 3); // not final, dynamic codes
        bits.put(0, 10); // 257 literals and lengths, one distance
        bits.put(14, 4); // 18 code lengths follow, in the order of RFC 1951
        for length in [0, 0, 1, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2] {
            bits.put(length, 3); // 18 has one bit; 0 and 1 have two
        }
        for repeat in [138, 118] {
            bits.put(0, 1); // 18: zeros
            bits.put(repeat - 11, 7);
        }
        bits.put(0b11, 2); // 1: the end of the block has a code of one bit
        bits.put(0b01, 2); // 0: there are no distances
        bits.put(0, 1); // the end of the block
    }
    bits.put(0, 3);
    let mut blocks = bits.finish();
    blocks.extend([0, 0, 0xff, 0xff]);
    blocks
}

impl Frame {
    /// Sets RSV1: the message is compressed.
    pub fn compressed(mut self) -> Self {
        self.first |= RSV1;
        self
    }

    pub fn is_compressed(&self) -> bool {
        self.first & RSV1 != 0
    }
}

/// Settings under which every message is compressed that becomes shorter.
pub fn eager() -> Arc<Deflate> {
    Arc::new(Deflate::default().threshold(1))
}

pub fn bits(bits: u8) -> WindowBits {
    WindowBits::new(bits).expect("8 to 15")
}

/// What is agreed without any parameter: takeover, and windows of 32 KiB.
pub fn takeover() -> DeflateParams {
    DeflateParams::default()
}

/// No takeover in any direction.
pub fn no_takeover() -> DeflateParams {
    DeflateParams {
        server_no_context_takeover: true,
        client_no_context_takeover: true,
        ..takeover()
    }
}

/// Every agreement that there is.
pub fn agreements() -> impl Iterator<Item = DeflateParams> {
    (0..256).map(|nth| DeflateParams {
        server_no_context_takeover: nth & 1 != 0,
        client_no_context_takeover: nth & 2 != 0,
        server_max_window_bits: bits(8 + (nth >> 2 & 7) as u8),
        client_max_window_bits: bits(8 + (nth >> 5) as u8),
    })
}

/// Blocks without compression. If the last one is not final, the payload of a message is complete with
/// [`NOTHING`] behind it.
pub fn stored(plain: &[u8], is_final: bool) -> Vec<u8> {
    let mut out = Vec::new();
    let mut blocks = plain.chunks(65_535).peekable();
    while let Some(block) = blocks.next() {
        let len = block.len() as u16;
        out.push(u8::from(is_final && blocks.peek().is_none()));
        out.extend(len.to_le_bytes());
        out.extend((!len).to_le_bytes());
        out.extend(block);
    }
    out
}

/// The payload of a message whose content is not compressed.
pub fn stored_message(plain: &[u8]) -> Vec<u8> {
    [&stored(plain, false), NOTHING].concat()
}

/// Bytes that cannot be compressed, the same ones in each run.
pub fn noise(len: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 24) as u8
    };
    (0..len).map(|_| next()).collect()
}

/// Text of the length of a typical record, as JSON.
pub fn json(nth: usize) -> String {
    let (x, y) = (nth * 7919 % 10_007, nth * 104_729 % 65_537);
    format!(
        "{{\"id\":{nth},\"type\":\"position\",\"player\":\"user-{x}\",\"x\":{y}.{x},\"y\":{x}.{y},\"alive\":{}}}",
        nth.is_multiple_of(3)
    )
}

/// Returns the bits of a byte sequence, from the least significant on.
struct BitReader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl BitReader<'_> {
    fn bit(&mut self) -> Option<usize> {
        let byte = self.bytes.get(self.at / 8)?;
        let bit = byte >> (self.at % 8) & 1;
        self.at += 1;
        Some(bit.into())
    }

    fn bits(&mut self, count: usize) -> Option<usize> {
        (0..count).try_fold(0, |value, nth| Some(value | self.bit()? << nth))
    }
}

/// A Huffman code: how many codes have each length, and the symbols in the order of their codes.
struct Huffman {
    counts: [usize; 16],
    symbols: Vec<usize>,
}

impl Huffman {
    fn new(lengths: &[usize]) -> Self {
        let mut counts = [0; 16];
        lengths.iter().for_each(|&length| counts[length] += 1);
        counts[0] = 0;
        let mut symbols: Vec<_> = (0..lengths.len()).filter(|&nth| lengths[nth] > 0).collect();
        symbols.sort_by_key(|&symbol| lengths[symbol]);
        Self { counts, symbols }
    }

    fn symbol(&self, reader: &mut BitReader<'_>) -> Option<usize> {
        let (mut code, mut first, mut index) = (0, 0, 0);
        for count in &self.counts[1..] {
            code |= reader.bit()?;
            if code < first + count {
                return self.symbols.get(index + code - first).copied();
            }
            index += count;
            first = (first + count) << 1;
            code <<= 1;
        }
        None
    }
}

/// What the payload of a message contains.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Decoded {
    pub plain: Vec<u8>,
    /// The longest distance of a reference.
    pub max_distance: usize,
    /// How many final blocks there are.
    pub final_blocks: usize,
}

const LENGTHS: [usize; 29] = [
    3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131,
    163, 195, 227, 258,
];
const LENGTH_BITS: [usize; 29] =
    [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0];
const DISTANCES: [usize; 30] = [
    1, 2, 3, 4, 5, 7, 9, 13, 17, 25, 33, 49, 65, 97, 129, 193, 257, 385, 513, 769, 1025, 1537,
    2049, 3073, 4097, 6145, 8193, 12_289, 16_385, 24_577,
];

/// Reads the payload of a message (RFC 7692 §7.2.2), which may refer to `history`. Returns `None` if it
/// is invalid, or does not end where a block does.
pub fn decode(payload: &[u8], history: &[u8]) -> Option<Decoded> {
    let all = [payload, &[0, 0, 0xff, 0xff]].concat();
    let mut reader = BitReader { bytes: &all, at: 0 };
    let mut decoded = Decoded { plain: history.to_vec(), ..Decoded::default() };
    while reader.at.div_ceil(8) < all.len() {
        let is_final = reader.bit()? == 1;
        match reader.bits(2)? {
            0 => stored_block(&mut reader, &mut decoded)?,
            1 => {
                let lengths = [vec![8; 144], vec![9; 112], vec![7; 24], vec![8; 8]].concat();
                let codes = [Huffman::new(&lengths), Huffman::new(&[5; 30])];
                coded_block(&mut reader, &codes, &mut decoded)?;
            }
            2 => {
                let codes = dynamic_codes(&mut reader)?;
                coded_block(&mut reader, &codes, &mut decoded)?;
            }
            _ => return None,
        }
        if is_final {
            decoded.final_blocks += 1;
            reader.at = reader.at.next_multiple_of(8);
            if reader.at / 8 == payload.len() {
                break;
            }
        }
    }
    decoded.plain.drain(..history.len());
    Some(decoded)
}

fn stored_block(reader: &mut BitReader<'_>, decoded: &mut Decoded) -> Option<()> {
    reader.at = reader.at.next_multiple_of(8);
    let (len, check) = (reader.bits(16)?, reader.bits(16)?);
    if len ^ check != 0xffff {
        return None;
    }
    for _ in 0..len {
        decoded.plain.push(reader.bits(8)? as u8);
    }
    Some(())
}

fn dynamic_codes(reader: &mut BitReader<'_>) -> Option<[Huffman; 2]> {
    const ORDER: [usize; 19] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];
    let (literals, distances) = (reader.bits(5)? + 257, reader.bits(5)? + 1);
    let count = reader.bits(4)? + 4;
    let mut lengths = [0; 19];
    for at in &ORDER[..count] {
        lengths[*at] = reader.bits(3)?;
    }
    let of_lengths = Huffman::new(&lengths);
    let mut lengths = Vec::new();
    while lengths.len() < literals + distances {
        let (length, repeat) = match of_lengths.symbol(reader)? {
            16 => (*lengths.last()?, 3 + reader.bits(2)?),
            17 => (0, 3 + reader.bits(3)?),
            18 => (0, 11 + reader.bits(7)?),
            length => (length, 1),
        };
        lengths.extend(vec![length; repeat]);
    }
    let (literals, distances) = lengths.split_at_checked(literals)?;
    Some([Huffman::new(literals), Huffman::new(distances)])
}

fn coded_block(
    reader: &mut BitReader<'_>,
    [literals, distances]: &[Huffman; 2],
    decoded: &mut Decoded,
) -> Option<()> {
    loop {
        match literals.symbol(reader)? {
            literal @ 0..256 => decoded.plain.push(literal as u8),
            256 => return Some(()),
            symbol => {
                let nth = symbol - 257;
                let len = LENGTHS.get(nth)? + reader.bits(LENGTH_BITS[nth])?;
                let nth = distances.symbol(reader)?;
                let extra = (nth / 2).saturating_sub(1);
                let distance = DISTANCES.get(nth)? + reader.bits(extra)?;
                decoded.max_distance = decoded.max_distance.max(distance);
                for _ in 0..len {
                    let from = decoded.plain.len().checked_sub(distance)?;
                    decoded.plain.push(decoded.plain[from]);
                }
            }
        }
    }
}
