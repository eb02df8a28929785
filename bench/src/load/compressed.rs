//! Messages on connections with permessage-deflate (RFC 7692): what is offered and sent, and whether the replies are
//! what they should be.

use std::{io, sync::Arc};

use bytes::BytesMut;
use mio::{Events, Poll};
use prism_core::{
    Config, Event, MaskKeys, Message, RecvBuffer, WebSocket,
    deflate::{Deflate, DeflateParams, WindowBits},
};

use super::{
    Replies,
    client::{self, Client, READ_SIZE, Site},
    frames::Frames,
};
use crate::json;

/// How many different messages are sent.
const MESSAGES: usize = 64;

/// How many replies are checked on each connection.
const CHECKED: usize = 4;

/// The level of what is sent, and its window: the smallest that one of the servers demands, so that all receive the
/// same bytes.
const LEVEL: u8 = 6;
const WINDOW: WindowBits = WindowBits::new(12).expect("12 is from 8 to 15");

/// JSON that is compressed.
#[derive(Clone, Copy, Debug)]
pub struct Compressed {
    /// The length of a message before it is compressed, in bytes.
    pub size: usize,
    /// Whether the server's messages may refer to its earlier ones (context takeover). The client's never do.
    pub takeover: bool,
}

impl Compressed {
    /// Returns the site with the offer in its request.
    pub(super) fn site(self, site: impl Into<Site>) -> Site {
        site.into().offering(if self.takeover {
            "permessage-deflate; client_no_context_takeover; client_max_window_bits"
        } else {
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover; client_max_window_bits"
        })
    }

    /// Returns the frames of all messages, compressed.
    pub(super) fn frames(self) -> Frames {
        let deflate = Arc::new(Deflate::default().level(LEVEL).threshold(0));
        let params = DeflateParams {
            client_no_context_takeover: true,
            client_max_window_bits: WINDOW,
            ..DeflateParams::default()
        };
        let mut socket = socket().with_deflate(deflate, params);
        let (mut bytes, mut lens) = (BytesMut::new(), Vec::new());
        for message in self.messages() {
            let begin = bytes.len();
            socket.send(&message, &mut bytes).expect("the connection is open");
            lens.push(bytes.len() - begin);
        }
        Frames::new(bytes.into(), lens)
    }

    /// Sends the first messages on the first `senders` connections, and checks that all connections receive them,
    /// compressed. Begins to record the lengths of replies. Returns the window of the server's messages.
    ///
    /// # Errors
    /// If the connections have not agreed on what was offered, or a reply is wrong.
    pub(super) fn check(
        self,
        poll: &mut Poll,
        clients: &mut [Client],
        senders: usize,
        frames: &Frames,
    ) -> io::Result<WindowBits> {
        let params = self.agreed(clients)?;
        let messages = self.messages();
        let mut receivers: Vec<_> = clients.iter().map(|_| Receiver::new(params)).collect();
        for client in &mut clients[..senders] {
            client.send(frames.pattern(), frames.len_of(0, CHECKED))?;
        }
        let mut events = Events::with_capacity(1024);
        let mut buffer = vec![0; READ_SIZE];
        while receivers.iter().any(|receiver| receiver.messages < CHECKED) {
            client::wait(poll, &mut events)?;
            for event in &events {
                let (client, receiver) =
                    (&mut clients[event.token().0], &mut receivers[event.token().0]);
                client.send(frames.pattern(), 0)?;
                client.receive_with(&mut buffer, |bytes| {
                    receiver.received.extend_from_slice(bytes)
                })?;
                receiver.check(&messages)?;
            }
        }
        all_compressed(clients)?;
        clients.iter_mut().for_each(Client::record_lengths);
        Ok(params.server_max_window_bits)
    }

