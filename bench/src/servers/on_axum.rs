//! Shared by all servers under axum.

use std::io;

use axum::{Router, routing::MethodRouter, serve::ListenerExt};
use tokio::net::TcpListener;

use super::{announce, on_tokio};

/// Runs a server with one route, over HTTP/1.1, and over HTTP/2 with prior knowledge.
pub(super) fn serve(address: &str, threads: usize, route: MethodRouter) -> io::Result<()> {
    on_tokio::block_on(threads, async {
        let listener = TcpListener::bind(address).await?;
        announce(listener.local_addr()?);
        let listener = listener.tap_io(|stream| {
            let _ = stream.set_nodelay(true); // fails only if the client is gone
        });
        axum::serve(listener, Router::new().route("/", route)).await
    })?
}
