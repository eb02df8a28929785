//! [`PeerText`]: text that a peer may have written, as a log may show it.

use std::fmt::{self, Write};

/// The maximum number of characters that are shown.
const MAX: usize = 64;

/// Shows at most 64 characters in quotes. Quotes, control characters, line breaks and invisible characters are escaped.
/// So a peer can neither forge a line or a field in a log, nor fill the log.
///
/// There is no `Display`: subscribers write what is displayed as it is, and a space would begin the next field.
pub(super) struct PeerText<'a>(pub(super) &'a str);

impl fmt::Debug for PeerText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let escaped = || self.0.chars().map(char::escape_debug);
        // No character escapes to less than one, so the first ones decide.
        let is_short = escaped().take(MAX + 1).map(|it| it.len()).sum::<usize>() <= MAX;
        let most = if is_short { MAX } else { MAX - 1 };
        f.write_char('"')?;
        let mut shown = 0;
        for character in escaped() {
            shown += character.len();
            if shown > most {
                f.write_char('…')?;
                break;
            }
            write!(f, "{character}")?;
        }
        f.write_char('"')
    }
}

#[cfg(test)]
mod tests {
    use super::PeerText;

    #[track_caller]
    fn assert_shown(text: &str, shown: &str) {
        assert_eq!(format!("{:?}", PeerText(text)), format!("\"{shown}\""));
    }

    #[test]
    fn short_text_is_shown_as_it_is_in_quotes() {
        assert_shown("", "");
        assert_shown("going away, café", "going away, café");
        assert_shown(&"é".repeat(64), &"é".repeat(64));
    }

    #[test]
    fn what_could_forge_a_log_is_escaped() {
        assert_shown(
            "bye\r\n\u{1b}[31mINFO \"all is well\" \\\u{202e}\0",
            r#"bye\r\n\u{1b}[31mINFO \"all is well\" \\\u{202e}\0"#,
        );
    }

    #[test]
    fn long_text_is_cut_after_escaping_and_never_within_an_escape() {
        assert_shown(&"a".repeat(65), &("a".repeat(63) + "…"));
        for length in [60, 61, 62, 63, 64] {
            let text = "a".repeat(length) + "\u{1b}\u{1b}";
            assert_shown(&text, &("a".repeat(length.min(63)) + "…"));
        }
        assert_shown(&"\n".repeat(1000), &(r"\n".repeat(31) + "…"));
    }
}