    /// Returns what all of these connections have agreed on.
    fn agreed(self, clients: &[Client]) -> io::Result<DeflateParams> {
        let answer = clients[0].extensions();
        let wrong = || io::Error::other(format!("the server's answer to the offer is {answer:?}"));
        let params = Deflate::default()
            .check_answer(answer.map(str::as_bytes))
            .map_err(|_| wrong())?
            .filter(|params| {
                params.server_no_context_takeover != self.takeover
                    && params.client_max_window_bits >= WINDOW
            })
            .ok_or_else(wrong)?;
        let all = clients.iter().all(|client| client.extensions() == answer);
        if all { Ok(params) } else { Err(io::Error::other("the server's answers differ")) }
    }

    /// Returns what was received since [`check`](Self::check).
    ///
    /// # Errors
    /// If a reply was not compressed.
    pub(super) fn replies(clients: &[Client], window: WindowBits) -> io::Result<Replies> {
        all_compressed(clients)?;
        let mut lens: Vec<_> = clients.iter().flat_map(Client::lengths).copied().collect();
        let middle = lens.len() / 2;
        let (_, &mut len, _) = lens.select_nth_unstable(middle);
        Ok(Replies { len, window_bits: window.get() })
    }

    fn messages(self) -> Vec<String> {
        json::messages(MESSAGES, self.size)
    }
}

fn all_compressed(clients: &[Client]) -> io::Result<()> {
    if clients.iter().all(|client| client.compressed == client.messages) {
        return Ok(());
    }
    Err(io::Error::other("a reply was not compressed"))
}

/// Returns a client that has agreed on nothing yet.
fn socket() -> WebSocket {
    WebSocket::client(&Config::default(), MaskKeys::new(|keys| keys.fill(0x5a)))
}

/// Decompresses what one connection receives.
struct Receiver {
    socket: WebSocket,
    received: RecvBuffer,
    messages: usize,
}

impl Receiver {
    fn new(params: DeflateParams) -> Self {
        let socket = socket().with_deflate(Arc::default(), params);
        Self { socket, received: RecvBuffer::new(), messages: 0 }
    }

    /// Checks that what has arrived is what was sent.
    fn check(&mut self, expected: &[String]) -> io::Result<()> {
        let mut out = BytesMut::new();
        while let Some(event) =
            self.socket.receive(&mut self.received, &mut out).map_err(io::Error::other)?
        {
            let Event::Message(message) = event else { continue };
            if message != Message::Text(&expected[self.messages % expected.len()]) {
                return Err(io::Error::other("a reply is not what was sent"));
            }
            self.messages += 1;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sent_can_be_decompressed() {
        let json = Compressed { size: 1 << 10, takeover: true };
        let (frames, messages) = (json.frames(), json.messages());
        assert!(frames.pattern().len() < MESSAGES * json.size / 2);
        let params = DeflateParams {
            client_no_context_takeover: true,
            client_max_window_bits: WINDOW,
            ..DeflateParams::default()
        };
        let mut server = WebSocket::server(&Config::default()).with_deflate(Arc::default(), params);
        let (mut input, mut out) = (RecvBuffer::new(), BytesMut::new());
        input.extend_from_slice(frames.pattern());
        for message in &messages {
            let event = server.receive(&mut input, &mut out).unwrap();
            assert_eq!(event, Some(Event::Message(Message::Text(message))));
        }
    }

    #[test]
    fn a_reply_that_differs_is_an_error() {
        let params = DeflateParams::default();
        let mut server = WebSocket::server(&Config::default()).with_deflate(Arc::default(), params);
        let mut receiver = Receiver::new(params);
        let expected = json::messages(2, 1 << 10);
        for (sent, is_right) in [(0, true), (1, true), (1, false)] {
            let mut wire = BytesMut::new();
            server.send(&expected[sent], &mut wire).unwrap();
            assert!(wire.len() < 700 && wire[0] & 0x40 != 0, "it is compressed");
            receiver.received.extend_from_slice(&wire);
            assert_eq!(receiver.check(&expected).is_ok(), is_right);
        }
    }
}
