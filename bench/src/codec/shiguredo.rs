//! shiguredo_websocket: its connections, which need no I/O, in the loop that its documentation shows.
//!
//! What was read is passed to `feed_recv_buf`, and events are polled until there are no more. Messages are passed to
//! `send_binary` or `send_text`, and outputs are polled, one for each frame. A client's mask keys come from the
//! operating system.

use std::hint::black_box;

use bytes::Bytes;
use prism_core::Role;
use shiguredo_websocket::{
    ClientConnectionOptions, ConnectionEvent, ConnectionOutput, PerMessageDeflateConfig,
    RandomSource, ServerConnectionOptions, Timestamp, WebSocketClientConnection,
    WebSocketServerConnection,
};

use super::{
    item::{Item, Work},
    library::{self, Batch, Decode, Encode},
    memory::Memory,
    prism_deflate,
};
use crate::json;

pub(super) fn prepare(item: &Item) -> Option<Batch> {
    match item.work {
        Work::Deflate => Some(deflate(item)),
        Work::Inflate => Some(inflate(item)),
        _ => library::prepare::<Reader, Writer>(item),
    }
}

struct Reader {
    ws: WebSocketServerConnection,
    io: Memory,
}

impl Decode for Reader {
    fn new(_: &Item, io: Memory) -> Self {
        Self { ws: pair(None).1, io }
    }

    fn decode(&mut self, mut see: impl FnMut(&[u8])) {
        self.ws.feed_recv_buf(self.io.bring(usize::MAX)).expect("the wire is valid");
        while let Some(event) = self.ws.poll_event() {
            match event {
                ConnectionEvent::BinaryMessage(bytes) => see(&bytes),
                ConnectionEvent::TextMessage(text) => see(text.as_bytes()),
                _ => unreachable!("only messages are sent"),
            }
        }
    }
}

struct Writer {
    ws: Side,
    messages: usize,
    payload: Bytes,
    io: Memory,
}

enum Side {
    Server(WebSocketServerConnection),
    Client(WebSocketClientConnection<SystemRandom>),
}

impl Encode for Writer {
    fn new(item: &Item, role: Role, payload: Bytes, io: Memory) -> Self {
        let (client, server) = pair(None);
        let ws = match role {
            Role::Server => Side::Server(server),
            Role::Client => Side::Client(client),
        };
        Self { ws, messages: item.messages, payload, io }
    }

    fn encode(&mut self) {
        for _ in 0..self.messages {
            let sent = match &mut self.ws {
                Side::Server(ws) => ws.send_binary(&self.payload),
                Side::Client(ws) => ws.send_binary(&self.payload),
            };
            sent.expect("the connection is open");
        }
        while let Some(output) = match &mut self.ws {
            Side::Server(ws) => ws.poll_output(),
            Side::Client(ws) => ws.poll_output(),
        } {
            if let ConnectionOutput::SendData(data) = output {
                self.io.take(&data);
            }
        }
    }
}

/// Prepares a server that compresses the messages of a batch.
fn deflate(item: &Item) -> Batch {
    let messages = json::messages(item.messages, item.len);
    let (_, mut server) = pair(Some(without_takeover()));
    Box::new(move || {
        let mut sent = 0;
        for message in &messages {
            server.send_text(message).expect("the connection is open");
            while let Some(output) = server.poll_output() {
                if let ConnectionOutput::SendData(data) = output {
                    sent += data.len();
                    black_box(data);
                }
            }
        }
        assert!(sent < messages.len() * messages[0].len(), "nothing was compressed");
    })
}

/// Prepares a server that decompresses the messages of a batch, which are the same bytes as for Prism.
fn inflate(item: &Item) -> Batch {
    let messages = json::messages(item.messages, item.len);
    let wire = prism_deflate::compressed_by_a_client(&messages);
    let (_, mut server) = pair(Some(without_takeover()));
    Box::new(move || {
        server.feed_recv_buf(&wire).expect("the wire is valid");
        let mut seen = 0;
        while let Some(event) = server.poll_event() {
            let ConnectionEvent::TextMessage(text) = event else {
                unreachable!("only text is sent")
            };
            assert_eq!(text, messages[seen]);
            seen += 1;
        }
        assert_eq!(seen, messages.len(), "every message arrives");
    })
}

fn without_takeover() -> PerMessageDeflateConfig {
    PerMessageDeflateConfig::new().server_no_context_takeover().client_no_context_takeover()
}

/// Returns a client and a server that have agreed.
fn pair(
    deflate: Option<PerMessageDeflateConfig>,
) -> (WebSocketClientConnection<SystemRandom>, WebSocketServerConnection) {
    let mut of_client = ClientConnectionOptions::new("localhost", "/");
    let mut of_server = ServerConnectionOptions::new();
    if let Some(deflate) = deflate {
        of_client = of_client.deflate(deflate.clone());
        of_server = of_server.deflate(deflate);
    }
    let mut client = WebSocketClientConnection::new(of_client, SystemRandom);
    let mut server = WebSocketServerConnection::new(of_server);
    client.connect().expect("the request is valid");
    while let Some(output) = client.poll_output() {
        if let ConnectionOutput::SendData(data) = output {
            server.feed_recv_buf(&data).expect("the request is valid");
        }
    }
    server.accept_handshake_auto().expect("the request is acceptable");
    while let Some(output) = server.poll_output() {
        if let ConnectionOutput::SendData(data) = output {
            client.feed_recv_buf(&data, Timestamp::from_millis(0)).expect("it is accepted");
        }
    }
    // What is left is that both have connected, and timers.
    while client.poll_event().is_some() {}
    while server.poll_event().is_some() {}
    while client.poll_output().is_some() {}
    (client, server)
}

struct SystemRandom;

impl RandomSource for SystemRandom {
    fn masking_key(&mut self) -> [u8; 4] {
        let mut key = [0; 4];
        getrandom::fill(&mut key).expect("the system has randomness");
        key
    }

    fn nonce(&mut self) -> [u8; 16] {
        let mut nonce = [0; 16];
        getrandom::fill(&mut nonce).expect("the system has randomness");
        nonce
    }
}
