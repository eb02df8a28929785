//! Deadlines on the caller's clock.
//!
//! The caller defines the time: it is a [`Duration`] since any fixed moment. It enters in one place
//! only, `handle_timeout`. A deadline that is set elsewhere starts to run with the next such call,
//! and is reported as due immediately until then. So `receive`, `send` and `close` need no time, and
//! no clock is read for each message.

use core::time::Duration;

/// A point in time, in nanoseconds, that may not be determined yet. Every idle connection holds
/// several, and a [`Duration`] takes twice the memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Deadline(u64);

impl Deadline {
    /// No deadline.
    pub(crate) const OFF: Self = Self(u64::MAX);
    /// A deadline that starts to run with the next `handle_timeout`, and so is due immediately.
    pub(crate) const PENDING: Self = Self(0);

    /// Creates a deadline at `now` plus `span`.
    pub(crate) fn after(now: Duration, span: Span) -> Self {
        let nanos = now.saturating_add(span.into()).as_nanos();
        Self(u64::try_from(nanos).unwrap_or(u64::MAX).clamp(1, u64::MAX - 1))
    }

    /// Returns when the deadline is due.
    pub(crate) const fn due(self) -> Option<Duration> {
        match self {
            Self::OFF => None,
            Self(nanos) => Some(Duration::from_nanos(nanos)),
        }
    }

    /// Returns whether the deadline has passed. A pending one starts to run.
    pub(crate) fn has_passed(&mut self, now: Duration, span: Span) -> bool {
        if *self == Self::PENDING {
            *self = Self::after(now, span);
            return false;
        }
        self.due().is_some_and(|moment| moment <= now)
    }
}

/// A span of time in milliseconds. The longest, seven weeks, stands for anything longer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span(u32);

impl Span {
    /// Rounds up to a millisecond: an interval of zero would ping without end.
    pub(crate) const fn new(span: Duration) -> Self {
        match span.as_millis() {
            0 => Self(1),
            millis if millis > u32::MAX as u128 => Self(u32::MAX),
            millis => Self(millis as u32),
        }
    }

    /// Returns how much accumulates during the span at `rate` per second; at least 1.
    pub(crate) fn amount_at(self, rate: u64) -> u64 {
        (u64::from(self.0) * rate / 1000).max(1)
    }
}

impl From<Span> for Duration {
    fn from(span: Span) -> Self {
        Self::from_millis(span.0.into())
    }
}
