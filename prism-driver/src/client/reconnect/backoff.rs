//! [`Backoff`]: how long to wait before the next attempt; [`Attempts`]: how many have failed.

use std::time::Duration;

/// How long a [`Reconnect`](crate::Reconnect) waits between its attempts: a random time between zero and a limit, which
/// doubles with each attempt in a row that fails. It is at least a millisecond.
///
/// The delays are random over the whole range ("full jitter"), so that the clients of a server that restarts do not all
/// come back at the same moment. RFC 6455 §7.2.3 asks for both, the random delay and the doubling.
///
/// ```
/// use std::time::Duration;
/// # use prism_driver::Backoff;
/// let backoff = Backoff::default().first(Duration::from_secs(1)).most(Duration::from_secs(30));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Backoff {
    /// The limit of the first delay. Default: 5 seconds, as RFC 6455 §7.2.3 suggests.
    pub first: Duration,
    /// The limit of the random part of a delay, and equally of the time that a server asks for (`Retry-After`), to
    /// which the random part is added. So a delay is at most twice as long. Default: one minute.
    pub most: Duration,
    /// How long a connection has to live to count as a success, after which the limit is [`first`](Self::first) again.
    /// It also has to live for at least as long as the last limit. Default: 10 seconds.
    ///
    /// So a server that accepts connections only to drop them is not asked more often than one that is down.
    pub stable_after: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self {
            first: Duration::from_secs(5),
            most: Duration::from_secs(60),
            stable_after: Duration::from_secs(10),
        }
    }
}

impl Backoff {
    /// Sets [`first`](Self::first).
    #[must_use]
    pub const fn first(mut self, limit: Duration) -> Self {
        self.first = limit;
        self
    }

    /// Sets [`most`](Self::most).
    #[must_use]
    pub const fn most(mut self, limit: Duration) -> Self {
        self.most = limit;
        self
    }

    /// Sets [`stable_after`](Self::stable_after).
    #[must_use]
    pub const fn stable_after(mut self, span: Duration) -> Self {
        self.stable_after = span;
        self
    }
}

/// The least delay. Without it, attempts that fail at once would let nothing else run in their thread if the backoff is
/// zero.
const LEAST: Duration = Duration::from_millis(1);

/// The attempts since the last connection that lived long enough.
#[derive(Debug)]
pub(super) struct Attempts {
    backoff: Backoff,
    /// How many have failed in a row.
    failed: u32,
}

impl Attempts {
    pub(super) const fn new(backoff: Backoff) -> Self {
        Self { backoff, failed: 0 }
    }

    /// Returns how many attempts in a row have failed, including those that led to a connection that did not live.
    pub(super) const fn failed(&self) -> u32 {
        self.failed
    }

    /// Notes that a connection has ended which lived for this long.
    pub(super) fn ended_after(&mut self, span: Duration) {
        if span >= self.backoff.stable_after.max(self.limit(self.failed.saturating_sub(1))) {
            self.failed = 0;
        }
    }

    /// Counts a failure, and returns how long to wait before the next attempt. `random` is any number, equally
    /// distributed, and `asked` is what the server, or the proxy, has asked for.
    pub(super) fn next_delay(&mut self, random: u64, asked: Option<Duration>) -> Duration {
        let limit = self.limit(self.failed);
        self.failed = self.failed.saturating_add(1);
        // Other clients were asked to wait for the same time. So it is the least, and the random part comes on top,
        // also of the most: otherwise they would all come back at the same moment.
        let asked = asked.unwrap_or_default().min(self.backoff.most);
        asked.saturating_add(fraction(limit, random)).max(LEAST)
    }

    /// Returns the limit of the delay after this many failures.
    fn limit(&self, failed: u32) -> Duration {
        let factor = 1_u32.checked_shl(failed).unwrap_or(u32::MAX);
        self.backoff.first.saturating_mul(factor).min(self.backoff.most)
    }
}

/// Returns the part of a span that corresponds to a number among all numbers.
fn fraction(span: Duration, random: u64) -> Duration {
    let nanos = span.as_nanos().min(u64::MAX.into());
    let part = (nanos * u128::from(random)) >> 64;
    Duration::from_nanos(u64::try_from(part).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Attempts, Backoff, LEAST};

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn attempts() -> Attempts {
        Attempts::new(Backoff::default())
    }

    #[test]
    fn the_limit_doubles_up_to_the_most() {
        let mut attempts = attempts();
        let almost = |delay: Duration, limit| limit - delay < Duration::from_micros(1);
        for limit in [5, 10, 20, 40, 60, 60, 60] {
            assert!(almost(attempts.next_delay(u64::MAX, None), s(limit)), "{limit} s");
        }
        for _ in 0..100 {
            attempts.next_delay(0, None);
        }
        assert!(almost(attempts.next_delay(u64::MAX, None), s(60)));
    }

    #[test]
    fn a_delay_is_any_part_of_the_limit() {
        assert_eq!(attempts().next_delay(0, None), LEAST);
        assert_eq!(attempts().next_delay(1 << 63, None), Duration::from_millis(2500));
    }

    #[test]
    fn without_a_backoff_there_is_a_delay_all_the_same() {
        let mut attempts = Attempts::new(Backoff::default().first(s(0)).most(s(0)));
        assert_eq!(attempts.next_delay(u64::MAX, Some(s(9))), LEAST);
    }

    #[test]
    fn only_a_connection_that_has_lived_resets_the_limit() {
        let mut attempts = attempts();
        for _ in 0..3 {
            attempts.next_delay(0, None);
        }
        attempts.ended_after(s(19)); // the last limit was 20 s
        assert_eq!(attempts.failed(), 3);
        attempts.ended_after(s(20));
        assert_eq!(attempts.failed(), 0);
        attempts.next_delay(0, None);
        attempts.ended_after(s(9));
        assert_eq!(attempts.failed(), 1);
        attempts.ended_after(s(10));
        assert_eq!(attempts.failed(), 0);
    }

    #[test]
    fn a_server_may_ask_for_more_up_to_the_most_and_the_random_part_comes_on_top() {
        let mut attempts = attempts();
        assert_eq!(attempts.next_delay(0, Some(s(30))), s(30));
        assert_eq!(attempts.next_delay(1 << 63, Some(s(30))), s(35));
        assert_eq!(attempts.next_delay(0, Some(s(3600))), s(60));
        assert_eq!(attempts.next_delay(1 << 63, Some(s(3600))), s(80));
        assert_eq!(attempts.next_delay(1 << 63, Some(Duration::MAX)), s(90));
    }
}
