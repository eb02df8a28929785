//! Prism servers that do what an attacker would want.

use std::{future::pending, io};

use prism_driver::{Connection, Deflate, Handler, Message, Options, Reply};
use prism_rooms::Presence;

use super::{announce, on_tokio};

/// Runs a server whose handler never returns.
pub(super) fn busy(address: &str, threads: usize) -> io::Result<()> {
    serve(address, threads, || Busy)
}

/// Runs a server that tracks each connection in a room, with its last message as metadata. A connection that
/// sends `watch` starts to watch the room again.
pub(super) fn presence(address: &str, threads: usize) -> io::Result<()> {
    serve(address, threads, || Shown(Presence::new(prism_tokio::Tokio)))
}

/// Runs a server that has a page of 1 MiB.
pub(super) fn page(address: &str, threads: usize) -> io::Result<()> {
    on_tokio::block_on(threads, async {
        let server = prism_tokio::Server::bind(address).await?;
        announce(server.local_addr()?);
        let page = Reply::html(vec![b'a'; 1 << 20]);
        server.get("/", move |_| page.clone()).serve().await;
        Ok(())
    })?
}

/// Serves with default options and compression. The options of the benchmarks allow larger messages.
fn serve<H: Handler>(address: &str, threads: usize, handler: impl FnOnce() -> H) -> io::Result<()> {
    on_tokio::block_on(threads, async {
        let server = prism_tokio::Server::bind(address).await?;
        announce(server.local_addr()?);
        let options = Options::default().compression(Deflate::default());
        server.options(options).websocket("/", handler()).serve().await;
        Ok(())
    })?
}

struct Busy;

impl Handler for Busy {
    async fn on_message(&self, _: &Connection, _: Message<'_>) {
        pending().await
    }
}

struct Shown(Presence<String>);

impl Handler for Shown {
    async fn on_message(&self, connection: &Connection, message: Message<'_>) {
        let text = message.as_text().unwrap_or_default();
        // Reaching a limit is part of the measurement.
        if text == "watch" {
            self.0.unwatch(connection.id(), "room");
            let _ = self.0.watch(connection, "room");
        } else {
            let _ = self.0.track(connection, "room", &connection.id().to_string(), text.into());
        }
    }
}
