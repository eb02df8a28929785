//! A chat: everybody hears everybody, and a page for the browser.
//!
//! ```text
//! chat [ADDR]
//! ```

use std::{collections::HashMap, io, sync::Mutex};

use crate::prism::{Connection, ConnectionId, Disconnect, Handler, Message, Reply, Server};

/// Everybody who is in the chat.
#[derive(Default)]
struct Chat {
    people: Mutex<HashMap<ConnectionId, Connection>>,
}

impl Chat {
    fn say(&self, text: &str) {
        for person in self.people.lock().unwrap().values() {
            // Nobody waits for somebody who does not keep up: they miss a line. The others share its bytes.
            let _ = person.try_send(text);
        }
    }
}

impl Handler for Chat {
    async fn on_connect(&self, connection: &Connection) {
        self.people.lock().unwrap().insert(connection.id(), connection.clone());
        self.say(&format!("{:.8} joined", connection.id()));
    }

    async fn on_message(&self, connection: &Connection, message: Message<'_>) {
        if let Message::Text(text) = message {
            self.say(&format!("{:.8}: {text}", connection.id()));
        }
    }

    async fn on_disconnect(&self, connection: &Connection, _: Disconnect) {
        self.people.lock().unwrap().remove(&connection.id());
        self.say(&format!("{:.8} left", connection.id()));
    }
}

/// Serves until `shutdown` is ready, and everybody has left.
pub(crate) async fn serve(shutdown: impl Future<Output = ()>) -> io::Result<()> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8080".into());
    let server = Server::bind(address)
        .await?
        .get("/", |_| Reply::html(include_str!("chat.html")))
        .websocket("/ws", Chat::default());
    println!("listening on http://{}", server.local_addr()?);
    server.serve_until(shutdown).await;
    Ok(())
}
