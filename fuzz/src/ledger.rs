//! [`Ledger`]: what has to become of each message, for whatever the peer takes and the handler wants
//! missed.

use std::collections::VecDeque;

use prism_driver::{SendError, TrySendError, WhenSlow};

use crate::{common::frame::Frame, view::Sight};

/// What a message counts that can be dropped, beside its bytes.
const APART: usize = 160;

/// All that was accepted and not dropped, in the order in which it has to leave.
pub struct Ledger {
    mark: usize,
    when_slow: WhenSlow,
    /// What the peer has not taken whole.
    frames: VecDeque<Entry>,
    /// How many bytes the peer has taken.
    taken: usize,
    /// How many bytes were accepted and not dropped.
    accepted: usize,
    missed: u64,
}

struct Entry {
    bytes: Vec<u8>,
    /// Where it ends in all that leaves.
    end: usize,
    is_message: bool,
}

/// Who sends.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Sender {
    Waits,
    Tries,
}

/// What becomes of a message.
#[derive(Debug, PartialEq, Eq)]
pub enum Fate {
    Told(Result<(), TrySendError>),
    Waiting,
}

impl Ledger {
    pub fn new(mark: usize, when_slow: WhenSlow) -> Self {
        // At zero there would never be room.
        let mark = mark.max(1);
        Self { mark, when_slow, frames: VecDeque::new(), taken: 0, accepted: 0, missed: 0 }
    }

    /// Somebody has sent a message; what has to have become of it.
    ///
    /// # Panics
    /// If not as many were missed as have to be.
    pub fn send(&mut self, sender: Sender, frame: Vec<u8>, before: Sight, after: Sight) -> Fate {
        let fate = self.decide(sender, frame, before, after);
        assert_eq!(after.missed, self.missed, "{:?}: missed, for {fate:?}", self.when_slow);
        fate
    }

    fn decide(&mut self, sender: Sender, frame: Vec<u8>, before: Sight, after: Sight) -> Fate {
        if !before.open {
            return Fate::Told(Err(TrySendError::Refused(SendError::Closed)));
        }
        if self.is_full(before.written) {
            if self.when_slow == WhenSlow::Wait && sender == Sender::Waits {
                return Fate::Waiting;
            }
            if !after.open && after.missed == self.missed {
                // The write that was to make room has failed.
                return Fate::Told(Err(TrySendError::Refused(SendError::Closed)));
            }
            // What had waited for nothing but a turn has left, and then perhaps some of this one.
            let written = after.written.min(self.accepted);
            if self.is_full(written) && !self.drops(written) {
                return self.miss(sender);
            }
        }
        self.append(frame, true);
        Fate::Told(Ok(()))
    }

    /// Whether there is room when the oldest have been dropped; they are.
    fn drops(&mut self, written: usize) -> bool {
        while self.when_slow == WhenSlow::DropOldest && self.is_full(written) {
            let whole = |entry: &Entry| entry.end - entry.bytes.len() >= written;
            let oldest = self.frames.iter().position(|entry| entry.is_message && whole(entry));
            let Some(dropped) = oldest.and_then(|oldest| self.frames.remove(oldest)) else { break };
            self.frames
                .iter_mut()
                .filter(|entry| entry.end > dropped.end)
                .for_each(|entry| entry.end -= dropped.bytes.len());
            self.accepted -= dropped.bytes.len();
            self.missed += 1;
        }
        !self.is_full(written)
    }

    fn miss(&mut self, sender: Sender) -> Fate {
        self.missed += 1;
        Fate::Told(match (self.when_slow, sender) {
            (WhenSlow::Close, sender) => {
                self.append(Frame::close(1013, "too slow").wire(), false);
                match sender {
                    Sender::Waits => Err(TrySendError::Refused(SendError::Closed)),
                    Sender::Tries => Err(TrySendError::Full),
                }
            }
            (_, Sender::Waits) => Ok(()),
            (_, Sender::Tries) => Err(TrySendError::Full),
        })
    }

    /// Something else was accepted.
    pub fn control(&mut self, frame: Vec<u8>) {
        self.append(frame, false);
    }

    fn append(&mut self, bytes: Vec<u8>, is_message: bool) {
        self.accepted += bytes.len();
        self.frames.push_back(Entry { bytes, end: self.accepted, is_message });
    }

    /// The peer has taken these.
    ///
    /// # Panics
    /// If they are others than what was accepted, in order.
    pub fn take(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let entry = self.frames.front().expect("no more than was accepted");
            let left = &entry.bytes[entry.bytes.len() - (entry.end - self.taken)..];
            let count = left.len().min(bytes.len());
            assert_eq!(left[..count], bytes[..count], "what was accepted, in order");
            self.taken += count;
            bytes = &bytes[count..];
            if self.taken == entry.end {
                self.frames.pop_front();
            }
        }
    }

    /// How many bytes the peer has taken.
    pub fn taken(&self) -> usize {
        self.taken
    }

    /// How many bytes were accepted and not dropped.
    pub fn accepted(&self) -> usize {
        self.accepted
    }

    /// Whether there is no room for a message, if so much has been written.
    pub fn is_full(&self, written: usize) -> bool {
        let left = self.accepted - written;
        let apart = self.frames.iter().filter(|entry| entry.is_message && entry.end > written);
        let apart = if self.when_slow == WhenSlow::DropOldest { apart.count() * APART } else { 0 };
        left + apart >= self.mark
    }
}
