//! [`Keepalive`]: whether the peer is alive, and how long it takes to answer.
//!
//! The peer is pinged at each interval, whether the connection is idle or busy: it may be busy in
//! one direction only, and a proxy on the way may apply a timeout to each direction. Anything that
//! is received counts as an answer, not only the pong, which may be queued behind a long message.
//! Only the pong to the most recent ping measures the round trip.
//!
//! A ping is not written if it would wait behind much output. If the peer then takes some of that
//! output, this counts as an answer: it may do nothing but read, over a slow link.

use core::time::Duration;

use crate::deadline::{Deadline, Span};

/// Pings the peer at each interval, and gives up on it if nothing was received after a ping.
#[derive(Debug)]
pub(crate) struct Keepalive {
    next_ping: Deadline,
    /// The deadline for receiving something; off while no ping waits for an answer.
    answer: Deadline,
    last_ping: LastPing,
}

/// The most recent ping.
#[derive(Clone, Copy, Debug)]
enum LastPing {
    /// There was none, or its pong has arrived.
    Answered,
    /// It was written, with this number.
    Written(u32),
    /// It was not written, because so many bytes were unsent.
    Skipped(u32),
}

/// How often to ping, and how long to wait for an answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PingTiming {
    interval: Span,
    timeout: Span,
}

impl PingTiming {
    pub(crate) const fn new(interval: Duration, timeout: Duration) -> Self {
        Self { interval: Span::new(interval), timeout: Span::new(timeout) }
    }
}

/// The action that the keepalive asks for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Tick {
    Nothing,
    Ping,
    Dead,
}

impl Keepalive {
    pub(crate) const fn new(pings: bool) -> Self {
        let next_ping = if pings { Deadline::PENDING } else { Deadline::OFF };
        Self { next_ping, answer: Deadline::OFF, last_ping: LastPing::Answered }
    }

    pub(crate) fn due(&self) -> Option<Duration> {
        match (self.next_ping.due(), self.answer.due()) {
            (Some(ping), Some(answer)) => Some(ping.min(answer)),
            (ping, answer) => ping.or(answer),
        }
    }

    /// Returns the action for the time `now`. `heard` is whether anything was received since the
    /// last call, and `unsent` is the number of bytes that the peer has yet to take.
    pub(crate) fn tick(
        &mut self,
        now: Duration,
        heard: bool,
        unsent: usize,
        timing: PingTiming,
    ) -> Tick {
        if heard || matches!(self.last_ping, LastPing::Skipped(before) if unsent < before as usize)
        {
            self.answer = Deadline::OFF;
        }
        if self.answer.has_passed(now, timing.timeout) {
            return Tick::Dead;
        }
        if !self.next_ping.has_passed(now, timing.interval) {
            return Tick::Nothing;
        }
        self.next_ping = Deadline::after(now, timing.interval);
        if self.answer == Deadline::OFF {
            self.answer = Deadline::after(now, timing.timeout);
        }
        Tick::Ping
    }

    /// Records that the ping that [`tick`](Self::tick) asked for was written, with this number.
    pub(crate) const fn ping_written(&mut self, number: u32) {
        self.last_ping = LastPing::Written(number);
    }

    /// Records that the ping that [`tick`](Self::tick) asked for was not written, because so many bytes
    /// are unsent.
    pub(crate) fn ping_skipped(&mut self, unsent: usize) {
        self.last_ping = LastPing::Skipped(u32::try_from(unsent).unwrap_or(u32::MAX));
    }

    /// Takes the first pong to the most recent ping. Returns its round trip; `None` for any other
    /// pong.
    pub(crate) fn take_pong(
        &mut self,
        payload: &[u8],
        now: Duration,
        timing: PingTiming,
    ) -> Option<Duration> {
        match self.last_ping {
            LastPing::Written(number) if number.to_be_bytes() == *payload => {}
            _ => return None,
        }
        self.last_ping = LastPing::Answered;
        // The next ping is due one interval after the last one, so that time need not be stored.
        let written = self.next_ping.due()?.saturating_sub(timing.interval.into());
        Some(now.saturating_sub(written))
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use super::{Keepalive, PingTiming, Tick};

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn an_idle_peer_that_answers_is_pinged_at_each_interval() {
        let (mut keepalive, timing) = (Keepalive::new(true), PingTiming::new(s(20), s(10)));
        assert_eq!(
            (keepalive.due(), keepalive.tick(s(100), false, 0, timing)),
            (Some(s(0)), Tick::Nothing)
        );
        assert_eq!(keepalive.due(), Some(s(120)));
        assert_eq!(keepalive.tick(s(119), false, 0, timing), Tick::Nothing);
        assert_eq!(keepalive.tick(s(120), false, 0, timing), Tick::Ping);
        assert_eq!(keepalive.due(), Some(s(130)));
        assert_eq!(keepalive.tick(s(130), true, 0, timing), Tick::Nothing);
        assert_eq!(keepalive.due(), Some(s(140)));
        assert_eq!(keepalive.tick(s(140), false, 0, timing), Tick::Ping);
    }

    #[test]
    fn a_peer_that_stays_silent_after_a_ping_is_dead() {
        let (mut keepalive, timing) = (Keepalive::new(true), PingTiming::new(s(20), s(10)));
        keepalive.tick(s(0), false, 0, timing);
        assert_eq!(keepalive.tick(s(20), true, 0, timing), Tick::Ping);
        assert_eq!(keepalive.tick(s(29), false, 0, timing), Tick::Nothing);
        assert_eq!(keepalive.tick(s(30), false, 0, timing), Tick::Dead);
    }

    #[test]
    fn a_long_timeout_counts_from_the_first_unanswered_ping() {
        let (mut keepalive, timing) = (Keepalive::new(true), PingTiming::new(s(10), s(25)));
        keepalive.tick(s(0), false, 0, timing);
        for at in [10, 20, 30] {
            assert_eq!(keepalive.tick(s(at), false, 0, timing), Tick::Ping);
        }
        assert_eq!(keepalive.tick(s(35), false, 0, timing), Tick::Dead);
    }

    #[test]
    fn without_an_interval_nothing_is_due() {
        let (mut keepalive, timing) = (Keepalive::new(false), PingTiming::new(s(0), s(10)));
        assert_eq!(
            (keepalive.due(), keepalive.tick(s(9), false, 0, timing)),
            (None, Tick::Nothing)
        );
    }
}
