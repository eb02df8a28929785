//! Deadlines on the caller's clock.
//!
//! Time is what the caller says it is: a [`Duration`] since any fixed moment. It comes in at one
//! place only, `handle_timeout`. A deadline that is set elsewhere starts to run at the next such
//! call, and is reported as due at once until then.

use core::time::Duration;

/// A moment that may not have been given its time yet, in nanoseconds: every idle connection holds
/// some, and a [`Duration`] takes twice the memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Deadline(u64);

impl Deadline {
    /// There is none.
    pub(crate) const OFF: Self = Self(u64::MAX);
    /// Set; to be counted from the next `handle_timeout`, and so due at once.
    pub(crate) const PENDING: Self = Self(0);

    /// At `now` and the span.
    pub(crate) fn after(now: Duration, span: Span) -> Self {
        let nanos = now.saturating_add(span.into()).as_nanos();
        Self(u64::try_from(nanos).unwrap_or(u64::MAX).clamp(1, u64::MAX - 1))
    }

    /// When it is due.
    pub(crate) const fn due(self) -> Option<Duration> {
        match self {
            Self::OFF => None,
            Self(nanos) => Some(Duration::from_nanos(nanos)),
        }
    }

    /// Whether it has passed; a pending one starts to run.
    pub(crate) fn has_passed(&mut self, now: Duration, span: Span) -> bool {
        if *self == Self::PENDING {
            *self = Self::after(now, span);
            return false;
        }
        self.due().is_some_and(|moment| moment <= now)
    }
}

/// A span of time in milliseconds; seven weeks are as good as for ever.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span(u32);

impl Span {
    /// At least a millisecond: an interval of zero would ping without an end.
    pub(crate) const fn new(span: Duration) -> Self {
        match span.as_millis() {
            0 => Self(1),
            millis if millis > u32::MAX as u128 => Self(u32::MAX),
            millis => Self(millis as u32),
        }
    }

    /// How much that is of something of which there is so much each second; at least 1.
    pub(crate) fn amount_at(self, rate: u64) -> u64 {
        (u64::from(self.0) * rate / 1000).max(1)
    }
}

impl From<Span> for Duration {
    fn from(span: Span) -> Self {
        Self::from_millis(span.0.into())
    }
}
