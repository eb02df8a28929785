//! Compressed messages that cost a server more than they cost their sender.

#[path = "../../../prism-core/tests/common/bits.rs"]
mod bits;

use std::sync::Arc;

use bytes::BytesMut;
use prism_core::{
    Header, Message, OpCode, Role,
    deflate::{Codecs, Compressor, Deflate, DeflateParams},
};

use self::bits::BitWriter;

/// What a client offers to send them: what browsers offer.
pub(super) const OFFER: &str = "permessage-deflate; client_max_window_bits";

/// How many blocks a message has: fewer than Prism refuses.
const BLOCKS: usize = 2000;

/// How many final blocks a message has: as many as Prism accepts.
const FINAL_BLOCKS: usize = 32;

/// Returns a message of this many zeros.
pub(super) fn zeros(len: usize) -> Vec<u8> {
    frame(&compressed(&vec![0; len]))
}

/// Returns a message without content, in blocks that each bring large codes of their own (RFC 1951 §3.2.7).
pub(super) fn blocks() -> Vec<u8> {
    let mut bits = BitWriter::default();
    (0..BLOCKS).for_each(|_| put_block(&mut bits));
    bits.put(0, 3); // the empty block with which a message ends
    frame(&bits.finish())
}

/// Returns a message of 32 KiB, and final blocks behind it. After each, decompression begins again, with these 32 KiB
/// as its history.
pub(super) fn final_blocks() -> Vec<u8> {
    let mut payload = compressed(&[0; 32 << 10]);
    payload.extend([0, 0, 0xff, 0xff]);
    payload.extend([3, 0].repeat(FINAL_BLOCKS));
    payload.push(0);
    frame(&payload)
}

fn compressed(plain: &[u8]) -> Vec<u8> {
    let deflate = Arc::new(Deflate::default().level(9));
    let params = DeflateParams { client_no_context_takeover: true, ..DeflateParams::default() };
    let mut codecs = Codecs::new();
    let compressor = Compressor::new(deflate, params, Role::Client);
    let compressed = compressor.compress_alone(Message::Binary(plain), &mut codecs);
    compressed.expect("zeros get shorter").payload().to_vec()
}

/// Returns a frame that is masked with zeros.
fn frame(payload: &[u8]) -> Vec<u8> {
    let mut wire = BytesMut::new();
    let (opcode, mask, len) = (OpCode::Binary, Some([0; 4]), payload.len() as u64);
    Header { fin: true, rsv1: true, opcode, mask, len }.encode(&mut wire);
    wire.extend_from_slice(payload);
    wire.into()
}

/// Appends a Huffman code, which begins with its most significant bit.
fn put_code(bits: &mut BitWriter, code: usize, len: usize) {
    (0..len).rev().for_each(|nth| bits.put(code >> nth & 1, 1));
}

/// Appends a block without content. The codes of its literals have 1 to 10 bits, so their table has 1024 entries.
fn put_block(bits: &mut BitWriter) {
    /// The order in which the lengths of the codes for lengths are given.
    const ORDER: [usize; 19] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];
    /// The lengths 0 to 10, and 18, which stands for many zeros, have codes of four bits: 12 of 16. So four of
    /// them have three bits.
    const USED: [usize; 12] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 18];
    const SHORT: usize = 4;
    let len_of = |symbol| match USED.iter().position(|&used| used == symbol) {
        Some(..SHORT) => 3,
        Some(_) => 4,
        None => 0,
    };
    let code_of = |symbol| match USED.iter().position(|&used| used == symbol) {
        Some(nth @ ..SHORT) => nth,
        Some(nth) => 2 * SHORT + (nth - SHORT),
        None => 0,
    };
    bits.put(0b100, 3); // not final, with codes of its own
    bits.put(0, 10); // 257 literals and lengths, and one distance
    bits.put(ORDER.len() - 4, 4);
    ORDER.iter().for_each(|&symbol| bits.put(len_of(symbol), 3));
    for len in [2, 3, 4, 5, 6, 7, 8, 9, 10, 10] {
        put_code(bits, code_of(len), len_of(len));
    }
    for zeros in [138, 256 - 10 - 138] {
        put_code(bits, code_of(18), len_of(18));
        bits.put(zeros - 11, 7);
    }
    put_code(bits, code_of(1), len_of(1)); // the end of the block
    put_code(bits, code_of(0), len_of(0)); // no distance
    bits.put(0, 1); // the end of the block
}

#[cfg(test)]
mod tests {
    use prism_core::{Config, Event, RecvBuffer, WebSocket};

    use super::*;

    #[test]
    fn bombs_are_accepted() {
        for (frame, len) in [(zeros(1 << 20), 1 << 20), (blocks(), 0), (final_blocks(), 32 << 10)] {
            let mut server = WebSocket::server(&Config::default())
                .with_deflate(Arc::default(), DeflateParams::default());
            let (mut input, mut out) = (RecvBuffer::new(), BytesMut::new());
            input.extend_from_slice(&frame);
            let event = server.receive(&mut input, &mut out).expect("a valid bomb");
            assert_eq!(event, Some(Event::Message(Message::Binary(&vec![0; len]))));
        }
    }
}
