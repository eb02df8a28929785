//! [`KeptRooms`]: the rooms whose messages are kept in a history.

use prism_driver::{Connection, Message};

use super::{
    answer::{Answer, Missing, Outcome},
    rejection::Rejection,
};
use crate::{
    backplane::history::Keep,
    cluster::Cluster,
    history::{History, error::HistoryError, joined::Joined, position::Position},
};

pub(super) struct KeptRooms {
    pub(super) history: History,
    is_kept: Box<dyn Fn(&str) -> bool + Send + Sync>,
}

impl KeptRooms {
    /// All rooms of a cluster.
    pub(super) fn of(cluster: &Cluster, keep: Keep) -> Result<Self, HistoryError> {
        let history = History::on(cluster, keep, with_position)?.on_broken(notice);
        Ok(Self { history, is_kept: Box::new(|_| true) })
    }

    /// Only those that a function chooses.
    pub(super) fn only(self, is_kept: impl Fn(&str) -> bool + Send + Sync + 'static) -> Self {
        Self { is_kept: Box::new(is_kept), ..self }
    }

    pub(super) fn contains(&self, room: &str) -> bool {
        (self.is_kept)(room)
    }

    /// Keeps a message, and sends it to all members.
    pub(super) async fn append(&self, room: &str, message: String) -> Result<Outcome, Rejection> {
        let position = self.history.append(room, message).await?;
        Ok(Outcome { position: Some(position.to_string()), ..Outcome::default() })
    }

    /// Adds a connection to a room, and sends it what it has missed `after` a position; without one, the `recent` last
    /// messages. Returns `None` if it was a member already.
    pub(super) async fn join(
        &self,
        connection: &Connection,
        room: &str,
        after: Option<&str>,
        recent: u32,
    ) -> Result<Option<Outcome>, Rejection> {
        // A text that is not a position is one that this history does not have.
        let known: Option<Position> = after.and_then(|after| after.parse().ok());
        let joined = match after {
            Some(_) => self.history.join(connection, room, known.clone()).await?,
            None => self.history.join_with_recent(connection, room, recent).await?,
        };
        let (position, is_whole) = match joined {
            Joined::Already => return Ok(None),
            Joined::Whole { position, .. } => (position, known.is_some() == after.is_some()),
            Joined::Broken { position } => (position, false),
        };
        let reason = || after.map_or(Missing::Lost, |_| missing(known.as_ref(), &position));
        Ok(Some(Outcome {
            reason: (!is_whole).then(reason),
            // A new client that gets everything has recovered nothing.
            recovered: (after.is_some() || !is_whole).then_some(is_whole),
            position: Some(position.to_string()),
        }))
    }
}

/// Returns why what follows the position of a client cannot be had. `now` is where the room is.
fn missing(known: Option<&Position>, now: &Position) -> Missing {
    match known {
        Some(known) if known.epoch() == now.epoch() && known.offset() <= now.offset() => {
            Missing::TooOld
        }
        _ => Missing::Unknown,
    }
}

/// Adds its position to a message, which is an object.
fn with_position(position: &Position, message: Message<'_>) -> String {
    let object = message.as_text().and_then(|text| text.strip_suffix('}'));
    // Not one of ours. Clients ignore it, and notice the gap.
    let object = object.filter(|object| object.len() > 1).unwrap_or(r#"{"type":"unknown""#);
    format!(r#"{object},"position":"{position}"}}"#)
}

/// What members are told that may have missed something.
fn notice(room: &str, position: &Position) -> String {
    let position = &position.to_string();
    Answer::Missed { room, position, reason: Missing::Lost }.encode()
}

#[cfg(all(test, not(prism_loom)))]
mod tests {
    use prism_driver::Message;
    use serde_json::{Value, json};

    use super::{Missing, Position, missing, with_position};

    fn at(epoch: &str, offset: u64) -> Position {
        Position::new(epoch, offset).expect("a valid position")
    }

    #[test]
    fn a_message_gets_its_position_whatever_it_is() {
        let position = at("9f", 3);
        let show = |message| -> Value {
            serde_json::from_str(&with_position(&position, message)).expect("JSON")
        };
        assert_eq!(
            show(Message::Text(r#"{"data":{"a":"}"}}"#)),
            json!({ "data": { "a": "}" }, "position": "9f-3" })
        );
        for other in
            [Message::Text(""), Message::Text("{}"), Message::Text("x"), Message::Binary(b"}")]
        {
            assert_eq!(show(other), json!({ "type": "unknown", "position": "9f-3" }), "{other:?}");
        }
    }

    #[test]
    fn a_position_is_too_old_or_unknown() {
        assert_eq!(missing(Some(&at("a", 2)), &at("a", 9)), Missing::TooOld);
        assert_eq!(missing(Some(&at("b", 2)), &at("a", 9)), Missing::Unknown);
        assert_eq!(missing(Some(&at("a", 10)), &at("a", 9)), Missing::Unknown);
        assert_eq!(missing(None, &at("a", 9)), Missing::Unknown);
    }
}
