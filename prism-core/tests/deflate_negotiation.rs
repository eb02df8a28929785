//! RFC 7692 §5 and §7.1: how client and server agree on permessage-deflate, and on what.
#![cfg(feature = "deflate")]

use prism_core::{
    HandshakeError,
    deflate::{Deflate, DeflateParams, WindowBits},
};

use crate::common::deflate::{bits, no_takeover, takeover};

/// Settings that ask for nothing.
fn lenient() -> Deflate {
    Deflate::default().server_no_context_takeover(false).client_no_context_takeover(false)
}

/// Returns a server's answer to these offers, each in a line of its own.
fn answer(deflate: &Deflate, offers: &[&str]) -> Option<String> {
    let values = offers.iter().map(|offer| offer.as_bytes());
    deflate.accept_offer(values).map(|answer| answer.to_string())
}

#[test]
fn a_server_accepts_the_first_valid_offer() {
    let plain = "permessage-deflate";
    for offers in [
        &[plain][..],
        &["x-other, permessage-deflate"],
        &["x-other; permessage-deflate=1", " ,, permessage-deflate ,x"],
        &["permessage-deflate; unknown, permessage-deflate"],
        &["permessage-deflate; unknown", "permessage-deflate"],
        &["permessage-deflate, permessage-deflate; server_no_context_takeover"],
    ] {
        assert_eq!(answer(&lenient(), offers).as_deref(), Some(plain), "{offers:?}");
    }
}

#[test]
fn a_server_answers_what_is_asked_for() {
    for (offer, expected) in [
        ("", ""),
        ("; server_no_context_takeover", "; server_no_context_takeover"),
        ("; client_no_context_takeover", "; client_no_context_takeover"),
        (
            ";client_no_context_takeover;server_no_context_takeover",
            "; server_no_context_takeover; client_no_context_takeover",
        ),
        ("; server_max_window_bits=15", "; server_max_window_bits=15"),
        ("; server_max_window_bits=10", "; server_max_window_bits=10"),
        ("; server_max_window_bits=8", "; server_max_window_bits=8"),
        ("; server_max_window_bits=\"9\"", "; server_max_window_bits=9"),
        ("; server_max_window_bits=\"\\1\\0\"", "; server_max_window_bits=10"),
        ("; client_max_window_bits", ""),
        ("; client_max_window_bits=15", "; client_max_window_bits=15"),
        ("; client_max_window_bits=8", "; client_max_window_bits=8"),
        ("; client_max_window_bits = \"12\"", "; client_max_window_bits=12"),
    ] {
        let offered = format!("permessage-deflate{offer}");
        let expected = format!("permessage-deflate{expected}");
        assert_eq!(answer(&lenient(), &[&offered]), Some(expected), "{offered}");
    }
}

/// Offers that a server declines, and answers with the same parameters, which a client refuses.
const INVALID: [&str; 25] = [
    "unknown",
    "unknown=1",
    "server_no_context_takeover=1",
    "server_no_context_takeover=\"true\"",
    "client_no_context_takeover=10",
    "server_max_window_bits",
    "server_max_window_bits=7",
    "server_max_window_bits=16",
    "server_max_window_bits=0",
    "server_max_window_bits=08",
    "server_max_window_bits=015",
    "server_max_window_bits=\"09\"",
    "server_max_window_bits=1",
    "server_max_window_bits=150",
    "server_max_window_bits=a",
    "server_max_window_bits=1x",
    "client_max_window_bits=7",
    "client_max_window_bits=16",
    "client_max_window_bits=012",
    "client_max_window_bits=x",
    "SERVER_NO_CONTEXT_TAKEOVER",
    "server_no_context_takeover; server_no_context_takeover",
    "client_no_context_takeover; client_no_context_takeover",
    "server_max_window_bits=10; server_max_window_bits=10",
    "client_max_window_bits=10; client_max_window_bits=10",
];

#[test]
fn a_server_declines_an_invalid_offer() {
    for params in INVALID {
        let offer = format!("permessage-deflate; {params}");
        assert_eq!(answer(&lenient(), &[&offer]), None, "{offer}");
    }
    for offers in [
        &[][..],
        &[""],
        &["x-other"],
        &["Permessage-Deflate"],
        &["x-webkit-deflate-frame"],
        &["permessage-deflate; client_max_window_bits; client_max_window_bits=10"],
        &["permessage-deflate; server_max_window_bits="],
    ] {
        assert_eq!(answer(&lenient(), offers), None, "{offers:?}");
    }
}

