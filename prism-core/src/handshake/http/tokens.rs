//! Tokens, and comma-separated lists over several header lines (RFC 9110 §5.6; RFC 6455 §9.1).

/// Returns whether the bytes are a token (RFC 9110 §5.6.2): `token = 1*tchar`.
pub(crate) fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().copied().all(is_tchar)
}

const fn is_tchar(byte: u8) -> bool {
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

/// Returns whether the values of `Sec-WebSocket-Extensions` follow the grammar of RFC 6455 §9.1,
/// with empty elements ignored. No extension at all is valid too.
pub(crate) fn are_extensions<'a>(mut values: impl Iterator<Item = &'a [u8]>) -> bool {
    values.all(|value| Cursor(value).are_extensions().is_some())
}

/// The rest of a value. It only advances, so that every value takes linear time.
struct Cursor<'a>(&'a [u8]);

impl Cursor<'_> {
    /// `extension-list = 1#extension`
    fn are_extensions(mut self) -> Option<()> {
        loop {
            self.skip_blanks();
            if !matches!(self.0, [] | [b',', ..]) {
                self.extension()?;
            }
            match self.0 {
                [] => return Some(()),
                [b',', rest @ ..] => self.0 = rest,
                _ => return None,
            }
        }
    }

    /// `extension = extension-token *( ";" extension-param )`
    fn extension(&mut self) -> Option<()> {
        self.token()?;
        while self.take(b';') {
            self.token()?;
            if self.take(b'=') {
                self.value()?;
            }
        }
        Some(())
    }

    /// Parses the value in `extension-param = token [ "=" (token | quoted-string) ]`.
    fn value(&mut self) -> Option<()> {
        self.skip_blanks();
        if !self.take(b'"') {
            return self.token();
        }
        // "When using the quoted-string syntax variant, the value after quoted-string unescaping
        // MUST conform to the 'token' ABNF" (RFC 6455 §9.1).
        let mut characters = 0;
        while let [b'\\', byte, rest @ ..] | [byte, rest @ ..] = self.0
            && is_tchar(*byte)
        {
            self.0 = rest;
            characters += 1;
        }
        if characters == 0 || !self.take(b'"') {
            return None;
        }
        self.skip_blanks();
        Some(())
    }

    /// Parses a token, and the blanks around it.
    fn token(&mut self) -> Option<()> {
        self.skip_blanks();
        let end = self.0.iter().position(|&byte| !is_tchar(byte)).unwrap_or(self.0.len());
        self.0 = &self.0[end..];
        self.skip_blanks();
        (end > 0).then_some(())
    }

    fn take(&mut self, byte: u8) -> bool {
        let Some(rest) = self.0.strip_prefix(&[byte]) else { return false };
        self.0 = rest;
        true
    }

    fn skip_blanks(&mut self) {
        while let [b' ' | b'\t', rest @ ..] = self.0 {
            self.0 = rest;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{are_extensions, are_tokens, elements, has_token, is_token, trim};
    use alloc::{format, vec::Vec};

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

    #[test]
    fn extensions_follow_the_grammar() {
        for good in [
            "permessage-deflate; client_max_window_bits",
            "permessage-deflate;client_max_window_bits=10 , x",
            "a; b = c ;d=\"e\" , ,f",
            "a; b=\"\\e\\f\"",
            "constructor; __proto__=toString",
            "",
            " \t",
            " , ,",
        ] {
            assert!(are_extensions(lines(&[good])), "{good}");
        }
        for bad in [
            "permessage-deflate; =1",
            "a;",
            "a b",
            "a; b=",
            "a; b c",
            ";a",
            "a; b=\"c",
            "a; b=\"\"",
            "a; b=\"c d\"",
            "a; b=\"c\\",
            "a; b=\"c\\\"",
            "a; b=\"c\"d",
            "a=b",
            "é",
        ] {
            assert!(!are_extensions(lines(&[bad])), "{bad}");
        }
        assert!(are_extensions(lines(&[])));
        assert!(are_extensions(lines(&["", "a"])));
        assert!(!are_extensions(lines(&["a;", "b"])));
    }

    /// The lists are so long that only linear work ends in time. (The limit of a head is far lower.)
    #[test]
    fn long_lists_take_linear_time() {
        const LONG: usize = 1 << 20;
        for unit in [" ", "\"", "\\", ",", ";", "a;", "a,", " ,", "a;b=\"", "a;b=\"\\\\", "a\t;"] {
            for long in [unit.repeat(LONG / unit.len()), format!("a;b=\"{}", unit.repeat(LONG))] {
                are_extensions(lines(&[&long]));
                are_tokens(lines(&[&long]));
                assert!(!has_token(lines(&[&long]), "upgrade"));
            }
        }
        let long = format!("a; b=\"{}\"", "c".repeat(LONG));
        assert!(are_extensions(lines(&[&long])));
    }
}
