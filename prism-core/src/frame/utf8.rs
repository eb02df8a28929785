//! Text that arrives in pieces: valid so far, or definitely wrong (RFC 6455 §8.1).
//!
//! Text that came in one piece is checked once. Text that came in several is checked twice: each
//! piece when it arrives, so that the connection fails at the first wrong byte, and the whole at
//! the end, because safe Rust offers no other way to make a `str`. The checks are vectorized, so the
//! second one is not worth `unsafe`.

/// Returns how many bytes of `piece` are complete, valid UTF-8. Up to three more may begin a
/// character.
///
/// Fails at the first byte that no continuation could make valid.
pub(crate) fn valid_prefix(piece: &[u8]) -> Result<usize, InvalidUtf8> {
    match simdutf8::compat::from_utf8(piece) {
        Ok(_) => Ok(piece.len()),
        Err(error) if error.error_len().is_none() => Ok(error.valid_up_to()),
        Err(_) => Err(InvalidUtf8),
    }
}

/// Returns the bytes as text, which must be complete.
pub(crate) fn text(bytes: &[u8]) -> Result<&str, InvalidUtf8> {
    simdutf8::basic::from_utf8(bytes).map_err(|_| InvalidUtf8)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct InvalidUtf8;

#[cfg(test)]
mod tests {
    use core::str::from_utf8;

    use super::{InvalidUtf8, text, valid_prefix};

    #[test]
    fn an_unfinished_character_waits_and_an_invalid_one_fails() {
        assert_eq!(valid_prefix(b"ab"), Ok(2));
        assert_eq!(valid_prefix("a€".as_bytes()), Ok(4));
        assert_eq!(valid_prefix(b"a\xe2\x82"), Ok(1));
        assert_eq!(valid_prefix(b"\xf4"), Ok(0));
        for invalid in [&b"a\xff"[..], b"\xc0", b"\xed\xa0", b"\xf4\x90", b"\xe2\x28", b"\xf5"] {
            assert_eq!(valid_prefix(invalid), Err(InvalidUtf8), "{invalid:x?}");
        }
    }

    /// Checks, byte by byte, every prefix that could still become a character, and every byte that
    /// makes it invalid.
    fn for_every_prefix(check: &mut impl FnMut(&[u8]) -> Verdict) {
        fn extend(prefix: &[u8], check: &mut impl FnMut(&[u8]) -> Verdict) {
            for byte in 0..=u8::MAX {
                let bytes = &mut [0; 4][..=prefix.len()];
                bytes[..prefix.len()].copy_from_slice(prefix);
                bytes[prefix.len()] = byte;
                if check(bytes) == Verdict::Unfinished {
                    extend(bytes, check);
                }
            }
        }
        extend(&[], check);
    }

    #[test]
    fn every_prefix_of_a_character_is_judged_as_by_std() {
        for_every_prefix(&mut agrees_with_std);
    }

    /// Long text is checked with vectors of up to 64 bytes: each prefix lies within one or across
    /// two, at the end of the text or not.
    #[test]
    #[ignore = "minutes, but for --release"]
    fn every_prefix_anywhere_in_long_text_is_judged_as_by_std() {
        let mut text = [b'x'; 160];
        for_every_prefix(&mut |bytes| {
            let verdict = agrees_with_std(bytes);
            for start in [64 - bytes.len(), 61, 63, 127] {
                let end = start + bytes.len();
                text[start..end].copy_from_slice(bytes);
                assert_eq!(agrees_with_std(&text[..end]), verdict);
                agrees_with_std(&text);
                text[start..end].fill(b'x');
            }
            verdict
        });
    }

    /// Assumes nothing: goes on after an invalid prefix and after a complete character.
    #[test]
    #[ignore = "a minute or two, and that with --release"]
    fn every_four_bytes_are_judged_as_by_std() {
        for start in 0..=u32::MAX {
            agrees_with_std(&start.to_be_bytes());
        }
    }

    #[derive(Debug, PartialEq, Eq)]
    enum Verdict {
        Whole,
        Unfinished,
        Invalid,
    }

    fn agrees_with_std(bytes: &[u8]) -> Verdict {
        let (verdict, prefix) = match from_utf8(bytes) {
            Ok(_) => (Verdict::Whole, Ok(bytes.len())),
            Err(error) if error.error_len().is_none() => {
                (Verdict::Unfinished, Ok(error.valid_up_to()))
            }
            Err(_) => (Verdict::Invalid, Err(InvalidUtf8)),
        };
        assert_eq!(valid_prefix(bytes), prefix, "{bytes:x?}");
        assert_eq!(text(bytes).is_ok(), verdict == Verdict::Whole, "{bytes:x?}");
        verdict
    }
}
