//! The commands that Redis is given, as bytes (RESP: an array of strings).

use std::fmt::{Display, Write as _};

/// Adds a command.
pub(crate) fn push(out: &mut Vec<u8>, words: &[&[u8]]) {
    push_number(out, b'*', words.len());
    words.iter().for_each(|word| push_word(out, word));
}

/// Adds a command about channels, whose names get a prefix.
pub(crate) fn push_channels(
    out: &mut Vec<u8>,
    command: &str,
    prefix: &str,
    channels: &[impl Display],
) {
    push_number(out, b'*', 1 + channels.len());
    push_word(out, command.as_bytes());
    let mut name = String::new();
    for channel in channels {
        write_name(&mut name, prefix, channel);
        push_word(out, name.as_bytes());
    }
}

/// Writes the name of a channel over another one.
pub(crate) fn write_name(name: &mut String, prefix: &str, channel: &impl Display) {
    name.clear();
    name.push_str(prefix);
    name.push(':');
    write!(name, "{channel}").expect("a string takes any text");
}

fn push_word(out: &mut Vec<u8>, word: &[u8]) {
    push_number(out, b'$', word.len());
    out.extend_from_slice(word);
    out.extend_from_slice(b"\r\n");
}

/// Adds a line with a length or a count. Not with `write!`, which takes much longer: there are four for each message.
fn push_number(out: &mut Vec<u8>, kind: u8, number: usize) {
    out.push(kind);
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::{push, push_channels};

    #[test]
    fn commands_are_arrays_of_strings() {
        let mut out = Vec::new();
        push(&mut out, &[b"PUBLISH", b"shop:r:tea", b"a\r\nb"]);
        push_channels(&mut out, "SUBSCRIBE", "shop", &["all", "r:caf\u{e9}"]);
        let expected = "*3\r\n$7\r\nPUBLISH\r\n$10\r\nshop:r:tea\r\n$4\r\na\r\nb\r\n\
            *3\r\n$9\r\nSUBSCRIBE\r\n$8\r\nshop:all\r\n$12\r\nshop:r:caf\u{e9}\r\n";
        assert_eq!(out, expected.as_bytes());
    }
}
