//! The WebSockets of axum itself.

use std::io;

use axum::{
    extract::ws::{Message, WebSocket, WebSocketUpgrade},
    routing::any,
};
use futures_util::StreamExt;

use super::{MAX_MESSAGE, echo, on_axum};

pub(super) fn echo(address: &str, threads: usize) -> io::Result<()> {
    serve(address, threads, |socket| async { drop(echo::one_by_one(socket, is_data).await) })
}

pub(super) fn echo_tuned(address: &str, threads: usize) -> io::Result<()> {
    serve(address, threads, |socket| async { drop(echo::batched(socket, is_data).await) })
}

/// Sends the first message of each connection again and again.
pub(super) fn repeat(address: &str, threads: usize) -> io::Result<()> {
    serve(address, threads, |mut socket| async move {
        if let Some(Ok(message)) = socket.next().await {
            while socket.send(message.clone()).await.is_ok() {}
        }
    })
}

fn serve<F>(
    address: &str,
    threads: usize,
    session: impl Fn(WebSocket) -> F + Clone + Send + Sync + 'static,
) -> io::Result<()>
where
    F: Future<Output = ()> + Send + 'static,
{
    let route = any(move |upgrade: WebSocketUpgrade| async move {
        upgrade.max_message_size(MAX_MESSAGE).max_frame_size(MAX_MESSAGE).on_upgrade(session)
    });
    on_axum::serve(address, threads, route)
}

const fn is_data(message: &Message) -> bool {
    matches!(message, Message::Text(_) | Message::Binary(_))
}
