//! Percent-encoding (RFC 3986 §2.1) of characters that users write in URLs, but that a request cannot contain.

use crate::client::target::split_query;

/// Encodes a path and query for a request. An empty path becomes `/` (RFC 9112 §3.2.1).
///
/// Escapes the bytes that RFC 3986 does not allow, and `'` in a query, as the WHATWG URL Standard does. Like that
/// standard, leaves brackets alone. Existing escapes are kept.
pub(crate) fn encode_target(text: &str) -> String {
    let (path, query) = split_query(text);
    let mut target = String::with_capacity(text.len() + 1);
    if path.is_empty() {
        target.push('/');
    }
    encode(path, is_path_byte, &mut target);
    if let Some(query) = query {
        target.push('?');
        encode(query, is_query_byte, &mut target);
    }
    target
}

/// Decodes the escapes in a text.
pub(crate) fn decode(text: &str) -> Vec<u8> {
    let (mut rest, mut decoded) = (text.as_bytes(), Vec::new());
    while let [first, behind @ ..] = rest {
        let (byte, behind) = match escaped(rest) {
            Some(byte) => (byte, &behind[2..]),
            None => (*first, behind),
        };
        decoded.push(byte);
        rest = behind;
    }
    decoded
}

fn encode(text: &str, is_allowed: fn(u8) -> bool, out: &mut String) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let bytes = text.as_bytes();
    for (at, &byte) in bytes.iter().enumerate() {
        if is_allowed(byte) || escaped(&bytes[at..]).is_some() {
            out.push(char::from(byte));
        } else {
            let digits = [byte >> 4, byte & 15].map(|digit| HEX[usize::from(digit)]);
            out.extend(['%', char::from(digits[0]), char::from(digits[1])]);
        }
    }
}

/// Returns the byte that an escape at the start of `bytes` stands for: `%` and two hexadecimal digits.
fn escaped(bytes: &[u8]) -> Option<u8> {
    let [b'%', high, low, ..] = bytes else { return None };
    let digit = |byte: u8| char::from(byte).to_digit(16);
    u8::try_from(digit(*high)? << 4 | digit(*low)?).ok()
}

/// Returns whether a byte is a `pchar` of RFC 3986 §3.3, without escapes, but with `/` and brackets.
const fn is_path_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'!' | b'$' | b'&'..=b',')
        || matches!(byte, b';' | b'=' | b':' | b'@' | b'/' | b'[' | b']')
}

/// Returns whether a byte is allowed in a query by RFC 3986 §3.4, with the exceptions of [`encode_target`].
const fn is_query_byte(byte: u8) -> bool {
    byte == b'?' || byte != b'\'' && is_path_byte(byte)
}

#[cfg(test)]
mod tests {
    use super::{decode, encode_target};

    #[test]
    fn disallowed_bytes_are_escaped() {
        for (target, sent) in [
            ("", "/"),
            ("?", "/?"),
            ("?a=b", "/?a=b"),
            ("/a b?c d", "/a%20b?c%20d"),
            ("/grüße?名=值", "/gr%C3%BC%C3%9Fe?%E5%90%8D=%E5%80%BC"),
            ("/\"<>\\^`{|}", "/%22%3C%3E%5C%5E%60%7B%7C%7D"),
            ("/?\"<>\\^`{|}", "/?%22%3C%3E%5C%5E%60%7B%7C%7D"),
            ("/it's?it's", "/it's?it%27s"),
            ("/a?{\"b\":[1]}", "/a?%7B%22b%22:[1]%7D"),
            ("/-._~!$&'()*+,;=:@?-._~!$&()*+,;=:@/?", "/-._~!$&'()*+,;=:@?-._~!$&()*+,;=:@/?"),
        ] {
            assert_eq!(encode_target(target), sent);
        }
    }

    #[test]
    fn existing_escapes_are_kept() {
        for (target, sent) in [
            ("/a%20b%2F?c%3d%C3%BC", "/a%20b%2F?c%3d%C3%BC"),
            ("/100%?50%", "/100%25?50%25"),
            ("/%2?%zz%", "/%252?%25zz%25"),
            ("/%%20", "/%25%20"),
        ] {
            assert_eq!(encode_target(target), sent);
        }
    }

    #[test]
    fn every_character_survives_the_round_trip() {
        for c in (0..0x3000).filter_map(char::from_u32).filter(|c| !matches!(c, '?' | '%')) {
            for target in [format!("/a{c}b"), format!("/a?{c}b")] {
                let sent = encode_target(&target);
                assert!(sent.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#'), "{sent}");
                assert_eq!(decode(&sent), target.as_bytes());
                assert_eq!(encode_target(&sent), sent);
            }
        }
    }
}
