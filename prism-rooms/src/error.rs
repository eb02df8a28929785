//! [`JoinError`], [`TrackError`]: why a connection was refused.

use std::fmt;

/// Why [`Rooms::join`](crate::Rooms::join) or [`Presence::watch`](crate::Presence::watch) refused a connection.
/// Nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum JoinError {
    /// The connection has ended.
    Ended,
    /// The connection is already in as many rooms as one connection may be in.
    TooManyRooms {
        /// The number of rooms that one connection may be in.
        limit: usize,
    },
}

impl fmt::Display for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ended => f.write_str("the connection has ended"),
            Self::TooManyRooms { limit } => {
                write!(f, "the connection is already in {limit} rooms, the maximum")
            }
        }
    }
}

impl std::error::Error for JoinError {}

/// Why [`Presence::track`](crate::Presence::track) refused a connection. Nothing has changed: if the connection
/// was shown before, it is shown as before.
#[derive(Debug)]
#[non_exhaustive]
pub enum TrackError {
    /// The connection has ended.
    Ended,
    /// The connection is already tracked in or watching as many rooms as one connection may.
    TooManyRooms {
        /// The number of rooms in which one connection may be tracked or watch.
        limit: usize,
    },
    /// The room already has as many people as it may have, and this would be another one.
    TooManyPeople {
        /// The number of people that a room may have.
        limit: usize,
    },
    /// The metadata is too large as JSON.
    MetaTooLarge {
        /// The size of the metadata, in bytes.
        size: usize,
        /// The size that it may have, in bytes.
        limit: usize,
    },
    /// The state of the room, with all its people, would be too large as JSON.
    StateTooLarge {
        /// The size that it may have, in bytes.
        limit: usize,
    },
    /// The metadata cannot be encoded as JSON.
    NotJson(serde_json::Error),
}

impl From<JoinError> for TrackError {
    fn from(error: JoinError) -> Self {
        match error {
            JoinError::Ended => Self::Ended,
            JoinError::TooManyRooms { limit } => Self::TooManyRooms { limit },
        }
    }
}

impl fmt::Display for TrackError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ended => JoinError::Ended.fmt(f),
            Self::TooManyRooms { limit } => JoinError::TooManyRooms { limit: *limit }.fmt(f),
            Self::TooManyPeople { limit } => {
                write!(f, "the room already has {limit} people, the maximum")
            }
            Self::MetaTooLarge { size, limit } => {
                write!(f, "the metadata is {size} bytes of JSON, expected at most {limit}")
            }
            Self::StateTooLarge { limit } => {
                write!(f, "the room's state would be larger than {limit} bytes of JSON")
            }
            Self::NotJson(_) => f.write_str("the metadata cannot be encoded as JSON"),
        }
    }
}

impl std::error::Error for TrackError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::NotJson(error) => Some(error),
            _ => None,
        }
    }
}
