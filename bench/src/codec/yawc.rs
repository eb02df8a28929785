//! yawc: `next_frame` of its `WebSocket`, which joins fragments and, if configured, checks text; and
//! `feed` for each message, then `flush`.
//!
//! The payload is a clone of `Bytes`. Its codec could be driven without I/O, but it neither joins fragments
//! nor checks text, so the comparison would be unfair.

use ::yawc::{Frame, Options, WebSocket};
use bytes::Bytes;
use futures_util::SinkExt;
use prism_core::Role;

use super::{
    item::Item,
    library::{Decode, Encode},
    memory::{Memory, now},
};

pub(super) struct Reader {
    ws: WebSocket<Memory>,
    messages: usize,
}

impl Decode for Reader {
    fn new(item: &Item, io: Memory) -> Self {
        Self { ws: websocket(Role::Server, io), messages: item.messages }
    }

    fn decode(&mut self, mut see: impl FnMut(&[u8])) {
        for _ in 0..self.messages {
            let frame = now(self.ws.next_frame()).expect("the wire is valid");
            see(frame.payload());
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
        Self { ws: websocket(role, io), messages: item.messages, payload }
    }

    fn encode(&mut self) {
        for _ in 0..self.messages {
            now(self.ws.feed(Frame::binary(self.payload.clone()))).expect("the connection is open");
        }
        now(self.ws.flush()).expect("memory does not fail");
    }
}

fn websocket(role: Role, io: Memory) -> WebSocket<Memory> {
    let role = match role {
        Role::Server => ::yawc::Role::Server,
        Role::Client => ::yawc::Role::Client,
    };
    let options = Options::default().with_utf8();
    WebSocket::from_stream(io, role, options).expect("nothing was negotiated")
}
