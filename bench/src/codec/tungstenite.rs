//! tungstenite: its blocking `WebSocket`, `read`; and `write` for each message, then `flush`.
//!
//! Its buffers have their default size, which holds every batch. The payload is a clone of `Bytes`, as its
//! documentation advises.

use ::tungstenite::{Message, WebSocket, protocol};
use bytes::Bytes;
use prism_core::Role;

use super::{
    item::Item,
    library::{Decode, Encode},
    memory::Memory,
};

pub(super) struct Reader {
    ws: WebSocket<Memory>,
    messages: usize,
}

impl Decode for Reader {
    fn new(item: &Item, io: Memory) -> Self {
        let ws = WebSocket::from_raw_socket(io, protocol::Role::Server, None);
        Self { ws, messages: item.messages }
    }

    fn decode(&mut self, mut see: impl FnMut(&[u8])) {
        for _ in 0..self.messages {
            match self.ws.read().expect("the wire is valid") {
                Message::Binary(bytes) => see(&bytes),
                Message::Text(text) => see(text.as_str().as_bytes()),
                other => unreachable!("only messages are sent, not {other:?}"),
            }
        }
    }
}

pub(super) struct Writer {
    ws: WebSocket<Memory>,
    messages: usize,
    payload: Bytes,
}

impl Encode for Writer {
    fn new(item: &Item, role: Role, payload: Bytes, io: Memory) -> Self {
        let role = match role {
            Role::Server => protocol::Role::Server,
            Role::Client => protocol::Role::Client,
        };
        let ws = WebSocket::from_raw_socket(io, role, None);
        Self { ws, messages: item.messages, payload }
    }

    fn encode(&mut self) {
        for _ in 0..self.messages {
            let message = Message::Binary(self.payload.clone());
            self.ws.write(message).expect("the connection is open");
        }
        self.ws.flush().expect("memory does not fail");
    }
}
