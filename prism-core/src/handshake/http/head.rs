//! [`HeadReader`]: finds the end of a request's or a response's head in bytes that arrive in
//! pieces.

use crate::{
    buffer::RecvBuffer,
    config::Config,
    handshake::{
        error::HandshakeError,
        http::swar::{self, WORD},
    },
};

/// The largest number of header lines that can be parsed. A [`HeadReader`] lets no more through.
pub(crate) const MAX_HEADERS: usize = 128;

/// Looks at each byte of a head once, however it arrives, so that a head that trickles in costs no
/// more than one that arrives whole. The head is parsed once its end is there, and so only once.
///
/// A head is refused with the byte that makes it wrong: if it is too long, or contains a byte that
/// the parser would accept but a head must not contain. So the result depends on the bytes alone,
/// and not on how they arrive.
#[derive(Debug)]
pub(crate) struct HeadReader {
    max_size: usize,
    max_headers: usize,
    /// The bytes of earlier heads and of empty lines, which count as well.
    skipped: usize,
    /// How many of the unparsed bytes have been looked at.
    scanned: usize,
    /// The last byte looked at.
    last: u8,
    /// Where the current line starts.
    line_start: usize,
    line_count: usize,
    #[cfg(test)]
    pub(crate) steps: usize,
}

impl HeadReader {
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            max_size: config.max_head_size,
            max_headers: config.max_headers.min(MAX_HEADERS),
            skipped: 0,
            scanned: 0,
            last: 0,
            line_start: 0,
            line_count: 0,
            #[cfg(test)]
            steps: 0,
        }
    }

    /// RFC 9112 §2.2: "a server that is expecting to receive and parse a request-line SHOULD ignore
    /// at least one empty line (CRLF) received prior to the request-line".
    pub(crate) fn skip_empty_lines(
        &mut self,
        input: &mut RecvBuffer,
    ) -> Result<(), HandshakeError> {
        while self.scanned == 0 && input.unparsed().starts_with(b"\r\n") {
            input.skip(2);
            self.skipped += 2;
            if self.skipped >= self.max_size {
                return Err(HandshakeError::HeadTooLarge(self.max_size));
            }
        }
        Ok(())
    }

    /// Returns the length of the head that the unparsed bytes start with; `None` if its end has not
    /// arrived.
    pub(crate) fn find_end(&mut self, unparsed: &[u8]) -> Result<Option<usize>, HandshakeError> {
        let window = self.within_limit(unparsed);
        while let Some(ahead @ [_, ..]) = window.get(self.scanned..) {
            if self.skip_plain(ahead) {
                continue;
            }
            for &byte in ahead.iter().take(WORD) {
                self.scanned += 1;
                if self.take_byte(self.scanned - 1, byte)? {
                    return Ok(Some(self.scanned));
                }
                if self.scanned == self.line_start + 1 {
                    break; // words can be skipped from the second byte of a line on
                }
            }
        }
        if self.skipped + window.len() >= self.max_size {
            return Err(HandshakeError::HeadTooLarge(self.max_size));
        }
        Ok(None)
    }

    /// Returns the unparsed bytes that may belong to a head. Bytes after them do not count, because
    /// they may or may not have arrived.
    pub(crate) fn within_limit<'a>(&self, unparsed: &'a [u8]) -> &'a [u8] {
        let limit = self.max_size.saturating_sub(self.skipped);
        &unparsed[..unparsed.len().min(limit)]
    }

    /// Moves on to the next head, after one of `length` bytes that was skipped.
    pub(crate) fn next_head(&mut self, length: usize) {
        self.skipped += length;
        (self.scanned, self.last, self.line_start, self.line_count) = (0, 0, 0, 0);
    }

    /// Skips words within a line that contain no control character. Returns whether there were any.
    fn skip_plain(&mut self, ahead: &[u8]) -> bool {
        // At the start or the end of a line.
        if self.last < b' ' {
            return false;
        }
        let is_plain =
            |word: &&[u8; WORD]| !swar::has_below(**word, b' ') && !swar::has(**word, 0x7f);
        let (words, _) = ahead.as_chunks();
        let plain = words.iter().take_while(is_plain).count();
        let Some(last) = words[..plain].last() else { return false };
        #[cfg(test)]
        {
            self.steps += plain;
        }
        self.last = last[WORD - 1];
        self.scanned += plain * WORD;
        true
    }

    /// Takes the next byte. Returns whether it ends the head.
    fn take_byte(&mut self, at: usize, byte: u8) -> Result<bool, HandshakeError> {
        #[cfg(test)]
        {
            self.steps += 1;
        }
        let last = core::mem::replace(&mut self.last, byte);
        match (last, byte) {
            (b'\r', b'\n') if at == self.line_start + 1 => return Ok(true),
            (b'\r', b'\n') => self.end_line(at)?,
            // RFC 9112 §2.2: "A recipient of such a bare CR MUST consider that element to be
            // invalid". A recipient may treat a bare LF as the end of a line, but it then sees
            // other lines than a recipient that does not. Request smuggling works that way.
            (b'\r', _) | (_, b'\n') => return Err(HandshakeError::BareNewline),
            // RFC 9112 §5.2: "A server that receives an obs-fold [...] MUST either reject the
            // message [...] or replace each received obs-fold".
            (_, b' ' | b'\t') if at == self.line_start => return Err(HandshakeError::FoldedHeader),
            (_, b'\r' | b'\t') => {}
            // RFC 9110 §5.5: "Field values containing CR, LF, or NUL characters are invalid and
            // dangerous". Other control characters are invalid too.
            (_, ..b' ' | 0x7f) => return Err(HandshakeError::ControlCharacter),
            _ => {}
        }
        Ok(false)
    }

    const fn end_line(&mut self, at: usize) -> Result<(), HandshakeError> {
        self.line_start = at + 1;
        self.line_count += 1;
        // The first line is not a header.
        if self.line_count > self.max_headers + 1 {
            return Err(HandshakeError::TooManyHeaders(self.max_headers));
        }
        Ok(())
    }
}

