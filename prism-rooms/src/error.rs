//! [`JoinError`], [`TrackError`]: the reasons why a connection was refused.

use std::fmt;

/// The reason why [`Rooms::join`](crate::Rooms::join) or [`Presence::watch`](crate::Presence::watch) refused a
/// connection. The call had no effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum JoinError {
    /// The connection has ended.
    Ended,
    /// The connection has reached a limit. For `join`, this is the number of rooms that it has
    /// [joined](crate::RoomsOptions::max_rooms_per_connection); for `watch`, the number of rooms in which it is
    /// [tracked or that it watches](crate::PresenceOptions::max_rooms_per_connection).
    TooManyRooms {
        /// The maximum number of rooms for one connection.
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

/// The reason why [`Presence::track`](crate::Presence::track) refused a connection. The call had no effect: a
/// connection that was tracked before is still tracked as it was.
#[derive(Debug)]
#[non_exhaustive]
pub enum TrackError {
    /// The connection has ended.
    Ended,
    /// The rooms in which the connection is tracked, together with those that it watches, have reached the maximum
    /// number.
    TooManyRooms {
        /// The maximum number of rooms in which one connection is tracked or that it watches.
        limit: usize,
    },
    /// The room already has the maximum number of people, and the given person is not one of them.
    TooManyPeople {
        /// The maximum number of people in a room.
        limit: usize,
    },
    /// The given person already has the maximum number of connections in the room.
    TooManyConnections {
        /// The maximum number of connections of a person in a room.
        limit: usize,
    },
    /// The metadata, encoded as JSON, is too large.
    MetaTooLarge {
        /// The size of the encoded metadata, in bytes.
        size: usize,
        /// The maximum size, in bytes.
        limit: usize,
    },
    /// The state of the room, with all its people, encoded as JSON, would be too large.
    StateTooLarge {
        /// The maximum size of the encoded state, in bytes.
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
            Self::TooManyConnections { limit } => {
                write!(f, "the person already has {limit} connections in the room, the maximum")
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
