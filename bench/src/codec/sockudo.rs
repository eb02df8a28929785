//! sockudo-ws: its `Protocol`, which needs no I/O, as its own benchmarks drive it.
//!
//! `process_into` returns all messages of a read in a reused vector, its "zero-allocation hot path";
//! `encode_message` appends a prepared message to one buffer.

use std::io::Write;

use bytes::{Bytes, BytesMut};
use prism_core::Role;
use sockudo_ws::{Config, Message, protocol::Protocol};

use super::{
    item::Item,
    library::{Decode, Encode},
    memory::Memory,
};

pub(super) struct Reader {
    protocol: Protocol,
    buffer: BytesMut,
    messages: Vec<Message>,
    io: Memory,
}

impl Decode for Reader {
    fn new(item: &Item, io: Memory) -> Self {
        let messages = Vec::with_capacity(item.messages);
        Self { protocol: protocol(Role::Server), buffer: BytesMut::new(), messages, io }
    }

    fn decode(&mut self, mut see: impl FnMut(&[u8])) {
        self.buffer.extend_from_slice(self.io.bring(usize::MAX));
        self.protocol
            .process_into(&mut self.buffer, &mut self.messages)
            .expect("the wire is valid");
        for message in self.messages.drain(..) {
            see(message.as_bytes());
        }
    }
}

pub(super) struct Writer {
    protocol: Protocol,
    messages: usize,
    message: Message,
    out: BytesMut,
    io: Memory,
}

impl Encode for Writer {
    fn new(item: &Item, role: Role, payload: Bytes, io: Memory) -> Self {
        Self {
            protocol: protocol(role),
            messages: item.messages,
            message: Message::Binary(payload),
            out: BytesMut::new(),
            io,
        }
    }

    fn encode(&mut self) {
        for _ in 0..self.messages {
            self.protocol
                .encode_message(&self.message, &mut self.out)
                .expect("the connection is open");
        }
        self.io.write_all(&self.out).expect("memory does not fail");
        self.out.clear();
    }
}

fn protocol(role: Role) -> Protocol {
    let role = match role {
        Role::Server => sockudo_ws::Role::Server,
        Role::Client => sockudo_ws::Role::Client,
    };
    let config = Config::default();
    Protocol::new(role, config.max_frame_size, config.max_message_size)
}
