//! [`WriteProgress`]: determines whether a peer takes what is sent to it fast enough.
//!
//! ```text
//!   begin        took            took                            took
//!     |            |               |                               |
//!     |<------------ window ------------->|<------------ window ------------->|
//!                  |<---- no byte for a whole timeout: given up ---->|
//! ```
//!
//! There are two rules. The peer has to take something within each `timeout`. And in each window it has to take
//! `min_rate` bytes per second; a window is as long as the timeout, and begins when the previous one has been checked.
//! A peer could satisfy the first rule alone with one byte at a time, forever.
//!
//! Bytes count when the transport takes them. The operating system takes large pieces at once and then nothing for a
//! while, so the rate is checked at the end of a window and not before.

use std::time::Duration;

use crate::session::moment::Moment;

/// How slow a peer may be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WriteLimits {
    /// How long the peer may go without taking a byte, and how long a window is.
    pub(crate) timeout: Duration,
    /// How many bytes per second the peer has to take in each window; 0 for no minimum.
    pub(crate) min_rate: usize,
}

/// The recent progress of a peer. This exists while something waits for the peer without interruption.
///
/// Its owner writes before it calls [`is_too_slow`](Self::is_too_slow), so it does not give up on a peer that would
/// have taken more.
#[derive(Debug)]
pub(crate) struct WriteProgress {
    /// When to give up on the peer, if it takes nothing until then.
    stalled_at: Moment,
    /// When the window ends; never if there is no minimum rate.
    window_ends: Moment,
    /// How many bytes the transport has taken in this window.
    taken: u64,
}

impl WriteLimits {
    /// Returns how many bytes have to be taken in a window.
    fn window_minimum(self) -> u128 {
        (self.min_rate as u128).saturating_mul(self.timeout.as_nanos()) / 1_000_000_000
    }

    fn window_end(self, now: Duration) -> Moment {
        if self.min_rate == 0 { Moment::END } else { now.saturating_add(self.timeout).into() }
    }
}

impl WriteProgress {
    /// Begins at `now`, because something waits from now on.
    pub(crate) fn begin(now: Duration, limits: WriteLimits) -> Self {
        let stalled_at = now.saturating_add(limits.timeout).into();
        Self { stalled_at, window_ends: limits.window_end(now), taken: 0 }
    }

    /// Counts bytes that the transport took, while something still waits.
    pub(crate) fn took(&mut self, bytes: u64, now: Duration, limits: WriteLimits) {
        if bytes > 0 {
            self.stalled_at = now.saturating_add(limits.timeout).into();
            self.taken = self.taken.saturating_add(bytes);
        }
    }

    /// Returns when [`is_too_slow`](Self::is_too_slow) has to be called.
    pub(crate) fn due(&self) -> Duration {
        self.stalled_at.min(self.window_ends).into()
    }

    /// Returns whether to give up on the peer. If a window has ended and enough was taken in it, the next one
    /// begins.
    pub(crate) fn is_too_slow(&mut self, now: Duration, limits: WriteLimits) -> bool {
        if self.stalled_at <= now.into() {
            return true;
        }
        if self.window_ends <= now.into() {
            if u128::from(self.taken) < limits.window_minimum() {
                return true;
            }
            self.window_ends = limits.window_end(now);
            self.taken = 0;
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::{Duration, WriteLimits, WriteProgress};

    const NANO: Duration = Duration::from_nanos(1);

    const LIMITS: WriteLimits = WriteLimits { timeout: s(30), min_rate: 240 };

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// Calls `is_too_slow` whenever that is due. Returns when to give up on the peer, if that is before `end`.
    fn given_up(
        progress: &mut WriteProgress,
        limits: WriteLimits,
        end: Duration,
    ) -> Option<Duration> {
        while progress.due() < end {
            let due = progress.due();
            assert!(!progress.is_too_slow(due - NANO, limits), "too early at {due:?}");
            if progress.is_too_slow(due, limits) {
                return Some(due);
            }
        }
        None
    }

    #[test]
    fn it_is_small() {
        assert!(size_of::<WriteProgress>() <= 24);
        assert_eq!(size_of::<Option<WriteProgress>>(), size_of::<WriteProgress>());
    }

    #[test]
    fn a_peer_that_takes_nothing_is_given_up_after_the_timeout() {
        for min_rate in [0, 1, 240, usize::MAX] {
            let limits = WriteLimits { min_rate, ..LIMITS };
            let mut progress = WriteProgress::begin(s(7), limits);
            assert_eq!(given_up(&mut progress, limits, s(1000)), Some(s(37)));
        }
    }

    #[test]
    fn a_peer_that_stops_taking_is_given_up_a_timeout_later() {
        let mut progress = WriteProgress::begin(s(0), LIMITS);
        progress.took(1_000_000, s(12), LIMITS);
        // The window's end at 30 s passes meanwhile.
        assert_eq!(given_up(&mut progress, LIMITS, s(1000)), Some(s(42)));
    }

    #[test]
    fn one_byte_below_the_minimum_in_a_window_is_too_slow() {
        for (bytes, end) in [(7199, Some(s(30))), (7200, None)] {
            let mut progress = WriteProgress::begin(s(0), LIMITS);
            progress.took(7000, s(1), LIMITS);
            progress.took(bytes - 7000, s(29), LIMITS);
            assert_eq!(given_up(&mut progress, LIMITS, s(31)), end, "{bytes} bytes");
        }
    }

    #[test]
    fn each_window_is_judged_by_itself() {
        let mut progress = WriteProgress::begin(s(0), LIMITS);
        for window in 0..10 {
            // However much it is, none of it counts in the next window.
            progress.took(7200 << window, s(30 * window + 29), LIMITS);
            assert_eq!(given_up(&mut progress, LIMITS, s(30 * window + 31)), None);
        }
        progress.took(7199, s(329), LIMITS);
        assert_eq!(given_up(&mut progress, LIMITS, s(1000)), Some(s(330)));
    }

    #[test]
    fn a_window_begins_when_the_last_was_judged() {
        let mut progress = WriteProgress::begin(s(0), LIMITS);
        progress.took(7200, s(29), LIMITS);
        assert!(!progress.is_too_slow(s(35), LIMITS));
        progress.took(7200, s(64), LIMITS);
        assert_eq!(progress.due(), s(65));
        assert!(!progress.is_too_slow(s(65), LIMITS));
    }

    #[test]
    fn without_a_rate_a_byte_now_and_then_is_enough() {
        let limits = WriteLimits { min_rate: 0, ..LIMITS };
        let mut progress = WriteProgress::begin(s(0), limits);
        for byte in 1..1000 {
            progress.took(1, s(29 * byte), limits);
            assert_eq!(given_up(&mut progress, limits, s(29 * (byte + 1))), None);
        }
        // No byte is no progress.
        progress.took(0, s(29 * 999 + 1), limits);
        assert_eq!(given_up(&mut progress, limits, s(100_000)), Some(s(29 * 999 + 30)));
    }

    #[test]
    fn extreme_limits_do_not_overflow() {
        let never = WriteLimits { timeout: Duration::MAX, min_rate: usize::MAX };
        let mut progress = WriteProgress::begin(s(5), never);
        progress.took(u64::MAX, s(6), never);
        progress.took(u64::MAX, s(7), never);
        assert!(!progress.is_too_slow(s(1 << 30), never));
        let at_once = WriteLimits { timeout: Duration::ZERO, min_rate: usize::MAX };
        let mut progress = WriteProgress::begin(s(5), at_once);
        assert_eq!(progress.due(), s(5));
        assert!(progress.is_too_slow(s(5), at_once));
    }
}
