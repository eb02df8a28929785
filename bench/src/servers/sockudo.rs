//! sockudo-ws: message by message, and with `feed` and one `flush` at batch boundaries, as its
//! documentation advises.

use std::io;

use sockudo_ws::{Config, Error, Message, Role, WebSocketStream, handshake::server_handshake};
use tokio::net::TcpStream;

use super::{MAX_MESSAGE, echo, on_tokio};

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

async fn session(stream: TcpStream) -> Result<(), Error> {
    echo::one_by_one(accept(stream).await?, is_data).await
}

async fn accept(mut stream: TcpStream) -> Result<WebSocketStream<TcpStream>, Error> {
    let config =
        Config::builder().max_message_size(MAX_MESSAGE).max_frame_size(MAX_MESSAGE).build();
    let handshake = server_handshake(&mut stream).await?;
    Ok(WebSocketStream::from_raw_with_leftover(stream, Role::Server, config, handshake.leftover))
}

fn is_data(message: &Message) -> bool {
    matches!(message, Message::Text(_) | Message::Binary(_))
}
