//! Counting what a connection receives and sends, for the [statistics](crate::server::stats) of its server.
//!
//! Most messages are counted where a lock is held and a write is due anyway, so that neither the message nor the
//! idle connection pays for it: the state of an outbox has one byte for messages that are not counted yet.

use std::{sync::Arc, time::Duration};

#[cfg(feature = "tracing")]
use crate::outbox::cold_state::Totals;
use crate::{
    outbox::{Outbox, state::OutboxState},
    server::stats::{route_stats::RouteStats, traffic::Traffic},
};

#[cfg(feature = "tracing")]
impl Outbox {
    /// Returns the route of the connection, if it is a server's.
    pub(crate) fn route(&self) -> Option<Arc<str>> {
        self.lock().stats.as_ref().map(|stats| stats.route.clone())
    }

    /// Begins to add up what the connection carries. This takes memory, so it happens only if somebody will look.
    pub(crate) fn begin_totals(&self, since: Duration) {
        let (received, sent) = Default::default();
        self.lock().cold().totals = Some(Box::new(Totals { since, received, sent }));
    }

    pub(crate) fn take_totals(&self) -> Option<Box<Totals>> {
        self.lock().cold.as_mut()?.totals.take()
    }
}

impl Outbox {
    /// Counts the connection for this route, from now on.
    pub(crate) fn count_for(&self, stats: &Arc<RouteStats>) {
        let stats = Some(stats.clone());
        self.lock().stats = stats;
    }

    /// Counts what the session has received.
    pub(crate) fn count_received(&self, received: Traffic) {
        if !received.is_empty() {
            self.lock().count(received, Traffic::default());
        }
    }

    /// Counts a panic of the handler.
    pub(crate) fn count_panic(&self) {
        self.lock().with_stats(|stats| stats.server.panicked());
    }

    /// Returns how many messages found no room.
    pub(crate) fn missed(&self) -> u64 {
        self.lock().cold.as_ref().map_or(0, |cold| cold.missed)
    }
}

impl OutboxState {
    /// Notes that a message has been sent. It is counted when something is written or flushed, or when nothing can be
    /// any more.
    #[inline(always)]
    pub(super) fn count_message(&mut self) {
        self.uncounted += 1;
        if self.uncounted == u8::MAX {
            self.count_sent(0);
        }
    }

    /// Counts the messages that have been sent, and this many bytes that have been written.
    #[inline(never)]
    pub(super) fn count_sent(&mut self, bytes: u64) {
        let sent = Traffic::new(std::mem::take(&mut self.uncounted).into(), bytes);
        if !sent.is_empty() {
            self.count(Traffic::default(), sent);
        }
    }

    /// Counts a message that found no room.
    pub(super) fn count_missed(&mut self) {
        self.cold().missed += 1;
        self.with_stats(|stats| stats.server.missed());
    }

    /// Counts the round trip that was measured last, and returns it.
    pub(super) fn count_round_trip(&self) -> Duration {
        let round_trip = self.outbound.latency().map(|latency| latency.last).unwrap_or_default();
        self.with_stats(|stats| stats.server.round_trip(round_trip));
        round_trip
    }

    #[cfg_attr(
        not(feature = "tracing"),
        expect(clippy::needless_pass_by_ref_mut, reason = "only totals change")
    )]
    pub(super) fn count(&mut self, received: Traffic, sent: Traffic) {
        self.with_stats(|stats| stats.server.carried(received, sent));
        #[cfg(feature = "tracing")]
        if let Some(totals) = self.cold.as_mut().and_then(|cold| cold.totals.as_mut()) {
            totals.received += received;
            totals.sent += sent;
        }
    }

    fn with_stats(&self, count: impl FnOnce(&RouteStats)) {
        if let Some(stats) = &self.stats {
            count(stats);
        }
    }
}
