//! The spare memory of a [`RecvBuffer`], as the place that a message is decompressed into.

use crate::buffer::{RecvBuffer, UNLIMITED, growth};

/// How many decompressed bytes count as a fragment in [`RecvBuffer::hold_after`].
const INFLATED_PER_FRAGMENT: usize = 512;

impl RecvBuffer {
    /// Counts decompressed bytes.
    pub(crate) fn count_inflated(&mut self, bytes: usize) {
        if self.fragments_left != UNLIMITED {
            self.hold_earlier(u32::try_from(bytes / INFLATED_PER_FRAGMENT).unwrap_or(u32::MAX));
        }
    }

    /// Returns the payload joined so far, and the memory behind all received bytes.
    pub(crate) fn message_and_spare(&mut self) -> (&[u8], &mut [u8]) {
        let (received, spare) = self.data.split_at_mut(self.tail);
        (&received[self.start..self.start + self.joined], spare)
    }

    /// Makes room for at least this many spare bytes. If that takes more memory, then for little more than
    /// `most`.
    pub(crate) fn make_spare(&mut self, at_least: usize, most: usize) {
        if self.data.len() - self.tail < at_least {
            self.reclaim();
            if self.data.len() - self.tail < at_least {
                growth::grow(&mut self.data, self.tail + at_least, (most - at_least).max(1));
            }
        }
    }

    /// Makes room for at least one more spare byte than the `used` ones, but for no more than `most` in
    /// all because of this. The contents of the used ones remain.
    pub(crate) fn grow_spare(&mut self, used: usize, most: usize) {
        if self.data.len() - self.tail <= used && used < most {
            growth::grow(&mut self.data, self.tail + used + 1, most - used);
        }
    }

    /// Ends the message, and lends the first `count` spare bytes. The next call may overwrite them.
    pub(crate) fn lend_spare(&mut self, count: usize) -> &[u8] {
        let from = self.tail;
        self.lend_message();
        &self.data[from..from + count]
    }
}
