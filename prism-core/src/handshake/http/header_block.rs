//! [`HeaderBlock`]: header lines to be sent, into which nothing can be injected.

use alloc::vec::Vec;
use core::fmt;

use crate::handshake::http::tokens::is_token;

/// The reason why a header cannot be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum InvalidHeader {
    /// The name is not a token (RFC 9110 §5.1).
    Name,
    /// The header is one that Prism sets itself: `Connection`, `Content-Length`, `Host`,
    /// `Transfer-Encoding`, `Upgrade`, or any `Sec-WebSocket-` header.
    Reserved,
    /// The value contains a control character, such as CR or LF (RFC 9110 §5.5).
    Value,
}

impl fmt::Display for InvalidHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Name => "invalid header name; expected a token",
            Self::Reserved => "reserved header; it is set automatically",
            Self::Value => "control character in the value of a header",
        })
    }
}

impl core::error::Error for InvalidHeader {}

/// Header lines as they are sent, each with its CR LF.
#[derive(Clone, Default)]
pub(crate) struct HeaderBlock(Vec<u8>);

impl HeaderBlock {
    /// Adds a user's header.
    pub(crate) fn push(&mut self, name: &str, value: &str) -> Result<(), InvalidHeader> {
        if !is_token(name.as_bytes()) {
            return Err(InvalidHeader::Name);
        }
        if is_reserved(name) {
            return Err(InvalidHeader::Reserved);
        }
        if !is_value(value.as_bytes()) {
            return Err(InvalidHeader::Value);
        }
        self.push_own(name, value);
        Ok(())
    }

    /// Adds one of our own headers, which is known to be valid.
    pub(crate) fn push_own(&mut self, name: &str, value: &str) {
        for part in [name, ": ", value, "\r\n"] {
            self.0.extend_from_slice(part.as_bytes());
        }
    }

    /// Returns whether there is a header of this name.
    pub(crate) fn contains(&self, name: &str) -> bool {
        // A value contains no line break, and each line has its colon.
        self.0.split(|&byte| byte == b'\n').any(|line| has_name(line, name))
    }

    /// Removes each header of this name.
    pub(crate) fn remove(&mut self, name: &str) {
        let lines = self.0.split_inclusive(|&byte| byte == b'\n');
        self.0 = lines.filter(|line| !has_name(line, name)).flatten().copied().collect();
    }

    /// Removes each header whose name is not one of these.
    pub(crate) fn keep(&mut self, names: &[&str]) {
        let is_kept = |line: &&[u8]| names.iter().any(|name| has_name(line, name));
        let lines = self.0.split_inclusive(|&byte| byte == b'\n');
        self.0 = lines.filter(is_kept).flatten().copied().collect();
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Shows the names. The values may be secrets.
impl fmt::Debug for HeaderBlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.0.split(|&byte| byte == b'\n').filter_map(|line| {
            let end = line.iter().position(|&byte| byte == b':')?;
            str::from_utf8(&line[..end]).ok()
        });
        f.debug_list().entries(names).finish()
    }
}

fn has_name(line: &[u8], name: &str) -> bool {
    let name = name.as_bytes();
    line.get(name.len()) == Some(&b':') && line[..name.len()].eq_ignore_ascii_case(name)
}

/// Returns whether a header determines the meaning of the message, so that users may not set it.
fn is_reserved(name: &str) -> bool {
    const OURS: [&str; 5] =
        ["Connection", "Content-Length", "Host", "Transfer-Encoding", "Upgrade"];
    const PREFIX: &str = "Sec-WebSocket-";
    OURS.iter().any(|ours| name.eq_ignore_ascii_case(ours))
        || name.get(..PREFIX.len()).is_some_and(|start| start.eq_ignore_ascii_case(PREFIX))
}

/// Returns whether a value is valid: visible characters, spaces, tabs, and bytes over 127 (RFC 9110
/// §5.5).
pub(crate) fn is_value(value: &[u8]) -> bool {
    !value.iter().any(|byte| byte.is_ascii_control() && *byte != b'\t')
}

#[cfg(test)]
mod tests {
    use super::{
        HeaderBlock,
        InvalidHeader::{self, *},
    };

    fn push(name: &str, value: &str) -> Result<(), InvalidHeader> {
        HeaderBlock::default().push(name, value)
    }

    #[test]
    fn a_header_is_one_line() {
        let mut fields = HeaderBlock::default();
        assert_eq!(fields.push("X-A", "b\tc, \"é\""), Ok(()));
        assert_eq!(fields.push("X-A", ""), Ok(()));
        assert_eq!(fields.as_bytes(), "X-A: b\tc, \"é\"\r\nX-A: \r\n".as_bytes());
    }

    #[test]
    fn a_header_is_found_by_its_name_in_any_case() {
        let mut fields = HeaderBlock::default();
        assert!(!fields.contains("X-A"));
        fields.push_own("X-A", "X-B: 1");
        fields.push_own("x-c", "");
        for (name, there) in
            [("x-a", true), ("X-C", true), ("X-B", false), ("X", false), ("X-AB", false)]
        {
            assert_eq!(fields.contains(name), there, "{name}");
        }
    }

    #[test]
    fn remove_takes_all_lines_of_a_name_and_no_other() {
        let mut fields = HeaderBlock::default();
        for (name, value) in [("X-A", "1"), ("X-AB", "X-A: 2"), ("x-a", "3"), ("X", "4")] {
            fields.push_own(name, value);
        }
        fields.remove("X-a");
        assert_eq!(fields.as_bytes(), b"X-AB: X-A: 2\r\nX: 4\r\n");
        fields.remove("X-C");
        assert_eq!(fields.as_bytes(), b"X-AB: X-A: 2\r\nX: 4\r\n");
    }

    #[test]
    fn keep_removes_all_lines_of_other_names() {
        let mut fields = HeaderBlock::default();
        for (name, value) in [("X-A", "1"), ("X-AB", "X-A: 2"), ("x-a", "3"), ("X-C", "4")] {
            fields.push_own(name, value);
        }
        fields.keep(&["X-a", "X-C"]);
        assert_eq!(fields.as_bytes(), b"X-A: 1\r\nx-a: 3\r\nX-C: 4\r\n");
        fields.keep(&[]);
        assert_eq!(fields.as_bytes(), b"");
    }

    #[test]
    fn headers_cannot_be_injected() {
        for name in ["", "X A", "X:", "X\r\n", "X\0", "é"] {
            assert_eq!(push(name, "v"), Err(Name), "{name:?}");
        }
        for byte in (0..0x20).chain([0x7f]).filter(|&byte| byte != b'\t') {
            let value = alloc::format!("a{}b", char::from(byte));
            assert_eq!(push("X", &value), Err(Value), "{value:?}");
        }
    }

    #[test]
    fn a_reserved_header_is_refused() {
        for name in ["upgrade", "Connection", "HOST", "content-length", "Transfer-Encoding"] {
            assert_eq!(push(name, "v"), Err(Reserved), "{name}");
        }
        assert_eq!(push("sec-websocket-Key", "v"), Err(Reserved));
        assert_eq!(push("Sec-WebSocket-", "v"), Err(Reserved));
        assert_eq!(push("Sec-WebSocket", "v"), Ok(()));
    }
}
