//! [`Chunks`]: a chunked body (RFC 9112 §7.1), that of a refusal.

use httparse::{Status, parse_chunk_size};

/// Where the chunks of a body are, found once as they arrive.
///
/// A server that refuses may keep the connection open, and then only the last chunk tells where
/// its words end.
#[derive(Debug, Default)]
pub(crate) struct Chunks {
    /// Where the next chunk begins.
    next: usize,
    /// How much payload the chunks before it have.
    payload: usize,
}

/// The longest line with a chunk's size and extensions that is read.
const MAX_LINE: usize = 64;

impl Chunks {
    /// Whether `body`, which has grown since the last call, holds the last chunk, or `limit` bytes
    /// of payload, or is malformed from there on.
    pub(crate) fn have_ended(&mut self, body: &[u8], limit: usize) -> bool {
        while self.payload < limit {
            let Some(rest) = body.get(self.next..) else { return false };
            match size_line(rest) {
                Line::Partial => return false,
                Line::End => return true,
                Line::Chunk { line, size } => {
                    self.payload += size;
                    self.next += line + size + 2;
                }
            }
        }
        // The chunk that reaches the limit was announced only.
        self.next - 2 - (self.payload - limit) <= body.len()
    }
}

enum Line {
    Partial,
    /// The last chunk, or what is none.
    End,
    Chunk {
        line: usize,
        size: usize,
    },
}

/// Reads the line that a chunk begins with.
fn size_line(rest: &[u8]) -> Line {
    let head = &rest[..rest.len().min(MAX_LINE)];
    match parse_chunk_size(head) {
        // Nobody waits for all of a larger one.
        Ok(Status::Complete((line, size @ 1..))) => {
            Line::Chunk { line, size: size.min(1 << 20) as usize }
        }
        Ok(Status::Partial) if head.len() < MAX_LINE => Line::Partial,
        _ => Line::End,
    }
}

/// Moves the payload of all chunks that are there to the front; how long it is.
pub(crate) fn join(body: &mut [u8]) -> usize {
    let (mut from, mut to) = (0, 0);
    while let Some(rest) = body.get(from..)
        && let Line::Chunk { line, size } = size_line(rest)
    {
        let start = from + line;
        let end = (start + size).min(body.len());
        body.copy_within(start..end, to);
        to += end - start;
        from = start + size + 2;
    }
    to
}

#[cfg(test)]
mod tests {
    use super::{Chunks, join};

    /// How many bytes must be there for the body to be over, and its payload.
    fn read(body: &[u8], limit: usize) -> (usize, &[u8]) {
        let mut chunks = Chunks::default();
        let end = (0..=body.len()).find(|&end| chunks.have_ended(&body[..end], limit));
        let end = end.unwrap_or(usize::MAX);
        assert_eq!(Chunks::default().have_ended(body, limit), end <= body.len());
        let joined = alloc::vec::Vec::leak(body.to_vec());
        let length = join(joined);
        (end, &joined[..length])
    }

    #[test]
    fn the_last_chunk_ends_the_body() {
        assert_eq!(read(b"3\r\nabc\r\n1;x=y\r\nd\r\n0\r\n", 99), (21, &b"abcd"[..]));
        assert_eq!(read(b"0\r\n", 99), (3, &b""[..]));
        assert_eq!(read(b"3\r\nab", 99), (usize::MAX, &b"ab"[..]));
    }

    #[test]
    fn the_limit_ends_the_body() {
        assert_eq!(read(b"3\r\nabc\r\n5\r\ndefgh", 4), (12, &b"abcdefgh"[..]));
        assert_eq!(read(b"ffffffffffffffff\r\nabcd", 4), (22, &b"abcd"[..]));
    }

    #[test]
    fn what_is_malformed_ends_the_body() {
        assert_eq!(read(b"3\r\nabc\r\nx\r\n", 99), (9, &b"abc"[..]));
        assert_eq!(read(b"fffffffffffffffff\r\n", 99).1, b"");
        assert_eq!(read(&[b'0'; 64], 99).1, b"");
    }
}
