//! Why something was refused: [`JoinError`], [`TrackError`].

use std::fmt;

/// Why a connection was not let into a room, by [`Rooms::join`](crate::Rooms::join) or
/// [`Presence::watch`](crate::Presence::watch). Nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum JoinError {
    /// The connection has ended.
    Ended,
    /// The connection is in as many rooms as one connection may be in.
    TooManyRooms {
        /// How many that is.
        limit: usize,
    },
}

impl fmt::Display for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ended => f.write_str("the connection has ended"),
            Self::TooManyRooms { limit } => {
                write!(f, "the connection is in {limit} rooms, which is as many as it may be in")
            }
        }
    }
}

impl std::error::Error for JoinError {}

/// Why [`Presence::track`](crate::Presence::track) does not show a connection. Nothing has changed: if it
/// was shown before, it is shown as it was.
#[derive(Debug)]
#[non_exhaustive]
pub enum TrackError {
    /// The connection has ended.
    Ended,
    /// The connection is shown in, or watches, as many rooms as one connection may.
    TooManyRooms {
        /// How many that is.
        limit: usize,
    },
    /// There are as many people in the room as may be in one, and this would be one more.
    TooManyPeople {
        /// How many that is.
        limit: usize,
    },
    /// The metadata is too large as JSON.
    MetaTooLarge {
        /// How large it is, in bytes.
        size: usize,
        /// How large it may be.
        limit: usize,
    },
    /// All people of the room together would be too large as JSON.
    StateTooLarge {
        /// How large it may be, in bytes.
        limit: usize,
    },
    /// The metadata cannot be made JSON.
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
                write!(f, "there are {limit} people in the room, which is as many as may be in it")
            }
            Self::MetaTooLarge { size, limit } => {
                write!(f, "the metadata is {size} bytes of JSON, expected at most {limit}")
            }
            Self::StateTooLarge { limit } => {
                write!(f, "the room's people would be more than {limit} bytes of JSON")
            }
            Self::NotJson(_) => f.write_str("the metadata cannot be made JSON"),
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
