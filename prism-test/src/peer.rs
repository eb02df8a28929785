//! [`Peer`]: the other end of a connection under test, driven by hand through `prism-core`.

use std::sync::Arc;

use bytes::BytesMut;
use futures_lite::{AsyncReadExt, AsyncWriteExt};
use prism_core::{
    CloseCode, Config, Event, MaskKeys, Message, ProtocolError, RecvBuffer, WebSocket,
    deflate::{Deflate, DeflateParams},
};

use crate::pipe::PipeEnd;

/// A client that the test drives step by step, on its end of a [`pipe`](crate::pipe()).
///
/// It reads, and answers pings and close frames, only while the test waits for something. So a peer of which the test
/// asks nothing is a peer that does not read. It sends no pings of its own, and accepts messages of up to 64 MiB.
///
/// Where the peer need not be controlled so closely, a [`Client`](prism_driver::Client) is more convenient.
pub struct Peer {
    io: PipeEnd,
    websocket: WebSocket,
    buffer: RecvBuffer,
    out: BytesMut,
    mute: bool,
}

/// What a [`Peer`] has received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Received {
    /// A text message.
    Text(String),
    /// A binary message.
    Binary(Vec<u8>),
    /// A ping, which the peer has answered unless it is [mute](Peer::mute).
    Ping,
    /// A pong, with its payload.
    Pong(Vec<u8>),
    /// A close frame, with its code (1005 if there is none) and reason. The peer has answered it unless it is
    /// [mute](Peer::mute).
    Close(u16, String),
    /// The transport has ended: properly if there was a close frame, with an error otherwise.
    End(Result<(), ProtocolError>),
}

impl Peer {
    /// Creates the client's end of a connection whose opening handshake is done.
    pub fn new(io: PipeEnd) -> Self {
        let mut config = Config::default();
        config.ping_interval = None;
        config.max_message_size = 64 << 20;
        let keys = MaskKeys::new(|bytes| bytes.fill(0x5a));
        Self {
            io,
            websocket: WebSocket::client(&config, keys),
            buffer: RecvBuffer::new(),
            out: BytesMut::new(),
            mute: false,
        }
    }

    /// Compresses messages with what the opening handshake has agreed on.
    #[must_use]
    pub fn with_deflate(mut self, deflate: Arc<Deflate>, params: DeflateParams) -> Self {
        self.websocket = self.websocket.with_deflate(deflate, params);
        self
    }

    /// Returns what the opening handshake has agreed on, if messages are compressed.
    pub fn deflate_params(&self) -> Option<DeflateParams> {
        self.websocket.deflate_params()
    }

    /// Stops automatic answers: no pongs, and no answer to a close frame.
    pub fn mute(&mut self) {
        self.mute = true;
    }

    /// Returns the peer's end of the pipe, to send or receive bytes by hand.
    pub fn io(&mut self) -> &mut PipeEnd {
        &mut self.io
    }

    /// Keeps only the peer's end of the pipe. Bytes that the peer has read and not returned yet are lost.
    pub fn into_io(self) -> PipeEnd {
        self.io
    }

    /// Sends a message.
    ///
    /// # Panics
    /// If the peer has sent a close frame.
    pub async fn send<'m>(&mut self, message: impl Into<Message<'m>>) {
        self.websocket.send(message, &mut self.out).expect("no close frame was sent");
        self.flush().await;
    }

    /// Sends several messages that arrive in one read.
    ///
    /// # Panics
    /// If the peer has sent a close frame.
    pub async fn send_together(&mut self, messages: &[impl AsRef<str>]) {
        self.encode(messages);
        self.flush().await;
    }

    /// Sends several messages and a close frame that arrive in one read.
    ///
    /// # Panics
    /// If the peer has sent a close frame, or if the code may not be sent (RFC 6455 §7.4).
    pub async fn send_and_close(&mut self, messages: &[impl AsRef<str>], code: u16, reason: &str) {
        self.encode(messages);
        self.close(code, reason).await;
    }

    /// Sends a ping.
    ///
    /// # Panics
    /// If the payload is longer than 125 bytes, or if the peer has sent a close frame.
    pub async fn ping(&mut self, payload: &[u8]) {
        self.websocket.ping(payload, &mut self.out).expect("a short payload, and no close frame");
        self.flush().await;
    }

    /// Sends a close frame.
    ///
    /// # Panics
    /// If the peer has sent one already, or if the code may not be sent (RFC 6455 §7.4).
    pub async fn close(&mut self, code: u16, reason: &str) {
        let code = CloseCode::new(code).expect("a code that may be sent");
        assert!(self.websocket.close(code, reason, &mut self.out), "a second close frame");
        self.flush().await;
    }

    /// Ends this side of the transport, without a close frame, and goes on reading.
    ///
    /// # Panics
    /// If [faults](crate::Faults) make it fail.
    pub async fn end(&mut self) {
        self.io.close().await.expect("the pipe is closed");
    }

    /// Sends bytes as they are, such as a malformed frame.
    ///
    /// # Panics
    /// If the other end is gone.
    pub async fn raw(&mut self, bytes: &[u8]) {
        self.io.write_all(bytes).await.expect("the other end is there");
    }

    /// Receives the next event.
    ///
    /// # Panics
    /// If the other end violates the protocol.
    pub async fn next(&mut self) -> Received {
        loop {
            let received = self.event();
            if self.mute {
                self.out.clear();
            }
            self.flush().await;
            if let Some(received) = received {
                return received;
            }
            match self.io.read(self.buffer.spare(4096)).await {
                Ok(0) | Err(_) => return Received::End(self.websocket.receive_eof()),
                Ok(count) => self.buffer.received(count),
            }
        }
    }

    /// Receives the next event that is not a ping.
    ///
    /// # Panics
    /// As for [`next`](Self::next).
    pub async fn next_but_pings(&mut self) -> Received {
        loop {
            match self.next().await {
                Received::Ping => {}
                received => return received,
            }
        }
    }

    /// Receives all events except pings until the transport ends.
    ///
    /// # Panics
    /// As for [`next`](Self::next).
    pub async fn all(&mut self) -> Vec<Received> {
        let mut all = Vec::new();
        loop {
            let received = self.next_but_pings().await;
            let over = matches!(received, Received::End(_));
            all.push(received);
            if over {
                return all;
            }
        }
    }

    /// Returns an event that the bytes so far contain.
    fn event(&mut self) -> Option<Received> {
        let event = self.websocket.receive(&mut self.buffer, &mut self.out);
        Some(match event.expect("the other end follows the protocol")? {
            Event::Message(Message::Text(text)) => Received::Text(text.to_owned()),
            Event::Message(Message::Binary(bytes)) => Received::Binary(bytes.to_vec()),
            Event::Ping(_) => Received::Ping,
            Event::Pong(payload) => Received::Pong(payload.to_vec()),
            Event::Close(frame) => Received::Close(frame.code.into(), frame.reason.to_owned()),
        })
    }

    fn encode(&mut self, messages: &[impl AsRef<str>]) {
        for message in messages {
            self.websocket.send(message.as_ref(), &mut self.out).expect("no close frame was sent");
        }
    }

    async fn flush(&mut self) {
        // If the other end is gone, the next read shows it.
        let _ = self.io.write_all(&self.out.split()).await;
    }
}
