//! Feeds the same bytes to Prism and to tungstenite: both report the same events and the same verdict,
//! except for known differences.
#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use prism_core::Role;
use prism_fuzz::{
    Part, encode_all,
    reference::{agree, ours, theirs},
};

#[derive(Arbitrary, Debug)]
struct Case {
    to_client: bool,
    parts: Vec<Part>,
}

fuzz_target!(|input: Case| {
    let (role, sender) =
        if input.to_client { (Role::Client, Role::Server) } else { (Role::Server, Role::Client) };
    let stream = encode_all(sender, &input.parts);
    let (ours, theirs) = (ours(role, &stream), theirs(role, &stream));
    assert!(agree(&ours, &theirs), "ours: {ours:?}\ntheirs: {theirs:?}\nof {stream:02x?}");
});
