//! RFC 7692 §5 and §7.1: what is agreed on in the bytes of a handshake holds at both ends.
#![cfg(feature = "deflate")]

use std::sync::Arc;

use bytes::BytesMut;
use prism_core::{
    Accept, Answer, ClientHandshake, ClientRequest, Config, RecvBuffer, Role, ServerHandshake,
    WebSocket, deflate::Deflate,
};

use crate::common::{
    deflate::{bits, json},
    frame::{Frame, sent_by},
    heads::head,
    machine::{mask_keys, quiet},
};

/// Performs the handshake of a client and a server, through their bytes.
fn handshake(client: &Config, server: &Config) -> (WebSocket, WebSocket, String) {
    let (mut to_server, mut to_client) = (RecvBuffer::new(), RecvBuffer::new());
    let (mut out, mut back) = (BytesMut::new(), BytesMut::new());
    let request = ClientRequest::new("h", "/").unwrap();
    let mut starting = ClientHandshake::start(client, &request, [7; 16], &mut out);
    to_server.extend_from_slice(&out);
    let offer = ServerHandshake::new(server).receive(&mut to_server).unwrap().unwrap();
    let owned = offer.request().clone().upgrade().unwrap().into_owned();
    let mut same = BytesMut::new();
    owned.accept(&Accept::new(), server, &mut same);
    let server = offer.accept(&Accept::new(), server, &mut back);
    assert_eq!(back, same, "an owned offer is answered like a borrowed one");
    let response = String::from_utf8(back.to_vec()).unwrap();
    to_client.extend_from_slice(&back);
    let Some(Answer::Accepted(accepted)) = starting.receive(&mut to_client).unwrap() else {
        panic!("{response}")
    };
    let params = accepted.deflate_params();
    // What was offered counts, whatever the configuration is by now.
    let client = accepted.into_websocket(&quiet(), mask_keys());
    assert_eq!(client.deflate_params(), params);
    (client, server, response)
}

#[test]
fn an_agreement_is_in_the_handshake_and_at_both_ends() {
    let on = quiet().deflate(Some(Arc::new(Deflate::default().with_takeover())));
    let off = quiet();
    let (client, server, response) = handshake(&on, &on);
    let line = "Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=12; \
                client_max_window_bits=12\r\n";
    assert!(response.contains(line), "{response}");
    let agreed = client.deflate_params().expect("an agreement");
    assert_eq!(server.deflate_params(), Some(agreed));
    assert_eq!(
        (agreed.server_max_window_bits, agreed.client_max_window_bits),
        (bits(12), bits(12))
    );
    for (client, server) in [(&on, &off), (&off, &on), (&off, &off)] {
        let (client, server, response) = handshake(client, server);
        assert!(!response.contains("Extensions"), "{response}");
        assert_eq!((client.deflate_params(), server.deflate_params()), (None, None));
    }
}

/// A client that has offered takeover and, as an alternative, none.
#[test]
fn a_client_drops_its_history_if_the_answer_says_so() {
    let takeover = Deflate::default().with_takeover();
    let client = quiet().deflate(Some(Arc::new(takeover.clone())));
    for no_takeover in [false, true] {
        let server = takeover.clone().client_no_context_takeover(no_takeover);
        let server = quiet().deflate(Some(Arc::new(server)));
        let (mut client, _, response) = handshake(&client, &server);
        assert_eq!(response.contains("; client_no_context_takeover"), no_takeover, "{response}");
        let mut out = BytesMut::new();
        for _ in 0..2 {
            client.send(&json(1), &mut out).expect("an open connection");
        }
        let sent = sent_by(Role::Client, &out);
        assert!(sent.iter().all(Frame::is_compressed));
        assert_eq!(sent[0].payload == sent[1].payload, no_takeover);
    }
}

#[test]
fn compression_is_off_by_default() {
    assert!(Config::default().deflate.is_none());
    let (client, server, _) = handshake(&Config::default(), &Config::default());
    assert_eq!((client.deflate_params(), server.deflate_params()), (None, None));
}

/// The longest line fits into the memory that is reserved for it, so the output grows once.
#[test]
fn the_longest_answer_grows_the_output_once() {
    let deflate =
        Deflate::default().server_max_window_bits(bits(10)).client_max_window_bits(Some(bits(10)));
    let config = quiet().deflate(Some(Arc::new(deflate)));
    let request = head([
        "GET / HTTP/1.1",
        "Host: h",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits",
    ]);
    let mut input = RecvBuffer::new();
    input.extend_from_slice(&request);
    let offer = ServerHandshake::new(&config).receive(&mut input).unwrap().unwrap();
    let mut out = BytesMut::new();
    offer.accept(&Accept::new(), &config, &mut out);
    assert_eq!(out.capacity(), 350);
}
