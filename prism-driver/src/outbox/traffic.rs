//! Counting what a connection receives and sends, for the [statistics](crate::server::stats) of its server.
//!
//! Most messages are counted where a lock is held and a write is due anyway, so that neither the message nor the
//! idle connection pays for it: the state of an outbox has one byte for messages that are not counted yet.

use std::sync::Arc;

use crate::{
    outbox::{Outbox, state::OutboxState},
    server::stats::{route_stats::RouteStats, traffic::Traffic},
};

impl Outbox {
    /// Counts the connection for this route, from now on.
    pub(crate) fn count_for(&self, stats: &Arc<RouteStats>) {
        let stats = Some(stats.clone());
        self.lock().stats = stats;
    }

    /// Counts what the session has received.
    pub(crate) fn count_received(&self, received: Traffic) {
        if !received.is_empty() {
            self.lock().with_stats(|stats| stats.server.received(received));
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
    /// Notes that a message has been sent. It is counted when something is written, or the owner finds nothing to write.
    #[inline(always)]
    pub(super) fn count_message(&mut self) {
        self.uncounted = self.uncounted.checked_add(1).unwrap_or_else(|| {
            self.count_sent(0);
            1
        });
    }

    /// Counts the messages that have been sent, and this many bytes that have been written.
    #[inline(never)]
    pub(super) fn count_sent(&mut self, bytes: u64) {
        let sent = Traffic::new(std::mem::take(&mut self.uncounted).into(), bytes);
        if !sent.is_empty() {
            self.with_stats(|stats| stats.server.sent(sent));
        }
    }

    /// Counts a message that found no room.
    pub(super) fn count_missed(&mut self) {
        self.cold().missed += 1;
        self.with_stats(|stats| stats.server.missed());
    }

    /// Counts the round trip that was measured last.
    pub(super) fn count_round_trip(&self) {
        if let Some(latency) = self.outbound.latency() {
            self.with_stats(|stats| stats.server.round_trip(latency.last));
        }
    }

    fn with_stats(&self, count: impl FnOnce(&RouteStats)) {
        if let Some(stats) = &self.stats {
            count(stats);
        }
    }
}
