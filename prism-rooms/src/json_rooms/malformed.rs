//! What is wrong with a message that is not a request, in the terms of the protocol. The parser's own errors speak of
//! Rust's types, and of how requests are represented here.

use serde::{Deserialize, de::IgnoredAny};
use serde_json::value::RawValue;

/// The types of requests.
pub(super) const TYPES: &str = "join, leave, send, track, untrack, watch, unwatch or ping";

/// How long a number may be that is repeated in the answer.
const MAX_SHOWN: usize = 24;

/// The fields of a request, with any values.
#[derive(Deserialize)]
struct AnyFields<'a> {
    #[serde(borrow)]
    r#type: Option<&'a RawValue>,
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    room: Option<&'a RawValue>,
    #[serde(rename = "data")]
    _data: Option<IgnoredAny>,
    #[serde(rename = "meta")]
    _meta: Option<IgnoredAny>,
    #[serde(borrow)]
    watch: Option<&'a RawValue>,
    #[serde(borrow)]
    after: Option<&'a RawValue>,
    #[serde(borrow)]
    recent: Option<&'a RawValue>,
    #[serde(borrow)]
    echo: Option<&'a RawValue>,
}

/// What the value of a field has to be.
#[derive(Clone, Copy)]
enum Kind {
    Text,
    Number,
    Bool,
}

/// Returns whether JSON is an object, if it is valid.
pub(super) fn is_object(json: &str) -> bool {
    json.trim_ascii_start().starts_with('{')
}

/// Says why a message cannot be parsed as the fields of a request.
pub(super) fn explain(text: &str) -> String {
    if let Err(error) = serde_json::from_str::<IgnoredAny>(text) {
        let (line, column) = (error.line(), error.column());
        return format!(
            "the message is not JSON from line {line}, column {column} on; expected an object, such as {}",
            r#"{"type":"join","id":1,"room":"tea"}"#
        );
    }
    if !is_object(text) {
        return format!("the message is {}; expected an object", describe(text.trim_ascii()));
    }
    match serde_json::from_str(text) {
        Ok(fields) => explain_fields(fields),
        Err(error) if error.is_data() => "a field is there twice; expected it once".to_owned(),
        Err(_) => {
            "the name of a field has half of a surrogate pair; expected whole characters".to_owned()
        }
    }
}

/// Says which field has a value that it cannot have.
fn explain_fields(fields: AnyFields<'_>) -> String {
    let values = [
        ("type", fields.r#type, Kind::Text),
        ("id", fields.id, Kind::Number),
        ("room", fields.room, Kind::Text),
        ("watch", fields.watch, Kind::Bool),
        ("after", fields.after, Kind::Text),
        ("recent", fields.recent, Kind::Number),
        ("echo", fields.echo, Kind::Bool),
    ];
    let wrong = values.into_iter().find_map(|(name, value, kind)| {
        let problem = kind.problem(value?.get())?;
        Some(format!("the field `{name}` {problem}"))
    });
    // Nothing else can be wrong with them.
    wrong.unwrap_or_else(|| format!("the field `type` is missing; expected {TYPES}"))
}

impl Kind {
    /// Says what is wrong with a value, if it is not of this kind.
    fn problem(self, json: &str) -> Option<String> {
        let (is_right, expected) = match self {
            Self::Text => (is::<String>(json), "a string"),
            Self::Number => (is::<u64>(json), "a whole number that is not negative"),
            Self::Bool => (is::<bool>(json), "true or false"),
        };
        match self {
            _ if is_right => None,
            Self::Text if json.starts_with('"') => {
                Some("has half of a surrogate pair; expected whole characters".to_owned())
            }
            _ => Some(format!("is {}; expected {expected}", describe(json))),
        }
    }
}

fn is<'a, T: Deserialize<'a>>(json: &'a str) -> bool {
    serde_json::from_str::<T>(json).is_ok()
}

/// Returns a short form of a value.
fn describe(json: &str) -> &str {
    match json.as_bytes().first() {
        Some(b'{') => "an object",
        Some(b'[') => "an array",
        Some(b'"') => "a string",
        _ if json.len() <= MAX_SHOWN => json,
        _ => "a long number",
    }
}

#[cfg(test)]
mod tests {
    use super::explain;

    #[test]
    fn the_text_says_what_is_wrong_and_what_was_expected() {
        for (message, expected) in [
            (
                "hello",
                "the message is not JSON from line 1, column 1 on; expected an object, such as",
            ),
            (
                "{\n\"type\":}",
                "the message is not JSON from line 2, column 8 on; expected an object",
            ),
            ("", "the message is not JSON from line 1, column 0 on; expected an object"),
            (" [] ", "the message is an array; expected an object"),
            ("\"join\"", "the message is a string; expected an object"),
            ("17", "the message is 17; expected an object"),
            ("{}", "the field `type` is missing; expected join, leave, send"),
            (r#"{"type":null}"#, "the field `type` is missing; expected join, leave, send"),
            (r#"{"type":["join"]}"#, "the field `type` is an array; expected a string"),
            (r#"{"type":"join","room":5}"#, "the field `room` is 5; expected a string"),
            (
                r#"{"type":"join","room":"\ud83e"}"#,
                "the field `room` has half of a surrogate pair; expected whole characters",
            ),
            (
                r#"{"type":"ping","\ud83e":1}"#,
                "the name of a field has half of a surrogate pair; expected whole characters",
            ),
            (
                r#"{"type":"ping","id":-3}"#,
                "the field `id` is -3; expected a whole number that is not negative",
            ),
            (
                r#"{"type":"ping","id":1e999}"#,
                "the field `id` is 1e999; expected a whole number that is not negative",
            ),
            (
                r#"{"type":"ping","id":1234567890123456789012345}"#,
                "the field `id` is a long number; expected a whole number that is not negative",
            ),
            (
                r#"{"type":"join","watch":"yes"}"#,
                "the field `watch` is a string; expected true or false",
            ),
            (r#"{"type":"ping","type":"ping"}"#, "a field is there twice; expected it once"),
            (r#"{"type":"send","data":1,"data":2}"#, "a field is there twice; expected it once"),
        ] {
            let text = explain(message);
            assert!(text.starts_with(expected), "{message}: {text}");
        }
    }
}
