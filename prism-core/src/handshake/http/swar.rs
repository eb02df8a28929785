//! Operations on eight bytes at a time (SIMD within a register).

/// How many bytes an operation covers.
pub(crate) const WORD: usize = 8;

/// Returns whether one of the bytes equals `byte`.
pub(crate) const fn has(word: [u8; WORD], byte: u8) -> bool {
    // Equal bytes become zero, and only zero is below one.
    let zeroed = u64::from_ne_bytes(word) ^ u64::from_ne_bytes([byte; WORD]);
    has_below(zeroed.to_ne_bytes(), 1)
}

/// Returns whether one of the bytes is below `bound`, which is at most 128.
pub(crate) const fn has_below(word: [u8; WORD], bound: u8) -> bool {
    const TOPS: u64 = u64::from_ne_bytes([0x80; WORD]);
    let word = u64::from_ne_bytes(word);
    // Subtracting the bound borrows from a byte's top bit, unless that is set. (A byte may also
    // lose its top bit to a neighbour's borrow, but then the neighbour is below the bound.)
    word.wrapping_sub(u64::from_ne_bytes([bound; WORD])) & !word & TOPS != 0
}

#[cfg(test)]
mod tests {
    use super::{WORD, has, has_below};

    #[test]
    fn every_byte_is_recognized_at_every_position() {
        for others in [0x20, 0x7e, 0x80, 0xff] {
            for (byte, at) in (0..=u8::MAX).flat_map(|byte| (0..WORD).map(move |at| (byte, at))) {
                let mut word = [others; WORD];
                word[at] = byte;
                assert_eq!(has_below(word, 0x20), byte < 0x20, "{word:x?}");
                assert_eq!(has(word, 0x7f), byte == 0x7f, "{word:x?}");
            }
        }
    }
}
