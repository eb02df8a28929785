//! [`CloseTimer`]: how long the peer may take to finish closing.

use core::time::Duration;

use crate::deadline::{Deadline, Span};

/// How often the close timeout is extended for a peer that takes less than [`MIN_RATE`]. Without a
/// limit, a peer that takes a byte now and then would delay the end indefinitely, although that may
/// be just why the connection was closed.
const MAX_EXTENSIONS: u32 = 23;

/// The rate, in bytes per second, from which on the close timeout is always extended. That ends,
/// because a finite number of bytes was sent before the close frame.
const MIN_RATE: u64 = 1024;

/// The deadline for a peer to finish closing. It is extended, within limits, while the peer still
/// takes bytes that were sent before the close frame.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CloseTimer {
    deadline: Deadline,
    /// How many bytes were unsent when the deadline was set.
    unsent_before: u32,
    /// How many more times the deadline may be extended for a slow peer.
    extensions_left: u32,
}

impl CloseTimer {
    /// Starts with the next `handle_timeout`.
    pub(crate) const fn new() -> Self {
        Self { deadline: Deadline::PENDING, unsent_before: 0, extensions_left: MAX_EXTENSIONS }
    }

    /// Starts again with the next `handle_timeout`, if it may still be extended.
    pub(crate) const fn restarted(self) -> Self {
        match self.extensions_left.checked_sub(1) {
            Some(extensions_left) => Self { extensions_left, ..Self::new() },
            None => self,
        }
    }

    pub(crate) const fn due(self) -> Option<Duration> {
        self.deadline.due()
    }

    /// Returns whether the peer is too late. `unsent` is the number of bytes that it has yet to
    /// take.
    pub(crate) fn has_expired(&mut self, now: Duration, unsent: usize, timeout: Span) -> bool {
        let unsent = u32::try_from(unsent).unwrap_or(u32::MAX);
        if self.deadline == Deadline::PENDING {
            self.unsent_before = unsent;
        }
        if !self.deadline.has_passed(now, timeout) {
            return false;
        }
        let taken = self.unsent_before.saturating_sub(unsent);
        if u64::from(taken) < timeout.amount_at(MIN_RATE) {
            if taken == 0 || self.extensions_left == 0 {
                return true;
            }
            self.extensions_left -= 1;
        }
        self.unsent_before = unsent;
        self.deadline = Deadline::after(now, timeout);
        false
    }
}
