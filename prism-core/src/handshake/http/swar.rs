//! Looking at eight bytes at once.

/// As many bytes as are looked at at once.
pub(crate) const WORD: usize = 8;

/// Whether one of the bytes is `byte`.
pub(crate) const fn has(word: [u8; WORD], byte: u8) -> bool {
    // Those that are it become zero, and nothing but zero is below one.
    let zeroed = u64::from_ne_bytes(word) ^ u64::from_ne_bytes([byte; WORD]);
    has_below(zeroed.to_ne_bytes(), 1)
}

/// Whether one of the bytes is below `bound`, which is 128 at most.
pub(crate) const fn has_below(word: [u8; WORD], bound: u8) -> bool {
    const TOPS: u64 = u64::from_ne_bytes([0x80; WORD]);
    let word = u64::from_ne_bytes(word);
    // Subtracting the bound borrows from a byte's top bit, unless that is set. (So may a byte whose
    // neighbour borrows, but then the neighbour is one.)
    word.wrapping_sub(u64::from_ne_bytes([bound; WORD])) & !word & TOPS != 0
}

#[cfg(test)]
mod tests {
    use super::{WORD, has, has_below};

    #[test]
    fn each_byte_is_judged_wherever_it_stands_and_whatever_stands_around_it() {
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
