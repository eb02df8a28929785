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
    pub(crate) fn passed(&mut self, now: Duration, span: Span) -> bool {
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
    fn times_per_second(self, rate: u64) -> u64 {
        (u64::from(self.0) * rate / 1000).max(1)
    }
}

impl From<Span> for Duration {
    fn from(span: Span) -> Self {
        Self::from_millis(span.0.into())
    }
}

/// Pings the idle and the busy alike, so that proxies on the way see traffic in both directions,
/// and takes a peer for dead that nothing was heard of since a ping.
#[derive(Debug)]
pub(crate) struct Keepalive {
    next_ping: Deadline,
    /// When something must have been heard; off while no ping is waiting for that.
    answer: Deadline,
}

/// How often to ping, and how long to wait then.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    interval: Span,
    timeout: Span,
}

impl Pace {
    pub(crate) const fn new(interval: Duration, timeout: Duration) -> Self {
        Self { interval: Span::new(interval), timeout: Span::new(timeout) }
    }
}

/// What the keepalive wants done.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Tick {
    Nothing,
    Ping,
    Dead,
}

impl Keepalive {
    pub(crate) const fn new(pings: bool) -> Self {
        let next_ping = if pings { Deadline::PENDING } else { Deadline::OFF };
        Self { next_ping, answer: Deadline::OFF }
    }

    pub(crate) fn due(&self) -> Option<Duration> {
        match (self.next_ping.due(), self.answer.due()) {
            (Some(ping), Some(answer)) => Some(ping.min(answer)),
            (ping, answer) => ping.or(answer),
        }
    }

    /// `heard`: whether anything came from the peer since the last call.
    pub(crate) fn tick(&mut self, now: Duration, heard: bool, pace: Pace) -> Tick {
        if heard {
            self.answer = Deadline::OFF;
        }
        if self.answer.passed(now, pace.timeout) {
            return Tick::Dead;
        }
        if !self.next_ping.passed(now, pace.interval) {
            return Tick::Nothing;
        }
        self.next_ping = Deadline::after(now, pace.interval);
        if self.answer == Deadline::OFF {
            self.answer = Deadline::after(now, pace.timeout);
        }
        Tick::Ping
    }
}

/// How often a peer that takes less than [`FLOW`] has the close timeout again. Without an end to that, one
/// that takes a byte now and then would never have to end, though it was closed perhaps for just that.
const TIMES: u32 = 23;

/// How many bytes per second a peer has to take to have the close timeout again in any case: what was
/// sent before the close frame has an end, and comes to it.
const FLOW: u64 = 1024;

/// The wait for a peer to finish closing. One that still takes what was sent before the close frame
/// is not late, for some time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Closing {
    deadline: Deadline,
    /// How much was unsent when the deadline was last looked at.
    unsent: u32,
    /// How often it may still be set anew.
    times: u32,
}

impl Closing {
    /// Begins with the next `handle_timeout`.
    pub(crate) const fn new() -> Self {
        Self { deadline: Deadline::PENDING, unsent: 0, times: TIMES }
    }

    /// Begins anew with the next `handle_timeout`, if it still may.
    pub(crate) const fn renewed(self) -> Self {
        match self.times.checked_sub(1) {
            Some(times) => Self { times, ..Self::new() },
            None => self,
        }
    }

    pub(crate) const fn due(self) -> Option<Duration> {
        self.deadline.due()
    }

    /// Whether the peer is late. `unsent`: how much it has not taken yet.
    pub(crate) fn is_late(&mut self, now: Duration, unsent: usize, timeout: Span) -> bool {
        let unsent = u32::try_from(unsent).unwrap_or(u32::MAX);
        if self.deadline == Deadline::PENDING {
            self.unsent = unsent;
        }
        if !self.deadline.passed(now, timeout) {
            return false;
        }
        let taken = self.unsent.saturating_sub(unsent);
        if u64::from(taken) < timeout.times_per_second(FLOW) {
            if taken == 0 || self.times == 0 {
                return true;
            }
            self.times -= 1;
        }
        self.unsent = unsent;
        self.deadline = Deadline::after(now, timeout);
        false
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use super::{Keepalive, Pace, Tick};

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn an_idle_peer_that_answers_is_pinged_at_each_interval() {
        let (mut keepalive, pace) = (Keepalive::new(true), Pace::new(s(20), s(10)));
        assert_eq!(
            (keepalive.due(), keepalive.tick(s(100), false, pace)),
            (Some(s(0)), Tick::Nothing)
        );
        assert_eq!(keepalive.due(), Some(s(120)));
        assert_eq!(keepalive.tick(s(119), false, pace), Tick::Nothing);
        assert_eq!(keepalive.tick(s(120), false, pace), Tick::Ping);
        assert_eq!(keepalive.due(), Some(s(130)));
        assert_eq!(keepalive.tick(s(130), true, pace), Tick::Nothing);
        assert_eq!(keepalive.due(), Some(s(140)));
        assert_eq!(keepalive.tick(s(140), false, pace), Tick::Ping);
    }

    #[test]
    fn a_peer_that_is_silent_after_a_ping_is_dead() {
        let (mut keepalive, pace) = (Keepalive::new(true), Pace::new(s(20), s(10)));
        keepalive.tick(s(0), false, pace);
        assert_eq!(keepalive.tick(s(20), true, pace), Tick::Ping);
        assert_eq!(keepalive.tick(s(29), false, pace), Tick::Nothing);
        assert_eq!(keepalive.tick(s(30), false, pace), Tick::Dead);
    }

    #[test]
    fn a_timeout_longer_than_the_interval_counts_from_the_first_unanswered_ping() {
        let (mut keepalive, pace) = (Keepalive::new(true), Pace::new(s(10), s(25)));
        keepalive.tick(s(0), false, pace);
        for at in [10, 20, 30] {
            assert_eq!(keepalive.tick(s(at), false, pace), Tick::Ping);
        }
        assert_eq!(keepalive.tick(s(35), false, pace), Tick::Dead);
    }

    #[test]
    fn without_an_interval_there_is_nothing_to_wait_for() {
        let (mut keepalive, pace) = (Keepalive::new(false), Pace::new(s(0), s(10)));
        assert_eq!((keepalive.due(), keepalive.tick(s(9), false, pace)), (None, Tick::Nothing));
    }
}
