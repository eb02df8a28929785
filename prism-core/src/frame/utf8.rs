//! Text that arrives in pieces: valid so far, or wrong for good (RFC 6455 §8.1).

/// How many bytes of `piece` are complete, valid UTF-8; up to three more may begin a code point.
///
/// Fails at the first byte that no continuation could make right.
pub(crate) fn valid_prefix(piece: &[u8]) -> Result<usize, InvalidUtf8> {
    match simdutf8::compat::from_utf8(piece) {
        Ok(_) => Ok(piece.len()),
        Err(error) if error.error_len().is_none() => Ok(error.valid_up_to()),
        Err(_) => Err(InvalidUtf8),
    }
}

/// The bytes as text, which must be complete.
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
    fn a_begun_code_point_waits_and_a_hopeless_one_fails() {
        assert_eq!(valid_prefix(b"ab"), Ok(2));
        assert_eq!(valid_prefix("a€".as_bytes()), Ok(4));
        assert_eq!(valid_prefix(b"a\xe2\x82"), Ok(1));
        assert_eq!(valid_prefix(b"\xf4"), Ok(0));
        for hopeless in [&b"a\xff"[..], b"\xc0", b"\xed\xa0", b"\xf4\x90", b"\xe2\x28", b"\xf5"] {
            assert_eq!(valid_prefix(hopeless), Err(InvalidUtf8), "{hopeless:x?}");
        }
    }

    /// Byte by byte, every beginning that could still become a character, and what makes it hopeless.
    fn for_every_beginning(check: &mut impl FnMut(&[u8]) -> Verdict) {
        fn goes_on(begun: &[u8], check: &mut impl FnMut(&[u8]) -> Verdict) {
            for byte in 0..=u8::MAX {
                let bytes = &mut [0; 4][..=begun.len()];
                bytes[..begun.len()].copy_from_slice(begun);
                bytes[begun.len()] = byte;
                if check(bytes) == Verdict::Begun {
                    goes_on(bytes, check);
                }
            }
        }
        goes_on(&[], check);
    }

    #[test]
    fn the_verdict_is_that_of_std_for_every_beginning_of_a_character() {
        for_every_beginning(&mut agrees_with_std);
    }

    /// Long text is judged by vectors of up to 64 bytes: each beginning lies in one, or across two, and
    /// is the end or not.
    #[test]
    #[ignore = "minutes, but for --release"]
    fn and_so_it_is_wherever_that_lies_in_long_text() {
        let mut text = [b'x'; 160];
        for_every_beginning(&mut |bytes| {
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

    /// Takes nothing on trust: neither what is hopeless already, nor what follows a whole character.
    #[test]
    #[ignore = "a minute or two, and that with --release"]
    fn the_verdict_is_that_of_std_for_every_four_bytes_there_are() {
        for start in 0..=u32::MAX {
            agrees_with_std(&start.to_be_bytes());
        }
    }

    #[derive(Debug, PartialEq, Eq)]
    enum Verdict {
        Whole,
        Begun,
        Hopeless,
    }

    fn agrees_with_std(bytes: &[u8]) -> Verdict {
        let (verdict, prefix) = match from_utf8(bytes) {
            Ok(_) => (Verdict::Whole, Ok(bytes.len())),
            Err(error) if error.error_len().is_none() => (Verdict::Begun, Ok(error.valid_up_to())),
            Err(_) => (Verdict::Hopeless, Err(InvalidUtf8)),
        };
        assert_eq!(valid_prefix(bytes), prefix, "{bytes:x?}");
        assert_eq!(text(bytes).is_ok(), verdict == Verdict::Whole, "{bytes:x?}");
        verdict
    }
}
