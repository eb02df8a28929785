//! [`Held`]: records that are held for a moment, within limits.

use std::collections::BTreeMap;

use bytes::Bytes;

/// How many records are held, and of how many bytes together. What does not fit is read from the history.
pub(super) const MAX_HELD: usize = if cfg!(test) { 3 } else { 256 };
const MAX_HELD_BYTES: usize = 256 << 10;

/// Records by their offsets.
#[derive(Default)]
pub(super) struct Held {
    records: BTreeMap<u64, Bytes>,
    bytes: usize,
}

impl Held {
    /// Adds a record. If there are too many, the first ones are dropped, or it is not added.
    pub(super) fn insert(&mut self, offset: u64, record: Bytes, drops_first: bool) {
        while self.records.len() >= MAX_HELD || self.bytes + record.len() > MAX_HELD_BYTES {
            // One is always held, however long it is: what comes next is not held back.
            if self.records.is_empty() {
                break;
            }
            if !drops_first {
                return;
            }
            let first = self.records.pop_first();
            self.bytes -= first.map_or(0, |(_, record)| record.len());
        }
        // The original is a part of what was read at once, all of which it would keep in memory.
        let record = Bytes::copy_from_slice(&record);
        self.bytes += record.len();
        if let Some(replaced) = self.records.insert(offset, record) {
            self.bytes -= replaced.len();
        }
    }

    pub(super) fn remove(&mut self, offset: u64) -> Option<Bytes> {
        let record = self.records.remove(&offset)?;
        self.bytes -= record.len();
        Some(record)
    }

    /// Forgets the records up to an offset.
    pub(super) fn forget_to(&mut self, offset: u64) {
        while let Some(first) = self.records.first_entry().filter(|first| *first.key() <= offset) {
            self.bytes -= first.remove().len();
        }
    }

    /// Returns the records after one offset, up to another, if all of them are held.
    pub(super) fn between(&self, after: u64, last: u64) -> Option<Vec<Bytes>> {
        if after < last && !self.records.contains_key(&(after + 1)) {
            return None;
        }
        let records: Vec<_> =
            self.records.range(after + 1..).map(|(_, record)| record.clone()).collect();
        (records.len() as u64 == last.saturating_sub(after)).then_some(records)
    }
}

#[cfg(all(test, not(prism_loom)))]
mod tests {
    use bytes::Bytes;

    use super::Held;

    #[test]
    fn what_a_record_was_read_with_is_not_held() {
        let read = Bytes::from(vec![b'x'; 16 << 10]);
        let mut held = Held::default();
        (1..=3).for_each(|offset| held.insert(offset, read.slice(..50), true));
        assert!(read.is_unique());
        assert_eq!(held.between(0, 3), Some(vec![read.slice(..50); 3]));
    }
}
