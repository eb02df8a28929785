//! [`Limit`]: limits how often an event is reported.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

/// Lets at most `EVENTS` events pass in each period of `SECONDS` seconds, and counts the others. A period begins with
/// an event.
#[derive(Debug, Default)]
pub(super) struct Limit<const EVENTS: u32, const SECONDS: u64>(Mutex<Period>);

#[derive(Debug, Default)]
struct Period {
    ends: Option<Duration>,
    passed: u32,
    held_back: u64,
}

impl<const EVENTS: u32, const SECONDS: u64> Limit<EVENTS, SECONDS> {
    /// Returns whether an event may be reported now: if it may, the number of those that were not since the last one.
    pub(super) fn admit(&self, now: Duration) -> Option<u64> {
        let mut period = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if period.ends.is_none_or(|end| now >= end) {
            period.ends = Some(now.saturating_add(Duration::from_secs(SECONDS)));
            period.passed = 0;
        }
        if period.passed == EVENTS {
            period.held_back += 1;
            return None;
        }
        period.passed += 1;
        Some(std::mem::take(&mut period.held_back))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Limit;

    #[test]
    fn what_exceeds_the_limit_is_counted_and_reported_with_the_next_event() {
        let limit = Limit::<2, 60>::default();
        let admit = |seconds| limit.admit(Duration::from_secs(seconds));
        assert_eq!([0, 10, 20, 59].map(admit), [Some(0), Some(0), None, None]);
        assert_eq!([60, 61, 62].map(admit), [Some(2), Some(0), None]);
        assert_eq!(admit(500), Some(1));
    }
}
