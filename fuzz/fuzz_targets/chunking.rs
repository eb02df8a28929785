//! Feeds a stream whole, byte by byte, and cut anywhere: the events and the output are the same.
#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use prism_core::Role;
use prism_fuzz::{Part, cut, encode_all, feed};

#[derive(Arbitrary, Debug)]
struct Case {
    to_client: bool,
    parts: Vec<Part>,
    cuts: Vec<u16>,
}

fuzz_target!(|input: Case| {
    let (role, sender) =
        if input.to_client { (Role::Client, Role::Server) } else { (Role::Server, Role::Client) };
    let stream = encode_all(sender, &input.parts);
    let whole = feed(role, [&stream[..]]);
    assert_eq!(feed(role, stream.chunks(1)), whole, "byte by byte");
    assert_eq!(feed(role, cut(&stream, &input.cuts)), whole, "cut at {:?}", input.cuts);
});
