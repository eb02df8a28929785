//! A browser's handshake, read and accepted by `prism-core`.

use std::hint::black_box;

use bytes::BytesMut;
use prism_core::{Accept, Config, RecvBuffer, ServerHandshake};

use super::{item::Item, library::Batch};

/// Prepares a batch that reads the request, accepts it, and creates the connection.
pub(super) fn prepare(item: &Item) -> Batch {
    let messages = item.messages;
    let config = Config::default();
    let (mut input, mut out) = (RecvBuffer::with_capacity(4096), BytesMut::with_capacity(4096));
    let mut accept_one = move || {
        input.extend_from_slice(REQUEST);
        let offer = ServerHandshake::new(&config)
            .receive(&mut input)
            .expect("the request is good")
            .expect("the request is whole");
        black_box(offer.accept(&Accept::new(), &config, &mut out));
        let good = out.starts_with(b"HTTP/1.1 101") && out.ends_with(ANSWER_END);
        assert!(good, "the answer is wrong: {out:?}");
        out.clear();
    };
    accept_one();
    Box::new(move || (0..messages).for_each(|_| accept_one()))
}

/// A request as a browser sends it.
const REQUEST: &[u8] = b"GET /chat?room=42 HTTP/1.1\r\n\
    Host: www.example.org\r\n\
    Connection: Upgrade\r\n\
    Pragma: no-cache\r\n\
    Cache-Control: no-cache\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) \
    Chrome/141.0.0.0 Safari/537.36\r\n\
    Upgrade: websocket\r\n\
    Origin: https://www.example.org\r\n\
    Sec-WebSocket-Version: 13\r\n\
    Accept-Encoding: gzip, deflate, br, zstd\r\n\
    Accept-Language: en-GB,en;q=0.9,de;q=0.8\r\n\
    Cookie: session=0123456789abcdef0123456789abcdef\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\r\n";

const ANSWER_END: &[u8] = b"\r\n\r\n";
