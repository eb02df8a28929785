//! [`Records`]: counts the records of TLS in a stream of bytes (RFC 8446 §5.1).

/// Where a stream of records is: each has a header of five bytes, of which the last two are the length of the rest.
#[derive(Default)]
pub(super) struct Records {
    /// How many bytes of the current record are yet to come, after its header.
    rest: u16,
    /// How many bytes of the next header have come.
    header: u8,
    /// The first byte of its length.
    high: u8,
}

impl Records {
    /// The beginning of a stream.
    pub(super) const fn new() -> Self {
        Self { rest: 0, header: 0, high: 0 }
    }

    /// Returns how many headers end in these bytes, which come next.
    pub(super) fn count(&mut self, mut bytes: &[u8]) -> usize {
        let mut count = 0;
        loop {
            let skipped = bytes.len().min(self.rest.into());
            bytes = &bytes[skipped..];
            self.rest -= skipped as u16; // at most `rest`
            let Some((first, others)) = bytes.split_first() else { return count };
            bytes = others;
            self.header += 1;
            match self.header {
                4 => self.high = *first,
                5 => {
                    (self.rest, self.header) = (u16::from_be_bytes([self.high, *first]), 0);
                    count += 1;
                }
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Records;

    #[test]
    fn records_are_counted_however_they_are_cut() {
        let records: Vec<Vec<u8>> = [0, 1, 22, 300, 0, 0x4100]
            .map(|len: u16| [&[23, 3, 3][..], &len.to_be_bytes(), &vec![7; len.into()]].concat())
            .into();
        let stream = records.concat();
        assert_eq!(Records::new().count(&stream), records.len());
        for size in 1..50 {
            let mut counter = Records::new();
            let count: usize = stream.chunks(size).map(|piece| counter.count(piece)).sum();
            assert_eq!(count, records.len(), "pieces of {size}");
        }
        for cut in 0..=stream.len() {
            let mut counter = Records::new();
            let count = counter.count(&stream[..cut]) + counter.count(&stream[cut..]);
            assert_eq!(count, records.len(), "cut at {cut}");
        }
    }
}
