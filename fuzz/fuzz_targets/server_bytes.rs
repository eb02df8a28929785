//! Feeds any bytes to a server: no panic, valid frames out, a final error, and memory in proportion.
#![no_main]

use libfuzzer_sys::fuzz_target;
use prism_core::Role;

fuzz_target!(|stream: &[u8]| {
    prism_fuzz::feed(Role::Server, stream.chunks(50));
});
