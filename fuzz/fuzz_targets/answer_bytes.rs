//! Feeds any bytes to a client's handshakes, with a server and with a proxy: no panic, and the same verdict byte by
//! byte.
#![no_main]

use libfuzzer_sys::fuzz_target;
use prism_fuzz::heads::{ask, tunnel};

fuzz_target!(|bytes: &[u8]| {
    let whole = ask([bytes]);
    assert_eq!(ask(bytes.chunks(1)), whole, "byte by byte");
    let whole = tunnel([bytes]);
    assert_eq!(tunnel(bytes.chunks(1)), whole, "byte by byte, from a proxy");
});
