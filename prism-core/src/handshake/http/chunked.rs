//! [`Chunks`]: the chunked body (RFC 9112 §7.1) of a refusal.

use httparse::{Status, parse_chunk_size};

/// Finds the chunks of a body, once, as they arrive.
///
/// A server that refuses may keep the connection open. Then only the last chunk tells where the
/// body ends.
#[derive(Debug, Default)]
pub(crate) struct Chunks {
    /// Where the next chunk starts.
    next: usize,
    /// How much payload the chunks before it contain.
    payload: usize,
}

/// How much of a line with a chunk's size and extensions is read.
const MAX_LINE: usize = 64;

impl Chunks {
    /// Returns whether `body`, which has grown since the last call, has ended: with the last chunk,
    /// with `limit` bytes of payload, or because it is malformed from there on.
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
        // The size of the chunk that reaches the limit is known, but not all of it may have
        // arrived.
        self.next - 2 - (self.payload - limit) <= body.len()
    }
}

enum Line {
    Partial,
    /// The last chunk, or something that is not a chunk.
    End,
    Chunk {
        line: usize,
        size: usize,
    },
}

/// Parses the line that a chunk starts with.
fn size_line(rest: &[u8]) -> Line {
    let head = &rest[..rest.len().min(MAX_LINE)];
    match parse_chunk_size(head) {
        // A larger chunk would never be read completely.
        Ok(Status::Complete((line, size @ 1..))) => {
            Line::Chunk { line, size: size.min(1 << 20) as usize }
        }
        Ok(Status::Partial) if head.len() < MAX_LINE => Line::Partial,
        _ => Line::End,
    }
}

/// Moves the payload of all chunks that have arrived to the front. Returns its length.
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

    /// Returns how many bytes have to arrive for the body to end, and its payload.
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
    fn a_body_ends_with_its_last_chunk() {
        assert_eq!(read(b"3\r\nabc\r\n1;x=y\r\nd\r\n0\r\n", 99), (21, &b"abcd"[..]));
        assert_eq!(read(b"0\r\n", 99), (3, &b""[..]));
        assert_eq!(read(b"3\r\nab", 99), (usize::MAX, &b"ab"[..]));
    }

    #[test]
    fn a_body_ends_at_the_limit() {
        assert_eq!(read(b"3\r\nabc\r\n5\r\ndefgh", 4), (12, &b"abcdefgh"[..]));
        assert_eq!(read(b"ffffffffffffffff\r\nabcd", 4), (22, &b"abcd"[..]));
    }

    #[test]
    fn a_body_ends_where_it_is_malformed() {
        assert_eq!(read(b"3\r\nabc\r\nx\r\n", 99), (9, &b"abc"[..]));
        assert_eq!(read(b"fffffffffffffffff\r\n", 99).1, b"");
        assert_eq!(read(&[b'0'; 64], 99).1, b"");
    }
}
