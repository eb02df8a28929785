//! Compression and decompression in `prism-core`, with the default settings, which keep nothing between two
//! messages.

use std::{hint::black_box, sync::Arc};

use bytes::BytesMut;
use prism_core::{
    Config, Event, MaskKeys, Message, RecvBuffer, WebSocket,
    deflate::{Deflate, DeflateParams},
};

use super::{item::Item, library::Batch};
use crate::json;

/// Prepares a server that compresses the messages of a batch.
pub(super) fn deflate(item: &Item) -> Batch {
    let messages = json::messages(item.messages, item.len);
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
    let messages = json::messages(item.messages, item.len);
    let (wire, mut out) = (compressed_by_a_client(&messages), BytesMut::new());
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

/// Returns these messages as a client sends them.
pub(super) fn compressed_by_a_client(messages: &[String]) -> BytesMut {
    let mut client =
        compressing(WebSocket::client(&Config::default(), MaskKeys::new(|keys| keys.fill(0x5a))));
    let mut wire = BytesMut::new();
    for message in messages {
        client.send(message, &mut wire).expect("the connection is open");
    }
    wire
}

fn compressing(websocket: WebSocket) -> WebSocket {
    let params = DeflateParams {
        server_no_context_takeover: true,
        client_no_context_takeover: true,
        ..DeflateParams::default()
    };
    websocket.with_deflate(Arc::new(Deflate::default()), params)
}