/// Returns whether this is a version of HTTP other than ours: `HTTP/` and two digits (RFC 9112
/// §2.3).
pub(crate) fn is_other_version(bytes: &[u8]) -> bool {
    matches!(bytes, [b'H', b'T', b'T', b'P', b'/', b'0'..=b'9', b'.', b'0'..=b'9'])
        && bytes != b"HTTP/1.1"
}

/// Returns whether a request's first line ends in a version of HTTP/1 later than HTTP/1.1.
#[inline(never)] // inlined, it slows the caller down by more than the call costs
pub(crate) fn is_later_http1(head: &[u8]) -> bool {
    const BEFORE_MINOR: usize = "GET / HTTP/1".len();
    let Some(rest) = head.get(BEFORE_MINOR..) else { return false };
    let end = rest.iter().position(|&byte| byte == b'\r').unwrap_or(0);
    matches!(rest[..end], [.., b'.', b'2'..=b'9']) && ends_in_later_http1(first_line(head))
}

/// Checks the first line. (The line found above may be a later one, if the first is short.)
#[cold]
fn ends_in_later_http1(line: &[u8]) -> bool {
    matches!(line, [version @ .., b'2'..=b'9'] if version.ends_with(b" HTTP/1."))
}

/// Replaces the version with HTTP/1.1.
#[cold]
pub(crate) fn lower_minor_version(head: &mut [u8]) {
    let end = first_line(head).len();
    if let Some(minor) = head[..end].last_mut() {
        *minor = b'1';
    }
}

