//! What tungstenite makes of a stream, and where it is known to judge otherwise than we do.

use std::io::{self, Read, Write};

use prism_core::{CloseCode, ProtocolError, Role};
use tungstenite::{
    Error, Message,
    protocol::{Role as TheirRole, WebSocket, WebSocketConfig},
};

use crate::{
    LIMIT,
    common::{
        Seen,
        machine::{Machine, limited},
    },
};

/// How far somebody got with a stream.
#[derive(Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The events, a close frame included.
    pub seen: Vec<Seen>,
    /// What came behind them.
    pub end: End,
}

/// What there is behind the events.
#[derive(Debug, PartialEq, Eq)]
pub enum End {
    /// Nothing is wrong so far.
    Waits,
    /// An error; ours is known.
    Failed(Option<ProtocolError>),
}

/// What we make of a stream, up to the first close frame or error.
pub fn ours(role: Role, stream: &[u8]) -> Verdict {
    let mut config = limited(LIMIT);
    // They have no such limit; ours is out of reach then.
    config.max_empty_fragments = u16::MAX;
    let mut seen = Machine::new(role, &config).receive(stream);
    let end = match seen.pop() {
        Some(Seen::Error(error)) => End::Failed(Some(error)),
        last => {
            seen.extend(last);
            End::Waits
        }
    };
    Verdict { seen, end }
}

/// What tungstenite makes of it.
///
/// # Panics
/// If it fails in a way that says nothing of the stream.
pub fn theirs(role: Role, stream: &[u8]) -> Verdict {
    let role = match role {
        Role::Server => TheirRole::Server,
        Role::Client => TheirRole::Client,
    };
    let config = WebSocketConfig::default()
        .read_buffer_size(1 << 10)
        .write_buffer_size(0)
        .max_message_size(Some(LIMIT))
        .max_frame_size(Some(LIMIT));
    let mut socket = WebSocket::from_raw_socket(Wire(stream), role, Some(config));
    let mut seen = Vec::new();
    loop {
        match socket.read() {
            Ok(message) => seen.push(event(message)),
            Err(Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => {
                return Verdict { seen, end: End::Waits };
            }
            Err(Error::Capacity(_) | Error::Protocol(_) | Error::Utf8(_)) => {
                return Verdict { seen, end: End::Failed(None) };
            }
            Err(error) => panic!("{error:?} is no verdict"),
        }
        if matches!(seen.last(), Some(Seen::Close(..))) {
            return Verdict { seen, end: End::Waits };
        }
    }
}

fn event(message: Message) -> Seen {
    match message {
        Message::Text(text) => Seen::Text(text.as_str().to_owned()),
        Message::Binary(bytes) => Seen::Binary(bytes.to_vec()),
        Message::Ping(payload) => Seen::Ping(payload.to_vec()),
        Message::Pong(payload) => Seen::Pong(payload.to_vec()),
        Message::Close(None) => Seen::Close(1005, String::new()),
        Message::Close(Some(frame)) => {
            Seen::Close(frame.code.into(), frame.reason.as_str().to_owned())
        }
        Message::Frame(frame) => panic!("nobody asked for {frame:?}"),
    }
}

/// Whether both say the same, or differ where it is known that they do:
///
/// - **Earlier.** We fail as soon as a byte is wrong (RFC 6455 §8.1 and §10.4 allow it), they when the
///   frame is there whole: then they still wait, with all events that we have seen.
/// - **Longer lengths than needed.** We refuse them, for §5.2 says "MUST"; they take them.
/// - **Close codes that must not be sent.** We fail; they report 1002 in place of the code.
/// - **1014.** It is registered since RFC 6455 was written, and we take it; to them it must not be sent.
pub fn agree(ours: &Verdict, theirs: &Verdict) -> bool {
    if ours == theirs {
        return true;
    }
    match &ours.end {
        End::Failed(Some(ProtocolError::NonMinimalLength)) => theirs.seen.starts_with(&ours.seen),
        End::Failed(Some(ProtocolError::InvalidCloseCode(_))) => {
            // Where the reason is wrong too, they fail for that.
            let failed = theirs.seen == ours.seen && matches!(theirs.end, End::Failed(_));
            failed || is_refused_close(theirs, &ours.seen)
        }
        End::Failed(_) => ours.seen == theirs.seen,
        End::Waits => match ours.seen.split_last() {
            Some((Seen::Close(code, _), before)) if *code == u16::from(CloseCode::BAD_GATEWAY) => {
                is_refused_close(theirs, before)
            }
            _ => false,
        },
    }
}

/// Whether they replaced the close frame that came behind these events.
fn is_refused_close(theirs: &Verdict, before: &[Seen]) -> bool {
    match theirs.seen.split_last() {
        Some((Seen::Close(1002, reason), rest)) if reason == "Protocol violation" => rest == before,
        _ => false,
    }
}

/// A transport that has so many bytes to give, takes all that it gets, and does not end.
struct Wire<'a>(&'a [u8]);

impl Read for Wire<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.0.is_empty() { Err(io::ErrorKind::WouldBlock.into()) } else { self.0.read(into) }
    }
}

impl Write for Wire<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
