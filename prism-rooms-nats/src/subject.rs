//! [`Prefix`]: the subjects that the channels of a cluster have.
//!
//! A subject of NATS consists of tokens with dots between them. It has no spaces, and `*` and `>` stand for any tokens.
//! The name of a room is any text. So the name of a channel is one token, in which these characters are escaped as in a
//! URL: the room `tea & milk` has the subject `prism.r:tea%20&%20milk`.

use std::{error::Error, fmt, fmt::Write as _};

use prism_rooms::Channel;

/// The longest prefix. With a name in which each byte is escaped, a line is still shorter than the 4 KiB that servers
/// allow.
const MAX_LEN: usize = 256;

/// What all subjects of a cluster begin with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Prefix(String);

/// The reason why a text cannot be the prefix of subjects. The error's text (`Display`) says what is wrong and what was
/// expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidPrefix(String);

impl Prefix {
    pub(crate) fn new(prefix: String) -> Result<Self, InvalidPrefix> {
        if prefix.len() > MAX_LEN {
            let what = format!("{} bytes; expected at most {MAX_LEN}", prefix.len());
            return Err(InvalidPrefix(what));
        }
        if let Some(c) = prefix.chars().find(|c| *c != '.' && must_be_escaped(*c)) {
            return Err(InvalidPrefix(format!(
                "{c:?} is not allowed; expected letters, digits, or others except control characters, spaces, \
                 '*', '>' and '%'"
            )));
        }
        if prefix.split('.').any(str::is_empty) {
            return Err(InvalidPrefix(format!(
                "nothing before or after a dot in {prefix:?}; expected a text such as \"shop\" or \"shop.eu\""
            )));
        }
        Ok(Self(prefix))
    }

    /// Returns the subject of a channel.
    pub(crate) fn subject(&self, channel: &Channel) -> String {
        let mut subject = self.0.clone();
        subject.push('.');
        // Formatting fails only if the writer does.
        let _ = write!(Escaping(&mut subject), "{channel}");
        subject
    }
}

/// By default, `prism`.
impl Default for Prefix {
    fn default() -> Self {
        Self("prism".to_owned())
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Adds what is written to a token.
struct Escaping<'a>(&'a mut String);

impl fmt::Write for Escaping<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for c in text.chars() {
            if must_be_escaped(c) {
                write!(self.0, "%{:02X}", u32::from(c))?;
            } else {
                self.0.push(c);
            }
        }
        Ok(())
    }
}

/// Returns whether a character has a meaning in subjects, in lines, or in what is escaped. All of them are ASCII.
const fn must_be_escaped(c: char) -> bool {
    c.is_ascii_control() || matches!(c, ' ' | '.' | '*' | '>' | '%')
}

impl fmt::Display for InvalidPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "invalid prefix of subjects: {}", self.0)
    }
}

impl Error for InvalidPrefix {}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use prism_rooms::Channel;

    use super::{MAX_LEN, Prefix};

    fn subject(room: &str) -> String {
        Prefix::default().subject(&Channel::Room(room.into()))
    }

    #[test]
    fn a_channel_is_one_token() {
        assert_eq!(
            Prefix::new("shop.eu".to_owned()).unwrap().subject(&Channel::All),
            "shop.eu.all"
        );
        for (room, expected) in [
            ("tea", "prism.r:tea"),
            ("", "prism.r:"),
            ("a.b c", "prism.r:a%2Eb%20c"),
            (">", "prism.r:%3E"),
            ("*", "prism.r:%2A"),
            ("50%", "prism.r:50%25"),
            ("\r\nPUB x 1\t\0\x7f", "prism.r:%0D%0APUB%20x%201%09%00%7F"),
            ("caf\u{e9} \u{1f375}", "prism.r:caf\u{e9}%20\u{1f375}"),
        ] {
            assert_eq!(subject(room), expected);
        }
    }

    #[test]
    fn subjects_are_distinct_and_have_no_spaces() {
        let texts = ["", "%", "%2", "%20", "%2E", " ", ".", "a", "A", "2", "20", "2E", "E"];
        let mut subjects = HashSet::new();
        for room in texts.iter().flat_map(|one| texts.map(|other| [*one, "/", other].concat())) {
            let subject = subject(&room);
            assert!(!subject["prism.".len()..].contains(['.', ' ']), "{subject}");
            assert!(subjects.insert(subject), "{room}");
        }
    }

    #[test]
    fn the_longest_line_is_one_that_servers_allow() {
        let prefix = Prefix::new("x".repeat(MAX_LEN)).unwrap();
        let subject = prefix.subject(&Channel::Room(" ".repeat(1024).into()));
        let line = format!("MSG {subject} {} {}\r\n", u64::MAX, u32::MAX);
        assert!(line.len() < 4096, "{}", line.len());
    }

    #[test]
    fn errors_say_what_was_expected() {
        for (prefix, expected) in [
            ("", "expected a text such as"),
            (".", "expected a text such as"),
            ("shop.", "expected a text such as"),
            ("a..b", "expected a text such as"),
            ("my shop", "' ' is not allowed"),
            ("shop\n", "'\\n' is not allowed"),
            ("shop.>", "'>' is not allowed"),
            ("*", "'*' is not allowed"),
            (&"x".repeat(257), "257 bytes; expected at most 256"),
        ] {
            let error = Prefix::new(prefix.to_owned()).expect_err(prefix).to_string();
            assert!(error.starts_with("invalid prefix of subjects: "), "{error}");
            assert!(error.contains(expected), "{error}");
        }
    }
}
