//! [`Command`]: what a backplane has to do.

use std::{fmt, sync::Arc};

use bytes::Bytes;

use super::history::{Append, Read};
pub use super::ticket::Ticket;
pub(crate) use super::ticket::TicketKind;
use crate::cluster::node_id::NodeId;

/// Something that a [`Backplane`](crate::Backplane) has to do. Returned by [`Session::next`](crate::Session::next).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Begin to receive what is published on these channels. A channel to which the session has subscribed before is
    /// subscribed to again: its subscription may have been lost.
    Subscribe {
        /// The channels: at most 512.
        channels: Vec<Channel>,
        /// What to pass to [`Session::done`](crate::Session::done) once all of them are subscribed to.
        ticket: Ticket,
    },
    /// Stop receiving what is published on these channels.
    Unsubscribe {
        /// The channels: at most 512.
        channels: Vec<Channel>,
    },
    /// Publish a payload on a channel, for all sessions that have subscribed to it, this one included.
    Publish {
        /// The channel.
        channel: Channel,
        /// Opaque bytes, a little over 1 MiB at most.
        payload: Bytes,
        /// What to pass to [`Session::done`](crate::Session::done) once the payload is published, or to
        /// [`Session::refused`](crate::Session::refused) if it cannot be.
        ticket: Ticket,
    },
    /// Keep a message of a room. Only for backplanes that [keep messages](crate::Backplane::keeps_history).
    Append(Append),
    /// Read what was kept. Only for backplanes that [keep messages](crate::Backplane::keeps_history).
    Read(Read),
}

/// A channel of a backplane. It prints as its name, such as `r:tea`, which is unique. A backplane that is
/// shared with other programs puts a prefix in front of it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Channel {
    /// The channel to which every node subscribes.
    All,
    /// The channel to which the nodes with members in a room subscribe.
    Room(Arc<str>),
    /// The channel to which the nodes with people or watchers in a room of [`Presence`](crate::Presence) subscribe. The
    /// name contains that of the topic.
    Presence(Arc<str>),
    /// The channel to which only the node with this ID subscribes.
    Node(NodeId),
}

impl fmt::Display for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, room) = match self {
            Self::All => return f.write_str("all"),
            Self::Room(room) => ("r:", room),
            Self::Presence(room) => ("p:", room),
            Self::Node(node) => return write!(f, "n:{node}"),
        };
        // Not `write!`, which takes longer: this is done for each message.
        f.write_str(kind)?;
        f.write_str(room)
    }
}
