//! Prism under axum.

use std::io;

use axum::{Extension, routing::any};
use prism_axum::{Connection, Handler, Message, WebSocketUpgrade, WebSockets};

use super::{
    on_axum,
    prism::{Echo, options},
};

pub(super) fn echo(address: &str, threads: usize) -> io::Result<()> {
    serve(address, threads, || Echo)
}

/// Sends the first message of each connection again and again.
pub(super) fn repeat(address: &str, threads: usize) -> io::Result<()> {
    serve(address, threads, || Repeat)
}

fn serve<H: Handler>(
    address: &str,
    threads: usize,
    handler: impl Fn() -> H + Clone + Send + Sync + 'static,
) -> io::Result<()> {
    let route = any(move |upgrade: WebSocketUpgrade| async move { upgrade.handler(handler()) });
    let websockets = WebSockets::new(options(None));
    on_axum::serve(address, threads, route.layer(Extension(websockets)))
}

struct Repeat;

impl Handler for Repeat {
    async fn on_message(&self, connection: &Connection, message: Message<'_>) {
        while connection.send(message).await.is_ok() {}
    }
}
