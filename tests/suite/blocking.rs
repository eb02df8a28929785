//! Handlers that block their thread, which they should not: what they have sent leaves when they flush.

use std::sync::{Mutex, mpsc::Receiver, mpsc::channel};

use futures_lite::future::block_on;

use super::support::{
    PATIENCE,
    peer::{PING, PONG, TEXT},
    server::serve,
};
use crate::prism::{Connection, Handler, Message};

/// Hands what a peer says to the one who came before it, and blocks until that one has it.
struct Blocking {
    first: Mutex<Option<Connection>>,
    arrived: Mutex<Receiver<()>>,
}

impl Handler for Blocking {
    async fn on_connect(&self, connection: &Connection) {
        self.first.lock().unwrap().get_or_insert(connection.clone());
    }

    async fn on_message(&self, _: &Connection, message: Message<'_>) {
        let first = self.first.lock().unwrap().clone().expect("somebody came first");
        block_on(async {
            first.send(message).await.expect("an open connection");
            first.flush().await.expect("an open connection");
        });
        self.arrived.lock().unwrap().recv_timeout(PATIENCE).expect("it has left");
    }
}

#[test]
fn what_a_handler_sent_leaves_when_it_flushes_though_it_blocks_its_thread() {
    let (arrived, arrivals) = channel();
    let handler = Blocking { first: Mutex::default(), arrived: Mutex::new(arrivals) };
    let server = serve(|server| server.websocket("/", handler));
    let mut first = server.open("/");
    first.send(PING, b"");
    first.expect(PONG, b""); // its on_connect has run
    let mut second = server.open("/");
    second.send(TEXT, b"hello");
    first.expect(TEXT, b"hello");
    arrived.send(()).expect("the handler waits");
}
