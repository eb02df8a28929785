//! tokio-tungstenite: message by message, and with one flush for all that was ready.

use std::io;

use tokio::net::TcpStream;
use tokio_tungstenite::{
    WebSocketStream, accept_async_with_config,
    tungstenite::{Error, Message, protocol::WebSocketConfig},
};

use super::{MAX_MESSAGE, echo, hub, on_tokio};

pub(super) fn echo(address: &str, threads: usize) -> io::Result<()> {
    on_tokio::serve(address, threads, |stream| async { drop(session(stream).await) })
}

pub(super) fn echo_tuned(address: &str, threads: usize) -> io::Result<()> {
    on_tokio::serve(address, threads, |stream| async {
        if let Ok(socket) = accept(stream).await {
            let _ = echo::batched(socket, is_data).await;
        }
    })
}

pub(super) fn broadcast(address: &str, threads: usize) -> io::Result<()> {
    let hub = hub::Hub::new();
    on_tokio::serve(address, threads, move |stream| {
        let member = hub.member();
        async {
            if let Ok(socket) = accept(stream).await {
                let _ = member.run(socket, is_data).await;
            }
        }
    })
}

async fn session(stream: TcpStream) -> Result<(), Error> {
    echo::one_by_one(accept(stream).await?, is_data).await
}

async fn accept(stream: TcpStream) -> Result<WebSocketStream<TcpStream>, Error> {
    let config = WebSocketConfig::default()
        .max_message_size(Some(MAX_MESSAGE))
        .max_frame_size(Some(MAX_MESSAGE));
    accept_async_with_config(stream, Some(config)).await
}

fn is_data(message: &Message) -> bool {
    message.is_text() || message.is_binary()
}
