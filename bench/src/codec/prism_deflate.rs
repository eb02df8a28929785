//! Compression and decompression in `prism-core`, with the default settings, which keep nothing between two
//! messages.

use std::{hint::black_box, sync::Arc};

use bytes::BytesMut;
use prism_core::{
    Config, Event, MaskKeys, Message, RecvBuffer, WebSocket,
    deflate::{Deflate, DeflateParams},
};

use super::{item::Item, library::Batch};

/// Prepares a server that compresses the messages of a batch.
pub(super) fn deflate(item: &Item) -> Batch {
    let messages = messages(item);
    let mut server = compressing(WebSocket::server(&Config::default()));
    let mut out = BytesMut::new();
    Box::new(move || {
        out.clear();
        for message in &messages {
            server.send(message, &mut out).expect("the connection is open");
        }
        assert!(out.len() < messages.len() * messages[0].len(), "nothing was compressed");
        black_box(&out);
    })
}

/// Prepares a server that decompresses the messages of a batch.
pub(super) fn inflate(item: &Item) -> Batch {
    let messages = messages(item);
    let mut client =
        compressing(WebSocket::client(&Config::default(), MaskKeys::new(|keys| keys.fill(0x5a))));
    let (mut wire, mut out) = (BytesMut::new(), BytesMut::new());
    for message in &messages {
        client.send(message, &mut wire).expect("the connection is open");
    }
    let mut server = compressing(WebSocket::server(&Config::default()));
    let mut input = RecvBuffer::with_capacity(64 << 10);
    Box::new(move || {
        input.extend_from_slice(&wire);
        let mut seen = 0;
        while let Some(event) = server.receive(&mut input, &mut out).expect("the wire is valid") {
            assert_eq!(event, Event::Message(Message::Text(&messages[seen])));
            seen += 1;
        }
        assert_eq!(seen, messages.len(), "every message arrives");
    })
}

fn compressing(websocket: WebSocket) -> WebSocket {
    let params = DeflateParams {
        server_no_context_takeover: true,
        client_no_context_takeover: true,
        ..DeflateParams::default()
    };
    websocket.with_deflate(Arc::new(Deflate::default()), params)
}

/// Returns different messages, each with records as a game or a dashboard may send them.
fn messages(item: &Item) -> Vec<String> {
    let record = |nth: usize| {
        let (x, y) = (nth * 7919 % 10_007, nth * 104_729 % 65_537);
        let is_alive = nth.is_multiple_of(3);
        format!(r#"{{"id":{nth},"player":"user-{x}","x":{y}.{x},"y":{x}.{y},"alive":{is_alive}}},"#)
    };
    let message = |nth: usize| {
        let mut text: String = (nth * 100..).map(record).take(item.len / 40).collect();
        text.truncate(item.len);
        assert_eq!(text.len(), item.len);
        text
    };
    (0..item.messages).map(message).collect()
}