#[test]
fn a_server_imposes_its_own_settings() {
    let limited = lenient().server_max_window_bits(bits(11)).client_max_window_bits(Some(bits(12)));
    let silent = lenient().client_max_window_bits(None);
    for (deflate, offer, expected) in [
        (Deflate::default(), "", "; server_no_context_takeover; client_no_context_takeover"),
        (
            limited.clone(),
            "; client_max_window_bits",
            "; server_max_window_bits=11; client_max_window_bits=12",
        ),
        (
            limited.clone(),
            "; client_max_window_bits=9; server_max_window_bits=13",
            "; server_max_window_bits=11; client_max_window_bits=9",
        ),
        (
            limited.clone(),
            "; server_max_window_bits=9; client_max_window_bits=14",
            "; server_max_window_bits=9; client_max_window_bits=12",
        ),
        // §7.1.2.2: what was not offered must not be in the answer. Then the client's window has to be
        // limited in another way.
        (limited, "", "; client_no_context_takeover; server_max_window_bits=11"),
        (silent.clone(), "; client_max_window_bits=9", ""),
        (silent, "; client_max_window_bits", ""),
    ] {
        let offered = format!("permessage-deflate{offer}");
        let expected = format!("permessage-deflate{expected}");
        assert_eq!(answer(&deflate, &[&offered]), Some(expected), "{offered}");
    }
}

/// RFC 7692 §5.1: several offers, "in order of preference". What a server may decline is not in the
/// later ones, and what it may want is.
#[test]
fn a_client_offers_what_it_wants_and_then_less() {
    let silent = lenient().client_max_window_bits(None);
    let small = lenient().server_max_window_bits(bits(8)).client_max_window_bits(Some(bits(9)));
    for (deflate, expected) in [
        (
            lenient(),
            &["; client_max_window_bits", "; client_no_context_takeover; client_max_window_bits"][..],
        ),
        (silent.clone(), &["", "; client_no_context_takeover"]),
        (silent.client_no_context_takeover(true), &["; client_no_context_takeover"]),
        (
            lenient().client_max_window_bits(Some(bits(9))),
            &[
                "; client_max_window_bits=9",
                "; client_no_context_takeover; client_max_window_bits=9",
            ],
        ),
        (
            lenient().client_no_context_takeover(true),
            &["; client_no_context_takeover; client_max_window_bits"],
        ),
        (
            small.clone(),
            &[
                "; server_max_window_bits=8; client_max_window_bits=9",
                "; server_max_window_bits=8; client_no_context_takeover; client_max_window_bits=9",
                "; client_max_window_bits=9",
                "; client_no_context_takeover; client_max_window_bits=9",
            ],
        ),
        (
            small.client_no_context_takeover(true).server_no_context_takeover(true),
            &[
                "; server_no_context_takeover; server_max_window_bits=8; client_no_context_takeover; \
                 client_max_window_bits=9",
                "; client_no_context_takeover; client_max_window_bits=9",
            ],
        ),
        (
            Deflate::default(),
            &[
                "; server_no_context_takeover; client_no_context_takeover; client_max_window_bits",
                "; client_no_context_takeover; client_max_window_bits",
            ],
        ),
    ] {
        let expected: Vec<_> =
            expected.iter().map(|params| format!("permessage-deflate{params}")).collect();
        assert_eq!(deflate.offer(), expected.join(", "));
    }
}

/// A server such as Autobahn's demands no takeover only where a client has offered to do without.
#[test]
fn a_client_that_offers_takeover_and_none_does_what_the_answer_says() {
    let client = Deflate::default().with_takeover();
    let offer = client.offer();
    let alternative = offer
        .split(", ")
        .find(|offer| offer.contains("client_no_context_takeover"))
        .expect("an offer to do without takeover");
    let answer = lenient().accept_offer([alternative.as_bytes()]).unwrap().to_string();
    assert_eq!(
        answer,
        "permessage-deflate; client_no_context_takeover; server_max_window_bits=12; \
         client_max_window_bits=12"
    );
    let agreed = accept(&client, &[&answer]).unwrap().unwrap();
    assert!(agreed.client_no_context_takeover);

    let first = lenient().accept_offer([offer.as_bytes()]).unwrap().to_string();
    let agreed = accept(&client, &[&first]).unwrap().unwrap();
    assert!(!agreed.client_no_context_takeover, "the first offer is with takeover");
}

/// What a client makes of these values of the response's header.
fn accept(deflate: &Deflate, values: &[&str]) -> Result<Option<DeflateParams>, HandshakeError> {
    deflate.check_answer(values.iter().map(|value| value.as_bytes()))
}

