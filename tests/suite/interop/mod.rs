//! Prism and tungstenite, each as the server of the other. Peers in other languages are in
//! `tests/interop`.
//!
//! tungstenite comes in two flavours, `tokio-tungstenite` and `async-tungstenite`. Every scenario
//! runs with each.

mod flavour;
mod their_client;
mod their_end;
mod their_server;

use tokio_tungstenite::tungstenite::{Message as Theirs, protocol::frame::coding::Data};

use super::support::pattern;
use crate::prism::{Disconnect, Failure, Message, Options, OwnedMessage, ProtocolError};

/// The raised maximum size of a message, for both sides.
const LARGE: usize = 16 << 20;

/// Returns our options with the raised limit.
fn roomy() -> Options {
    let mut options = Options::default();
    options.protocol.max_message_size = LARGE;
    options
}

/// Returns messages of both kinds, from empty to the largest of our default limits.
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

/// Returns a message that needs the raised limit.
fn large_message() -> Theirs {
    Theirs::binary(pattern(LARGE))
}

/// Returns messages of both kinds as fragments, and the complete messages.
fn messages_in_pieces() -> [(Data, [&'static [u8]; 3], OwnedMessage); 2] {
    [
        (Data::Text, [b"Stra\xc3", b"\x9f", b"e"], OwnedMessage::Text("Straße".into())),
        (Data::Binary, [b"\xff", b"", b"\0\x80"], OwnedMessage::Binary(vec![0xff, 0, 0x80])),
    ]
}

/// Converts a message of theirs into one of ours.
fn ours(message: &Theirs) -> Message<'_> {
    match message {
        Theirs::Text(text) => Message::Text(text),
        Theirs::Binary(bytes) => Message::Binary(bytes),
        other => panic!("not a text or binary message: {other:?}"),
    }
}

/// Asserts that a message over our default limit has ended the connection.
#[track_caller]
fn assert_too_big(ended: &Disconnect) {
    let too_big = ProtocolError::MessageTooBig(1 << 20);
    assert!(matches!(ended, Disconnect::Failed(Failure::Protocol(e)) if *e == too_big), "{ended}");
}
