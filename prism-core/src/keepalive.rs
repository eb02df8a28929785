//! The two clocks of a connection: is the peer alive, and does it finish closing?
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
        Self(Span::new(now).0.saturating_add(span.0).clamp(1, u64::MAX - 1))
    }

    /// When it is due.
    pub(crate) const fn due(self) -> Option<Duration> {
        match self {
            Self::OFF => None,
            Self(nanos) => Some(Duration::from_nanos(nanos)),
        }
    }

    /// Whether it has passed; a pending one starts to run.
    pub(crate) fn passed(&mut self, now: Duration, span: Span) -> bool {
        if *self == Self::PENDING {
            *self = Self::after(now, span);
            return false;
        }
        self.due().is_some_and(|moment| moment <= now)
    }
}

/// A span of time in nanoseconds; some 580 years are as good as for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Span(u64);

impl Span {
    pub(crate) const fn new(span: Duration) -> Self {
        let nanos = span.as_nanos();
        Self(if nanos > u64::MAX as u128 { u64::MAX } else { nanos as u64 })
    }
}

/// Pings the idle and the busy alike, so that proxies on the way see traffic in both directions,
/// and takes a peer for dead that nothing was heard of since a ping.
#[derive(Debug)]
pub(crate) struct Keepalive {
    interval: Span,
    timeout: Span,
    next_ping: Deadline,
    /// When something must have been heard; off while no ping is waiting for that.
    answer: Deadline,
    pings: u32,
}

/// An interval of zero would ping without an end.
const MIN_INTERVAL: Span = Span::new(Duration::from_millis(1));

/// What the keepalive wants done.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Tick {
    Nothing,
    /// Send a ping with this payload.
    Ping([u8; 4]),
    Dead,
}

impl Keepalive {
    pub(crate) const fn new(interval: Option<Duration>, timeout: Duration) -> Self {
        let (interval, next_ping) = match interval {
            Some(interval) => (Span::new(interval), Deadline::PENDING),
            None => (Span(0), Deadline::OFF),
        };
        let timeout = Span::new(timeout);
        Self { interval, timeout, next_ping, answer: Deadline::OFF, pings: 0 }
    }

    pub(crate) fn due(&self) -> Option<Duration> {
        match (self.next_ping.due(), self.answer.due()) {
            (Some(ping), Some(answer)) => Some(ping.min(answer)),
            (ping, answer) => ping.or(answer),
        }
    }

    /// `heard`: whether anything came from the peer since the last call.
    pub(crate) fn tick(&mut self, now: Duration, heard: bool) -> Tick {
        if heard {
            self.answer = Deadline::OFF;
        }
        if self.answer.passed(now, self.timeout) {
            return Tick::Dead;
        }
        let interval = self.interval.max(MIN_INTERVAL);
        if !self.next_ping.passed(now, interval) {
            return Tick::Nothing;
        }
        self.next_ping = Deadline::after(now, interval);
        if self.answer == Deadline::OFF {
            self.answer = Deadline::after(now, self.timeout);
        }
        self.pings = self.pings.wrapping_add(1);
        Tick::Ping(self.pings.to_be_bytes())
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use super::{Keepalive, Tick};

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn an_idle_peer_that_answers_is_pinged_at_each_interval() {
        let mut keepalive = Keepalive::new(Some(s(20)), s(10));
        assert_eq!((keepalive.due(), keepalive.tick(s(100), false)), (Some(s(0)), Tick::Nothing));
        assert_eq!(keepalive.due(), Some(s(120)));
        assert_eq!(keepalive.tick(s(119), false), Tick::Nothing);
        assert_eq!(keepalive.tick(s(120), false), Tick::Ping([0, 0, 0, 1]));
        assert_eq!(keepalive.due(), Some(s(130)));
        assert_eq!(keepalive.tick(s(130), true), Tick::Nothing);
        assert_eq!(keepalive.due(), Some(s(140)));
        assert_eq!(keepalive.tick(s(140), false), Tick::Ping([0, 0, 0, 2]));
    }

    #[test]
    fn a_peer_that_is_silent_after_a_ping_is_dead() {
        let mut keepalive = Keepalive::new(Some(s(20)), s(10));
        keepalive.tick(s(0), false);
        assert_eq!(keepalive.tick(s(20), true), Tick::Ping([0, 0, 0, 1]));
        assert_eq!(keepalive.tick(s(29), false), Tick::Nothing);
        assert_eq!(keepalive.tick(s(30), false), Tick::Dead);
    }

    #[test]
    fn a_timeout_longer_than_the_interval_counts_from_the_first_unanswered_ping() {
        let mut keepalive = Keepalive::new(Some(s(10)), s(25));
        keepalive.tick(s(0), false);
        for at in [10, 20, 30] {
            assert!(matches!(keepalive.tick(s(at), false), Tick::Ping(_)));
        }
        assert_eq!(keepalive.tick(s(35), false), Tick::Dead);
    }

    #[test]
    fn without_an_interval_there_is_nothing_to_wait_for() {
        let mut keepalive = Keepalive::new(None, s(10));
        assert_eq!((keepalive.due(), keepalive.tick(s(9), false)), (None, Tick::Nothing));
    }
}
