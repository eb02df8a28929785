//! [`CloseTimer`]: does the peer finish closing?

use core::time::Duration;

use crate::deadline::{Deadline, Span};

/// How often a peer that takes less than [`MIN_RATE`] has the close timeout again. Without an end to that, one
/// that takes a byte now and then would never have to end, though it was closed perhaps for just that.
const MAX_EXTENSIONS: u32 = 23;

/// How many bytes per second a peer has to take to have the close timeout again in any case: what was
/// sent before the close frame has an end, and comes to it.
const MIN_RATE: u64 = 1024;

/// The wait for a peer to finish closing. One that still takes what was sent before the close frame
/// is not late, for some time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CloseTimer {
    deadline: Deadline,
    /// How much was unsent when the deadline was last looked at.
    unsent: u32,
    /// How often it may still be set anew.
    extensions_left: u32,
}

impl CloseTimer {
    /// Begins with the next `handle_timeout`.
    pub(crate) const fn new() -> Self {
        Self { deadline: Deadline::PENDING, unsent: 0, extensions_left: MAX_EXTENSIONS }
    }

    /// Begins anew with the next `handle_timeout`, if it still may.
    pub(crate) const fn restarted(self) -> Self {
        match self.extensions_left.checked_sub(1) {
            Some(extensions_left) => Self { extensions_left, ..Self::new() },
            None => self,
        }
    }

    pub(crate) const fn due(self) -> Option<Duration> {
        self.deadline.due()
    }

    /// Whether the peer is late. `unsent`: how much it has not taken yet.
    pub(crate) fn has_expired(&mut self, now: Duration, unsent: usize, timeout: Span) -> bool {
        let unsent = u32::try_from(unsent).unwrap_or(u32::MAX);
        if self.deadline == Deadline::PENDING {
            self.unsent = unsent;
        }
        if !self.deadline.has_passed(now, timeout) {
            return false;
        }
        let taken = self.unsent.saturating_sub(unsent);
        if u64::from(taken) < timeout.amount_at(MIN_RATE) {
            if taken == 0 || self.extensions_left == 0 {
                return true;
            }
            self.extensions_left -= 1;
        }
        self.unsent = unsent;
        self.deadline = Deadline::after(now, timeout);
        false
    }
}
