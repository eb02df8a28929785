//! sockudo-ws: message by message, and with `feed` and one `flush` at batch boundaries, as its
//! documentation advises.

use std::io;

use bytes::{Bytes, BytesMut};
use sockudo_ws::{
    CompressedWebSocketStream, Compression, Config, ConfigBuilder, Error, Message, Role,
    WebSocketStream,
    deflate::{DeflateConfig, negotiate_server_deflate},
    handshake::{build_response, generate_accept_key, parse_request, server_handshake},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
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
        if let Ok(socket) = accept(stream).await {
            let _ = echo::batched(socket, is_data).await;
        }
    })
}

/// Compresses in the mode that its documentation advises for many connections.
pub(super) fn deflate(address: &str, threads: usize) -> io::Result<()> {
    compressed(address, threads, Compression::Shared)
}

pub(super) fn deflate_tuned(address: &str, threads: usize) -> io::Result<()> {
    compressed_tuned(address, threads, Compression::Shared)
}

/// Compresses in the mode that its documentation calls the best compression, which has context takeover.
pub(super) fn takeover(address: &str, threads: usize) -> io::Result<()> {
    compressed(address, threads, Compression::Dedicated)
}

pub(super) fn takeover_tuned(address: &str, threads: usize) -> io::Result<()> {
    compressed_tuned(address, threads, Compression::Dedicated)
}

pub(super) fn deflate_broadcast(address: &str, threads: usize) -> io::Result<()> {
    hub::serve(address, threads, |stream, member| async {
        if let Ok(socket) = accept_compressed(stream, Compression::Shared).await {
            let _ = member.run(socket, is_data).await;
        }
    })
}

fn compressed(address: &str, threads: usize, mode: Compression) -> io::Result<()> {
    on_tokio::serve(address, threads, move |stream| async move {
        if let Ok(socket) = accept_compressed(stream, mode).await {
            let _ = echo::one_by_one(socket, is_data).await;
        }
    })
}

fn compressed_tuned(address: &str, threads: usize, mode: Compression) -> io::Result<()> {
    on_tokio::serve(address, threads, move |stream| async move {
        if let Ok(socket) = accept_compressed(stream, mode).await {
            let _ = echo::batched(socket, is_data).await;
        }
    })
}

async fn session(stream: impl AsyncRead + AsyncWrite + Unpin) -> Result<(), Error> {
    echo::one_by_one(accept(stream).await?, is_data).await
}

async fn accept<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
) -> Result<WebSocketStream<S>, Error> {
    let handshake = server_handshake(&mut stream).await?;
    let config = config().build();
    Ok(WebSocketStream::from_raw_with_leftover(stream, Role::Server, config, handshake.leftover))
}

/// Negotiates compression as its own test server does, because its `server_handshake` does not.
async fn accept_compressed(
    mut stream: TcpStream,
    mode: Compression,
) -> Result<CompressedWebSocketStream<TcpStream>, Error> {
    let refused = || Error::HandshakeFailed("the client has to compress");
    let policy = mode.to_deflate_config().ok_or_else(refused)?;
    let mut request = BytesMut::with_capacity(4096);
    let (deflate, response, leftover) = loop {
        if stream.read_buf(&mut request).await? == 0 {
            return Err(Error::ConnectionClosed);
        }
        if let Some(accepted) = negotiate(&request, &policy)? {
            break accepted.ok_or_else(refused)?;
        }
    };
    stream.write_all(&response).await?;
    let config = config().compression(mode).build();
    Ok(CompressedWebSocketStream::server_with_leftover(stream, config, deflate, leftover))
}

/// What was agreed, the response, and what the client has sent after its request.
type Accepted = (DeflateConfig, Bytes, Option<Bytes>);

/// Returns `None` if the request is incomplete, and `Some(None)` if it cannot be accepted.
fn negotiate(request: &[u8], policy: &DeflateConfig) -> Result<Option<Option<Accepted>>, Error> {
    let Some((parsed, consumed)) = parse_request(request)? else { return Ok(None) };
    let agreed = parsed.extensions.and_then(|offers| negotiate_server_deflate(offers, policy));
    Ok(Some(agreed.map(|agreed| {
        let key = generate_accept_key(parsed.key);
        let response = build_response(&key, None, Some(&agreed.to_response_header()));
        let rest = &request[consumed..];
        let leftover = (!rest.is_empty()).then(|| Bytes::copy_from_slice(rest));
        (agreed.config, response, leftover)
    })))
}

fn config() -> ConfigBuilder {
    Config::builder().max_message_size(MAX_MESSAGE).max_frame_size(MAX_MESSAGE)
}

fn is_data(message: &Message) -> bool {
    matches!(message, Message::Text(_) | Message::Binary(_))
}
