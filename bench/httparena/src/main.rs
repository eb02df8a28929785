//! Echoes messages on `/ws`: a server, a runtime and a listener for each core.

use std::{error::Error, future::pending, thread};

use prism_tokio::{Connection, Handler, Message, Server, serve_sharded, shared_listeners};

const ADDRESS: &str = "0.0.0.0:8080";

struct Echo;

impl Handler for Echo {
    async fn on_message(&self, connection: &Connection, message: Message<'_>) {
        let _ = connection.send(message).await; // fails if the client is gone
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let cores = thread::available_parallelism()?.get();
    let listeners = shared_listeners(ADDRESS, cores)?;
    println!("Application started.");
    serve_sharded(listeners, |server: Server| server.websocket("/ws", Echo), pending())?;
    Ok(())
}
