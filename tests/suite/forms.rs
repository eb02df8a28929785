//! Messages in every form, from a handler, to a room and from a client's socket.

use std::borrow::Cow;

use bytes::{Bytes, BytesMut};
use futures_lite::future::zip;
use prism_rooms::Rooms;

use super::support::{block_on, handlers::Echo, server::serve};
use crate::prism::{
    Connection, Handler, Message, Options, OwnedMessage, PreparedMessage, Socket, shared,
};

#[macro_use]
#[path = "../../prism-driver/tests/common/forms.rs"]
mod every_form;

/// Messages that are copied, and messages that an outbox may keep.
const LENGTHS: [usize; 3] = [5, 1_000, 300_000];

/// Sends a text and bytes of each length in every form.
macro_rules! send_every_form {
    (|$message:ident| $send:expr) => {
        for len in LENGTHS {
            every_text!(len, |$message| $send);
            every_binary!(len, |$message| $send);
        }
        every!(|$message| $send; &[1, 2], [3; 300]);
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

/// How a handler sends.
#[derive(Clone, Copy, Debug)]
enum How {
    Send,
    TrySend,
    ToARoom,
}

struct SendsEveryForm {
    how: How,
    rooms: Rooms,
}

impl Handler for SendsEveryForm {
    async fn on_connect(&self, connection: &Connection) {
        self.rooms.join(connection, "all").expect("a new connection");
        let all = self.rooms.to("all");
        match self.how {
            How::Send => {
                send_every_form!(|message| connection.send(message).await.expect("it is open"));
            }
            How::TrySend => {
                send_every_form!(|message| connection.try_send(message).expect("room"));
            }
            How::ToARoom => {
                send_every_form!(|message| assert_eq!(all.send(message).delivered, 1));
            }
        }
    }

    async fn on_message(&self, _: &Connection, _: Message<'_>) {}
}

#[test]
fn a_handler_sends_every_form() {
    // Room for all messages, because only `send` waits for it.
    let options = Options::default().high_water_mark(64 << 20);
    for how in [How::Send, How::TrySend, How::ToARoom] {
        let handler = SendsEveryForm { how, rooms: Rooms::new() };
        let route = shared(handler).options(options.clone());
        let server = serve(|server| server.websocket("/", route));
        block_on(async {
            let socket = server.connect("/").await;
            receive_every_form(&socket).await;
        });
    }
}

#[test]
fn a_socket_sends_every_form() {
    let server = serve(|server| server.websocket("/", Echo));
    block_on(async {
        let options = Options::default().high_water_mark(64 << 20);
        let socket = server.client("/").options(options).connect().await.expect("a server");
        let sending = async {
            send_every_form!(|message| socket.send(message).await.expect("an open connection"));
            send_every_form!(|message| socket.try_send(message).expect("room"));
        };
        let receiving = async {
            receive_every_form(&socket).await;
            receive_every_form(&socket).await;
        };
        zip(sending, receiving).await;
    });
}
