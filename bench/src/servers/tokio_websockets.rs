//! tokio-websockets: as in its echo example, and with one flush for all ready messages.

use std::io;

use tokio::net::TcpStream;
use tokio_websockets::{Config, Error, Limits, Message, ServerBuilder, WebSocketStream};

use super::{MAX_MESSAGE, echo, hub, on_tokio};

pub(super) fn echo(address: &str, threads: usize) -> io::Result<()> {
    on_tokio::serve(address, threads, |stream| {
        tokio::task::unconstrained(async { drop(session(stream).await) })
    })
}

pub(super) fn echo_tuned(address: &str, threads: usize) -> io::Result<()> {
    on_tokio::serve(address, threads, |stream| {
        tokio::task::unconstrained(async {
            if let Ok(socket) = accept(stream, config().flush_threshold(64 * 1024)).await {
                let _ = echo::batched(socket, is_data).await;
            }
        })
    })
}

/// Broadcasts with one task for each connection, which waits for both the socket and the hub.
pub(super) fn broadcast(address: &str, threads: usize) -> io::Result<()> {
    hub::serve(address, threads, |stream, member| {
        tokio::task::unconstrained(async {
            if let Ok(socket) = accept(stream, config()).await {
                let _ = member.run(socket, is_data).await;
            }
        })
    })
}

/// Broadcasts with two tasks, one for each half of the socket.
pub(super) fn broadcast_split(address: &str, threads: usize) -> io::Result<()> {
    hub::serve(address, threads, |stream, member| {
        tokio::task::unconstrained(async {
            if let Ok(socket) = accept(stream, config()).await {
                let _ = member.run_split(socket, is_data).await;
            }
        })
    })
}

async fn session(stream: TcpStream) -> Result<(), Error> {
    echo::one_by_one(accept(stream, config()).await?, is_data).await
}

fn config() -> Config {
    Config::default().frame_size(usize::MAX)
}

async fn accept(stream: TcpStream, config: Config) -> Result<WebSocketStream<TcpStream>, Error> {
    let builder = ServerBuilder::new()
        .config(config)
        .limits(Limits::default().max_payload_len(Some(MAX_MESSAGE)));
    let (_request, socket) = builder.accept(stream).await?;
    Ok(socket)
}

fn is_data(message: &Message) -> bool {
    message.is_text() || message.is_binary()
}
