//! Clients on every runtime, against a server on this one.

use std::thread;

use futures_lite::future::zip;
use prism_driver::{Client, Network};

use super::support::{
    PATIENCE,
    handlers::{Echo, Recorder, Seen, recorder},
    pattern,
    peer::{BINARY, TEXT},
    server::{Running, serve},
    short,
};
use crate::{
    prism::{CloseCode, Connection, Disconnect, Handler, Message},
    runtimes::{async_std, smol, tokio},
};

fn code(code: u16) -> CloseCode {
    CloseCode::new(code).expect("a code that may travel")
}

/// Closes when a message comes.
struct Closer;

impl Handler for Closer {
    async fn on_message(&self, connection: &Connection, _: Message<'_>) {
        assert!(connection.close(code(4002), "that will do"), "an open connection");
    }
}

fn served() -> Running {
    serve(|server| server.websocket("/", Echo).websocket("/closing", Closer))
}

async fn conversation<N: Network + Default>(server: &Running) {
    let client = |path| Client::<N>::new(&server.url(path)).expect("a good address");
    everything_comes_back(client("/")).await;
    the_client_closes(client("/")).await;
    the_server_closes(client("/closing")).await;
    a_handler_as_the_client(client("/closing")).await;
}

/// Text, binary, large and small, sent and received at the same time, in order.
async fn everything_comes_back<N: Network>(client: Client<N>) {
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

/// Says something first, and tells all that it sees.
struct Talker(Recorder);

impl Handler for Talker {
    async fn on_connect(&self, connection: &Connection) {
        connection.send("I go first").await.expect("an open connection");
    }

    async fn on_message(&self, _: &Connection, message: Message<'_>) {
        self.0.tell(Seen::Message(message.into_owned()));
    }

    async fn on_disconnect(&self, _: &Connection, reason: Disconnect) {
        self.0.tell(Seen::Ended(reason));
    }
}

async fn a_handler_as_the_client<N: Network>(client: Client<N>) {
    let (recorder, events) = recorder();
    let ending = client.run(Talker(recorder)).await.expect("a connection");
    assert_eq!(ending.code(), 4002);
    assert_eq!(events.ended().code(), 4002);
    events.nothing_more();
}

#[test]
fn a_client_on_tokio_talks_to_this_server() {
    let server = served();
    tokio::block_on(PATIENCE, conversation::<tokio::Network>(&server));
}

#[test]
fn a_client_on_smol_talks_to_this_server() {
    let server = served();
    smol::block_on(PATIENCE, conversation::<smol::Network>(&server));
}

#[test]
fn a_client_on_async_std_talks_to_this_server() {
    let server = served();
    async_std::block_on(PATIENCE, conversation::<async_std::Network>(&server));
}

/// The address of another runtime's is as good as one's own: a connection is sent to from anywhere.
#[test]
fn a_connection_is_sent_to_from_tasks_on_other_runtimes() {
    let (recorder, events) = recorder();
    let server = serve(|server| server.websocket("/", recorder));
    let mut peer = server.open("/");
    let connection = events.connected();
    let large = pattern(300_000);
    tokio::block_on(PATIENCE, async { connection.send("from tokio").await.expect("open") });
    smol::block_on(PATIENCE, async { connection.send("from smol").await.expect("open") });
    peer.expect(TEXT, b"from tokio");
    peer.expect(TEXT, b"from smol");
    // The last of these wait for room, that is, to be woken from this runtime.
    let sender = thread::spawn(move || {
        async_std::block_on(PATIENCE, async {
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
