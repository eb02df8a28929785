//! Prism: `prism-core`'s machine, in the loop that its documentation shows.
//!
//! The read is copied into a [`RecvBuffer`], and events are received until there are no more. The output
//! gathers in one buffer, and leaves in one write. Payloads are borrowed slices. A client's mask keys come
//! from the operating system, as in Prism's adapters.

use std::io::{Read, Write};

use bytes::{Bytes, BytesMut};
use prism_core::{Config, Event, MaskKeys, Message, RecvBuffer, Role, WebSocket};

use super::{
    item::{Item, Work},
    library::{self, Batch, Decode, Encode},
    memory::Memory,
    prism_deflate, prism_echo, prism_handshake,
};

pub(super) fn prepare(item: &Item) -> Option<Batch> {
    match item.work {
        Work::Echo => Some(prism_echo::prepare(item)),
        Work::Handshake => Some(prism_handshake::prepare(item)),
        Work::Deflate => Some(prism_deflate::deflate(item)),
        Work::Inflate => Some(prism_deflate::inflate(item)),
        Work::Decode | Work::Encode(_) => library::prepare::<Reader, Writer>(item),
    }
}

struct Reader {
    ws: WebSocket,
    buffer: RecvBuffer,
    out: BytesMut,
    io: Memory,
}

impl Decode for Reader {
    fn new(_: &Item, io: Memory) -> Self {
        let ws = WebSocket::server(&Config::default());
        // The size of the driver's own buffers, and room for the header of the largest message.
        let buffer = RecvBuffer::with_capacity(ROOM);
        Self { ws, buffer, out: BytesMut::new(), io }
    }

    fn decode(&mut self, mut see: impl FnMut(&[u8])) {
        let count = self.io.read(self.buffer.spare(ROOM)).expect("memory does not fail");
        self.buffer.received(count);
        while let Some(event) =
            self.ws.receive(&mut self.buffer, &mut self.out).expect("the wire is valid")
        {
            match event {
                Event::Message(Message::Binary(bytes)) => see(bytes),
                Event::Message(Message::Text(text)) => see(text.as_bytes()),
                _ => unreachable!("only messages are sent"),
            }
        }
    }
}

const ROOM: usize = (64 << 10) + 14;

struct Writer {
    ws: WebSocket,
    messages: usize,
    payload: Bytes,
    out: BytesMut,
    io: Memory,
}

impl Encode for Writer {
    fn new(item: &Item, role: Role, payload: Bytes, io: Memory) -> Self {
        let config = Config::default();
        let ws = match role {
            Role::Server => WebSocket::server(&config),
            Role::Client => WebSocket::client(
                &config,
                MaskKeys::new(|bytes| getrandom::fill(bytes).expect("the system has randomness")),
            ),
        };
        Self { ws, messages: item.messages, payload, out: BytesMut::new(), io }
    }

    fn encode(&mut self) {
        for _ in 0..self.messages {
            self.ws.send(&self.payload[..], &mut self.out).expect("the connection is open");
        }
        self.io.write_all(&self.out).expect("memory does not fail");
        self.out.clear();
    }
}