/// Returns the first line of a head, without its line ending.
pub(crate) fn first_line(head: &[u8]) -> &[u8] {
    head.split(|&byte| byte == b'\r').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use alloc::{format, string::String, vec::Vec};

    use super::HeadReader;
    use crate::{
        buffer::RecvBuffer,
        config::Config,
        handshake::error::HandshakeError::{self, *},
    };

    fn reader(max_head_size: usize, max_headers: usize) -> HeadReader {
        HeadReader::new(&Config { max_head_size, max_headers, ..Config::default() })
    }

    fn whole(head: &[u8]) -> Result<Option<usize>, HandshakeError> {
        reader(64, 3).find_end(head)
    }

    #[test]
    fn a_head_ends_with_an_empty_line() {
        assert_eq!(whole(b"A\r\nB: c\r\n\r\nmore"), Ok(Some(11)));
        assert_eq!(whole(b"A\r\n\r\n"), Ok(Some(5)));
        assert_eq!(whole(b"A\r\nB: c\r\n\r"), Ok(None));
        assert_eq!(whole(b""), Ok(None));
    }

    #[test]
    fn a_forbidden_byte_in_a_head_is_refused_at_once() {
        for (head, error) in [
            (&b"A\n"[..], BareNewline),
            (b"A\r\nB: c\n", BareNewline),
            (b"A\rB", BareNewline),
            (b"A\r\r", BareNewline),
            (b"A\r\nB: c\r\n\rX", BareNewline),
            (b"A\r\n ", FoldedHeader),
            (b"A\r\nB: c\r\n\t", FoldedHeader),
            (b" ", FoldedHeader),
            (b"A\0", ControlCharacter),
            (b"A\x1b", ControlCharacter),
            (b"A\x7f", ControlCharacter),
        ] {
            assert_eq!(whole(head), Err(error), "{}", head.escape_ascii());
            assert_eq!(whole(&head[..head.len() - 1]), Ok(None), "{}", head.escape_ascii());
        }
    }

    #[test]
    fn a_whole_head_is_judged_as_byte_by_byte() {
        for byte in 0..=u8::MAX {
            for at in 0..40 {
                let mut head = *b"GET / HTTP/1.1\r\nA: some value, B\r\n\r\nmore";
                head[at] = byte;
                let (mut reader, mut ends) = (reader(64, 3), 0..=head.len());
                let byte_by_byte =
                    ends.find_map(|end| reader.find_end(&head[..end]).transpose()).transpose();
                assert_eq!(whole(&head), byte_by_byte, "{}", head.escape_ascii());
            }
        }
    }

    #[test]
    fn the_limits_are_exact() {
        let head = b"A\r\nB: c\r\n\r\n";
        assert_eq!(reader(11, 1).find_end(head), Ok(Some(11)));
        assert_eq!(reader(10, 1).find_end(head), Err(HeadTooLarge(10)));
        assert_eq!(reader(11, 0).find_end(head), Err(TooManyHeaders(0)));
        assert_eq!(reader(10, 1).find_end(&head[..9]), Ok(None));
        assert_eq!(reader(9, 1).find_end(&head[..9]), Err(HeadTooLarge(9)));
        assert_eq!(reader(1 << 20, usize::MAX).max_headers, super::MAX_HEADERS);
    }

    #[test]
    fn empty_lines_are_skipped_and_counted() {
        let mut input = RecvBuffer::new();
        input.extend_from_slice(&b"\r\n".repeat(100));
        let mut reader = reader(50, 3);
        assert_eq!(reader.skip_empty_lines(&mut input), Err(HeadTooLarge(50)));
        assert_eq!(input.unparsed().len(), 150);
    }

    #[test]
    fn words_are_skipped_from_the_second_byte_of_a_line_on() {
        for (line, steps) in [
            ("X: some 16 bytes.", 1 + 2 + 2),
            ("X:\ttabs: 8 bytes.", 1 + 8 + 1 + 2), // a word with a tab is taken by bytes
        ] {
            let head = format!("A\r\n{line}\r\n\r\n");
            let mut reader = reader(64, 3);
            assert_eq!(reader.find_end(head.as_bytes()), Ok(Some(head.len())));
            assert_eq!(reader.steps, 3 + steps + 2, "{line:?}");
        }
    }

    #[test]
    fn each_byte_of_a_trickling_head_is_looked_at_once() {
        let mut head = String::from("GET / HTTP/1.1\r\n");
        while head.len() < (16 << 10) - 100 {
            head.push_str("X-Header: some value that takes a while to arrive\r\n");
        }
        head.push_str("\r\n");
        let mut reader = reader(16 << 10, usize::MAX);
        reader.max_headers = usize::MAX - 1;
        let mut arrived = Vec::new();
        let mut found = None;
        for byte in head.bytes() {
            assert_eq!(found, None);
            arrived.push(byte);
            found = reader.find_end(&arrived).expect("a good head");
        }
        assert_eq!((found, reader.steps), (Some(head.len()), head.len()));
    }
}
