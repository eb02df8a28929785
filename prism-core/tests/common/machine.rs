//! A connection under test: it receives bytes, and records events and output (RFC 6455 §5).

use core::time::Duration;

use bytes::BytesMut;
use prism_core::{
    CloseCode, Config, MaskKeys, Message, ProtocolError, RecvBuffer, Role, SendError, State,
    WebSocket,
};

use super::{
    Seen,
    frame::{Frame, encode_all, sent_by},
};

/// A state machine with its input, its output, and the events so far.
#[derive(Debug)]
pub struct Machine {
    pub role: Role,
    pub ws: WebSocket,
    pub buffer: RecvBuffer,
    pub out: BytesMut,
    /// The events that [`seen`](Self::seen) has not returned yet.
    unread: Vec<Seen>,
    /// Whether the peer has been told that this end has shut the transport down.
    pub shut: bool,
}

impl Machine {
    pub fn new(role: Role, config: &Config) -> Self {
        let ws = match role {
            Role::Server => WebSocket::server(config),
            Role::Client => WebSocket::client(config, mask_keys()),
        };
        let (buffer, out) = (RecvBuffer::new(), BytesMut::new());
        Self { role, ws, buffer, out, unread: Vec::new(), shut: false }
    }

    /// Compresses messages, as if this had been agreed in the handshake.
    #[cfg(feature = "deflate")]
    pub fn with_deflate(
        self,
        deflate: &std::sync::Arc<prism_core::deflate::Deflate>,
        params: prism_core::deflate::DeflateParams,
    ) -> Self {
        Self { ws: self.ws.with_deflate(deflate.clone(), params), ..self }
    }

    /// A server with the default limits.
    pub fn server() -> Self {
        Self::new(Role::Server, &Config::default())
    }

    /// A client with the default limits.
    pub fn client() -> Self {
        Self::new(Role::Client, &Config::default())
    }

    /// One of each, for rules that hold in both directions.
    pub fn both() -> [Self; 2] {
        [Self::server(), Self::client()]
    }

    /// Receives bytes as they are. Returns the events, up to an error.
    pub fn receive(&mut self, bytes: &[u8]) -> Vec<Seen> {
        self.buffer.extend_from_slice(bytes);
        self.receive_buffered()
    }

    /// Receives frames, masked as the peer has to.
    pub fn receive_frames(&mut self, frames: impl IntoIterator<Item = Frame>) -> Vec<Seen> {
        self.receive(&encode_all(self.peer(), frames))
    }

    /// Receives what is already in the input.
    pub fn receive_buffered(&mut self) -> Vec<Seen> {
        let mut seen = Vec::new();
        loop {
            match self.ws.receive(&mut self.buffer, &mut self.out) {
                Ok(Some(event)) => seen.push(event.into()),
                Ok(None) => return seen,
                Err(error) => {
                    seen.push(Seen::Error(error));
                    return seen;
                }
            }
        }
    }

    /// Takes the output, as frames without their masks.
    pub fn sent(&mut self) -> Vec<Frame> {
        sent_by(self.role, &self.out.split())
    }

    pub fn send<'m>(&mut self, message: impl Into<Message<'m>>) -> Result<(), SendError> {
        self.ws.send(message, &mut self.out)
    }

    pub fn ping(&mut self, payload: &[u8]) -> Result<(), SendError> {
        self.ws.ping(payload, &mut self.out)
    }

    pub fn pong(&mut self, payload: &[u8]) -> Result<(), SendError> {
        self.ws.pong(payload, &mut self.out)
    }

    pub fn close(&mut self, code: CloseCode, reason: &str) -> bool {
        self.ws.close(code, reason, &mut self.out)
    }

    /// Passes the time.
    pub fn at(&mut self, now: Duration) -> Result<(), ProtocolError> {
        self.ws.handle_timeout(now, &mut self.out)
    }

    pub const fn state(&self) -> State {
        self.ws.state()
    }

    pub const fn peer(&self) -> Role {
        match self.role {
            Role::Server => Role::Client,
            Role::Client => Role::Server,
        }
    }

    /// Keeps events for [`seen`](Self::seen).
    pub fn record(&mut self, seen: impl IntoIterator<Item = Seen>) {
        self.unread.extend(seen);
    }

    pub fn last_recorded(&self) -> Option<&Seen> {
        self.unread.last()
    }

    /// Returns whether it does not read any more.
    pub const fn shut_off(&self) -> bool {
        !self.ws.wants_read()
    }

    /// Returns the events since the last call.
    pub fn seen(&mut self) -> Vec<Seen> {
        core::mem::take(&mut self.unread)
    }
}

/// Checks all that must follow from bytes that break the protocol: the error, the close frame that
/// tells the peer, the same error from then on, and no further output.
#[track_caller]
pub fn assert_fails(machine: &mut Machine, bytes: &[u8], error: ProtocolError) {
    let seen = machine.receive(bytes);
    assert_eq!(seen.last(), Some(&Seen::Error(error)), "{:?} heard {bytes:02x?}", machine.role);
    let sent = machine.sent();
    let told = sent.last().expect("a close frame").close_code();
    assert_eq!(told, error.close_code().map(u16::from));
    let good =
        encode_all(machine.peer(), [Frame::text("more"), Frame::ping("?"), Frame::close(1000, "")]);
    assert_eq!(machine.receive(&good), [Seen::Error(error)], "fused");
    assert_eq!(machine.receive_buffered(), [Seen::Error(error)], "fused, with nothing new");
    assert_eq!(machine.send("late"), Err(SendError::Closed));
    assert_eq!(machine.sent(), [], "nothing follows the close frame");
    assert_eq!(machine.ws.receive_eof(), Err(error));
}

/// Keys that differ from frame to frame, and are the same in each run.
pub fn mask_keys() -> MaskKeys {
    let mut state = 0x9e37_79b9_u32;
    MaskKeys::new(move |bytes| {
        for byte in bytes {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            *byte = state as u8;
        }
    })
}

/// A configuration that never pings by itself.
pub fn quiet() -> Config {
    Config::default().ping_interval(None)
}

/// A configuration with this limit for a message.
pub fn limited(max_message_size: usize) -> Config {
    quiet().max_message_size(max_message_size)
}
