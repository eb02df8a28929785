//! Feeds any bytes to the decoder of `prism-rooms-nats`, as if a NATS server had sent them.
#![no_main]

use libfuzzer_sys::fuzz_target;

// It needs nothing else of its crate, in which it is private.
#[allow(dead_code, reason = "the crate uses more of it")]
#[path = "../../prism-rooms-nats/src/protocol.rs"]
mod protocol;

use protocol::{Decoder, Malformed, Operation};

fuzz_target!(|bytes: &[u8]| {
    let whole = decode(bytes, bytes.len());
    assert_eq!(decode(bytes, 1), whole);
    assert_eq!(decode(bytes, 7), whole);
});

/// Returns the operations in these bytes, which arrive in pieces of this size, and the error at the end, if there is
/// one.
fn decode(bytes: &[u8], size: usize) -> (Vec<Operation>, Option<Malformed>) {
    let (mut decoder, mut operations) = (Decoder::default(), Vec::new());
    for piece in bytes.chunks(size.max(1)) {
        decoder.receive(piece);
        loop {
            match decoder.poll_operation() {
                Ok(Some(operation)) => operations.push(operation),
                Ok(None) => break,
                Err(error) => return (operations, Some(error)),
            }
        }
    }
    (operations, None)
}
