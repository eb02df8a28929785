//! Any bytes into a server's handshake: no panic, an answer in HTTP, and the same verdict byte by byte.
#![no_main]

use libfuzzer_sys::fuzz_target;
use prism_fuzz::heads::serve;

fuzz_target!(|bytes: &[u8]| {
    let whole = serve([bytes]);
    assert_eq!(serve(bytes.chunks(1)), whole, "byte by byte");
});
