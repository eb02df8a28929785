//! Servers on several threads that share an address.

// Listeners cannot share an address on Windows.
#![cfg(unix)]

use std::{
    collections::HashSet,
    net::SocketAddr,
    sync::{Arc, Mutex},
    thread::{self, ThreadId},
};

use prism_tokio::{Connection, Disconnect, Handler, Message, OwnedMessage};
use tokio::sync::oneshot;

/// Echoes, and records on which threads.
#[derive(Default)]
struct Threads(Mutex<HashSet<ThreadId>>);

impl Handler for Threads {
    async fn on_message(&self, connection: &Connection, message: Message<'_>) {
        self.0.lock().unwrap().insert(thread::current().id());
        connection.send(message).await.unwrap();
    }
}

#[test]
fn shards_share_connections_and_close_all_on_shutdown() {
    let threads = Arc::<Threads>::default();
    let handler = threads.clone();
    let listeners = prism_tokio::shared_listeners("127.0.0.1:0", 2).unwrap();
    let address = listeners[0].local_addr().unwrap();
    let (stop, stopped) = oneshot::channel();
    let serving = thread::spawn(move || {
        let build = |server: prism_tokio::Server| server.websocket("/", handler.clone());
        prism_tokio::serve_sharded(listeners, build, async { drop(stopped.await) })
    });
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let mut sockets = Vec::new();
        // The chance that one of the two threads gets none of them is 2^-63.
        for _ in 0..64 {
            let socket = prism_tokio::connect(&format!("ws://{address}/")).await.unwrap();
            socket.send("hello").await.unwrap();
            assert_eq!(socket.recv().await.unwrap(), OwnedMessage::Text("hello".into()));
            sockets.push(socket);
        }
        assert_eq!(threads.0.lock().unwrap().len(), 2);
        stop.send(()).unwrap();
        for socket in &sockets {
            let ending = socket.recv().await.unwrap_err();
            assert!(matches!(&ending, Disconnect::Peer { .. }), "{ending}");
            assert_eq!(ending.code(), 1001);
        }
    });
    let outcome = serving.join().unwrap().unwrap();
    assert_eq!((outcome.closed, outcome.failed, outcome.cut), (64, 0, 0));
}

#[test]
fn an_address_bound_without_sharing_cannot_be_shared() {
    let alone = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address: SocketAddr = alone.local_addr().unwrap();
    assert!(prism_tokio::shared_listeners(address, 2).is_err());
}
