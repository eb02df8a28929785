//! Tokens, and comma-separated lists over several header lines (RFC 9110 §5.6; RFC 6455 §9.1).

/// Returns whether the bytes are a token (RFC 9110 §5.6.2): `token = 1*tchar`.
pub(crate) fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().copied().all(is_tchar)
}

/// Returns whether a byte may occur in a token.
pub(super) const fn is_tchar(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'.' | b'^' | b'_' | b'`' | b'|' | b'~'
        )
}

/// Removes optional white space at both ends (RFC 9110 §5.6.3).
pub(crate) const fn trim(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = bytes {
        bytes = rest;
    }
    bytes
}

/// Returns the elements of a comma-separated list, without empty ones (RFC 9110 §5.6.1.2).
pub(crate) fn elements<'a, V: Iterator<Item = &'a [u8]> + Clone>(
    values: V,
) -> impl Iterator<Item = &'a [u8]> + Clone {
    values
        .flat_map(|value| value.split(|&byte| byte == b','))
        .map(trim)
        .filter(|element| !element.is_empty())
}

/// Returns whether a list contains a token, in any case.
pub(crate) fn has_token<'a>(values: impl Iterator<Item = &'a [u8]> + Clone, token: &str) -> bool {
    elements(values).any(|element| element.eq_ignore_ascii_case(token.as_bytes()))
}

/// Returns whether each element is a token. A list without elements is valid too: real clients send
/// an empty `Sec-WebSocket-Protocol`, which offers as much as no header (RFC 9110 §5.6.1.2: "A
/// recipient MUST parse and ignore a reasonable number of empty list elements").
pub(crate) fn are_tokens<'a>(values: impl Iterator<Item = &'a [u8]> + Clone) -> bool {
    elements(values).all(is_token)
}

#[cfg(test)]
mod tests {
    use super::{are_tokens, elements, has_token, is_token, trim};
    use alloc::vec::Vec;

    fn lines<'a>(values: &'a [&'a str]) -> impl Iterator<Item = &'a [u8]> + Clone {
        values.iter().map(|value| value.as_bytes())
    }

    #[test]
    fn a_token_contains_no_separators() {
        assert!(is_token(b"!#$%&'*+-.^_`|~09azAZ"));
        let tokens = (0..=u8::MAX).filter(|&byte| is_token(&[byte])).count();
        assert_eq!(tokens, 15 + 10 + 26 + 26);
        assert!(!is_token(b""));
        assert!(!is_token(b"a b"));
    }

    #[test]
    fn white_space_is_trimmed_at_both_ends() {
        assert_eq!(trim(b" \t a b\t "), b"a b");
        assert_eq!(trim(b" \t "), b"");
    }

    #[test]
    fn a_list_may_span_several_lines() {
        let list: Vec<_> = elements(lines(&["a, ,b", "", "\tc ,"])).collect();
        assert_eq!(list, [b"a", b"b", b"c"]);
        assert!(has_token(lines(&["keep-alive", "x,uPgRaDe"]), "upgrade"));
        assert!(!has_token(lines(&["notupgrade", "upgrade x"]), "upgrade"));
    }

    #[test]
    fn a_list_of_tokens_may_be_empty() {
        for good in [&[][..], &[""], &[" \t"], &[",,"], &["", "a,,b"]] {
            assert!(are_tokens(lines(good)), "{good:?}");
        }
        for bad in [&["a b"][..], &["", "a b"], &["a, b c"]] {
            assert!(!are_tokens(lines(bad)), "{bad:?}");
        }
    }

    /// The lists are so long that only linear work ends in time. (The limit of a head is far lower.)
    #[test]
    fn long_lists_take_linear_time() {
        const LONG: usize = 1 << 20;
        for unit in [" ", "\"", "\\", ",", ";", "a;", "a,", " ,", "a\t;"] {
            let long = unit.repeat(LONG / unit.len());
            are_tokens(lines(&[&long]));
            assert!(!has_token(lines(&[&long]), "upgrade"));
        }
    }
}
