//! [`OwnedAction`]: something to do for members of rooms, which may wait.

use std::str;

use prism_driver::{CloseCode, Message, PreparedMessage};

use super::envelope::{Action, MAX_REASON, Outgoing};

/// Something to do for members of rooms; [`Action`] borrows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum OwnedAction {
    /// Sends a message. If `or_close`, connections whose outboxes are full are closed.
    Send {
        message: PreparedMessage,
        or_close: bool,
    },
    Close {
        code: CloseCode,
        reason: Box<str>,
    },
    Wake,
}

impl OwnedAction {
    /// Returns the closing of connections, with a reason that is shortened to what can be sent.
    pub(crate) fn close(code: CloseCode, reason: &str) -> Self {
        let most = if code == CloseCode::NO_STATUS { 0 } else { MAX_REASON };
        Self::Close { code, reason: reason[..reason.floor_char_boundary(most)].into() }
    }

    pub(crate) fn as_action(&self) -> Action<'_> {
        match self {
            Self::Send { message, or_close } => Action::Send(Outgoing {
                message: message_of(message),
                plain: message.is_plain(),
                or_close: *or_close,
            }),
            Self::Close { code, reason } => Action::Close { code: *code, reason },
            Self::Wake => Action::Wake,
        }
    }

    /// Returns how many bytes there are besides numbers.
    pub(crate) fn payload_len(&self) -> usize {
        match self {
            Self::Send { message, .. } => message.payload().len(),
            Self::Close { reason, .. } => reason.len(),
            Self::Wake => 0,
        }
    }
}

impl From<Action<'_>> for OwnedAction {
    fn from(action: Action<'_>) -> Self {
        match action {
            Action::Send(Outgoing { message, plain, or_close }) => {
                let message = PreparedMessage::new(message);
                Self::Send { message: if plain { message.plain() } else { message }, or_close }
            }
            Action::Close { code, reason } => Self::Close { code, reason: reason.into() },
            Action::Wake => Self::Wake,
        }
    }
}

fn message_of(message: &PreparedMessage) -> Message<'_> {
    if message.is_text()
        && let Ok(text) = str::from_utf8(message.payload())
    {
        return Message::Text(text);
    }
    Message::Binary(message.payload())
}
