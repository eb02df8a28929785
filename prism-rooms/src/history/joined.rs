//! [`Joined`]: what has become of a connection that joins a room.

use std::sync::Arc;

use super::{error::HistoryJoinError, position::Position};
use crate::backplane::history::Page;

/// What a connection has that was added to a room. Returned by [`History::join`](crate::History::join).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Joined {
    /// Nothing is missing: the connection was sent what it had missed, or the last messages, and receives what is
    /// appended from now on.
    Whole {
        /// The position that the client has reached with that. A client without messages needs it to come back.
        position: Position,
        /// How many messages the connection was sent.
        repeated: u64,
    },
    /// What the client has missed cannot be had: it is not kept any more, or it was lost. The connection receives what
    /// is appended after this position. The application has to send everything else, and may have to do it twice if
    /// more is lost meanwhile.
    Broken {
        /// The position after which messages follow.
        position: Position,
    },
    /// The connection was a member already, or another call is about to add it. This call has changed nothing.
    Already,
}

/// What the node's task answers to a request to join.
#[derive(Debug)]
pub(crate) enum JoinStep {
    /// Send what this page has after a position, as far as the connection has room for it.
    Page {
        after: Position,
        page: Arc<Page>,
    },
    /// Wait until the connection has room.
    Full,
    /// The connection is a member.
    Done(Joined),
    Failed(HistoryJoinError),
}

/// How far a connection has got with a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Progress {
    /// The position of the last record that it was sent.
    pub(crate) at: Position,
    /// Whether all records up to there could be shown.
    pub(crate) is_whole: bool,
}
