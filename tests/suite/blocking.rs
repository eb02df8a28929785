//! Handlers that block their thread, which they should not: a flush still writes what they sent.

use std::sync::{Mutex, mpsc::Receiver, mpsc::channel};

use futures_lite::future::block_on;

use super::support::{
    TIMEOUT,
    peer::{PING, PONG, TEXT},
    server::serve,
};
use crate::prism::{Connection, Handler, Message};

/// Forwards each message to the first connection, and blocks until its peer has received it.
struct Blocking {
    first: Mutex<Option<Connection>>,
    arrived: Mutex<Receiver<()>>,
}

impl Handler for Blocking {
    async fn on_connect(&self, connection: &Connection) {
        self.first.lock().unwrap().get_or_insert(connection.clone());
    }

    async fn on_message(&self, _: &Connection, message: Message<'_>) {
        let first = self.first.lock().unwrap().clone().expect("a first connection");
        block_on(async {
            first.send(message).await.expect("an open connection");
            first.flush().await.expect("an open connection");
        });
        self.arrived.lock().unwrap().recv_timeout(TIMEOUT).expect("the message has arrived");
    }
}

#[test]
fn a_flush_writes_even_if_the_handler_blocks_its_thread() {
    let (arrived, arrivals) = channel();
    let handler = Blocking { first: Mutex::default(), arrived: Mutex::new(arrivals) };
    let server = serve(|server| server.websocket("/", handler));
    let mut first = server.open("/");
    first.send(PING, b"");
    first.expect(PONG, b""); // `on_connect` has run
    let mut second = server.open("/");
    second.send(TEXT, b"hello");
    first.expect(TEXT, b"hello");
    arrived.send(()).expect("the handler waits");
}
