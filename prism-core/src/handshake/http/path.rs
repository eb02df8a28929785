//! Paths of requests: their normal form ([`normalize_path`]), and how to decode them
//! ([`percent_decode`]).

use alloc::{borrow::Cow, string::String, vec::Vec};
use core::fmt;

/// The reason why a path cannot be normalized, or text cannot be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum InvalidPath {
    /// A `%` was not followed by two hexadecimal digits (RFC 3986 §2.1).
    Escape,
    /// The decoded text is not UTF-8.
    NotUtf8,
    /// The path does not start with `/`.
    Relative,
}

impl fmt::Display for InvalidPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Escape => "malformed escape; expected \"%\" and two hexadecimal digits",
            Self::NotUtf8 => "the decoded text is not UTF-8",
            Self::Relative => "expected a path that starts with \"/\"",
        })
    }
}

impl core::error::Error for InvalidPath {}

/// Returns the normal form of a path (RFC 3986 §6.2.2). Equivalent paths have the same normal form,
/// so that a router and an access check cannot disagree about what is requested.
///
/// Escaped delimiters stay distinct from plain ones (§2.2): `/a%40b` is not the same path as
/// `/a@b`, although both [decode](percent_decode) to `/a@b`. To compare a segment with a name,
/// decode the segment first.
///
/// - Escapes of letters, digits, `-`, `.`, `_` and `~` are decoded (§6.2.2.2). All others are kept,
///   with upper-case digits (§6.2.2.1): `%2f` becomes `%2F`, and never a separator.
/// - Characters that are not allowed in a path (§3.3), such as `é`, `"` or a space, are escaped as
///   UTF-8. So are `?` and `#`: split a query off first.
/// - The segments `.` and `..` are resolved (§5.2.4), even if they were escaped. A `..` at the root
///   has no effect.
/// - Empty segments are kept: `/a//b` and `/a/b` are different paths.
///
/// A path in normal form is returned as is, borrowed. The time is linear in the path's length.
///
/// ```
/// # use prism_core::{InvalidPath, normalize_path};
/// assert_eq!(normalize_path("/%61/./b/%2E%2e/caf%c3%a9")?, "/a/caf%C3%A9");
/// assert_eq!(normalize_path("/a/café")?, "/a/caf%C3%A9");
/// assert_eq!(normalize_path("/100%"), Err(InvalidPath::Escape));
/// # Ok::<(), InvalidPath>(())
/// ```
///
/// # Errors
/// [`InvalidPath::Relative`] if the path does not start with `/`, and [`InvalidPath::Escape`] if an
/// escape is malformed.
pub fn normalize_path(path: &str) -> Result<Cow<'_, str>, InvalidPath> {
    let Some(segments) = path.strip_prefix('/') else { return Err(InvalidPath::Relative) };
    if is_normal(path) {
        return Ok(Cow::Borrowed(path));
    }
    let mut normal = String::with_capacity(path.len());
    let mut ends_in_dots = false;
    for segment in segments.split('/') {
        let parent = normal.len();
        normal.push('/');
        push_normal(&mut normal, segment)?;
        ends_in_dots = true;
        match &normal[parent..] {
            "/." => normal.truncate(parent),
            // The searched part is then removed, so all searches together take linear time.
            "/.." => normal.truncate(normal[..parent].rfind('/').unwrap_or(0)),
            _ => ends_in_dots = false,
        }
    }
    if ends_in_dots {
        normal.push('/');
    }
    Ok(Cow::Owned(normal))
}

