//! [`Request`]: what a client asks for.

use std::borrow::Cow;

use prism_driver::Message;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::{
    answer::Code,
    malformed::{TYPES, explain, is_object},
    rejection::Rejection,
    strict,
};

/// A request of a client. It borrows from the message.
#[derive(Debug)]
pub(super) struct Request<'a> {
    /// The number with which it is answered.
    pub(super) id: Option<u64>,
    /// The room that it is about. Empty for a ping.
    pub(super) room: Cow<'a, str>,
    pub(super) verb: Verb<'a>,
}

#[derive(Debug)]
pub(super) enum Verb<'a> {
    Join(Wanted<'a>),
    Leave,
    Send { data: &'a RawValue, echo: bool },
    Track { meta: &'a RawValue },
    Untrack,
    Watch,
    Unwatch,
    Ping,
}

/// How a client wants to join a room.
#[derive(Debug)]
pub(super) struct Wanted<'a> {
    /// The metadata with which it wants to be shown, if it does.
    pub(super) meta: Option<&'a RawValue>,
    /// Whether it wants to see others.
    pub(super) watch: bool,
    /// The position after which it wants messages, if it has been here before.
    pub(super) after: Option<Cow<'a, str>>,
    /// How many of the last messages it wants, at most, if it has not been here before.
    pub(super) recent: Option<u64>,
}

/// The fields of all requests. Unknown fields are ignored: later versions have more.
#[derive(Deserialize)]
struct Fields<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
    id: Option<u64>,
    #[serde(borrow)]
    room: Option<Name<'a>>,
    #[serde(borrow, default, deserialize_with = "also_null")]
    data: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "also_null")]
    meta: Option<&'a RawValue>,
    watch: Option<bool>,
    #[serde(borrow)]
    after: Option<Name<'a>>,
    recent: Option<u64>,
    echo: Option<bool>,
}

/// A text that is borrowed if it has no escapes. Inside of an `Option`, a plain `Cow` never is.
#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

/// What is needed to answer a request with an error.
#[derive(Deserialize)]
struct OnlyId {
    id: Option<u64>,
}

impl<'a> Request<'a> {
    /// Parses a message. With the error comes the number of the request, if it has one.
    pub(super) fn parse(message: Message<'a>) -> Result<Self, (Option<u64>, Rejection)> {
        let Some(text) = message.as_text() else {
            return Err((None, malformed("expected a text message, got a binary one")));
        };
        // The parser would also accept an array, as the values of the fields.
        let fields = is_object(text).then(|| serde_json::from_str::<Fields<'a>>(text));
        let Some(Ok(fields)) = fields else {
            let id = serde_json::from_str(text).ok().and_then(|OnlyId { id }| id);
            return Err((id, malformed(explain(text))));
        };
        let id = fields.id;
        Self::from_fields(fields).map_err(|rejection| (id, rejection))
    }

    fn from_fields(fields: Fields<'a>) -> Result<Self, Rejection> {
        let Fields { kind, id, room, data, meta, watch, after, recent, echo } = fields;
        for (name, json) in [("data", data), ("meta", meta)] {
            let problem = json.and_then(|json| strict::check(json).err());
            if let Some(problem) = problem {
                return Err(malformed(format!("the field `{name}` {problem}")));
            }
        }
        let missing = |field| missing(&kind, field);
        let verb = match &*kind {
            "join" => Verb::Join(Wanted {
                meta,
                watch: watch.unwrap_or(false),
                after: after.map(|Name(after)| after),
                recent,
            }),
            "leave" => Verb::Leave,
            "send" => Verb::Send {
                data: data.ok_or_else(|| missing("data"))?,
                echo: echo.unwrap_or(true),
            },
            "track" => Verb::Track { meta: meta.ok_or_else(|| missing("meta"))? },
            "untrack" => Verb::Untrack,
            "watch" => Verb::Watch,
            "unwatch" => Verb::Unwatch,
            "ping" => Verb::Ping,
            _ => {
                let message = format!("unknown type of request; expected {TYPES}");
                return Err(Rejection::new(Code::Unknown, message));
            }
        };
        let room = match (room, &verb) {
            (Some(Name(room)), _) => room,
            (None, Verb::Ping) => "".into(),
            (None, _) => return Err(missing("room")),
        };
        Ok(Self { id, room, verb })
    }

    /// Returns the room that the request is about, if there is one.
    pub(super) fn named_room(&self) -> Option<&str> {
        Some(&*self.room).filter(|room| !room.is_empty())
    }
}

fn malformed(message: impl Into<String>) -> Rejection {
    Rejection::new(Code::Malformed, message)
}

fn missing(kind: &str, field: &str) -> Rejection {
    malformed(format!("the field `{field}` is missing; expected one in a `{kind}`"))
}

/// Otherwise, `null` would be `None`.
fn also_null<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

#[cfg(test)]
mod tests {
    use fastrand::Rng;
    use serde_json::Value;

