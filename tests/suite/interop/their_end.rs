//! [`TheirEnd`]: one of tungstenite's WebSockets in a scenario.

use futures_util::{Sink, SinkExt, Stream, StreamExt};
use tokio_tungstenite::tungstenite::{
    Bytes, Error, Message,
    protocol::{
        CloseFrame,
        frame::{
            Frame,
            coding::{Data, OpCode},
        },
    },
};

use super::flavour::Flavour;
use crate::suite::support::short;

/// The interface that both flavours share.
pub(super) trait WebSocket:
    Stream<Item = Result<Message, Error>> + Sink<Message, Error = Error> + Send + Unpin
{
}

impl<S> WebSocket for S where
    S: Stream<Item = Result<Message, Error>> + Sink<Message, Error = Error> + Send + Unpin
{
}

/// Their end of a connection, client or server. Like a blocking socket, it makes progress only
/// during a call.
pub(super) struct TheirEnd<'f> {
    flavour: &'f Flavour,
    socket: Box<dyn WebSocket>,
}

impl<'f> TheirEnd<'f> {
    pub(super) fn new(flavour: &'f Flavour, socket: impl WebSocket + 'static) -> Self {
        Self { flavour, socket: Box::new(socket) }
    }

    // ---- sending

    #[track_caller]
    pub(super) fn send(&mut self, message: Message) {
        self.flavour.block_on(self.socket.send(message)).expect("an open connection");
    }

    /// Sends a ping, and expects its pong before anything else.
    #[track_caller]
    pub(super) fn ping(&mut self, payload: &[u8]) {
        let payload = Bytes::copy_from_slice(payload);
        self.send(Message::Ping(payload.clone()));
        self.expect(&Message::Pong(payload));
    }

    /// Sends a message in three fragments, with a ping after each but the last.
    #[track_caller]
    pub(super) fn send_in_pieces(&mut self, kind: Data, pieces: [&'static [u8]; 3]) {
        let [first, middle, last] = pieces;
        self.send_piece(kind, first, false);
        self.ping(b"after the first");
        self.send_piece(Data::Continue, middle, false);
        self.ping(b"after the second");
        self.send_piece(Data::Continue, last, true);
    }

    #[track_caller]
    fn send_piece(&mut self, kind: Data, payload: &'static [u8], last: bool) {
        self.send(Message::Frame(Frame::message(payload, OpCode::Data(kind), last)));
    }

    #[track_caller]
    pub(super) fn send_close(&mut self, code: u16, reason: &'static str) {
        let close = CloseFrame { code: code.into(), reason: reason.into() };
        self.send(Message::Close(Some(close)));
    }

    // ---- receiving

    /// Receives a message, or `None` at the clean end of the connection.
    #[track_caller]
    fn next(&mut self) -> Option<Message> {
        let next = self.flavour.block_on(self.socket.next());
        next.transpose().expect("a message, or the end")
    }

    #[track_caller]
    pub(super) fn expect(&mut self, expected: &Message) {
        let message = self.next().expect("a message, but the connection has ended");
        assert!(message == *expected, "expected {}, but {}", short(expected), short(&message));
    }

    /// Expects a close frame, and returns its reason.
    #[track_caller]
    pub(super) fn expect_close(&mut self, code: u16) -> String {
        let message = self.next().expect("a close frame, but the connection has ended");
        let Message::Close(Some(close)) = message else {
            panic!("expected a close frame, but {}", short(&message));
        };
        assert_eq!(u16::from(close.code), code, "{}", close.reason);
        close.reason.to_string()
    }

    /// Expects the end after a close frame, and drops the connection.
    #[track_caller]
    pub(super) fn expect_end(mut self) {
        if let Some(message) = self.next() {
            panic!("expected the end, but {}", short(&message));
        }
    }
}
