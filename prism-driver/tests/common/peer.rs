//! [`Peer`]: the other end of a connection under test, driven by hand through `prism-core`.

use bytes::BytesMut;
use futures_lite::{AsyncReadExt, AsyncWriteExt};
use prism_core::{
    CloseCode, Config, Event, MaskKeys, Message, ProtocolError, RecvBuffer, WebSocket,
};

use super::pipe::End;

/// A client that the test drives step by step. It answers pings and close frames only while the test
/// waits for something.
pub struct Peer {
    pub io: End,
    pub ws: WebSocket,
    buffer: RecvBuffer,
    out: BytesMut,
    mute: bool,
}

/// What a peer has seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    Text(String),
    Binary(Vec<u8>),
    Ping,
    Pong(Vec<u8>),
    Close(u16, String),
    /// The transport has ended.
    End(Result<(), ProtocolError>),
}

impl Peer {
    /// Creates the client's end of a connection whose handshake is done.
    pub fn open(io: End) -> Self {
        let mut config = Config::default();
        config.ping_interval = None;
        config.max_message_size = 64 << 20;
        let keys = MaskKeys::new(|bytes| bytes.fill(0x5a));
        Self {
            io,
            ws: WebSocket::client(&config, keys),
            buffer: RecvBuffer::new(),
            out: BytesMut::new(),
            mute: false,
        }
    }

    /// Stops automatic answers: no pongs, and no answer to a close frame.
    pub fn mute(&mut self) {
        self.mute = true;
    }

    /// Keeps only the transport, which frees the peer's buffers.
    pub fn into_io(self) -> End {
        self.io
    }

    pub async fn send<'m>(&mut self, message: impl Into<Message<'m>>) {
        self.ws.send(message, &mut self.out).unwrap();
        self.flush().await;
    }

    /// Sends several messages that arrive in one read.
    pub async fn send_together(&mut self, messages: &[&str]) {
        for message in messages {
            self.ws.send(*message, &mut self.out).unwrap();
        }
        self.flush().await;
    }

    /// Sends several messages and a close frame that arrive in one read.
    pub async fn send_and_close(&mut self, messages: &[impl AsRef<str>], code: u16, reason: &str) {
        for message in messages {
            self.ws.send(message.as_ref(), &mut self.out).unwrap();
        }
        self.close(code, reason).await;
    }

    pub async fn ping(&mut self, payload: &[u8]) {
        self.ws.ping(payload, &mut self.out).unwrap();
        self.flush().await;
    }

    pub async fn close(&mut self, code: u16, reason: &str) {
        let code = CloseCode::new(code).unwrap();
        assert!(self.ws.close(code, reason, &mut self.out));
        self.flush().await;
    }

    /// Ends this side of the transport, and goes on reading.
    pub async fn end(&mut self) {
        self.io.close().await.unwrap();
    }

    pub async fn raw(&mut self, bytes: &[u8]) {
        self.io.write_all(bytes).await.unwrap();
    }

    /// Receives the next event.
    pub async fn next(&mut self) -> Seen {
        loop {
            let seen = match self.ws.receive(&mut self.buffer, &mut self.out).unwrap() {
                Some(Event::Message(Message::Text(text))) => Some(Seen::Text(text.to_owned())),
                Some(Event::Message(Message::Binary(bytes))) => Some(Seen::Binary(bytes.to_vec())),
                Some(Event::Ping(_)) => Some(Seen::Ping),
                Some(Event::Pong(payload)) => Some(Seen::Pong(payload.to_vec())),
                Some(Event::Close(frame)) => {
                    Some(Seen::Close(frame.code.into(), frame.reason.to_owned()))
                }
                None => None,
            };
            if self.mute {
                self.out.clear();
            }
            self.flush().await;
            if let Some(seen) = seen {
                return seen;
            }
            match self.io.read(self.buffer.spare(4096)).await {
                Ok(0) | Err(_) => return Seen::End(self.ws.receive_eof()),
                Ok(count) => self.buffer.received(count),
            }
        }
    }

    /// Receives the next event that is not a ping.
    pub async fn next_but_pings(&mut self) -> Seen {
        loop {
            match self.next().await {
                Seen::Ping => {}
                seen => return seen,
            }
        }
    }

    /// Receives all events except pings until the transport ends.
    pub async fn all(&mut self) -> Vec<Seen> {
        let mut all = Vec::new();
        loop {
            let seen = self.next_but_pings().await;
            let over = matches!(seen, Seen::End(_));
            all.push(seen);
            if over {
                return all;
            }
        }
    }

    async fn flush(&mut self) {
        // If the server is gone, the next read shows it.
        let _ = self.io.write_all(&self.out.split()).await;
    }
}
