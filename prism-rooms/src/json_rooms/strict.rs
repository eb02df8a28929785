//! A check that JSON from one client can be read by all others.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// How deep arrays and objects may be nested. Parsers have limits, of 128 for example, and what is forwarded is
/// nested deeper.
const MAX_DEPTH: u8 = 64;

/// Checks JSON that is to be forwarded. `RawValue` alone accepts nesting, numbers and escapes on which other parsers
/// fail, so one client could make all others fail. The error says what is wrong, as the predicate of a sentence.
pub(super) fn check(json: &RawValue) -> Result<(), String> {
    let mut parser = serde_json::Deserializer::from_str(json.get());
    Strict { depth: MAX_DEPTH }.deserialize(&mut parser).map_err(|error| {
        if error.is_data() {
            format!("is nested too deep; expected at most {MAX_DEPTH} levels")
        } else {
            let expected = "expected whole characters, and numbers that a double can hold";
            format!("has half of a surrogate pair, or too large a number; {expected}")
        }
    })
}

/// Accepts any value, and keeps nothing of it.
#[derive(Clone, Copy)]
struct Strict {
    /// How many levels may follow.
    depth: u8,
}

impl Strict {
    fn inner<E: Error>(self) -> Result<Self, E> {
        let depth = self.depth.checked_sub(1);
        let depth = depth.ok_or_else(|| E::custom("it is nested too deep"))?;
        Ok(Self { depth })
    }
}

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<S: SeqAccess<'de>>(self, mut values: S) -> Result<(), S::Error> {
        let inner = self.inner()?;
        while values.next_element_seed(inner)?.is_some() {}
        Ok(())
    }

    fn visit_map<M: MapAccess<'de>>(self, mut entries: M) -> Result<(), M::Error> {
        let inner = self.inner()?;
        while entries.next_key_seed(inner)?.is_some() {
            entries.next_value_seed(inner)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_accepted(json: &str) -> bool {
        check(serde_json::from_str(json).expect("valid for a `RawValue`")).is_ok()
    }

    #[test]
    fn all_kinds_of_values_are_accepted() {
        assert!(is_accepted(
            r#"{"a":[null,true,-1,18446744073709551615,1.5e300,"é\n\ud83d\ude00"],"":{}}"#
        ));
    }

    #[test]
    fn what_other_parsers_refuse_is_refused() {
        assert!(!is_accepted("1e999"), "no parser can represent it");
        assert!(!is_accepted(r#""\ud800""#), "a lone surrogate is not text");
        assert!(!is_accepted(r#"{"\udc00":1}"#), "nor is it as a key");
    }

    #[test]
    fn nesting_is_limited() {
        let nested = |depth| "[".repeat(depth) + &"]".repeat(depth);
        assert!(is_accepted(&nested(64)));
        assert!(!is_accepted(&nested(65)));
        assert!(!is_accepted(&nested(100_000)));
    }
}
