//! Any bytes into a client: no panic, good frames out, one error for ever, memory in proportion.
#![no_main]

use libfuzzer_sys::fuzz_target;
use prism_core::Role;

fuzz_target!(|stream: &[u8]| {
    prism_fuzz::feed(Role::Client, stream.chunks(50));
});
