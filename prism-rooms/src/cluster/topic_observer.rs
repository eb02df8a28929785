//! [`TopicObserver`]: what a cluster tells a [`Presence`](crate::Presence).

use super::{node_id::NodeId, present::Present};

/// Told of what other nodes say about a topic.
pub(crate) trait TopicObserver: Send + Sync {
    /// Shows the people that a node has in a room: connections that are new or different, or gone (`None`). Returns
    /// the number of connections whose metadata cannot be read. The caller holds no lock.
    fn show(&self, room: &str, node: NodeId, changes: Vec<(u128, Option<Present>)>) -> u64;
}
