//! [`Answer`]: what clients are sent, besides presence.

use prism_driver::{CloseCode, Connection, TrySendError, WhenSlow};
use serde::Serialize;
use serde_json::value::RawValue;

/// A message to clients. Presence sends [its own](crate::docs::presence#messages-to-watchers).
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub(super) enum Answer<'a> {
    /// The first message on a connection.
    Welcome { version: u32, connection: &'a str, person: &'a str, max_data_size: usize },
    /// A request was executed.
    Ok {
        id: u64,
        #[serde(flatten)]
        outcome: &'a Outcome,
    },
    /// A request was not executed.
    Error {
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<u64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        room: Option<&'a str>,
        code: Code,
        message: &'a str,
    },
    /// A message to a room. It has no sender if it is from the server.
    Message {
        room: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        from: Option<&'a str>,
        data: &'a RawValue,
        /// The connection for which the message is not.
        #[serde(skip_serializing_if = "Option::is_none")]
        except: Option<&'a str>,
    },
    /// The client may have missed messages to a room. Those after the position follow.
    Missed { room: &'a str, position: &'a str, reason: Missing },
    /// The client is no longer in a room.
    Left { room: &'a str },
}

/// What a request has led to, besides that it was executed. It is about the history of the room.
#[derive(Debug, Default, Serialize)]
pub(super) struct Outcome {
    /// The position of the message that was sent, or up to which the client has everything.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) position: Option<String>,
    /// Whether the client, which has been here before, was sent all that it had missed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) recovered: Option<bool>,
    /// The reason why it was not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reason: Option<Missing>,
}

/// The reason why messages may be missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Missing {
    /// More messages have been sent since than are kept.
    TooOld,
    /// The history does not have the client's position: it has been deleted since, by its age or by a failure.
    Unknown,
    /// The messages of the room are not kept.
    NotKept,
    /// Messages were lost that should have been kept.
    Lost,
}

/// The kind of an error, for programs.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Code {
    /// The message is not a request.
    Malformed,
    /// There is no request of this type. A later version may have it.
    Unknown,
    /// A name, the data or the metadata is too large.
    Limit,
    /// There are too many people, connections or rooms.
    Full,
    /// The application refuses it.
    Refused,
    /// It cannot be done now, but perhaps later.
    Unavailable,
    /// The message may have been sent, or not.
    Unconfirmed,
    /// The connection is not in the room.
    NotJoined,
}

impl Answer<'_> {
    pub(super) fn encode(&self) -> String {
        serde_json::to_string(self).expect("it has only text, numbers and valid JSON")
    }
}

/// Sends an answer. If the connection's policy is to wait for room, this does; if the policy drops the answer, this
/// closes the connection: its client would wait for the answer in vain.
pub(super) async fn send(connection: &Connection, answer: String) {
    match connection.when_slow() {
        WhenSlow::Wait => drop(connection.send(answer).await), // fails only if the connection is closing
        _ => send_or_close(connection, answer),
    }
}

/// Sends something at once, or closes the connection.
pub(super) fn send_or_close(connection: &Connection, answer: String) {
    if connection.try_send(answer) == Err(TrySendError::Full) {
        close_slow(connection);
    }
}

fn close_slow(connection: &Connection) {
    connection.close(CloseCode::TRY_AGAIN_LATER, "too slow");
}
