//! The spare memory of a [`RecvBuffer`], as the place that a message is decompressed into.

use crate::buffer::{RecvBuffer, growth};

impl RecvBuffer {
    /// Returns the payload joined so far, and the memory behind all received bytes.
    pub(crate) fn message_and_spare(&mut self) -> (&[u8], &mut [u8]) {
        let (received, spare) = self.data.split_at_mut(self.tail);
        (&received[self.start..self.start + self.joined], spare)
    }

    /// Makes room for at least `at_least` spare bytes, which must not exceed `most`. If that takes more memory, there
    /// are at most `most + 1` spare bytes then.
    pub(crate) fn make_spare(&mut self, at_least: usize, most: usize) {
        debug_assert!(at_least <= most);
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
