//! Clients on every runtime, connected to a server on this one.

use std::thread;

use futures_lite::future::zip;
use prism_driver::{Client, Network};

use super::support::{
    TIMEOUT,
    handlers::{Echo, Recorder, Seen, recorder},
    pattern,
    peer::{BINARY, TEXT},
    server::{TestServer, serve},
    short,
};
use crate::{
    prism::{CloseCode, Connection, Disconnect, Handler, Message},
    runtimes::{async_std, smol, tokio},
};

fn code(code: u16) -> CloseCode {
    CloseCode::new(code).expect("a code that may travel")
}

/// Closes on the first message.
struct Closer;

impl Handler for Closer {
    async fn on_message(&self, connection: &Connection, _: Message<'_>) {
        assert!(connection.close(code(4002), "that will do"), "an open connection");
    }
}

fn test_server() -> TestServer {
    serve(|server| server.websocket("/", Echo).websocket("/closing", Closer))
}

async fn conversation<N: Network + Default>(server: &TestServer) {
    let client = |path| Client::<N>::new(&server.url(path)).expect("a good address");
    messages_are_echoed(client("/")).await;
    the_client_closes(client("/")).await;
    the_server_closes(client("/closing")).await;
    the_client_runs_a_handler(client("/closing")).await;
}

/// Sends and receives text and binary messages of all sizes at the same time, in order.
async fn messages_are_echoed<N: Network>(client: Client<N>) {
    let large = pattern(500_000);
    let mut messages = vec![Message::Text("Straße 🦀"), Message::Text(""), Message::Binary(&large)];
    let numbered: Vec<_> = (0..1_000).map(|number| format!("number {number}")).collect();
    messages.extend(numbered.iter().map(Message::from));
    let (sending, receiving) = client.connect().await.expect("a connection").split();
    let send = async {
        for message in &messages {
            sending.send(*message).await.expect("an open connection");
        }
    };
    let receive = async {
        for message in &messages {
            let returned = receiving.recv().await.expect("an echo");
            assert!(returned.as_message() == *message, "{}", short(&returned));
        }
    };
    zip(send, receive).await;
}

async fn the_client_closes<N: Network>(client: Client<N>) {
    let socket = client.connect().await.expect("a connection");
    let ending = socket.close(code(4001), "bye").await;
    assert!(matches!(ending, Disconnect::Local { .. }), "{ending:?}");
    assert_eq!((ending.code(), ending.reason()), (4001, "bye".into()));
}

async fn the_server_closes<N: Network>(client: Client<N>) {
    let socket = client.connect().await.expect("a connection");
    socket.send("now").await.expect("an open connection");
    let ending = socket.recv().await.expect_err("no message");
    assert!(matches!(ending, Disconnect::Peer { .. }), "{ending:?}");
    assert_eq!((ending.code(), ending.reason()), (4002, "that will do".into()));
}

/// Sends the first message, and records every call.
struct Greeter(Recorder);

impl Handler for Greeter {
    async fn on_connect(&self, connection: &Connection) {
        connection.send("I go first").await.expect("an open connection");
    }

    async fn on_message(&self, _: &Connection, message: Message<'_>) {
        self.0.record(Seen::Message(message.into_owned()));
    }

    async fn on_disconnect(&self, _: &Connection, reason: Disconnect) {
        self.0.record(Seen::Ended(reason));
    }
}

async fn the_client_runs_a_handler<N: Network>(client: Client<N>) {
    let (recorder, events) = recorder();
    let ending = client.run(Greeter(recorder)).await.expect("a connection");
    assert_eq!(ending.code(), 4002);
    assert_eq!(events.ended().code(), 4002);
    events.nothing_more();
}

#[test]
fn a_client_on_tokio_talks_to_this_server() {
    let server = test_server();
    tokio::block_on(TIMEOUT, conversation::<tokio::Network>(&server));
}

#[test]
fn a_client_on_smol_talks_to_this_server() {
    let server = test_server();
    smol::block_on(TIMEOUT, conversation::<smol::Network>(&server));
}

#[test]
fn a_client_on_async_std_talks_to_this_server() {
    let server = test_server();
    async_std::block_on(TIMEOUT, conversation::<async_std::Network>(&server));
}

#[test]
fn tasks_on_other_runtimes_can_send_to_a_connection() {
    let (recorder, events) = recorder();
    let server = serve(|server| server.websocket("/", recorder));
    let mut peer = server.open("/");
    let connection = events.connected();
    let large = pattern(300_000);
    tokio::block_on(TIMEOUT, async { connection.send("from tokio").await.expect("open") });
    smol::block_on(TIMEOUT, async { connection.send("from smol").await.expect("open") });
    peer.expect(TEXT, b"from tokio");
    peer.expect(TEXT, b"from smol");
    // The last sends wait for room in the outbox, and are woken by tasks of this runtime.
    let sender = thread::spawn(move || {
        async_std::block_on(TIMEOUT, async {
            for _ in 0..20 {
                connection.send(&large).await.expect("an open connection");
            }
        });
    });
    for _ in 0..20 {
        peer.expect(BINARY, &pattern(300_000));
    }
    sender.join().expect("all was sent");
}
