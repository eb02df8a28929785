//! [`Headers`]: the header lines of a request or a response.

use alloc::{borrow::Cow, boxed::Box, string::String};
use core::fmt;

use crate::handshake::http::{
    swar::{self, WORD},
    tokens,
};

/// The header lines of a [`Request`](crate::Request) or a [`Response`](crate::Response), in the
/// order received.
///
/// They are read in place, in the receive buffer. They are valid: names are tokens, and values
/// contain no control characters (RFC 9110 §5). Names are case-insensitive.
#[derive(Clone, Copy)]
pub struct Headers<'a> {
    /// Whole lines, each with its CR LF, without the empty line at the end.
    lines: &'a [u8],
}

impl<'a> Headers<'a> {
    /// Takes the lines after the first one of a head that `httparse` has accepted.
    pub(crate) fn of(head: &'a [u8]) -> Self {
        let end = line_end(head).map_or(head.len(), |at| at + 1);
        let lines = &head[end..];
        Self { lines: lines.strip_suffix(b"\r\n").unwrap_or(lines) }
    }

    /// Takes whole, valid lines.
    pub(crate) const fn of_lines(lines: &'a [u8]) -> Self {
        Self { lines }
    }

    /// Returns an iterator over the names and trimmed values of all lines.
    #[must_use]
    pub const fn iter(self) -> HeadersIter<'a> {
        HeadersIter { lines: Lines(self.lines) }
    }

    /// Returns the trimmed values of a header as bytes, one for each line.
    pub fn all<'n>(self, name: &'n str) -> impl Iterator<Item = &'a [u8]> + Clone + use<'a, 'n> {
        Lines(self.lines).filter_map(move |line| {
            // Most lines have another name, so only matching ones are taken apart.
            let (start, rest) = line.split_at_checked(name.len())?;
            let value = rest.strip_prefix(b":")?;
            start.eq_ignore_ascii_case(name.as_bytes()).then(|| tokens::trim(value))
        })
    }

    /// Returns the value of a header; `None` if no line has the name. The values of several lines
    /// are [joined](Self::join).
    #[must_use]
    pub fn joined(self, name: &str) -> Option<Cow<'a, str>> {
        Self::join(name, self.all(name))
    }

    /// Joins the values of a header's lines, in their order: with `", "` (RFC 9110 §5.3), or with
    /// `"; "` for `Cookie` (RFC 9113 §8.2.3).
    ///
    /// Returns `None` if there is no value. A single one is borrowed, if it is UTF-8. Bytes that
    /// are not UTF-8 are replaced, as by [`String::from_utf8_lossy`], so that one invalid line does
    /// not hide the whole header.
    ///
    /// `Set-Cookie` is joined too, as it is by Fetch in browsers, but the result cannot be split
    /// again, because the values may contain commas. Iterate over [`all`](Self::all) of its lines
    /// instead.
    ///
    /// ```
    /// use prism_core::Headers;
    ///
    /// let lines = ["203.0.113.9", "10.0.0.1"].map(str::as_bytes);
    /// assert_eq!(Headers::join("X-Forwarded-For", lines).unwrap(), "203.0.113.9, 10.0.0.1");
    /// ```
    #[must_use]
    pub fn join<'v>(
        name: &str,
        values: impl IntoIterator<Item = &'v [u8]>,
    ) -> Option<Cow<'v, str>> {
        let mut values = values.into_iter();
        let mut joined = String::from_utf8_lossy(values.next()?);
        for value in values {
            let separator = if name.eq_ignore_ascii_case("Cookie") { "; " } else { ", " };
            let joined = joined.to_mut();
            joined.push_str(separator);
            joined.push_str(&String::from_utf8_lossy(value));
        }
        Some(joined)
    }

    /// Returns the values of a header as text, one for each line. Bytes that are not UTF-8 are
    /// replaced, as by [`String::from_utf8_lossy`].
    pub fn all_text<'n>(
        self,
        name: &'n str,
    ) -> impl Iterator<Item = Cow<'a, str>> + Clone + use<'a, 'n> {
        self.all(name).map(String::from_utf8_lossy)
    }

    /// Copies the lines out of the receive buffer, with one allocation.
    ///
    /// ```
    /// use prism_core::{Config, RecvBuffer, ServerHandshake};
    ///
    /// let mut input = RecvBuffer::new();
    /// input.extend_from_slice(b"GET / HTTP/1.1\r\nHost: example.org\r\nCookie: a=b\r\n\r\n");
    /// let request = ServerHandshake::new(&Config::default()).receive_request(&mut input);
    /// let kept = request?.expect("a whole request").headers().into_owned();
    /// input.clear();
    /// assert_eq!(kept.as_headers().joined("cookie").as_deref(), Some("a=b"));
    /// # Ok::<(), prism_core::HandshakeError>(())
    /// ```
    #[must_use]
    pub fn into_owned(self) -> OwnedHeaders {
        OwnedHeaders { lines: self.lines.into() }
    }

    /// Returns the value of a header that must not appear twice.
    pub(crate) fn only(self, name: &str) -> Only<'a> {
        let mut values = self.all(name);
        match (values.next(), values.next()) {
            (None, _) => Only::None,
            (Some(value), None) => Only::One(value),
            (Some(_), Some(_)) => Only::Several,
        }
    }
}

/// An owned copy of [`Headers`], independent of the receive buffer.
#[derive(Clone)]
pub struct OwnedHeaders {
    lines: Box<[u8]>,
}

impl OwnedHeaders {
    /// Borrows the header lines.
    #[must_use]
    pub const fn as_headers(&self) -> Headers<'_> {
        Headers { lines: &self.lines }
    }
}

impl fmt::Debug for OwnedHeaders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_headers().fmt(f)
    }
}