/// Decodes all escapes in a segment of a path, or in a name or a value of a query (RFC 3986 §2.1).
/// A `+` stays a `+`.
///
/// Split a path first, and then decode its parts: a decoded `%2F` cannot be told from a separator.
///
/// ```
/// # use prism_core::{InvalidPath, percent_decode};
/// assert_eq!(percent_decode("caf%C3%A9%2f1")?, "café/1");
/// assert_eq!(percent_decode("caf%E9"), Err(InvalidPath::NotUtf8));
/// # Ok::<(), InvalidPath>(())
/// ```
///
/// # Errors
/// [`InvalidPath::Escape`] if an escape is malformed, and [`InvalidPath::NotUtf8`] if the decoded
/// text is not UTF-8.
pub fn percent_decode(text: &str) -> Result<Cow<'_, str>, InvalidPath> {
    let Some(first) = text.find('%') else { return Ok(Cow::Borrowed(text)) };
    let (plain, mut rest) = text.as_bytes().split_at(first);
    let mut decoded = Vec::with_capacity(text.len());
    decoded.extend_from_slice(plain);
    while let Some((byte, behind)) = next_byte(rest)? {
        decoded.push(byte);
        rest = behind;
    }
    String::from_utf8(decoded).map(Cow::Owned).map_err(|_| InvalidPath::NotUtf8)
}

/// Returns the first byte, decoded, and the rest.
const fn next_byte(text: &[u8]) -> Result<Option<(u8, &[u8])>, InvalidPath> {
    match text {
        [] => Ok(None),
        [b'%', high, low, rest @ ..] => match (hex(*high), hex(*low)) {
            (Some(high), Some(low)) => Ok(Some((high << 4 | low, rest))),
            _ => Err(InvalidPath::Escape),
        },
        [b'%', ..] => Err(InvalidPath::Escape),
        [byte, rest @ ..] => Ok(Some((*byte, rest))),
    }
}

/// Appends a segment in its normal form.
fn push_normal(normal: &mut String, segment: &str) -> Result<(), InvalidPath> {
    let mut rest = segment.as_bytes();
    while let Some((byte, behind)) = next_byte(rest)? {
        let was_escaped = rest.len() - behind.len() > 1;
        if is_unreserved(byte) || (!was_escaped && is_delimiter(byte)) {
            normal.push(char::from(byte));
        } else {
            const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
            let digit = |value: u8| char::from(DIGITS[usize::from(value & 0xf)]);
            normal.extend(['%', digit(byte >> 4), digit(byte)]);
        }
        rest = behind;
    }
    Ok(())
}

/// Returns whether a path is in normal form, as most are.
fn is_normal(path: &str) -> bool {
    is_plain(path) || (has_normal_escapes(path.as_bytes()) && !path.split('/').any(is_dots))
}

fn is_dots(segment: &str) -> bool {
    matches!(segment, "." | "..")
}

/// Returns whether a path has no escape, and no segment that starts with a dot. This is the first
/// check of every path.
fn is_plain(path: &str) -> bool {
    let mut last = 0;
    path.bytes().all(|byte| {
        let begins_with_dot = byte == b'.' && last == b'/';
        last = byte;
        PLAIN[usize::from(byte)] && !begins_with_dot
    })
}

fn has_normal_escapes(mut rest: &[u8]) -> bool {
    loop {
        match next_byte(rest) {
            Ok(None) => return true,
            Ok(Some((byte, behind))) if is_spelled_normally(byte, rest) => rest = behind,
            _ => return false,
        }
    }
}

/// Returns whether `byte`, the first of `rest` when decoded, is spelled normally there.
fn is_spelled_normally(byte: u8, rest: &[u8]) -> bool {
    match rest {
        [b'%', high, low, ..] => {
            !is_unreserved(byte) && !high.is_ascii_lowercase() && !low.is_ascii_lowercase()
        }
        _ => PLAIN[usize::from(byte)],
    }
}

/// The bytes that appear unescaped in a normal path.
const PLAIN: [bool; 256] = {
    let mut plain = [false; 256];
    let mut byte = 0;
    while byte < plain.len() {
        plain[byte] =
            is_unreserved(byte as u8) || is_delimiter(byte as u8) || byte == b'/' as usize;
        byte += 1;
    }
    plain
};

/// Returns whether a byte means the same, escaped or not (RFC 3986 §2.3).
const fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// Returns whether a byte is one of the others that may appear unescaped in a segment (RFC 3986
/// §3.3): `sub-delims / ":" / "@"`.
const fn is_delimiter(byte: u8) -> bool {
    matches!(byte, b'!' | b'$' | b'&'..=b',' | b':' | b';' | b'=' | b'@')
}

const fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}
