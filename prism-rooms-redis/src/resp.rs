//! [`Decoder`]: finds what Redis says in the bytes that arrive. It reads RESP3, the protocol of Redis since version 6,
//! without I/O.
//!
//! A backplane needs little of what Redis says: whether a reply is an error, whether the server is a master, and the
//! three parts of a message. So a frame is not built as a tree. It is the first three of its scalars, in their order,
//! whatever the arrays and maps around them. Only a map stays as it is, for those who look for a key in it:
//!
//! ```text
//!   *3 ($6 master) (:420) (*0)                       Reply  ["master", "420", ""]
//!   >3 ($7 message) ($11 prism:r:tea) ($5 hello)     Push   ["message", "prism:r:tea", "hello"]
//!   %1 ($4 mode) ($7 cluster)                        Map    ($4 mode) ($7 cluster)
//! ```
//!
//! Each byte is looked at once, and what is kept is what has arrived: a length or a count that a frame claims allocates
//! nothing.
//!
//! The decoder of the crate `redis` (1.8) is not used: it copies each string into a tree, and waits for a string of any
//! length. Besides, its asynchronous API needs tokio on every runtime, and it adds more than thirty crates.

use std::{fmt, mem, ops::Range};

use bytes::{Buf, Bytes, BytesMut};

/// What a TLS server says begins with this byte if it is not spoken to in TLS.
const TLS_ALERT: u8 = 0x15;

/// The longest frame: several times as long as the longest message of a cluster.
const MAX_FRAME: usize = 4 << 20;

/// How deep arrays and maps may be nested. Redis needs four levels, for the modules in its reply to `HELLO`.
const MAX_DEPTH: usize = 16;

/// The buffer is not kept after a frame that is longer than this.
const KEPT_BUFFER: usize = 256 << 10;

/// How many scalars of a frame are kept.
const KEPT: usize = 3;

/// The first scalars of a frame. Those that it does not have are empty.
pub(crate) type Scalars = [Bytes; KEPT];

/// Something that Redis says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Frame {
    /// The reply to a command that is refused: why.
    Error(Bytes),
    /// The reply to a command.
    Reply(Scalars),
    /// The reply to a command, if it is a map: its keys and values, one after the other, as Redis says them.
    Map(Bytes),
    /// What was not asked for, such as a message; and the confirmations of subscriptions.
    Push(Scalars),
}

/// The error for bytes that are not a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Malformed {
    /// A value begins with this byte.
    Type(u8),
    /// The length of a string, or the number of elements.
    Length,
    /// A line has no type or no carriage return, or a string is not followed by a line break.
    End,
    /// Arrays in arrays, too deep.
    TooDeep,
    TooLong,
}

/// What has arrived, and how far it is understood.
#[derive(Default)]
pub(crate) struct Decoder {
    buffer: BytesMut,
    /// Where the next value of the frame begins.
    at: usize,
    /// There is no end of a line before this.
    searched: usize,
    /// The arrays that have begun, and are not complete.
    open: Vec<Open>,
    scalars: [Range<usize>; KEPT],
    scalar_count: usize,
}

struct Open {
    /// How many values are missing, with the array itself.
    missing: u64,
    /// Something about the value that follows. It is not part of that, and nothing of it is kept.
    is_attribute: bool,
}

/// What a line says, without the bytes that may follow it.
enum Value {
    /// The line has the whole scalar.
    Line,
    /// A string that is not there.
    Null,
    /// A string of this length follows.
    String(usize),
    /// So many values follow.
    Values(u64),
    /// So many values follow, and then the one that they are about.
    Attribute(u64),
}