#[test]
fn a_client_accepts_a_valid_answer() {
    let limited = |server: u8, client: u8| DeflateParams {
        server_max_window_bits: bits(server),
        client_max_window_bits: bits(client),
        ..takeover()
    };
    for (answer, expected) in [
        ("permessage-deflate", takeover()),
        (" , permessage-deflate ,", takeover()),
        (
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
            no_takeover(),
        ),
        ("permessage-deflate; server_max_window_bits=8", limited(8, 15)),
        ("permessage-deflate; client_max_window_bits=\"9\"", limited(15, 9)),
        ("permessage-deflate;client_max_window_bits=10;server_max_window_bits=15", limited(15, 10)),
    ] {
        assert_eq!(accept(&lenient(), &[answer]), Ok(Some(expected)), "{answer}");
    }
    for none in [&[][..], &[""], &[" , ,", ""]] {
        assert_eq!(accept(&lenient(), none), Ok(None), "{none:?}");
    }
}

#[test]
fn a_client_keeps_to_what_it_has_announced() {
    let deflate = Deflate::default().client_max_window_bits(Some(bits(10)));
    let agreed = accept(&deflate, &["permessage-deflate"]).unwrap().unwrap();
    assert!(agreed.client_no_context_takeover);
    assert!(!agreed.server_no_context_takeover, "that was only a wish");
    assert_eq!(agreed.client_max_window_bits, bits(10));
    let agreed = accept(&deflate, &["permessage-deflate; client_max_window_bits=12"]);
    assert_eq!(agreed.unwrap().unwrap().client_max_window_bits, bits(10));
    let agreed = accept(&deflate, &["permessage-deflate; client_max_window_bits=9"]);
    assert_eq!(agreed.unwrap().unwrap().client_max_window_bits, bits(9));
}

#[test]
fn a_client_refuses_an_invalid_answer() {
    for params in INVALID.into_iter().chain(["client_max_window_bits", "x=\"", "=", ""]) {
        let answer = format!("permessage-deflate; {params}");
        let refused = accept(&lenient(), &[&answer]);
        assert_eq!(refused, Err(HandshakeError::InvalidDeflateAnswer), "{answer}");
    }
    let unasked = accept(
        &lenient().client_max_window_bits(None),
        &["permessage-deflate; client_max_window_bits=10"],
    );
    assert_eq!(unasked, Err(HandshakeError::InvalidDeflateAnswer));
    for values in [
        &["x-other"][..],
        &["Permessage-Deflate"],
        &["permessage-deflate, permessage-deflate"],
        &["permessage-deflate", "permessage-deflate; server_no_context_takeover"],
        &["permessage-deflate, x-other"],
        &["x-other, permessage-deflate"],
    ] {
        let refused = accept(&lenient(), values);
        assert_eq!(refused, Err(HandshakeError::UnexpectedExtension), "{values:?}");
    }
}

#[test]
fn both_ends_agree_whatever_their_settings() {
    let all = || {
        let limits = [8, 9, 12, 15].map(bits);
        let of_client = limits.map(Some).into_iter().chain([None]);
        of_client.flat_map(move |client| {
            limits.into_iter().flat_map(move |server| {
                (0..4).map(move |flags| {
                    Deflate::default()
                        .server_no_context_takeover(flags & 1 != 0)
                        .client_no_context_takeover(flags & 2 != 0)
                        .server_max_window_bits(server)
                        .client_max_window_bits(client)
                })
            })
        })
    };
    for client in all() {
        let offer = client.offer();
        for server in all() {
            let answer = server.accept_offer([offer.as_bytes()]).expect("a valid offer");
            let shown = answer.to_string();
            let agreed = client.check_answer([shown.as_bytes()]).expect(&shown).expect(&shown);
            let expected = answer.params();
            // A client may do more than the server asks for, and nothing else may differ.
            let limit = client.client_max_window_bits.unwrap_or(WindowBits::MAX);
            let expected = DeflateParams {
                client_max_window_bits: expected.client_max_window_bits.min(limit),
                ..expected
            };
            assert_eq!(agreed, expected, "{offer} -> {shown}");
            assert!(agreed.server_max_window_bits <= server.server_max_window_bits);
            assert!(agreed.server_max_window_bits <= client.server_max_window_bits);
            for deflate in [&client, &server] {
                let no_takeover = deflate.server_no_context_takeover;
                assert!(agreed.server_no_context_takeover || !no_takeover, "{offer} -> {shown}");
                let no_takeover = deflate.client_no_context_takeover;
                assert!(agreed.client_no_context_takeover || !no_takeover, "{offer} -> {shown}");
            }
        }
    }
}
