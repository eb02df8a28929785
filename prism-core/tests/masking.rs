//! RFC 6455 §5.1 and §5.3: a client masks every frame with a new key, and a server masks none.

use prism_core::{CloseCode, Config, MaskKeys, ProtocolError, WebSocket, apply_mask};

use crate::common::{
    binary,
    frame::{Frame, masked, parse},
    machine::{Machine, assert_fails, quiet},
    pair::Pair,
    text,
};

fn one_of_each() -> [Frame; 6] {
    [
        Frame::text("x"),
        Frame::binary([]),
        Frame::text("x").unfinished(),
        Frame::ping("x"),
        Frame::pong([]),
        Frame::close(1000, ""),
    ]
}

#[test]
fn a_server_refuses_a_frame_without_a_mask() {
    for frame in one_of_each() {
        assert_fails(&mut Machine::server(), &frame.encoded(), ProtocolError::UnmaskedFrame);
    }
}

#[test]
fn a_client_refuses_a_frame_with_a_mask() {
    for frame in one_of_each() {
        assert_fails(&mut Machine::client(), &frame.masked().encoded(), ProtocolError::MaskedFrame);
    }
}

#[test]
fn a_mask_of_zeros_is_a_mask() {
    let zero = [0; 4];
    let wire = Frame::text("in the clear").masked_with(zero).encoded();
    assert_eq!(Machine::server().receive(&wire), [text("in the clear")]);
    let wire = Frame::text("in the clear").masked_with(zero).encoded();
    assert_fails(&mut Machine::client(), &wire, ProtocolError::MaskedFrame);
}

#[test]
fn an_unmasked_continuation_of_a_masked_message_is_refused() {
    let wire =
        [Frame::text("mas").unfinished().masked().encoded(), Frame::continuation("ked").encoded()];
    assert_fails(&mut Machine::server(), &wire.concat(), ProtocolError::UnmaskedFrame);
}

#[test]
fn each_fragment_has_its_own_key() {
    let wire = [
        Frame::binary("abcde").unfinished().masked_with([1, 2, 3, 4]).encoded(),
        Frame::ping("fghij").masked_with([9, 9, 9, 9]).encoded(),
        Frame::continuation("klmno").unfinished().masked_with([0xff, 0, 0xff, 0]).encoded(),
        Frame::continuation("pqrst").masked_with([5, 6, 7, 8]).encoded(),
    ];
    let mut server = Machine::server();
    assert_eq!(server.receive(&wire.concat()).last(), Some(&binary("abcdeklmnopqrst")));
}

#[test]
fn a_payload_is_unmasked_the_same_however_it_is_cut() {
    let payload: Vec<u8> = (0..40).collect();
    let wire = Frame::binary(&payload).masked().encoded();
    for first in 0..=wire.len() {
        for second in first..=wire.len() {
            let mut server = Machine::server();
            let mut seen = server.receive(&wire[..first]);
            seen.extend(server.receive(&wire[first..second]));
            seen.extend(server.receive(&wire[second..]));
            assert_eq!(seen, [binary(&payload)], "cut at {first} and {second}");
        }
    }
}

#[test]
fn a_client_masks_each_frame_with_the_next_key() {
    let mut client = Machine::client();
    client.send("text").unwrap();
    client.send(b"binary").unwrap();
    client.ping(b"ping").unwrap();
    client.pong(b"").unwrap();
    client.receive_frames([Frame::ping("asked")]);
    assert!(client.close(CloseCode::NORMAL, "bye"));

    let frames = parse(&client.out);
    let plain = [
        Frame::text("text"),
        Frame::binary("binary"),
        Frame::ping("ping"),
        Frame::pong(""),
        Frame::pong("asked"),
        Frame::close(1000, "bye"),
    ];
    assert_eq!(client.sent(), plain);
    let mut expected = first_keys(6);
    for frame in frames {
        assert_eq!(frame.key, Some(expected.remove(0)), "{frame:?}");
    }
}

/// Returns the first keys of a test's client, from the empty messages that it sends.
fn first_keys(count: usize) -> Vec<[u8; 4]> {
    let mut client = Machine::client();
    for _ in 0..count {
        client.send("").unwrap();
    }
    let keys: Vec<_> = parse(&client.out).iter().filter_map(|frame| frame.key).collect();
    assert_eq!(keys.len(), count);
    assert!(keys.is_sorted_by(|one, next| one != next), "each key is another");
    keys
}

#[test]
fn a_masked_payload_is_xored_with_the_key() {
    let mut client = Machine::client();
    client.send(&[0; 100]).unwrap();
    let key = parse(&client.out)[0].key.unwrap();
    assert_eq!(client.out[6..], key.repeat(25), "zeros show the key itself");
}

#[test]
fn keys_are_requested_only_to_mask_something() {
    let mut ws = WebSocket::client(
        &Config::default(),
        MaskKeys::new(|_| panic!("nothing is sent, and the generator was asked")),
    );
    let mut input = prism_core::RecvBuffer::new();
    input.extend_from_slice(&Frame::text("hello").encoded());
    let mut out = bytes::BytesMut::new();
    assert!(ws.receive(&mut input, &mut out).unwrap().is_some());
}

#[test]
fn each_frame_has_another_key() {
    let mut client = Machine::client();
    for _ in 0..1000 {
        client.send("same text").unwrap();
    }
    let mut keys: Vec<_> = parse(&client.out).iter().filter_map(|frame| frame.key).collect();
    keys.sort_unstable();
    keys.dedup();
    assert_eq!(keys.len(), 1000);
}

#[test]
fn a_server_unmasks_the_messages_of_a_client() {
    let mut pair = Pair::new(&quiet());
    for len in 0..70 {
        pair.client.send(&vec![len; usize::from(len)]).unwrap();
    }
    pair.deliver_in_pieces(3);
    let sent: Vec<_> = (0..70).map(|len| binary(vec![len; usize::from(len)])).collect();
    assert_eq!(pair.server.seen(), sent);
}

#[test]
fn apply_mask_is_the_xor_of_the_rfc_at_every_length() {
    let key = [0x12, 0x34, 0x56, 0x78];
    let memory: Vec<u8> = (0..=255).collect();
    for from in 0..17 {
        for len in 0..130 {
            let plain = &memory[from..from + len];
            let mut bytes = memory.clone();
            let turned = apply_mask(&mut bytes[from..from + len], key);
            assert_eq!(bytes[from..from + len], masked(plain, key), "{len} bytes from {from}");
            assert_eq!(bytes[..from], memory[..from], "nothing before is touched");
            assert_eq!(bytes[from + len..], memory[from + len..], "nothing behind is touched");
            let goes_on: Vec<_> = (0..4).map(|i| key[(len + i) % 4]).collect();
            assert_eq!(turned[..], goes_on);
        }
    }
}
