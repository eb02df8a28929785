//! [`Health`]: whether the backplane works, and when to try again.
//!
//! ```text
//!   Down ── the delay is over ──► Connecting ──► Up ── its heartbeat comes back ──► Up, and echoing
//!    ▲                                │           │                                       │
//!    └── it fails, takes too long ────┴───────────┴── it fails, a heartbeat does not ─────┘
//!                                                     come back in time
//! ```
//!
//! A session that seems to work may be deaf: the connection is open, but nothing arrives. So each node listens for its
//! own heartbeats. Only while they come back does it judge others by their silence.

use std::{collections::VecDeque, time::Duration};

/// The time between heartbeats, give or take 10 %.
const HEARTBEAT: Duration = Duration::from_secs(2);
/// How soon a heartbeat follows when another node has joined, at most.
const SOON: Duration = Duration::from_millis(500);
/// The least time between two heartbeats of which one checks whether somebody is gone.
const CHECK_INTERVAL: Duration = Duration::from_millis(250);
/// How long a heartbeat may take to come back.
const MAX_ECHO: Duration = Duration::from_secs(5);
/// How long a session may take to begin.
const MAX_CONNECTING: Duration = Duration::from_secs(2);
/// How long a node has to be silent until it counts as gone.
pub(super) const MAX_SILENCE: Duration = Duration::from_secs(7);
/// How long this node has to be cut off until it considers the others gone.
const CUT_OFF_AFTER: Duration = Duration::from_secs(14);
/// The longest delay before the second attempt to connect. It doubles with each.
const FIRST_DELAY: Duration = Duration::from_millis(50);
/// The longest delay before any attempt.
const MAX_DELAY: Duration = Duration::from_secs(2);
/// The longest time between two echoes of a backplane that works.
const MAX_ECHO_GAP: Duration = Duration::from_secs(3);

pub(super) struct Health {
    phase: Phase,
    /// How many sessions have ended since the last one in which a heartbeat came back.
    failures: u32,
    /// The heartbeats of this session that have not come back: their numbers, and when they were sent.
    unanswered: VecDeque<(u64, Duration)>,
    next_heartbeat: Duration,
    /// When a heartbeat follows only to come back, if one does.
    next_check: Option<Duration>,
    last_heartbeat: Option<Duration>,
    /// Whether no heartbeats follow, because the node leaves.
    is_leaving: bool,
    /// Whether a heartbeat of this session has come back.
    is_echoing: bool,
    last_echo: Duration,
    random: u64,
}

#[derive(Clone, Copy)]
enum Phase {
    Down { until: Duration },
    Connecting { since: Duration },
    Up,
}

/// A heartbeat that has come back.
pub(super) struct Echo {
    /// Whether it is the session's first.
    pub(super) is_first: bool,
    /// Whether the backplane was slow, so that heartbeats of others may be on their way.
    pub(super) was_slow: bool,
}

impl Health {
    pub(super) const fn new(seed: u64, now: Duration) -> Self {
        Self {
            phase: Phase::Down { until: now },
            failures: 0,
            unanswered: VecDeque::new(),
            next_heartbeat: now,
            next_check: None,
            last_heartbeat: None,
            is_leaving: false,
            is_echoing: false,
            last_echo: now,
            random: seed,
        }
    }

    pub(super) const fn is_echoing(&self) -> bool {
        self.is_echoing
    }

    pub(super) const fn is_up(&self) -> bool {
        matches!(self.phase, Phase::Up)
    }

    /// Returns whether it is time to start a session.
    pub(super) fn wants_session(&self, now: Duration) -> bool {
        matches!(self.phase, Phase::Down { until } if until <= now)
    }

    pub(super) const fn session_started(&mut self, now: Duration) {
        self.phase = Phase::Connecting { since: now };
    }

    pub(super) const fn connected(&mut self, now: Duration) {
        self.phase = Phase::Up;
        self.next_heartbeat = now;
    }

    /// Records that the session has ended. Returns whether a heartbeat had come back in it.
    pub(super) fn session_ended(&mut self, now: Duration) -> bool {
        let longest = FIRST_DELAY.saturating_mul(1 << self.failures.min(16)).min(MAX_DELAY);
        self.failures += 1;
        // Full jitter, so that the nodes do not all come back at the same moment.
        self.phase = Phase::Down { until: now + longest.mul_f64(self.random()) };
        self.unanswered.clear();
        self.next_check = None;
        std::mem::replace(&mut self.is_echoing, false)
    }

