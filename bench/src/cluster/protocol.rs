//! What clients and nodes say to each other.

use std::{io, str::FromStr};

/// The length of a message's text. It begins with the message's number.
const LEN: usize = 100;

/// How many digits a number has.
const DIGITS: usize = 10;

/// The highest number.
pub(super) const MAX_NUMBER: u64 = 9_999_999_999;

/// What goes before a message's text, and after it, in Socket.IO 5 on Engine.IO 4: an event that has the text as its
/// only argument.
const EVENT: (&[u8], &[u8]) = (br#"42["message",""#, br#""]"#);

/// What a contestant's clients speak over their WebSockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    /// A message is a text. The path has the room.
    Plain,
    /// Socket.IO 5 on Engine.IO 4. The query has the room.
    SocketIo,
}

/// What a node says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// Engine.IO is open, and the client may connect to Socket.IO.
    Open,
    /// The client is a member of its room, or will be one soon.
    Connected,
    Ping,
    /// A message to the room, with this number.
    Message(u64),
}

impl Protocol {
    /// The name on the command line.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::SocketIo => "socket.io",
        }
    }

    /// Returns the target of the request of a member of this room.
    pub(super) fn target(self, room: usize) -> String {
        match self {
            Self::Plain => format!("/rooms/room-{room}"),
            Self::SocketIo => format!("/socket.io/?EIO=4&transport=websocket&room=room-{room}"),
        }
    }

    /// Returns whether the handshake of WebSocket is all that a client has to wait for.
    pub(super) const fn is_plain(self) -> bool {
        matches!(self, Self::Plain)
    }

    /// Appends the payload of the message with this number.
    pub(super) fn append_message(self, number: u64, payload: &mut Vec<u8>) {
        let (before, after) = if self.is_plain() { (&b""[..], &b""[..]) } else { EVENT };
        payload.extend_from_slice(before);
        let text = payload.len();
        payload.extend(
            (0..DIGITS as u32).rev().map(|place| b'0' + (number / 10_u64.pow(place) % 10) as u8),
        );
        payload.resize(text + LEN, b'.');
        payload.extend_from_slice(after);
    }

    /// Reads the payload of a text message.
    ///
    /// # Errors
    /// If a node says nothing like it.
    pub(super) fn read(self, payload: &[u8]) -> io::Result<Said> {
        let said = match self {
            Self::Plain => number(payload).map(Said::Message),
            Self::SocketIo => match payload {
                [b'0', ..] => Some(Said::Open),
                b"2" => Some(Said::Ping),
                [b'4', b'0', ..] => Some(Said::Connected),
                _ => payload.strip_prefix(EVENT.0).and_then(number).map(Said::Message),
            },
        };
        said.ok_or_else(|| {
            io::Error::other(format!("a node said {:?}", String::from_utf8_lossy(payload)))
        })
    }
}

impl Said {
    /// Returns what the client answers, if it has to.
    pub(super) const fn answer(self) -> Option<&'static [u8]> {
        match self {
            Self::Open => Some(b"40"),
            Self::Ping => Some(b"3"),
            Self::Connected | Self::Message(_) => None,
        }
    }
}

fn number(text: &[u8]) -> Option<u64> {
    std::str::from_utf8(text.get(..DIGITS)?).ok()?.parse().ok()
}

impl FromStr for Protocol {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        let named =
            [Self::Plain, Self::SocketIo].into_iter().find(|protocol| protocol.name() == word);
        named.ok_or_else(|| format!("unknown protocol {word}: it is plain or socket.io"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_a_message_is_read_back() {
        for protocol in [Protocol::Plain, Protocol::SocketIo] {
            for number in [0, 42, MAX_NUMBER] {
                let mut payload = Vec::new();
                protocol.append_message(number, &mut payload);
                assert_eq!(protocol.read(&payload).unwrap(), Said::Message(number));
            }
            assert!(protocol.read(b"").is_err() && protocol.read(b"hello").is_err());
            assert_eq!(protocol.name().parse(), Ok(protocol));
        }
        let mut payload = Vec::new();
        Protocol::SocketIo.append_message(7, &mut payload);
        let text = String::from_utf8(payload).unwrap();
        assert!(
            text.starts_with(r#"42["message","0000000007..."#) && text.ends_with(r#"."]"#),
            "{text}"
        );
    }

    #[test]
    fn a_client_opens_connects_and_answers_pings() {
        let read = |payload: &[u8]| Protocol::SocketIo.read(payload).unwrap();
        let answers = [&br#"0{"sid":"x","pingInterval":25000}"#[..], b"2", br#"40{"sid":"y"}"#];
        let answers = answers.map(|payload| read(payload).answer());
        assert_eq!(answers, [Some(&b"40"[..]), Some(&b"3"[..]), None]);
    }
}
