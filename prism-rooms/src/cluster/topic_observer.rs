//! [`TopicObserver`]: what a cluster tells a [`Presence`](crate::Presence).

use super::present::OthersChange;

/// Told of what other nodes say about a topic.
pub(crate) trait TopicObserver: Send + Sync {
    /// Shows what has changed among the people that other nodes have in a room. Returns the number of connections whose
    /// metadata cannot be read. The caller holds no lock.
    fn show(&self, room: &str, change: OthersChange) -> u64;
}
