//! The frames that a client sends.

use super::{Payload, client::READ_SIZE};

/// Frames that are sent one after the other, and then again from the first.
pub(super) struct Frames {
    bytes: Vec<u8>,
    lens: Vec<usize>,
}

impl Frames {
    /// Creates frames of these lengths, which together have all of these bytes.
    pub(super) fn new(bytes: Vec<u8>, lens: Vec<usize>) -> Self {
        assert_eq!(bytes.len(), lens.iter().sum::<usize>());
        Self { bytes, lens }
    }

    /// Creates equal frames, with enough of them for one write to send this many.
    pub(super) fn equal(payload: Payload, at_once: usize) -> Self {
        let frame = payload.frame();
        let count = at_once.min(1.max(READ_SIZE / frame.len()));
        Self::new(frame.repeat(count), vec![frame.len(); count])
    }

    /// Returns all frames, as a pattern to send.
    pub(super) fn pattern(&self) -> &[u8] {
        &self.bytes
    }

    /// Returns the length of this many frames together, the first of which has this number.
    pub(super) fn len_of(&self, first: u64, count: usize) -> usize {
        let first = (first % self.lens.len() as u64) as usize;
        self.lens.iter().cycle().skip(first).take(count).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_frame_follows_the_last_one() {
        let frames = Frames::new(vec![0; 6], vec![1, 2, 3]);
        assert_eq!(frames.len_of(0, 3), 6);
        assert_eq!(frames.len_of(2, 2), 4);
        assert_eq!(frames.len_of(7, 1), 2);
    }
}
