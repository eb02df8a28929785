//! [`ClusterEvent`], [`ClusterCounts`], [`MemberCount`]: what happens in a cluster.

use std::{fmt, sync::Arc};

use super::node_id::NodeId;

/// Something that has happened in a cluster, as this node sees it. Returned by
/// [`ClusterEvents::recv`](crate::ClusterEvents::recv).
///
/// It prints as a sentence, for a log.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClusterEvent {
    /// What this node publishes on the backplane comes back to it: the backplane works.
    Connected,
    /// The backplane does not work any more. The node tries to reach it until it does, and
    /// [`Connected`](Self::Connected) follows. Until then, rooms work on this node alone.
    Disconnected {
        /// What happened, for a log.
        reason: String,
    },
    /// An attempt to reach the backplane has failed, for another reason than the attempt before it. The node goes on
    /// trying.
    ConnectFailed {
        /// What happened, for a log.
        reason: String,
    },
    /// The backplane refuses a message of this node, such as one that is too large for it. Other nodes miss the
    /// message, and [are told so](Self::Gap).
    PublishRefused {
        /// What is wrong with the message, for a log.
        reason: String,
    },
    /// Another node is there.
    NodeJoined {
        /// The ID of the node.
        node: NodeId,
    },
    /// A node that was there has said goodbye, or has been silent for 7 s. It also counts as gone if this node has not
    /// reached the backplane for 14 s. Another [`NodeJoined`](Self::NodeJoined) follows if it turns out to be alive.
    NodeLeft {
        /// The ID of the node.
        node: NodeId,
    },
    /// Something that another node has sent did not arrive.
    Gap {
        /// The ID of the node that has sent it.
        node: NodeId,
        /// The room that it was for; `None` if it was for [everyone](crate::Rooms::everyone).
        room: Option<Arc<str>>,
        /// How many messages are missing.
        missed: u64,
    },
    /// The backplane has refused to keep a message for a [`History`](crate::History), for another reason than the
    /// message before. Nobody receives the message. [`ClusterCounts::not_kept`] counts all of them.
    AppendRefused {
        /// The room that it was for.
        room: Arc<str>,
        /// What the backplane has answered, for a log.
        reason: String,
    },
    /// The backplane has refused to read what it keeps of a room for a [`History`](crate::History), for another reason
    /// than before. The node tries again every second. Members who wait for that are [told](crate::History::on_broken)
    /// after 25 s that they may have missed something.
    ReadRefused {
        /// The room that it was for.
        room: Arc<str>,
        /// What the backplane has answered, for a log.
        reason: String,
    },
}

/// How many members a room has on all nodes of a cluster. Returned by
/// [`Rooms::len_everywhere`](crate::Rooms::len_everywhere).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct MemberCount {
    /// How many members the room has, on the nodes that have answered and this one.
    pub members: usize,
    /// How many nodes have answered, this one included.
    pub nodes: usize,
    /// How many nodes have not answered in time. Members that they have are not counted.
    pub unanswered: usize,
}

/// Numbers of a cluster, as this node sees it, since its [`Cluster`](crate::Cluster) was created. Returned by
/// [`Cluster::counts`](crate::Cluster::counts).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClusterCounts {
    /// Whether the backplane works at this moment.
    pub connected: bool,
    /// How many other nodes there are at this moment.
    pub nodes: usize,
    /// How many messages of this node the backplane has accepted.
    pub published: u64,
    /// How many messages of this node were not published: they had waited for too long, or exceeded a limit, perhaps
    /// one of the backplane.
    pub unpublished: u64,
    /// How many messages of this node the backplane has kept for a [`History`](crate::History).
    pub kept: u64,
    /// How many messages were not kept: the backplane has [refused](ClusterEvent::AppendRefused) them or could not be
    /// reached, or too many waited. Their senders are told.
    pub not_kept: u64,
    /// How many messages may or may not have been kept, because the connection to the backplane was lost meanwhile
    /// ([`AppendError::Unknown`](crate::AppendError::Unknown)).
    pub unconfirmed: u64,
    /// How many messages of other nodes have arrived and were passed on to members.
    pub received: u64,
    /// How many messages of other nodes are missing: the sum of all [gaps](ClusterEvent::Gap).
    pub missed: u64,
    /// How often something arrived that had arrived before, and was ignored.
    pub repeated: u64,
    /// How often something arrived that no node can have sent, and was ignored. This includes people in a room of
    /// [`Presence`](crate::Presence) beyond 100,000.
    pub refused: u64,
    /// How often a person on another node was not shown, because its metadata is not what this node expects.
    pub unreadable: u64,
}

impl fmt::Display for ClusterEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connected => f.write_str("the backplane works"),
            Self::Disconnected { reason } => {
                write!(f, "the backplane does not work any more: {reason}")
            }
            Self::ConnectFailed { reason } => write!(f, "cannot reach the backplane: {reason}"),
            Self::PublishRefused { reason } => {
                write!(f, "the backplane refuses a message: {reason}")
            }
            Self::NodeJoined { node } => write!(f, "node {node} is there"),
            Self::NodeLeft { node } => write!(f, "node {node} is gone"),
            Self::Gap { node, room: Some(room), missed } => {
                write!(f, "messages of node {node} to the room {room:?} are missing: {missed}")
            }
            Self::Gap { node, room: None, missed } => {
                write!(f, "messages of node {node} to everyone are missing: {missed}")
            }
            Self::AppendRefused { room, reason } => {
                write!(f, "the backplane keeps no message to the room {room:?}: {reason}")
            }
            Self::ReadRefused { room, reason } => {
                write!(
                    f,
                    "the backplane does not return the messages of the room {room:?}: {reason}"
                )
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{ClusterEvent, NodeId};

    #[test]
    fn an_event_prints_as_a_sentence() {
        let node = NodeId::new(0xab).expect("not zero");
        let missing = ClusterEvent::Gap { node, room: Some("tea".into()), missed: 3 };
        let expected = "messages of node 00000000000000ab to the room \"tea\" are missing: 3";
        assert_eq!(missing.to_string(), expected);
        let failed = ClusterEvent::ConnectFailed { reason: "no route".into() };
        assert_eq!(failed.to_string(), "cannot reach the backplane: no route");
    }
}
