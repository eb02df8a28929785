//! [`Rejection`]: why a request was not executed.

use super::{
    answer::{Answer, Code},
    authorize::Refusal,
};
use crate::error::{JoinError, TrackError};

/// The reason why a request was not executed, for programs and for people.
#[derive(Debug)]
pub(super) struct Rejection {
    code: Code,
    message: String,
}

impl Rejection {
    pub(super) fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    pub(super) fn not_joined() -> Self {
        Self::new(Code::NotJoined, "you are not in this room: join it first")
    }

    pub(super) fn removed() -> Self {
        Self::new(Code::Refused, "you have been removed from this room")
    }

    pub(super) fn undecided() -> Self {
        Self::new(Code::Unavailable, "the server could not decide in time whether this is allowed")
    }

    pub(super) fn name_len(len: usize, limit: usize) -> Self {
        let message = format!("the name of the room has {len} bytes, expected 1 to {limit}");
        Self::new(Code::Limit, message)
    }

    pub(super) fn data_size(size: usize, limit: usize) -> Self {
        let message = format!("the data is {size} bytes of JSON, expected at most {limit}");
        Self::new(Code::Limit, message)
    }

    pub(super) fn encode(&self, id: Option<u64>, room: Option<&str>) -> String {
        Answer::Error { id, room, code: self.code, message: &self.message }.encode()
    }
}

impl From<Refusal> for Rejection {
    fn from(Refusal { reason, is_temporary }: Refusal) -> Self {
        Self::new(if is_temporary { Code::Unavailable } else { Code::Refused }, reason)
    }
}

impl From<JoinError> for Rejection {
    fn from(error: JoinError) -> Self {
        let code = match error {
            JoinError::Ended => Code::NotJoined, // nobody receives it
            JoinError::TooManyRooms { .. } => Code::Full,
        };
        Self::new(code, error.to_string())
    }
}

impl From<TrackError> for Rejection {
    fn from(error: TrackError) -> Self {
        let code = match error {
            TrackError::Ended => Code::NotJoined, // nobody receives it
            TrackError::TooManyRooms { .. }
            | TrackError::TooManyPeople { .. }
            | TrackError::TooManyConnections { .. }
            | TrackError::StateTooLarge { .. } => Code::Full,
            TrackError::MetaTooLarge { .. } => Code::Limit,
            TrackError::NotJson(_) => Code::Malformed,
        };
        Self::new(code, error.to_string())
    }
}
