//! Feeds any bytes to a server's handshake: no panic, an HTTP answer, and the same verdict byte by byte. A path
//! has one normal form.
#![no_main]

use libfuzzer_sys::fuzz_target;
use prism_fuzz::heads::{check_path, serve};

fuzz_target!(|bytes: &[u8]| {
    let whole = serve([bytes]);
    assert_eq!(serve(bytes.chunks(1)), whole, "byte by byte");
    if let Some(path) = str::from_utf8(bytes).ok().and_then(|text| text.split(' ').nth(1)) {
        check_path(path);
    }
});