impl Decoder {
    /// Adds what has arrived.
    pub(crate) fn receive(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// Returns the next frame, if all of it has arrived.
    pub(crate) fn poll_frame(&mut self) -> Result<Option<Frame>, Malformed> {
        while let Some(end) = self.poll_value()? {
            self.at = end;
            self.searched = end;
            if self.complete_value() {
                return Ok(Some(self.take_frame()));
            }
        }
        if self.buffer.len() > MAX_FRAME {
            return Err(Malformed::TooLong);
        }
        Ok(None)
    }

    /// Reads the scalar, or the beginning of an array, at `at`. Returns where the next value begins, if all of it has
    /// arrived.
    fn poll_value(&mut self) -> Result<Option<usize>, Malformed> {
        if self.buffer.get(self.at) == Some(&TLS_ALERT) {
            return Err(Malformed::Type(TLS_ALERT)); // no line break will come
        }
        let Some(line_end) = self.poll_line()? else { return Ok(None) };
        let start = self.at + 1;
        let line = &self.buffer[self.at..line_end - 2];
        let end = match parse(line, self.open.is_empty())? {
            Value::Line => {
                self.keep(start..line_end - 2);
                line_end
            }
            Value::Null => {
                self.keep(start..start);
                line_end
            }
            Value::String(len) if line_end.saturating_add(len) > MAX_FRAME => {
                return Err(Malformed::TooLong);
            }
            Value::String(len) => {
                let string_end = line_end + len;
                let Some(after) = self.buffer.get(string_end..string_end + 2) else {
                    return Ok(None);
                };
                if after != b"\r\n" {
                    return Err(Malformed::End);
                }
                self.keep(line_end..string_end);
                string_end + 2
            }
            Value::Values(count) => {
                self.begin(count, false)?;
                line_end
            }
            Value::Attribute(count) => {
                self.begin(count, true)?;
                line_end
            }
        };
        Ok(Some(end))
    }

    fn begin(&mut self, count: u64, is_attribute: bool) -> Result<(), Malformed> {
        if self.open.len() == MAX_DEPTH {
            return Err(Malformed::TooDeep);
        }
        self.open.push(Open { missing: count.saturating_add(1), is_attribute });
        Ok(())
    }

    /// Returns where the line that begins at `at` ends, with its line break; if it has arrived.
    fn poll_line(&mut self) -> Result<Option<usize>, Malformed> {
        let searched = self.searched.max(self.at);
        let Some(found) = self.buffer[searched..].iter().position(|byte| *byte == b'\n') else {
            self.searched = self.buffer.len();
            return Ok(None);
        };
        self.searched = searched + found; // is found again if the string after the line is not complete
        match &self.buffer[self.at..self.searched] {
            [_, .., b'\r'] => Ok(Some(self.searched + 1)),
            _ => Err(Malformed::End),
        }
    }

    /// Keeps a scalar, if it is one of the first.
    fn keep(&mut self, scalar: Range<usize>) {
        if self.open.iter().any(|open| open.is_attribute) {
            return;
        }
        if let Some(kept) = self.scalars.get_mut(self.scalar_count) {
            *kept = scalar;
            self.scalar_count += 1;
        }
    }

    /// Closes the arrays of which the value before `at` was the last one. Returns whether the frame is complete.
    fn complete_value(&mut self) -> bool {
        while let Some(open) = self.open.last_mut() {
            open.missing -= 1;
            if open.missing > 0 {
                return false;
            }
            let is_attribute = open.is_attribute;
            self.open.pop();
            if is_attribute {
                if self.open.is_empty() {
                    self.drop_beginning();
                }
                return false;
            }
        }
        true
    }

    /// Drops an attribute in front of a frame.
    fn drop_beginning(&mut self) {
        self.buffer.advance(mem::take(&mut self.at));
        self.searched = 0;
    }

    /// Takes the frame that ends at `at` out of the buffer.
    fn take_frame(&mut self) -> Frame {
        let bytes = self.buffer.split_to(mem::take(&mut self.at)).freeze();
        self.searched = 0;
        self.scalar_count = 0;
        if bytes.len() > KEPT_BUFFER {
            self.buffer = BytesMut::from(&self.buffer[..]); // at most what was read in a turn
        }
        let scalars = mem::take(&mut self.scalars).map(|scalar| bytes.slice(scalar));
        match bytes.first() {
            Some(b'-' | b'!') => {
                let [error, ..] = scalars;
                Frame::Error(error)
            }
            Some(b'>') => Frame::Push(scalars),
            Some(b'%') => Frame::Map(after_line(bytes)),
            _ => Frame::Reply(scalars),
        }
    }
}

/// Returns the value of a key of a [`Frame::Map`], if the map has it, and the value is a scalar.
pub(crate) fn find(map: &[u8], key: &str) -> Option<Bytes> {
    let mut decoder = Decoder::default();
    decoder.receive(map);
    while let Frame::Reply([found, ..]) = decoder.poll_frame().ok()?? {
        let value = decoder.poll_frame().ok()??;
        if found == key {
            let Frame::Reply([value, ..]) = value else { return None };
            return Some(value);
        }
    }
    None
}

/// Returns what follows the first line.
fn after_line(mut bytes: Bytes) -> Bytes {
    let line_end = bytes.iter().position(|byte| *byte == b'\n');
    bytes.advance(line_end.map_or(0, |line_end| line_end + 1));
    bytes
}

/// Parses a line, without its line break. A push cannot be in another value.
fn parse(line: &[u8], is_first: bool) -> Result<Value, Malformed> {
    let [kind, rest @ ..] = line else { return Err(Malformed::End) };
    match kind {
        b'+' | b'-' | b':' | b'_' | b',' | b'#' | b'(' => Ok(Value::Line),
        b'$' | b'!' | b'=' => Ok(match parse_length(rest)? {
            Some(len) => Value::String(usize::try_from(len).map_err(|_| Malformed::TooLong)?),
            None => Value::Null,
        }),
        b'*' | b'~' => Ok(Value::Values(parse_length(rest)?.unwrap_or(0))),
        b'>' if is_first => Ok(Value::Values(parse_length(rest)?.ok_or(Malformed::Length)?)),
        b'%' => Ok(Value::Values(parse_pairs(rest)?)),
        b'|' => Ok(Value::Attribute(parse_pairs(rest)?)),
        _ => Err(Malformed::Type(*kind)),
    }
}

/// Parses a number of pairs, and returns how many values these have.
fn parse_pairs(digits: &[u8]) -> Result<u64, Malformed> {
    let pairs = parse_length(digits)?.ok_or(Malformed::Length)?;
    pairs.checked_mul(2).ok_or(Malformed::Length)
}

/// Parses a length or a count; `None` for -1, which stands for nothing.
fn parse_length(digits: &[u8]) -> Result<Option<u64>, Malformed> {
    if digits == b"-1" {
        return Ok(None);
    }
    if digits.is_empty() || digits.len() > 18 || !digits.iter().all(u8::is_ascii_digit) {
        return Err(Malformed::Length);
    }
    Ok(Some(digits.iter().fold(0, |number, digit| number * 10 + u64::from(digit - b'0'))))
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Type(TLS_ALERT) => f.write_str("the server speaks TLS; expected \"rediss://\""),
            Self::Type(byte) => write!(f, "the byte {byte:#04x} begins no value of RESP3"),
            Self::Length => f.write_str("a length is not a number"),
            Self::End => f.write_str("a line or a string does not end as it should"),
            Self::TooDeep => write!(f, "arrays nested more than {MAX_DEPTH} deep"),
            Self::TooLong => write!(f, "a message of more than {} MiB", MAX_FRAME >> 20),
        }
    }
}

#[cfg(test)]
mod tests;
