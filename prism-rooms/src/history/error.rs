//! [`HistoryError`], [`AppendError`], [`HistoryJoinError`]: what can go wrong with a history.

use std::{error::Error, fmt};

use crate::{
    cluster::envelope::{MAX_NAME, MAX_PAYLOAD},
    error::JoinError,
};

/// The reason why a cluster has no [`History`](crate::History).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HistoryError {
    /// The cluster's backplane keeps no messages.
    NotKept,
    /// The cluster has a history already. It can be cloned.
    Exists,
    /// [`Keep::messages`](crate::Keep::messages) is 0.
    KeepsNothing,
}

/// The reason why [`History::append`](crate::History::append) does not know a message to be kept.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AppendError {
    /// The name of the room has more than 1 KiB. Nobody receives the message.
    NameTooLong,
    /// The message has more than 1 MiB. Nobody receives it.
    TooLarge {
        /// Its size in bytes.
        size: usize,
    },
    /// The backplane cannot be reached, the node has left or is leaving, or more than 1,024 messages, or 4 MiB, wait to
    /// be kept. Nobody receives the message.
    Unavailable,
    /// The backplane has refused the message. Nobody receives it.
    Refused(String),
    /// The connection to the backplane was lost, or the node has left, before the backplane confirmed the message: it
    /// may be kept or not. To append it again may make two of it.
    Unknown,
}

/// The reason why [`History::join`](crate::History::join) has not added a connection to a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HistoryJoinError {
    /// The connection was refused, as [`Rooms::join`](crate::Rooms::join) refuses it.
    Join(JoinError),
    /// The name of the room has more than 1 KiB.
    NameTooLong,
    /// The connection has left the room while it was being added.
    Left,
    /// The node has left the cluster, the backplane has not answered for 10 s, or the node has had no connection to it
    /// for 1 s.
    Unavailable,
}

impl fmt::Display for HistoryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotKept => {
                "the cluster's backplane keeps no messages; expected one that does, such as Redis"
            }
            Self::Exists => "the cluster has a history already; expected a clone of it",
            Self::KeepsNothing => "the history keeps 0 messages of a room; expected at least 1",
        })
    }
}

impl fmt::Display for AppendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NameTooLong => fmt_name_too_long(f),
            Self::TooLarge { size } => {
                write!(f, "the message has {size} bytes, expected at most {MAX_PAYLOAD}")
            }
            Self::Unavailable => f.write_str("the backplane cannot be reached, or is too slow"),
            Self::Refused(why) => write!(f, "the backplane refuses the message: {why}"),
            Self::Unknown => {
                f.write_str("the backplane has not confirmed the message, which may be kept")
            }
        }
    }
}

impl fmt::Display for HistoryJoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Join(error) => error.fmt(f),
            Self::NameTooLong => fmt_name_too_long(f),
            Self::Left => f.write_str("the connection has left the room"),
            Self::Unavailable => f.write_str("the backplane cannot be reached, or is too slow"),
        }
    }
}

fn fmt_name_too_long(f: &mut fmt::Formatter<'_>) -> fmt::Result {
    write!(f, "the room's name is too long, expected at most {MAX_NAME} bytes")
}

impl Error for HistoryError {}

impl Error for AppendError {}

impl Error for HistoryJoinError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Join(error) => Some(error),
            _ => None,
        }
    }
}