/// How often a header appears, and its value if it appears once.
#[derive(Clone, Copy)]
pub(crate) enum Only<'a> {
    None,
    One(&'a [u8]),
    Several,
}

impl<'a> IntoIterator for Headers<'a> {
    type Item = (&'a str, &'a [u8]);
    type IntoIter = HeadersIter<'a>;

    fn into_iter(self) -> HeadersIter<'a> {
        self.iter()
    }
}

impl fmt::Debug for Headers<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let escaped = self.iter().map(|(name, value)| (name, value.escape_ascii()));
        f.debug_map().entries(escaped.map(|(name, value)| (name, Plain(value)))).finish()
    }
}

/// Text that is escaped already.
struct Plain<T>(T);

impl<T: fmt::Display> fmt::Debug for Plain<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0)
    }
}

/// An iterator over the names and trimmed values of [`Headers`].
#[derive(Clone)]
pub struct HeadersIter<'a> {
    lines: Lines<'a>,
}

impl<'a> Iterator for HeadersIter<'a> {
    type Item = (&'a str, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let line = self.lines.next()?;
        // A line that the parser accepted has a colon, and a name in ASCII.
        let colon = line.iter().position(|&byte| byte == b':')?;
        let name = core::str::from_utf8(&line[..colon]).ok()?;
        Some((name, tokens::trim(&line[colon + 1..])))
    }
}

impl fmt::Debug for HeadersIter<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Headers { lines: self.lines.0 }.fmt(f)
    }
}

/// An iterator over the lines, without their CR LF.
#[derive(Clone)]
struct Lines<'a>(&'a [u8]);

impl<'a> Iterator for Lines<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let end = line_end(self.0)?;
        let (line, rest) = (&self.0[..end], &self.0[end + 1..]);
        self.0 = rest;
        Some(line.strip_suffix(b"\r").unwrap_or(line))
    }
}

/// Returns the position of the first LF. Every lookup of a header walks over the lines, so this
/// looks at eight bytes at a time.
fn line_end(bytes: &[u8]) -> Option<usize> {
    let (words, _) = bytes.as_chunks();
    let passed = WORD * words.iter().take_while(|word| !swar::has(**word, b'\n')).count();
    bytes[passed..].iter().position(|&byte| byte == b'\n').map(|at| passed + at)
}

#[cfg(test)]
mod tests {
    use alloc::{borrow::Cow, format, vec::Vec};

    use super::{Headers, line_end};

    const HEAD: &[u8] =
        b"GET / HTTP/1.1\r\nHost:h\r\nx-A: \t1 2 \r\nEmpty:\r\nX-a:3:4\r\nOdd: \xff\x1b\r\n\r\n";

    #[test]
    fn lines_are_split_into_names_and_values() {
        let all: Vec<_> = Headers::of(HEAD).into_iter().collect();
        let expected: [(&str, &[u8]); 5] = [
            ("Host", b"h"),
            ("x-A", b"1 2"),
            ("Empty", b""),
            ("X-a", b"3:4"),
            ("Odd", b"\xff\x1b"),
        ];
        assert_eq!(all, expected);
        assert_eq!(Headers::of(b"HTTP/1.1 101\r\n\r\n").iter().count(), 0);
    }

    #[test]
    fn the_case_of_names_does_not_matter() {
        let headers = Headers::of(HEAD);
        assert_eq!(headers.all("X-A").collect::<Vec<_>>(), [&b"1 2"[..], b"3:4"]);
        assert_eq!((headers.joined("x"), headers.joined("Hos")), (None, None));
    }

    #[test]
    fn several_values_are_joined_and_a_single_one_is_borrowed() {
        let headers = Headers::of(HEAD);
        assert_eq!(headers.joined("x-a").as_deref(), Some("1 2, 3:4"));
        assert!(matches!(headers.joined("HOST"), Some(Cow::Borrowed("h"))));
        assert!(matches!(headers.joined("empty"), Some(Cow::Borrowed(""))));
        let texts: Vec<_> = headers.all_text("x-a").collect();
        assert_eq!(texts, ["1 2", "3:4"]);
    }

    #[test]
    fn cookies_are_joined_with_semicolons() {
        let values = ["a=b; c=d", "e=f"].map(str::as_bytes);
        assert_eq!(Headers::join("cookie", values).as_deref(), Some("a=b; c=d; e=f"));
        assert_eq!(Headers::join("Set-Cookie", values).as_deref(), Some("a=b; c=d, e=f"));
    }

    #[test]
    fn a_line_that_is_not_utf_8_hides_nothing() {
        let headers = Headers::of(HEAD);
        assert_eq!(headers.joined("odd").as_deref(), Some("\u{fffd}\x1b"));
        let values = [&b"\xff"[..], b"10.0.0.1"];
        assert_eq!(Headers::join("X", values).as_deref(), Some("\u{fffd}, 10.0.0.1"));
    }

    #[test]
    fn a_line_ends_at_its_first_line_feed_at_any_position() {
        for others in [0x00, 0x09, 0x0b, 0x8a, 0xff] {
            for at in 0..40 {
                let mut bytes = [others; 40];
                assert_eq!(line_end(&bytes[..at]), None);
                bytes[at] = b'\n';
                bytes[39] = b'\n';
                assert_eq!(line_end(&bytes), Some(at));
            }
        }
    }

    #[test]
    fn debug_output_is_escaped() {
        let headers = Headers::of(HEAD);
        let debug = format!("{headers:?}");
        assert!(debug.ends_with(r#""Odd": "\xff\x1b"}"#), "{debug}");
        assert_eq!(format!("{:?}", headers.iter()), debug);
        assert_eq!(format!("{:?}", headers.into_owned()), debug);
    }
}
