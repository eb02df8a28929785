//! [`Model`]: what has to happen to each message, whatever the peer takes and whatever the policy for a
//! slow peer.

use std::collections::VecDeque;

use prism_driver::{SendError, TrySendError, WhenSlow};

use crate::{common::frame::Frame, view::Snapshot};

/// What a droppable message counts besides its bytes.
const OVERHEAD: usize = 176;

/// All accepted frames that were not dropped, in the order in which they have to leave.
pub struct Model {
    mark: usize,
    when_slow: WhenSlow,
    /// The frames that the peer has not taken completely.
    frames: VecDeque<Entry>,
    /// The number of bytes that the peer has taken.
    taken: usize,
    /// The number of bytes that were accepted and not dropped.
    accepted: usize,
    missed: u64,
}

struct Entry {
    bytes: Vec<u8>,
    /// Where the frame ends in the output.
    end: usize,
    is_message: bool,
}

/// A kind of sender.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Sender {
    Waits,
    Tries,
}

/// What has to happen to a message.
#[derive(Debug, PartialEq, Eq)]
pub enum Expected {
    Returns(Result<(), TrySendError>),
    Waiting,
}

impl Model {
    pub fn new(mark: usize, when_slow: WhenSlow) -> Self {
        // With a mark of zero there would never be room.
        let mark = mark.max(1);
        Self { mark, when_slow, frames: VecDeque::new(), taken: 0, accepted: 0, missed: 0 }
    }

    /// Records that a message was sent, and returns what has to have happened to it. `encode` returns its
    /// frame, and is called if it was accepted.
    ///
    /// # Panics
    /// If the number of missed messages is wrong.
    pub fn send(
        &mut self,
        sender: Sender,
        encode: impl FnOnce() -> Vec<u8>,
        before: Snapshot,
        after: Snapshot,
    ) -> Expected {
        let expected = self.decide(sender, encode, before, after);
        assert_eq!(after.missed, self.missed, "{:?}: missed, for {expected:?}", self.when_slow);
        expected
    }

    fn decide(
        &mut self,
        sender: Sender,
        encode: impl FnOnce() -> Vec<u8>,
        before: Snapshot,
        after: Snapshot,
    ) -> Expected {
        if !before.open {
            return Expected::Returns(Err(TrySendError::Refused(SendError::Closed)));
        }
        if self.is_full(before.written) {
            if self.when_slow == WhenSlow::Wait && sender == Sender::Waits {
                return Expected::Waiting;
            }
            if !after.open && after.missed == self.missed && after.written < self.accepted {
                // The write that should have made room has failed. (If that has succeeded, it was the message's own
                // write that failed, after the message had been accepted.)
                return Expected::Returns(Err(TrySendError::Refused(SendError::Closed)));
            }
            // What could be written has left by now, and perhaps a part of this message as well.
            let written = after.written.min(self.accepted);
            if self.is_full(written) && !self.drops(written) {
                return self.miss(sender);
            }
        }
        self.append(encode(), true);
        Expected::Returns(Ok(()))
    }

    /// Drops the oldest messages if the policy says so. Returns whether there is room then.
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

    fn miss(&mut self, sender: Sender) -> Expected {
        self.missed += 1;
        Expected::Returns(match (self.when_slow, sender) {
            (WhenSlow::Close, sender) => {
                self.append(Frame::close(1013, "too slow").encoded(), false);
                match sender {
                    Sender::Waits => Err(TrySendError::Refused(SendError::Closed)),
                    Sender::Tries => Err(TrySendError::Full),
                }
            }
            (_, Sender::Waits) => Ok(()),
            (_, Sender::Tries) => Err(TrySendError::Full),
        })
    }

    /// Records that a control frame was accepted.
    pub fn control(&mut self, frame: Vec<u8>) {
        self.append(frame, false);
    }

    fn append(&mut self, bytes: Vec<u8>, is_message: bool) {
        self.accepted += bytes.len();
        self.frames.push_back(Entry { bytes, end: self.accepted, is_message });
    }

    /// Records that the peer has taken these bytes.
    ///
    /// # Panics
    /// If they differ from what was accepted, in order.
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

    /// Returns how many bytes the peer has taken.
    pub fn taken(&self) -> usize {
        self.taken
    }

    /// Returns how many bytes were accepted and not dropped.
    pub fn accepted(&self) -> usize {
        self.accepted
    }

    /// Returns whether there is no room for a message once this many bytes have been written.
    pub fn is_full(&self, written: usize) -> bool {
        let left = self.accepted - written;
        let waiting = self.frames.iter().filter(|entry| entry.is_message && entry.end > written);
        let overhead =
            if self.when_slow == WhenSlow::DropOldest { waiting.count() * OVERHEAD } else { 0 };
        left + overhead >= self.mark
    }
}
