//! The protocol of NATS, without I/O: [`Decoder`] finds what a server says in the bytes that arrive, and functions
//! write what it is told.
//!
//! ```text
//!   INFO {"max_payload":1048576,...}            PING    PONG    +OK    -ERR 'Authorization Violation'
//!   MSG prism.r:tea 7 5                         7 is the ID of the subscription, 5 the length of what follows
//!   hello
//! ```
//!
//! Each byte is looked at once, and what is kept is what has arrived: a length that a message claims allocates nothing.
//!
//! This is not `watermelon-proto` (0.2.1), which is without I/O, too. That accepts messages of up to 128 MiB, searches
//! a line from its beginning each time that a part of it arrives, and panics in debug builds at a `+OK` that arrives in
//! parts. And it brings thirty crates along, such as those for international host names.

use std::{fmt, io::Write as _, str};

use bytes::{Buf, Bytes, BytesMut};

/// The longest line. The server's own limit is 4 KiB, but `INFO` names all servers of a cluster.
const MAX_LINE: usize = 64 << 10;

/// The longest payload: several times as long as the longest message of a cluster.
const MAX_PAYLOAD: usize = 4 << 20;

/// The buffer is not kept after a message that is longer than this.
const KEPT_BUFFER: usize = 256 << 10;

/// How much is shown of an operation that is not known.
const MAX_SHOWN: usize = 16;

const LINE_BREAK: &[u8; 2] = b"\r\n";

/// Something that a server says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    /// What the server is and allows, in JSON.
    Info(Bytes),
    /// What was published on the channel of the subscription with this ID.
    Message { subscription: u64, payload: Bytes },
    /// The server wants a pong.
    Ping,
    /// The server has done all that it was told before the oldest ping.
    Pong,
    /// Something was accepted. Servers say so only if they are asked to.
    Ok,
    /// What the server does not accept. It may close the connection.
    Error(Bytes),
}

/// The error for bytes that no server sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Malformed {
    /// The line begins with this, or something longer.
    Operation(String),
    /// The line of a message has not the words that it should have.
    Message,
    /// A line has no carriage return, or a payload is not followed by a line break.
    End,
    LineTooLong,
    MessageTooLong,
}

/// What has arrived, and how far it is understood.
#[derive(Default)]
pub(crate) struct Decoder {
    buffer: BytesMut,
    /// There is no end of a line before this.
    searched: usize,
    /// The message whose payload comes next.
    message: Option<Head>,
}

/// What the line of a message says.
struct Head {
    subscription: u64,
    len: usize,
}

enum Line {
    Operation(Operation),
    Message(Head),
}

