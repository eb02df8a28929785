//! A chat server: sends each message to all connections, and serves a page for the browser.
//!
//! ```text
//! chat [ADDR]
//! ```
//!
//! A client first receives `you are ID`, then a line for each event: `ID joined`, `ID left`, or `ID: TEXT`. The page
//! sends `NAME: TEXT`, which the server passes on as any other text: `ID: NAME: TEXT`.

use std::{collections::HashMap, io, sync::Mutex};

// To copy this file, replace `crate::prism` by your adapter, such as `prism_tokio`.
use crate::prism::{
    Connection, ConnectionId, Deflate, Disconnect, Handler, Message, Options, Reply, Server,
    hold_wakeups,
};

#[path = "page.rs"]
mod page;

/// While this many bytes are unsent, a client misses lines. This is a quarter of the default: clients share the
/// bytes of a long line, but each client that does not read has its own copy of the short ones.
const MAX_UNSENT: usize = 16 << 10;

/// All connections of the chat.
#[derive(Default)]
struct Chat {
    people: Mutex<HashMap<ConnectionId, Connection>>,
}

impl Chat {
    /// Sends a line to everyone.
    fn broadcast(&self, line: &str) {
        let _wakeups = hold_wakeups(); // no task is woken while the lock is held
        for person in self.people.lock().unwrap().values() {
            // `try_send` never waits: a slow client misses the line, and no other has to wait. All
            // connections share the bytes of a long line.
            let _ = person.try_send(line);
        }
    }
}

impl Handler for Chat {
    async fn on_connect(&self, connection: &Connection) {
        let _ = connection.try_send(format!("you are {:.8}", connection.id()));
        self.people.lock().unwrap().insert(connection.id(), connection.clone());
        self.broadcast(&format!("{:.8} joined", connection.id()));
    }

    async fn on_message(&self, connection: &Connection, message: Message<'_>) {
        if let Message::Text(text) = message {
            self.broadcast(&format!("{:.8}: {text}", connection.id()));
        }
    }

    async fn on_disconnect(&self, connection: &Connection, _: Disconnect) {
        self.people.lock().unwrap().remove(&connection.id());
        self.broadcast(&format!("{:.8} left", connection.id()));
    }
}

/// Serves until `shutdown` completes and all connections are closed.
pub(crate) async fn serve(address: &str, shutdown: impl Future<Output = ()>) -> io::Result<()> {
    let server = Server::bind(address)
        .await?
        .options(Options::default().high_water_mark(MAX_UNSENT).compression(Deflate::default()))
        .get("/", |_| Reply::html(include_str!("chat.html")))
        .get("/page/{file}", page::file)
        .websocket("/ws", Chat::default());
    println!("listening on http://{}", server.local_addr()?);
    server.serve_until(shutdown).await;
    Ok(())
}
