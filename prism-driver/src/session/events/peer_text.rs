//! [`PeerText`]: text that a peer may have written, as a log may show it.

use std::fmt::{self, Write};

/// The maximum number of characters that are shown.
const MAX: usize = 64;

/// Displays as at most 64 characters, of which none is a control character, a line break, or invisible: these are
/// escaped. So a peer can neither forge a line in a log nor fill the log.
pub(super) struct PeerText<'a>(pub(super) &'a str);

impl fmt::Display for PeerText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let escaped = || self.0.chars().map(char::escape_debug);
        // No character escapes to less than one, so the first ones decide.
        let is_short = escaped().take(MAX + 1).map(|it| it.len()).sum::<usize>() <= MAX;
        let most = if is_short { MAX } else { MAX - 1 };
        let mut shown = 0;
        for character in escaped() {
            shown += character.len();
            if shown > most {
                return f.write_char('…');
            }
            write!(f, "{character}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::PeerText;

    #[test]
    fn short_text_is_shown_as_it_is() {
        assert_eq!(PeerText("").to_string(), "");
        assert_eq!(PeerText("going away, café").to_string(), "going away, café");
        assert_eq!(PeerText(&"é".repeat(64)).to_string(), "é".repeat(64));
    }

    #[test]
    fn what_could_forge_a_log_is_escaped() {
        let forged = PeerText("bye\r\n\u{1b}[31mINFO \"all is well\" \u{202e}\0").to_string();
        assert_eq!(forged, r#"bye\r\n\u{1b}[31mINFO \"all is well\" \u{202e}\0"#);
    }

    #[test]
    fn long_text_is_cut_after_escaping_and_never_within_an_escape() {
        assert_eq!(PeerText(&"a".repeat(65)).to_string(), "a".repeat(63) + "…");
        for length in [60, 61, 62, 63, 64] {
            let text = PeerText(&("a".repeat(length) + "\u{1b}\u{1b}")).to_string();
            assert_eq!(text, "a".repeat(length.min(63)) + "…");
        }
        let text = PeerText(&"\n".repeat(1000)).to_string();
        assert_eq!(text, r"\n".repeat(31) + "…");
    }
}
