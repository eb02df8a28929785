//! Messages that are encoded once and sent to many connections (RFC 6455 §5), and outputs that keep
//! such messages.

use core::time::Duration;

use bytes::BytesMut;
use prism_core::{
    CloseCode, Message, Output, PreparedMessage, ProtocolError, RecvBuffer, Role, SendError,
    WebSocket,
};

use crate::common::{
    frame::{Frame, encode_all},
    machine::{Machine, quiet},
};

/// An output of the caller: it keeps prepared messages apart from its own bytes.
#[derive(Default)]
struct Keeping {
    own: BytesMut,
    kept: Vec<PreparedMessage>,
    /// How many bytes of the kept messages have been sent.
    sent: usize,
}

impl Output for Keeping {
    fn buffer(&mut self) -> &mut BytesMut {
        &mut self.own
    }

    fn unsent_bytes(&self) -> usize {
        self.own.len() + self.kept.iter().map(|kept| kept.frame().len()).sum::<usize>() - self.sent
    }

    fn append(&mut self, message: &PreparedMessage) {
        self.kept.push(message.clone());
    }
}

#[test]
fn a_prepared_message_is_sent_like_any_other() {
    for len in [0, 1, 125, 126, 0xffff, 0x1_0000] {
        let text = "x".repeat(len);
        for message in [Message::Text(&text), Message::Binary(text.as_bytes())] {
            let prepared = PreparedMessage::new(message);
            assert_eq!(prepared.payload(), message.as_bytes());
            for mut machine in Machine::both() {
                machine.send(message).unwrap();
                let sent = machine.sent();
                machine.ws.send_prepared(&prepared, &mut machine.out).unwrap();
                assert_eq!(machine.sent(), sent, "{:?}, {len} bytes", machine.role);
            }
        }
    }
}

#[test]
fn a_client_masks_a_prepared_message_with_a_new_key() {
    let mut client = Machine::client();
    let prepared = PreparedMessage::new("the same");
    let mut wires = [(); 2].map(|()| {
        client.ws.send_prepared(&prepared, &mut client.out).unwrap();
        client.out.split()
    });
    assert_ne!(wires[0], wires[1]);
    for wire in &mut wires {
        let mut server = Machine::server();
        assert_eq!(server.receive(wire), [crate::common::Seen::Text("the same".into())]);
    }
}

#[test]
fn a_prepared_message_is_refused_once_closing() {
    for mut machine in Machine::both() {
        assert!(machine.close(CloseCode::NORMAL, ""));
        machine.sent();
        let sent = machine.ws.send_prepared(&PreparedMessage::new("late"), &mut machine.out);
        assert_eq!((sent, machine.sent()), (Err(SendError::Closed), vec![]));
    }
}

#[test]
fn an_output_of_the_caller_gets_the_frame_uncopied() {
    let prepared = PreparedMessage::new("news");
    let mut outputs = [(); 2].map(|()| Keeping::default());
    for out in &mut outputs {
        let mut ws = WebSocket::server(&quiet());
        ws.send_prepared(&prepared, out).unwrap();
        assert!(out.own.is_empty());
    }
    let [first, second] = outputs.each_ref().map(|out| out.kept[0].frame());
    assert_eq!((first, first.as_ptr()), (&b"\x81\x04news"[..], second.as_ptr()));
}

#[test]
fn kept_messages_count_as_unsent_for_pongs() {
    let mut ws = WebSocket::server(&quiet().pong_mark(10_000));
    let mut out = Keeping::default();
    ws.send_prepared(&PreparedMessage::new(&vec![0; 10_000]), &mut out).unwrap();
    let mut input = RecvBuffer::new();
    input.extend_from_slice(&encode_all(Role::Client, (0..100).map(|_| Frame::ping([7; 100]))));
    while ws.receive(&mut input, &mut out).unwrap().is_some() {}
    assert!(out.own.len() < 1_200, "held back: {}", out.own.len());
    out.kept.clear();
    out.own.clear();
    ws.receive(&mut input, &mut out).unwrap();
    assert_eq!(out.own.len(), 102, "the last one is sent when there is room");
}

#[test]
fn kept_messages_extend_the_close_timeout_while_they_are_read() {
    let at = Duration::from_secs;
    let mut ws = WebSocket::server(&quiet().close_timeout(at(5)));
    let mut out = Keeping::default();
    ws.send_prepared(&PreparedMessage::new(&vec![0; 1000]), &mut out).unwrap();
    assert!(ws.close(CloseCode::NORMAL, "", &mut out));
    ws.handle_timeout(at(0), &mut out).unwrap();
    for i in 1..4 {
        out.sent += 100;
        assert_eq!(ws.handle_timeout(at(5 * i), &mut out), Ok(()));
    }
    assert_eq!(ws.handle_timeout(at(20), &mut out), Err(ProtocolError::CloseTimeout));
}
