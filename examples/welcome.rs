//! A first server: greets each client, and sends every message back.
//!
//! ```text
//! welcome [ADDR]
//! ```

use std::io;

// To copy this file, replace `crate::prism` by your adapter, such as `prism_tokio`.
use crate::prism::{Connection, Disconnect, Handler, Message, Server};

/// One instance serves all connections.
struct Welcome;

impl Handler for Welcome {
    async fn on_connect(&self, connection: &Connection) {
        let _ = connection.send("welcome").await; // fails only if the connection is closing
    }

    async fn on_message(&self, connection: &Connection, message: Message<'_>) {
        let _ = connection.send(message).await;
    }

    async fn on_disconnect(&self, connection: &Connection, reason: Disconnect) {
        println!("{:.8}: {reason}", connection.id());
    }
}

/// Serves until `shutdown` completes and all connections are closed.
pub(crate) async fn serve(address: &str, shutdown: impl Future<Output = ()>) -> io::Result<()> {
    let server = Server::bind(address).await?.websocket("/ws", Welcome);
    println!("listening on ws://{}/ws", server.local_addr()?);
    server.serve_until(shutdown).await;
    Ok(())
}
