//! Feeds any bytes to the decoder of `prism-rooms-redis`, as if a Redis server had sent them.
#![no_main]

use libfuzzer_sys::fuzz_target;

// It needs nothing else of its crate, in which it is private.
#[path = "../../prism-rooms-redis/src/resp.rs"]
mod resp;

use resp::{Decoder, Frame, Malformed};

fuzz_target!(|bytes: &[u8]| {
    let whole = decode(bytes, bytes.len());
    assert_eq!(decode(bytes, 1), whole);
    assert_eq!(decode(bytes, 7), whole);
});

/// Returns the frames in these bytes, which arrive in pieces of this size, and the error at the end, if there is one.
fn decode(bytes: &[u8], size: usize) -> (Vec<Frame>, Option<Malformed>) {
    let (mut decoder, mut frames) = (Decoder::default(), Vec::new());
    for piece in bytes.chunks(size.max(1)) {
        decoder.receive(piece);
        loop {
            match decoder.poll_frame() {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                Err(error) => return (frames, Some(error)),
            }
        }
    }
    (frames, None)
}
