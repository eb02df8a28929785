//! [`Script`]: a script that Redis runs. Its text is sent once on each connection.

use std::mem;

use sha1_smol::Sha1;

/// A script, by its text and by its hash. Redis keeps the scripts that it has run, until it restarts or is told to
/// forget them.
pub(crate) struct Script {
    text: &'static str,
    hash: String,
    /// Whether a command with the text precedes all further ones.
    is_sent: bool,
}

impl Script {
    pub(crate) fn new(text: &'static str) -> Self {
        Self { text, hash: Sha1::from(text).digest().to_string(), is_sent: false }
    }

    /// Returns the words with which the next command begins that runs the script.
    pub(crate) fn next_words(&mut self) -> [&[u8]; 2] {
        if mem::replace(&mut self.is_sent, true) {
            [b"EVALSHA", self.hash.as_bytes()]
        } else {
            [b"EVAL", self.text.as_bytes()]
        }
    }

    /// Returns whether the next command has the text.
    pub(crate) const fn sends_text(&self) -> bool {
        !self.is_sent
    }

    /// Lets the next command have the text, because Redis does not know the script.
    pub(crate) const fn send_again(&mut self) {
        self.is_sent = false;
    }
}

#[cfg(test)]
mod tests {
    use super::Script;

    #[test]
    fn only_the_first_command_has_the_text() {
        let mut script = Script::new("return 1");
        let by_hash = [b"EVALSHA".as_slice(), b"e0e1f9fabfc9d4800c877a703b823ac0578ff8db"];
        for _ in 0..2 {
            assert_eq!(script.next_words(), [b"EVAL".as_slice(), b"return 1"]);
            assert_eq!(script.next_words(), by_hash);
            assert_eq!(script.next_words(), by_hash);
            script.send_again();
        }
    }
}
