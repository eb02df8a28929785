//! Counts the messages in a stream of bytes, by the lengths of its frames.

use std::io;

/// The position in a server's stream of frames.
#[derive(Default)]
pub(super) struct Reader {
    /// How much of the current payload is still to come, and its kind.
    left: usize,
    ends_message: bool,
    /// The length of the current message so far, and whether it is compressed.
    len: usize,
    is_compressed: bool,
    is_ping: bool,
    is_pong: bool,
    head: [u8; 10],
    head_len: usize,
    /// The length of each message, if they are recorded.
    pub(super) lens: Option<Vec<usize>>,
}

/// What a piece of the stream contains.
#[derive(Default)]
pub(super) struct Seen {
    pub(super) messages: usize,
    /// How many of the messages are compressed (RFC 7692 §6: their first frame has RSV1).
    pub(super) compressed: usize,
    pub(super) pings: usize,
    pub(super) pongs: usize,
}

impl Reader {
    /// Takes the next bytes of the stream.
    pub(super) fn take(&mut self, mut bytes: &[u8]) -> io::Result<Seen> {
        let mut seen = Seen::default();
        loop {
            let skipped = self.left.min(bytes.len());
            bytes = &bytes[skipped..];
            self.left -= skipped;
            if self.left > 0 {
                return Ok(seen);
            }
            if std::mem::take(&mut self.ends_message) {
                seen.messages += 1;
                seen.compressed += usize::from(self.is_compressed);
                let len = std::mem::take(&mut self.len);
                self.lens.iter_mut().for_each(|lens| lens.push(len));
            }
            seen.pings += usize::from(std::mem::take(&mut self.is_ping));
            seen.pongs += usize::from(std::mem::take(&mut self.is_pong));
            if bytes.is_empty() || !self.head(&mut bytes)? {
                return Ok(seen);
            }
        }
    }

    /// Takes a header, byte by byte if it arrives in pieces. Returns whether it is complete.
    fn head(&mut self, bytes: &mut &[u8]) -> io::Result<bool> {
        while let Some((&byte, rest)) = bytes.split_first() {
            self.head[self.head_len] = byte;
            self.head_len += 1;
            *bytes = rest;
            let Some(left) = payload_len(&self.head[..self.head_len]) else { continue };
            self.head_len = 0;
            self.left = left;
            match self.head[0] & 0x0F {
                8 => return Err(io::Error::other("the server closed a connection")),
                9 => self.is_ping = true,
                10 => self.is_pong = true,
                opcode => {
                    self.ends_message = self.head[0] & 0x80 != 0;
                    self.len += left;
                    if opcode != 0 {
                        self.is_compressed = self.head[0] & 0x40 != 0;
                    }
                }
            }
            return Ok(true);
        }
        Ok(false)
    }
}

/// Returns the length of the payload, if the header is complete. A server's frames have no mask.
fn payload_len(head: &[u8]) -> Option<usize> {
    match (head.get(1)?, head.len()) {
        (126, 4) => Some(u16::from_be_bytes([head[2], head[3]]).into()),
        (127, 10) => usize::try_from(u64::from_be_bytes(head[2..].try_into().ok()?)).ok(),
        (126 | 127, _) => None,
        (&len, _) => Some(len.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_the_same_however_the_stream_is_cut() {
        let mut stream = vec![0x82, 3, 1, 2, 3, 0x89, 0, 0x8A, 0, 0x41, 1, b'a', 0x80, 126, 0, 200];
        stream.extend([0; 200]);
        for piece in 1..stream.len() {
            let mut reader = Reader { lens: Some(Vec::new()), ..Reader::default() };
            let mut counts = [0; 4];
            for bytes in stream.chunks(piece) {
                let seen = reader.take(bytes).unwrap();
                counts[0] += seen.messages;
                counts[1] += seen.pings;
                counts[2] += seen.pongs;
                counts[3] += seen.compressed;
            }
            assert_eq!(counts, [2, 1, 1, 1], "in pieces of {piece}");
            assert_eq!(reader.lens, Some(vec![3, 201]), "in pieces of {piece}");
        }
    }
}
