//! Feeds a request to a server and an answer to a client: no panic, and the same verdict wherever it is cut. A
//! path has one normal form.
#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use prism_fuzz::heads::{Head, Verdict, ask, check_path, serve};

#[derive(Arbitrary, Debug)]
struct Case {
    head: Head,
    cuts: Vec<u16>,
}

fuzz_target!(|input: Case| {
    if let Some(target) = input.head.target() {
        check_path(target);
        check_path(&format!("/{target}"));
    }
    for (is_request, receive) in [(true, server as fn(&[&[u8]]) -> Verdict), (false, client)] {
        let wire = input.head.encoded(is_request);
        let whole = receive(&[&wire]);
        let bytes: Vec<_> = wire.chunks(1).collect();
        assert_eq!(receive(&bytes), whole, "byte by byte");
        assert_eq!(receive(&prism_fuzz::cut(&wire, &input.cuts)), whole, "cut at {:?}", input.cuts);
    }
});

fn server(pieces: &[&[u8]]) -> Verdict {
    serve(pieces.iter().copied())
}

fn client(pieces: &[&[u8]]) -> Verdict {
    ask(pieces.iter().copied())
}
