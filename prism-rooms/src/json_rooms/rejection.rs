//! [`Rejection`]: why a request was not executed.

use super::{
    answer::{Answer, Code},
    authorize::Refusal,
};
use crate::{
    error::{JoinError, TrackError},
    history::error::{AppendError, HistoryJoinError},
};

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

    pub(super) fn unreadable() -> Self {
        let message = "the server cannot read the messages of this room now";
        Self::new(Code::Unavailable, message)
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

impl From<HistoryJoinError> for Rejection {
    fn from(error: HistoryJoinError) -> Self {
        match error {
            HistoryJoinError::Join(error) => error.into(),
            HistoryJoinError::NameTooLong => Self::new(Code::Limit, error.to_string()),
            HistoryJoinError::Left => Self::removed(),
            HistoryJoinError::Unavailable => Self::unreadable(),
        }
    }
}

/// What the backplane says is not for clients.
impl From<AppendError> for Rejection {
    fn from(error: AppendError) -> Self {
        match error {
            AppendError::NameTooLong | AppendError::TooLarge { .. } => {
                Self::new(Code::Limit, error.to_string())
            }
            AppendError::Unavailable | AppendError::Refused(_) => Self::new(
                Code::Unavailable,
                "the server cannot keep messages now, so it was not sent",
            ),
            AppendError::Unknown => Self::new(
                Code::Unconfirmed,
                "the message may have been sent: the server has lost track of it",
            ),
        }
    }
}

#[cfg(all(test, not(prism_loom)))]
mod tests {
    use super::{Code, Rejection};
    use crate::history::error::AppendError;

    #[test]
    fn clients_learn_whether_a_message_may_have_been_kept_and_nothing_of_the_backplane() {
        let refused = AppendError::Refused("OOM command not allowed".to_owned());
        let refused = Rejection::from(refused);
        assert!(matches!(refused.code, Code::Unavailable), "{refused:?}");
        assert!(!refused.message.contains("OOM"), "{refused:?}");
        let unknown = Rejection::from(AppendError::Unknown);
        assert!(matches!(unknown.code, Code::Unconfirmed), "{unknown:?}");
        let large = Rejection::from(AppendError::TooLarge { size: 2 << 20 });
        assert!(matches!(large.code, Code::Limit), "{large:?}");
    }
}
