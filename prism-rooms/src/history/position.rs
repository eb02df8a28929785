//! [`Position`]: a place in the history of a room.

use std::{fmt, str::FromStr, sync::Arc};

/// The longest name of an epoch.
const MAX_EPOCH: usize = 64;
/// The highest offset: a double, which is what numbers are in Lua and in JavaScript, holds all up to it.
const MAX_OFFSET: u64 = 1 << 53;

/// A place in the [history](crate::History) of a room: that of a message, and of a client that has received all
/// messages up to it.
///
/// It prints as `EPOCH-OFFSET`, and is parsed from that: a client keeps the text, and sends it when it comes back.
/// Offsets are consecutive. There is a new epoch, and offsets begin again, whenever messages may have been lost:
/// positions of two epochs have nothing to do with each other.
///
/// ```
/// use prism_rooms::Position;
///
/// let position: Position = "9f3a-17".parse().unwrap();
/// assert_eq!((position.epoch(), position.offset()), ("9f3a", 17));
/// assert_eq!(position.to_string(), "9f3a-17");
/// assert!("17".parse::<Position>().is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Position {
    epoch: Arc<str>,
    offset: u64,
}

/// The error for text that is not a [`Position`]. Its text (`Display`) says what was expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidPosition(());

impl Position {
    /// Creates a position. For [backplanes](crate::Backplane): applications have those that they are told. Returns
    /// `None` if the epoch has no characters, more than 64, or others than ASCII letters and digits, and if the offset
    /// exceeds 2<sup>53</sup>.
    #[must_use]
    pub fn new(epoch: &str, offset: u64) -> Option<Self> {
        let is_valid = (1..=MAX_EPOCH).contains(&epoch.len())
            && epoch.bytes().all(|byte| byte.is_ascii_alphanumeric())
            && offset <= MAX_OFFSET;
        is_valid.then(|| Self { epoch: epoch.into(), offset })
    }

    /// Returns the epoch.
    #[must_use]
    pub fn epoch(&self) -> &str {
        &self.epoch
    }

    /// Returns the offset: that of an epoch's first message is 1.
    #[must_use]
    pub const fn offset(&self) -> u64 {
        self.offset
    }

    /// Returns the place of another message of the same epoch.
    pub(crate) fn with_offset(&self, offset: u64) -> Self {
        Self { epoch: self.epoch.clone(), offset }
    }

    pub(crate) fn is_same_epoch(&self, other: &Self) -> bool {
        self.epoch == other.epoch
    }
}

impl FromStr for Position {
    type Err = InvalidPosition;

    fn from_str(text: &str) -> Result<Self, InvalidPosition> {
        let (epoch, offset) = text.split_once('-').ok_or(InvalidPosition(()))?;
        let is_canonical = offset.bytes().all(|byte| byte.is_ascii_digit())
            && (offset == "0" || !offset.starts_with('0'));
        let offset = offset.parse().ok().filter(|_| is_canonical).ok_or(InvalidPosition(()))?;
        Self::new(epoch, offset).ok_or(InvalidPosition(()))
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.epoch, self.offset)
    }
}

impl fmt::Display for InvalidPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("invalid position; expected EPOCH-OFFSET, such as \"9f3a-17\"")
    }
}

impl std::error::Error for InvalidPosition {}

#[cfg(all(test, not(prism_loom)))]
mod tests {
    use super::Position;

    #[test]
    fn only_what_was_printed_is_parsed() {
        for text in ["a-0", "9f3A-1", "x-9007199254740992", &format!("{}-1", "e".repeat(64))] {
            assert_eq!(text.parse::<Position>().unwrap().to_string(), text);
        }
        let too_long = format!("{}-1", "e".repeat(65));
        for text in [
            "",
            "-",
            "a",
            "a-",
            "-1",
            "a-01",
            "a-+1",
            "a--1",
            "a-1-2",
            "a b-1",
            "\u{e9}-1",
            "a-9007199254740993",
            "a-18446744073709551616",
            "a-1 ",
            &too_long,
        ] {
            assert!(text.parse::<Position>().is_err(), "{text}");
        }
    }
}
