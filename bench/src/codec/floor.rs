//! A floor under all libraries: the least code that decodes and encodes the items.
//!
//! It is safe Rust, written only for these frames: whole ones of one kind, from a peer that makes no
//! mistakes. It checks only what it needs (lengths, and whether text is UTF-8).

use std::io::{Read, Write};

use bytes::Bytes;
use prism_core::Role;

use super::{
    item::Item,
    library::{Decode, Encode},
    memory::Memory,
};
use crate::xor::xor;

const TEXT: u8 = 0x81;
const BINARY: u8 = 0x82;
const MASK: u8 = 0x80;

pub(super) struct Reader {
    buffer: Vec<u8>,
    io: Memory,
}

impl Decode for Reader {
    fn new(_: &Item, io: Memory) -> Self {
        Self { buffer: vec![0; (64 << 10) + 14], io }
    }

    fn decode(&mut self, mut see: impl FnMut(&[u8])) {
        let count = self.io.read(&mut self.buffer).expect("memory does not fail");
        let mut bytes = &mut self.buffer[..count];
        while let Some((first, length, key, rest)) = split_header(bytes) {
            let (payload, rest) = rest.split_at_mut(length);
            xor(payload, key);
            if first == TEXT {
                simdutf8::basic::from_utf8(payload).expect("the text is valid");
            }
            see(payload);
            bytes = rest;
        }
    }
}

pub(super) struct Writer {
    messages: usize,
    payload: Bytes,
    /// The state of a small generator of mask keys, for a client.
    keys: Option<u64>,
    out: Vec<u8>,
    io: Memory,
}

impl Encode for Writer {
    fn new(item: &Item, role: Role, payload: Bytes, io: Memory) -> Self {
        let keys = (role == Role::Client).then_some(0x2545_f491_4f6c_dd1d);
        Self { messages: item.messages, payload, keys, out: Vec::new(), io }
    }

    fn encode(&mut self) {
        for _ in 0..self.messages {
            let key = self.keys.as_mut().map(next_key);
            append(&mut self.out, key, &self.payload);
        }
        self.io.write_all(&self.out).expect("memory does not fail");
        self.out.clear();
    }
}

/// Returns a masked frame's first byte, length and key, and what follows; `None` at the end.
fn split_header(bytes: &mut [u8]) -> Option<(u8, usize, [u8; 4], &mut [u8])> {
    let ([first, second], rest) = bytes.split_first_chunk_mut()?;
    let (length, rest) = match *second & !MASK {
        126 => {
            let (length, rest) = rest.split_first_chunk_mut()?;
            (u16::from_be_bytes(*length).into(), rest)
        }
        127 => {
            let (length, rest) = rest.split_first_chunk_mut()?;
            (u64::from_be_bytes(*length) as usize, rest)
        }
        short => (short.into(), rest),
    };
    let (key, rest) = rest.split_first_chunk_mut()?;
    Some((*first, length, *key, rest))
}

fn append(out: &mut Vec<u8>, key: Option<[u8; 4]>, payload: &[u8]) {
    out.reserve(14 + payload.len());
    let masked = if key.is_some() { MASK } else { 0 };
    match payload.len() {
        short @ 0..126 => out.extend([BINARY, masked | short as u8]),
        middle @ 126..0x1_0000 => {
            out.extend([BINARY, masked | 126]);
            out.extend((middle as u16).to_be_bytes());
        }
        long => {
            out.extend([BINARY, masked | 127]);
            out.extend((long as u64).to_be_bytes());
        }
    }
    out.extend(key.iter().flatten());
    let begin = out.len();
    out.extend_from_slice(payload);
    if let Some(key) = key {
        xor(&mut out[begin..], key);
    }
}

fn next_key(state: &mut u64) -> [u8; 4] {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    (*state as u32).to_le_bytes()
}
