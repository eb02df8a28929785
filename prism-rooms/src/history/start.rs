//! [`Start`]: where a connection begins in the history of a room.

use super::position::Position;

/// Which of the messages that were appended before a connection is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    /// Those after a position: that of the last message that it has.
    After(Position),
    /// The last ones: at most this number, and not more than are kept.
    Recent(u64),
}
