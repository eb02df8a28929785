//! Messages in every form, from a handler and from a client's socket.

use std::borrow::Cow;

use bytes::{Bytes, BytesMut};
use futures_lite::future::zip;

use super::support::{block_on, handlers::Echo, server::serve};
use crate::prism::{Connection, Handler, Message, OwnedMessage, PreparedMessage, Socket};

#[macro_use]
#[path = "../../prism-driver/tests/common/forms.rs"]
mod every_form;

/// Messages that are copied, and messages that an outbox may keep.
const LENGTHS: [usize; 3] = [5, 1_000, 300_000];

/// Sends a text and bytes of each length in every form.
macro_rules! send_every_form {
    ($sender:expr) => {
        for len in LENGTHS {
            every_text!(len, |message| $sender.send(message).await.expect("an open connection"));
            every_binary!(len, |message| $sender.send(message).await.expect("an open connection"));
        }
        $sender.send(&[1, 2]).await.expect("an open connection");
        $sender.send([3; 300]).await.expect("an open connection");
    };
}

/// Receives what `send_every_form` sends.
async fn receive_every_form(socket: &Socket) {
    let receive = async |expected: OwnedMessage| {
        let received = socket.recv().await.expect("an open connection");
        assert!(received == expected, "not the message that was sent");
    };
    for len in LENGTHS {
        every_text!(len, |_message| receive(OwnedMessage::Text("x".repeat(len))).await);
        every_binary!(len, |_message| receive(OwnedMessage::Binary(vec![7; len])).await);
    }
    receive(OwnedMessage::Binary(vec![1, 2])).await;
    receive(OwnedMessage::Binary(vec![3; 300])).await;
}

struct SendsEveryForm;

impl Handler for SendsEveryForm {
    async fn on_connect(&self, connection: &Connection) {
        send_every_form!(connection);
    }

    async fn on_message(&self, _: &Connection, _: Message<'_>) {}
}

#[test]
fn a_handler_sends_every_form() {
    let server = serve(|server| server.websocket("/", SendsEveryForm));
    block_on(async {
        let socket = server.connect("/").await;
        receive_every_form(&socket).await;
    });
}

#[test]
fn a_socket_sends_every_form() {
    let server = serve(|server| server.websocket("/", Echo));
    block_on(async {
        let socket = server.connect("/").await;
        let sending = async {
            send_every_form!(socket);
        };
        zip(sending, receive_every_form(&socket)).await;
    });
}