    use super::*;
    use crate::json_rooms::answer::Answer;

    const REQUESTS: [&str; 4] = [
        r#"{"type":"join","id":1,"room":"tea","meta":{"typing":false,"at":[1,-2.5e3]},"watch":true,"after":"9f-3","recent":5}"#,
        r#"{"type":"send","id":9007199254740991,"room":"\ud83e\udd80","data":["\ud83e\udd80",1e300],"echo":false}"#,
        r#"{"type":"track","room":"tea","meta":null,"later":[[[]],{}]}"#,
        r#"{"id":2,"type":"ping"}"#,
    ];

    /// Changes a few characters of a request, so that it may still be one.
    fn damage(request: &str, rng: &mut Rng) -> String {
        let mut chars: Vec<char> = request.chars().collect();
        for _ in 0..rng.usize(1..4) {
            let at = rng.usize(..chars.len());
            let other: Vec<char> = r#"{}[]",:\u0d8e-.1"#.chars().collect();
            match rng.u8(..3) {
                0 => chars[at] = other[rng.usize(..other.len())],
                1 => chars.insert(at, chars[rng.usize(..chars.len())]),
                _ => drop(chars.remove(at)),
            }
        }
        chars.into_iter().collect()
    }

    #[test]
    fn requests_are_parsed() {
        for request in REQUESTS {
            Request::parse(Message::Text(request)).expect("a request");
        }
    }

    #[test]
    fn names_and_positions_are_borrowed() {
        let request = Request::parse(Message::Text(REQUESTS[0])).expect("a request");
        assert!(matches!(request.room, Cow::Borrowed("tea")));
        let Verb::Join(Wanted { after: Some(Cow::Borrowed("9f-3")), recent: Some(5), .. }) =
            request.verb
        else {
            panic!("{request:?}");
        };
    }

    #[test]
    fn each_refusal_is_in_the_terms_of_the_protocol() {
        let mut rng = Rng::with_seed(8);
        for _ in 0..100_000 {
            let text = damage(REQUESTS[rng.usize(..REQUESTS.len())], &mut rng);
            let Err((_, rejection)) = Request::parse(Message::Text(&text)) else { continue };
            let answer = rejection.encode(None, None);
            assert!(answer.contains("; expected "), "{text}: {answer}");
            if answer.contains("`type` is missing") {
                let request = serde_json::from_str::<Value>(&text);
                let has_none = request.ok().is_none_or(|request| request["type"].is_null());
                assert!(has_none, "{text}: {answer}");
            }
        }
    }

    #[test]
    fn whatever_is_accepted_can_be_parsed_by_others() {
        let mut rng = Rng::with_seed(7);
        let mut accepted = 0;
        for _ in 0..100_000 {
            let text = damage(REQUESTS[rng.usize(..REQUESTS.len())], &mut rng);
            let Ok(request) = Request::parse(Message::Text(&text)) else { continue };
            let (Verb::Send { data, .. } | Verb::Track { meta: data }) = request.verb else {
                continue;
            };
            accepted += 1;
            let room = &request.room;
            let message = Answer::Message { room, from: None, data, except: None }.encode();
            serde_json::from_str::<Value>(&message)
                .unwrap_or_else(|error| panic!("{text}: {error}"));
        }
        assert!(accepted > 1000, "only {accepted} were accepted");
    }
}
