//! [`Elsewhere`]: what becomes of a message, a closing or a waking on other nodes.

/// What becomes of a message on other nodes of the cluster; or of closing connections there, or waking their handlers.
/// Part of a [`Delivery`](crate::Delivery) and of [`Closed`](crate::Closed).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Elsewhere {
    /// There are no other nodes: the rooms are not those of a [`Cluster`](crate::Cluster).
    NoCluster,
    /// The message waits to be published. It is dropped if the backplane does not take it within 2 s, or if newer
    /// messages exceed the [limits](crate::Cluster#limits). Other nodes may miss it for other reasons, too.
    Queued,
    /// Other nodes miss the message, or some of them do. Either it exceeds a [limit](crate::Cluster#limits), if only
    /// with one of its rooms, or this node leaves the cluster or has left it.
    Missed,
}
