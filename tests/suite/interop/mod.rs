//! Prism and tungstenite, each as the server of the other. (Peers in other languages are in
//! `tests/interop`.)
//!
//! tungstenite comes in two flavours, `tokio-tungstenite` and `async-tungstenite`: every scenario
//! is told with each.

mod flavour;
mod their_client;
mod their_end;
mod their_server;

use tokio_tungstenite::tungstenite::{Message as Theirs, protocol::frame::coding::Data};

use super::support::pattern;
use crate::prism::{Disconnect, Failure, Message, Options, OwnedMessage, ProtocolError};

/// How large a message may be where the limits are raised, theirs and ours.
const LARGE: usize = 16 << 20;

/// Our limits, raised.
fn roomy() -> Options {
    let mut options = Options::default();
    options.protocol.max_message_size = LARGE;
    options
}

/// Messages of both kinds, from empty to the largest that we take by default.
fn messages() -> [Theirs; 7] {
    [
        Theirs::text("hello"),
        Theirs::text("Straße, 東京, 🦀"),
        Theirs::text(""),
        Theirs::text("🦀".repeat((1 << 20) / "🦀".len())),
        Theirs::binary(vec![0, 255]),
        Theirs::binary(vec![]),
        Theirs::binary(pattern(1 << 20)),
    ]
}

/// A message that needs raised limits.
fn large_message() -> Theirs {
    Theirs::binary(pattern(LARGE))
}

/// Messages of both kinds in pieces, and what they are together.
fn messages_in_pieces() -> [(Data, [&'static [u8]; 3], OwnedMessage); 2] {
    [
        (Data::Text, [b"Stra\xc3", b"\x9f", b"e"], OwnedMessage::Text("Straße".into())),
        (Data::Binary, [b"\xff", b"", b"\0\x80"], OwnedMessage::Binary(vec![0xff, 0, 0x80])),
    ]
}

/// A message of theirs, as one of ours.
fn ours(message: &Theirs) -> Message<'_> {
    match message {
        Theirs::Text(text) => Message::Text(text),
        Theirs::Binary(bytes) => Message::Binary(bytes),
        other => panic!("no message: {other:?}"),
    }
}

/// That a message over our default limit was the end.
#[track_caller]
fn assert_too_big(ended: &Disconnect) {
    let too_big = ProtocolError::MessageTooBig(1 << 20);
    assert!(matches!(ended, Disconnect::Failed(Failure::Protocol(e)) if *e == too_big), "{ended}");
}
