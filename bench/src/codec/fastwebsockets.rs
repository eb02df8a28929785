//! fastwebsockets: `read_frame` of a `FragmentCollector`, which returns whole messages; and
//! `write_frame` for each message, then `flush`.
//!
//! It writes each frame separately, which costs nothing in memory. The payload is borrowed; a client masks
//! a copy of it.

use ::fastwebsockets::{FragmentCollector, Frame, Payload, Role as TheirRole, WebSocket};
use bytes::Bytes;
use prism_core::Role;

use super::{
    item::Item,
    library::{Decode, Encode},
    memory::{Memory, now},
};

pub(super) struct Reader {
    ws: FragmentCollector<Memory>,
    messages: usize,
}

impl Decode for Reader {
    fn new(item: &Item, io: Memory) -> Self {
        let ws = FragmentCollector::new(WebSocket::after_handshake(io, TheirRole::Server));
        Self { ws, messages: item.messages }
    }

    fn decode(&mut self, mut see: impl FnMut(&[u8])) {
        for _ in 0..self.messages {
            let frame = now(self.ws.read_frame()).expect("the wire is valid");
            see(&frame.payload);
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
            Role::Server => TheirRole::Server,
            Role::Client => TheirRole::Client,
        };
        Self { ws: WebSocket::after_handshake(io, role), messages: item.messages, payload }
    }

    fn encode(&mut self) {
        for _ in 0..self.messages {
            let frame = Frame::binary(Payload::Borrowed(&self.payload));
            now(self.ws.write_frame(frame)).expect("the connection is open");
        }
        now(self.ws.flush()).expect("memory does not fail");
    }
}
