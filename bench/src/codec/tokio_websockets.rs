//! tokio-websockets: `next` of its stream of messages; and `feed` for each message, then `flush`.
//!
//! It uses `fastrand`, its fastest generator for mask keys. The payload is a clone of `Bytes`. It gathers
//! frames up to 8 KiB without copying them, and writes them in one vectored write.

use ::tokio_websockets::{ClientBuilder, Message, ServerBuilder, WebSocketStream};
use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use prism_core::Role;

use super::{
    item::Item,
    library::{Decode, Encode},
    memory::{Memory, now},
};

pub(super) struct Reader {
    ws: WebSocketStream<Memory>,
    messages: usize,
}

impl Decode for Reader {
    fn new(item: &Item, io: Memory) -> Self {
        Self { ws: ServerBuilder::new().serve(io), messages: item.messages }
    }

    fn decode(&mut self, mut see: impl FnMut(&[u8])) {
        for _ in 0..self.messages {
            let message = now(self.ws.next()).expect("the wire goes on").expect("it is valid");
            see(message.as_payload());
        }
    }
}

pub(super) struct Writer {
    ws: WebSocketStream<Memory>,
    messages: usize,
    payload: Bytes,
}

impl Encode for Writer {
    fn new(item: &Item, role: Role, payload: Bytes, io: Memory) -> Self {
        let ws = match role {
            Role::Server => ServerBuilder::new().serve(io),
            Role::Client => ClientBuilder::new().take_over(io),
        };
        Self { ws, messages: item.messages, payload }
    }

    fn encode(&mut self) {
        for _ in 0..self.messages {
            let message = Message::binary(self.payload.clone());
            now(self.ws.feed(message)).expect("the connection is open");
        }
        now(self.ws.flush()).expect("memory does not fail");
    }
}
