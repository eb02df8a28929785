//! tokio-tungstenite: message by message, and with one flush for all ready messages.

use std::io;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio_tungstenite::{
    WebSocketStream, accept_async_with_config,
    tungstenite::{Error, Message, protocol::WebSocketConfig},
};

use super::{MAX_MESSAGE, echo, hub, on_tokio};

pub(super) fn echo(address: &str, threads: usize) -> io::Result<()> {
    on_tokio::serve(address, threads, |stream| async { drop(session(stream).await) })
}

pub(super) fn tls(address: &str, threads: usize) -> io::Result<()> {
    on_tokio::serve_tls(address, threads, |stream| async { drop(session(stream).await) })
}

pub(super) fn echo_tuned(address: &str, threads: usize) -> io::Result<()> {
    on_tokio::serve(address, threads, |stream| async {
        if let Ok(socket) = accept(stream, config()).await {
            let _ = echo::batched(socket, is_data).await;
        }
    })
}

/// Broadcasts with one task for each connection, which waits for both the socket and the hub.
pub(super) fn broadcast(address: &str, threads: usize) -> io::Result<()> {
    hub::serve(address, threads, |stream, member| async {
        if let Ok(socket) = accept(stream, config()).await {
            let _ = member.run(socket, is_data).await;
        }
    })
}

/// Broadcasts with two tasks, one for each half of the socket, and with the small read buffer that the
/// documentation advises for many connections, because the whole buffer is zeroed for each read.
pub(super) fn broadcast_split(address: &str, threads: usize) -> io::Result<()> {
    hub::serve(address, threads, |stream, member| async {
        if let Ok(socket) = accept(stream, config().read_buffer_size(4096)).await {
            let _ = member.run_split(socket, is_data).await;
        }
    })
}

async fn session(stream: impl AsyncRead + AsyncWrite + Unpin) -> Result<(), Error> {
    echo::one_by_one(accept(stream, config()).await?, is_data).await
}

fn config() -> WebSocketConfig {
    WebSocketConfig::default().max_message_size(Some(MAX_MESSAGE)).max_frame_size(Some(MAX_MESSAGE))
}

async fn accept<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    config: WebSocketConfig,
) -> Result<WebSocketStream<S>, Error> {
    accept_async_with_config(stream, Some(config)).await
}

fn is_data(message: &Message) -> bool {
    message.is_text() || message.is_binary()
}
