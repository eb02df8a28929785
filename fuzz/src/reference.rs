//! tungstenite's verdict on a stream, and the known differences from ours.

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

/// The result of parsing a stream.
#[derive(Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The events, including a close frame.
    pub seen: Vec<Seen>,
    /// What follows the events.
    pub end: End,
}

/// What follows the events.
#[derive(Debug, PartialEq, Eq)]
pub enum End {
    /// Nothing is wrong so far.
    Waits,
    /// An error, which is known if it is ours.
    Failed(Option<ProtocolError>),
}

/// Returns our verdict on a stream, up to the first close frame or error.
pub fn ours(role: Role, stream: &[u8]) -> Verdict {
    let mut config = limited(LIMIT);
    // tungstenite has no such limit, so ours is put out of reach.
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

/// Returns tungstenite's verdict on a stream.
///
/// # Panics
/// If it fails for a reason other than the stream.
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
    let mut socket = WebSocket::from_raw_socket(SliceStream(stream), role, Some(config));
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
            Err(error) => panic!("{error:?} says nothing about the stream"),
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
        Message::Frame(frame) => panic!("unexpected raw frame: {frame:?}"),
    }
}

/// Returns whether both verdicts agree, or differ in a known way:
///
/// - **Earlier errors.** Prism fails at the first wrong byte (RFC 6455 §8.1 and §10.4 allow it), and
///   tungstenite when the frame is complete. Until then it still waits, with all events that we have seen.
/// - **Lengths in a longer form than needed.** Prism refuses them, because §5.2 says "MUST"; tungstenite
///   accepts them.
/// - **Close codes that must not be sent.** Prism fails; tungstenite reports 1002 in place of the code.
/// - **1014.** It was registered after RFC 6455. Prism accepts it; tungstenite refuses it.
pub fn agree(ours: &Verdict, theirs: &Verdict) -> bool {
    if ours == theirs {
        return true;
    }
    match &ours.end {
        End::Failed(Some(ProtocolError::NonMinimalLength)) => theirs.seen.starts_with(&ours.seen),
        End::Failed(Some(ProtocolError::InvalidCloseCode(_))) => {
            // If the reason is invalid too, tungstenite fails because of that.
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

/// Returns whether tungstenite replaced the close frame after these events.
fn is_refused_close(theirs: &Verdict, before: &[Seen]) -> bool {
    match theirs.seen.split_last() {
        Some((Seen::Close(1002, reason), rest)) if reason == "Protocol violation" => rest == before,
        _ => false,
    }
}

/// A transport that returns these bytes, accepts all writes, and never ends.
struct SliceStream<'a>(&'a [u8]);

impl Read for SliceStream<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.0.is_empty() { Err(io::ErrorKind::WouldBlock.into()) } else { self.0.read(into) }
    }
}

impl Write for SliceStream<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