    /// Returns why the session has to end, if it has to.
    pub(super) fn why_lost(&self, now: Duration) -> Option<&'static str> {
        match self.phase {
            Phase::Connecting { since } if since + MAX_CONNECTING <= now => {
                Some("connecting took too long")
            }
            Phase::Up if self.echo_deadline().is_some_and(|deadline| deadline <= now) => {
                Some("what was published did not come back in time")
            }
            _ => None,
        }
    }

    pub(super) fn is_heartbeat_due(&self, now: Duration) -> bool {
        self.is_up() && !self.is_leaving && self.heartbeat_due() <= now
    }

    /// Records that the node leaves: it sends no heartbeats any more.
    pub(super) const fn leave(&mut self) {
        self.is_leaving = true;
    }

    /// Records that a heartbeat was sent. Returns whether it was one of the regular ones.
    pub(super) fn heartbeat_sent(&mut self, number: u64, now: Duration) -> bool {
        self.unanswered.push_back((number, now));
        self.last_heartbeat = Some(now);
        self.next_check = None;
        let is_regular = self.next_heartbeat <= now;
        if is_regular {
            self.next_heartbeat = now + HEARTBEAT.mul_f64(0.9 + 0.2 * self.random());
        }
        is_regular
    }

    /// Sends the next heartbeat soon, because there is somebody who may not have heard one. Not at once: there may be
    /// many of them, and many who answer. Nor shortly after the last one: each mentions rooms, and so takes up bytes.
    pub(super) fn hasten_heartbeat(&mut self, now: Duration) {
        let spaced = self.last_heartbeat.map_or(now, |last| last + SOON);
        let soon = spaced.max(now + SOON.mul_f64(self.random()));
        self.next_heartbeat = self.next_heartbeat.min(soon);
    }

    /// Sends a heartbeat soon, unless one was sent since that moment, at which somebody had been silent for too long.
    /// Whether that one is gone is known when it comes back. If many fall silent one after the other, one heartbeat
    /// checks several.
    pub(super) fn check_silence(&mut self, moment: Duration, now: Duration) {
        if self.last_heartbeat.is_none_or(|last| last < moment) && self.next_check.is_none() {
            let spaced = self.last_heartbeat.map_or(now, |last| last + CHECK_INTERVAL);
            self.next_check = Some(spaced.max(now));
        }
    }

    /// Records that a heartbeat of this node has come back; `None` if it is none of this session.
    pub(super) fn echo(&mut self, number: u64, now: Duration) -> Option<Echo> {
        let answered = self.unanswered.iter().take_while(|(sent, _)| *sent <= number).count();
        if answered == 0 {
            return None;
        }
        self.unanswered.drain(..answered);
        let is_first = !std::mem::replace(&mut self.is_echoing, true);
        let was_slow = self.last_echo + MAX_ECHO_GAP < now;
        self.failures = 0;
        self.last_echo = now;
        Some(Echo { is_first, was_slow })
    }

    /// Returns whether the others count as gone, because nothing has come back for a while.
    pub(super) fn is_cut_off(&self, now: Duration) -> bool {
        self.last_echo + CUT_OFF_AFTER <= now
    }

    pub(super) fn next_deadline(&self, now: Duration) -> Option<Duration> {
        let of_phase = match self.phase {
            Phase::Down { until } => Some(until),
            Phase::Connecting { since } => Some(since + MAX_CONNECTING),
            Phase::Up => {
                let heartbeat = (!self.is_leaving).then(|| self.heartbeat_due());
                [heartbeat, self.echo_deadline()].into_iter().flatten().min()
            }
        };
        let cut_off = Some(self.last_echo + CUT_OFF_AFTER).filter(|cut_off| *cut_off > now);
        [of_phase, cut_off].into_iter().flatten().min()
    }

    fn heartbeat_due(&self) -> Duration {
        self.next_check.map_or(self.next_heartbeat, |check| check.min(self.next_heartbeat))
    }

    fn echo_deadline(&self) -> Option<Duration> {
        self.unanswered.front().map(|(_, sent)| *sent + MAX_ECHO)
    }

    /// Returns a number from 0 to 1 (SplitMix64).
    fn random(&mut self) -> f64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut number = self.random;
        number = (number ^ number >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        number = (number ^ number >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        number ^= number >> 31;
        number as f64 / u64::MAX as f64
    }
}
