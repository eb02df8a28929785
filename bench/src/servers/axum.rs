//! WebSockets under axum: Prism's, and axum's own.

use std::{future::ready, io};

use axum::{Extension, Router, routing::any};
use prism_axum::{Connection, Handler, Message, Options, WebSocketUpgrade, WebSockets};
use tokio::net::TcpListener;

use super::{MAX_MESSAGE, announce, on_tokio};

/// Echoes with Prism.
pub(super) fn prism(address: &str, threads: usize) -> io::Result<()> {
    let websockets = WebSockets::new(Options::default().max_message_size(MAX_MESSAGE));
    let echo = |upgrade: WebSocketUpgrade| ready(upgrade.handler(Echo));
    serve(address, threads, Router::new().fallback(any(echo)).layer(Extension(websockets)))
}

/// Echoes with `axum::extract::ws`.
#[cfg(feature = "peers")]
pub(super) fn ws(address: &str, threads: usize) -> io::Result<()> {
    use axum::{
        extract::ws::{Message, WebSocketUpgrade},
        response::Response,
    };

    async fn echo(upgrade: WebSocketUpgrade) -> Response {
        upgrade.max_message_size(MAX_MESSAGE).max_frame_size(MAX_MESSAGE).on_upgrade(
            |socket| async {
                let is_data =
                    |message: &Message| matches!(message, Message::Text(_) | Message::Binary(_));
                // It fails when the load generator ends the connection.
                let _ = super::echo::one_by_one(socket, is_data).await;
            },
        )
    }

    serve(address, threads, Router::new().fallback(any(echo)))
}

struct Echo;

impl Handler for Echo {
    async fn on_message(&self, connection: &Connection, message: Message<'_>) {
        let _ = connection.send(message).await; // fails only if the connection is closing
    }
}

fn serve(address: &str, threads: usize, app: Router) -> io::Result<()> {
    on_tokio::block_on(threads, async {
        use axum::serve::ListenerExt;

        let listener = TcpListener::bind(address).await?;
        announce(listener.local_addr()?);
        // Prism sets it itself.
        let listener = listener.tap_io(|socket| drop(socket.set_nodelay(true)));
        axum::serve(listener, app).await
    })?
}
