//! Negotiates compression: any offer and any answer is judged without a panic, and what a server answers a
//! client understands in the same way.
#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use prism_core::deflate::{Deflate, DeflateParams, WindowBits};
use prism_fuzz::agreement::Agreement;

#[derive(Arbitrary, Debug)]
struct Case {
    client: Agreement,
    /// Whether the client names `client_max_window_bits`.
    is_named: bool,
    server: Agreement,
    is_answered: bool,
    /// Headers that are made of the words of offers.
    lines: Vec<Vec<Word>>,
    raw: Vec<u8>,
}

#[derive(Arbitrary, Debug)]
enum Word {
    Name,
    Param(u8),
    Equals,
    Semicolon,
    Comma,
    Quote,
    Backslash,
    Space,
    Number(u8),
    Other(u8),
}

fuzz_target!(|input: Case| {
    let mut client = (*input.client.settings()).clone();
    if !input.is_named {
        client.client_max_window_bits = None;
    }
    let mut server = (*input.server.settings()).clone();
    if !input.is_answered {
        server.client_max_window_bits = None;
    }
    agree(&client, &server);

    let lines: Vec<Vec<u8>> =
        input.lines.iter().map(|line| line.iter().flat_map(bytes).collect()).collect();
    let values = || lines.iter().map(|line| &line[..]).chain([&input.raw[..]]);
    // Any offers, to any server: a client that has named everything understands the answer.
    if let Some(answer) = server.accept_offer(values()) {
        let asking = Deflate::default().client_no_context_takeover(false);
        let answered = answer.to_string();
        let agreed = asking.check_answer([answered.as_bytes()]);
        assert_eq!(agreed, Ok(Some(answer.params())), "{answered}");
        assert!(answer.params().server_max_window_bits <= server.server_max_window_bits);
    }
    // Any answer, to any client.
    if let Ok(Some(agreed)) = client.check_answer(values()) {
        let most = client.client_max_window_bits.unwrap_or(WindowBits::MAX);
        assert!(agreed.client_max_window_bits <= most);
    }
});

/// What the client offers, the server accepts, and both draw the same conclusions.
fn agree(client: &Deflate, server: &Deflate) {
    let offer = client.offer();
    let answer = server.accept_offer([offer.as_bytes()]).expect("a valid offer");
    let answered = answer.to_string();
    let agreed = client.check_answer([answered.as_bytes()]);
    let params = answer.params();
    let most = client.client_max_window_bits.unwrap_or(WindowBits::MAX);
    let expected = DeflateParams {
        // A client may do more than the server asks for.
        client_max_window_bits: params.client_max_window_bits.min(most),
        ..params
    };
    assert_eq!(agreed, Ok(Some(expected)), "{offer} -> {answered}");
}

fn bytes(word: &Word) -> Vec<u8> {
    const PARAMS: [&str; 5] = [
        "server_no_context_takeover",
        "client_no_context_takeover",
        "server_max_window_bits",
        "client_max_window_bits",
        "unknown",
    ];
    match word {
        Word::Name => b"permessage-deflate".to_vec(),
        Word::Param(nth) => PARAMS[usize::from(*nth) % PARAMS.len()].into(),
        Word::Equals => b"=".to_vec(),
        Word::Semicolon => b"; ".to_vec(),
        Word::Comma => b", ".to_vec(),
        Word::Quote => b"\"".to_vec(),
        Word::Backslash => b"\\".to_vec(),
        Word::Space => b"\t ".to_vec(),
        Word::Number(number) => (number % 20).to_string().into_bytes(),
        Word::Other(byte) => vec![*byte],
    }
}