impl Decoder {
    /// Adds what has arrived.
    pub(crate) fn receive(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// Returns whether all that has arrived was returned.
    #[cfg(any(feature = "tls", test))]
    pub(crate) fn is_empty(&self) -> bool {
        self.buffer.is_empty() && self.message.is_none()
    }

    /// Returns the next operation, if all of it has arrived.
    pub(crate) fn poll_operation(&mut self) -> Result<Option<Operation>, Malformed> {
        loop {
            if let Some(head) = &self.message {
                let Some(end) = self.buffer.get(head.len..head.len + LINE_BREAK.len()) else {
                    return Ok(None);
                };
                if end != LINE_BREAK {
                    return Err(Malformed::End);
                }
                return Ok(self.take_message());
            }
            let Some(line) = self.poll_line()? else { return Ok(None) };
            match parse(line)? {
                Line::Operation(operation) => return Ok(Some(operation)),
                Line::Message(head) => self.message = Some(head),
            }
        }
    }

    /// Takes a line out of the buffer, without its line break, if all of it has arrived.
    fn poll_line(&mut self) -> Result<Option<Bytes>, Malformed> {
        let rest = &self.buffer[self.searched..];
        let Some(found) = rest.iter().position(|byte| *byte == b'\n') else {
            self.searched = self.buffer.len();
            if self.searched > MAX_LINE {
                return Err(Malformed::LineTooLong);
            }
            return Ok(None);
        };
        let end = self.searched + found;
        self.searched = 0;
        if end > MAX_LINE {
            return Err(Malformed::LineTooLong);
        }
        let mut line = self.buffer.split_to(end + 1).freeze();
        if !line.ends_with(LINE_BREAK) {
            return Err(Malformed::End);
        }
        line.truncate(end - 1);
        Ok(Some(line))
    }

    /// Takes the message out of the buffer, which has all of it.
    fn take_message(&mut self) -> Option<Operation> {
        let Head { subscription, len } = self.message.take()?;
        let payload = self.buffer.split_to(len).freeze();
        self.buffer.advance(LINE_BREAK.len());
        if len > KEPT_BUFFER {
            self.buffer = BytesMut::from(&self.buffer[..]); // at most what was read at once
        }
        Some(Operation::Message { subscription, payload })
    }
}

/// Parses a line.
fn parse(line: Bytes) -> Result<Line, Malformed> {
    let len = line.iter().position(|byte| is_space(*byte)).unwrap_or(line.len());
    let (name, rest) = line.split_at(len);
    let rest = line.slice_ref(rest.trim_ascii());
    // The letters may be small, say the documents.
    let operation = match &*name.to_ascii_uppercase() {
        b"MSG" => return Ok(Line::Message(parse_message(&rest)?)),
        b"PING" => Operation::Ping,
        b"PONG" => Operation::Pong,
        b"+OK" => Operation::Ok,
        b"-ERR" => Operation::Error(rest),
        b"INFO" => Operation::Info(rest),
        _ => {
            let shown = &name[..name.len().min(MAX_SHOWN)];
            return Err(Malformed::Operation(String::from_utf8_lossy(shown).into_owned()));
        }
    };
    Ok(Line::Operation(operation))
}

/// Parses what follows `MSG`: the subject, the ID of the subscription, perhaps a subject for replies, and the length.
fn parse_message(words: &[u8]) -> Result<Head, Malformed> {
    let mut words = words.split(|byte| is_space(*byte)).filter(|word| !word.is_empty());
    let [_subject, subscription, third] =
        [words.next(), words.next(), words.next()].map(|word| word.ok_or(Malformed::Message));
    let (subscription, third) = (parse_number(subscription?)?, third?);
    let len = parse_number(words.next().unwrap_or(third))?;
    if words.next().is_some() {
        return Err(Malformed::Message);
    }
    match usize::try_from(len) {
        Ok(len) if len <= MAX_PAYLOAD => Ok(Head { subscription, len }),
        _ => Err(Malformed::MessageTooLong),
    }
}

/// Parses a number of up to 19 digits.
fn parse_number(digits: &[u8]) -> Result<u64, Malformed> {
    if digits.is_empty() || digits.len() > 19 || !digits.iter().all(u8::is_ascii_digit) {
        return Err(Malformed::Message);
    }
    Ok(digits.iter().fold(0, |number, digit| number * 10 + u64::from(digit - b'0')))
}

const fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

/// Adds an operation whose words are all of it.
fn push_line(out: &mut Vec<u8>, line: fmt::Arguments<'_>) {
    out.write_fmt(line).expect("a buffer takes any text");
    out.extend_from_slice(LINE_BREAK);
}

/// Tells the server who this is, in JSON.
pub(crate) fn push_connect(out: &mut Vec<u8>, json: &str) {
    push_line(out, format_args!("CONNECT {json}"));
}

/// Publishes a payload on a subject, which has no spaces in it.
pub(crate) fn push_publish(out: &mut Vec<u8>, subject: &str, payload: &[u8]) {
    push_line(out, format_args!("PUB {subject} {}", payload.len()));
    out.extend_from_slice(payload);
    out.extend_from_slice(LINE_BREAK);
}

/// Subscribes to a subject, which has no spaces in it.
pub(crate) fn push_subscribe(out: &mut Vec<u8>, subject: &str, subscription: u64) {
    push_line(out, format_args!("SUB {subject} {subscription}"));
}

pub(crate) fn push_unsubscribe(out: &mut Vec<u8>, subscription: u64) {
    push_line(out, format_args!("UNSUB {subscription}"));
}

/// Asks for a pong, which says that all before it is done.
pub(crate) fn push_ping(out: &mut Vec<u8>) {
    push_line(out, format_args!("PING"));
}

pub(crate) fn push_pong(out: &mut Vec<u8>) {
    push_line(out, format_args!("PONG"));
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Operation(name) => write!(f, "{name:?} is no operation of NATS"),
            Self::Message => f.write_str("the line of a message is not as it should be"),
            Self::End => f.write_str("a line or a message does not end as it should"),
            Self::LineTooLong => write!(f, "a line of more than {} KiB", MAX_LINE >> 10),
            Self::MessageTooLong => write!(f, "a message of more than {} MiB", MAX_PAYLOAD >> 20),
        }
    }
}

#[cfg(test)]
mod tests;
