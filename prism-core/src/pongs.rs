//! [`Pongs`]: bounds the pongs for a peer that pings and does not read (RFC 6455 §5.5.3).
//!
//! All unsent bytes count, not the pongs alone, so one mark bounds the output. But the first
//! kilobyte of pongs is always written: a ping that arrives while a large message is unsent is not a
//! flood.

use alloc::{boxed::Box, vec::Vec};

/// How many bytes of pongs are written regardless of other unsent bytes.
const ALWAYS_WRITTEN: usize = 1024;

/// Decides which pongs are written at once, and keeps the one that is held back.
#[derive(Debug)]
pub(crate) struct Pongs {
    /// How many bytes may be unsent before pongs are held back.
    mark: u32,
    /// How many bytes of pongs were written since the output was last shorter than that.
    written: u32,
    #[expect(clippy::box_collection, reason = "few connections ever have one")]
    held: Option<Box<Vec<u8>>>,
}

impl Pongs {
    pub(crate) const fn new(mark: usize) -> Self {
        let mark = if mark > u32::MAX as usize { u32::MAX } else { mark as u32 };
        Self { mark, written: 0, held: None }
    }

    pub(crate) const fn is_over_mark(&self, unsent: usize) -> bool {
        unsent > self.mark as usize
    }

    /// Holds a pong back, replacing an earlier one, if too much is unsent. Returns whether it
    /// did; if not, the caller has to write the pong and to [count](Self::count) it.
    pub(crate) fn hold_back(&mut self, payload: &[u8], unsent: usize) -> bool {
        let must_wait = self.is_over_mark(unsent) && self.unsent_pongs(unsent) > ALWAYS_WRITTEN;
        self.held = must_wait.then(|| Box::new(payload.to_vec()));
        must_wait
    }

    /// Counts a pong that was written, from the number of unsent bytes before it and now.
    pub(crate) fn count(&mut self, before: usize, now: usize) {
        // An output may be shorter now, if its owner sends from it at the same time.
        let unsent = self.unsent_pongs(before).saturating_add(now).saturating_sub(before);
        self.written = u32::try_from(unsent).unwrap_or(u32::MAX);
    }

    pub(crate) const fn is_held(&self) -> bool {
        self.held.is_some()
    }

    pub(crate) fn take_held(&mut self) -> Option<Vec<u8>> {
        self.held.take().map(|payload| *payload)
    }

    /// Returns how many of the unsent bytes may be pongs.
    fn unsent_pongs(&self, unsent: usize) -> usize {
        unsent.min(self.written as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::{ALWAYS_WRITTEN, Pongs};

    #[test]
    fn pongs_over_the_mark_are_held_back_after_the_first_kilobyte() {
        for (written, unsent, is_held) in [
            (ALWAYS_WRITTEN, 5001, false),
            (ALWAYS_WRITTEN + 1, 5000, false),
            (ALWAYS_WRITTEN + 1, 5001, true),
        ] {
            let mut pongs = Pongs::new(5000);
            pongs.count(0, written);
            assert_eq!(pongs.hold_back(b"ping", unsent), is_held, "{written}, {unsent}");
            assert_eq!(pongs.take_held().is_some(), is_held);
        }
    }

    #[test]
    fn an_output_that_shrinks_meanwhile_counts_no_pong() {
        let mut pongs = Pongs::new(5000);
        pongs.count(10, 4);
        assert_eq!(pongs.written, 0);
    }
}
