//! The two clocks of a connection: is the peer alive, and does it finish closing?
//!
//! Time is what the caller says it is: a [`Duration`] since any fixed moment. It comes in at one
//! place only, `handle_timeout`. A deadline that is set elsewhere starts to run at the next such
//! call, and is reported as due at once until then.

use core::time::Duration;

/// A moment that may not have been given its time yet.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) enum Deadline {
    #[default]
    Off,
    /// Set; to be counted from the next `handle_timeout`.
    Pending,
    At(Duration),
}

impl Deadline {
    /// When it is due.
    pub(crate) const fn due(self) -> Option<Duration> {
        match self {
            Self::Off => None,
            Self::Pending => Some(Duration::ZERO),
            Self::At(moment) => Some(moment),
        }
    }

    /// Whether it has passed; a pending one starts to run.
    pub(crate) fn passed(&mut self, now: Duration, after: Duration) -> bool {
        match *self {
            Self::Off => false,
            Self::Pending => {
                *self = Self::At(now.saturating_add(after));
                false
            }
            Self::At(moment) => moment <= now,
        }
    }
}

/// Pings the idle and the busy alike, so that proxies on the way see traffic in both directions,
/// and takes a peer for dead that nothing was heard of since a ping.
#[derive(Debug)]
pub(crate) struct Keepalive {
    interval: Duration,
    timeout: Duration,
    next_ping: Deadline,
    /// When something must have been heard; off while no ping is waiting for that.
    answer: Deadline,
    pings: u32,
}

/// An interval of zero would ping without an end.
const MIN_INTERVAL: Duration = Duration::from_millis(1);

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
            Some(interval) => (interval, Deadline::Pending),
            None => (Duration::MAX, Deadline::Off),
        };
        Self { interval, timeout, next_ping, answer: Deadline::Off, pings: 0 }
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
            self.answer = Deadline::Off;
        }
        if self.answer.passed(now, self.timeout) {
            return Tick::Dead;
        }
        let interval = self.interval.max(MIN_INTERVAL);
        if !self.next_ping.passed(now, interval) {
            return Tick::Nothing;
        }
        self.next_ping = Deadline::At(now.saturating_add(interval));
        if matches!(self.answer, Deadline::Off) {
            self.answer = Deadline::At(now.saturating_add(self.timeout));
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
