//! yawc: frame by frame, and tuned as in its authors' benchmark: with a larger read buffer, and one flush for
//! all ready messages.

use std::io;

use futures_util::{FutureExt, SinkExt, StreamExt};
use yawc::{DeflatePool, Frame, OpCode, Options, UpgradeFut, WebSocket, WebSocketError};

use super::{
    MAX_MESSAGE,
    hub::Hub,
    hyper_upgrade::{self, Transport},
};

/// How many messages its authors' benchmark answers with one flush.
const BATCH: usize = 32;

/// How many idle codecs a pool keeps of each kind: more than are used at once by one thread.
const POOL: usize = 4;

pub(super) fn echo(address: &str, threads: usize) -> io::Result<()> {
    serve(address, threads, Transport::Tcp, options().without_compression())
}

pub(super) fn echo_tuned(address: &str, threads: usize) -> io::Result<()> {
    serve_tuned(address, threads, Transport::Tcp, options().without_compression())
}

pub(super) fn tls(address: &str, threads: usize) -> io::Result<()> {
    serve(address, threads, Transport::Tls, options().without_compression())
}

pub(super) fn tls_tuned(address: &str, threads: usize) -> io::Result<()> {
    serve_tuned(address, threads, Transport::Tls, options().without_compression())
}

/// Compresses with the profile that its documentation calls a good default. Whether there is context takeover is up to
/// the client.
pub(super) fn compressed(address: &str, threads: usize) -> io::Result<()> {
    serve(address, threads, Transport::Tcp, options().with_balanced_compression())
}

pub(super) fn compressed_tuned(address: &str, threads: usize) -> io::Result<()> {
    serve_tuned(address, threads, Transport::Tcp, options().with_balanced_compression())
}

/// Compresses with codecs that connections share, as its documentation advises for many idle connections.
pub(super) fn pooled(address: &str, threads: usize) -> io::Result<()> {
    serve(address, threads, Transport::Tcp, pooling())
}

pub(super) fn compressed_broadcast(address: &str, threads: usize) -> io::Result<()> {
    broadcast(address, threads, options().with_balanced_compression())
}

pub(super) fn pooled_broadcast(address: &str, threads: usize) -> io::Result<()> {
    broadcast(address, threads, pooling())
}

/// Returns options with the text check, which is optional in yawc, and which all other libraries do.
fn options() -> Options {
    Options::default().with_utf8().with_limits(MAX_MESSAGE, 2 * MAX_MESSAGE)
}

fn pooling() -> Options {
    options()
        .with_balanced_compression()
        .server_no_context_takeover()
        .client_no_context_takeover()
        .with_deflate_pool(DeflatePool::new(POOL))
}

fn serve(address: &str, threads: usize, transport: Transport, options: Options) -> io::Result<()> {
    hyper_upgrade::serve(address, threads, transport, move |request| {
        let (response, upgrade) = WebSocket::upgrade_with_options(request, options.clone())?;
        Ok::<_, WebSocketError>((response, async { drop(session(upgrade).await) }))
    })
}

fn serve_tuned(
    address: &str,
    threads: usize,
    transport: Transport,
    options: Options,
) -> io::Result<()> {
    let options =
        options.with_read_buffer_capacity(128 * 1024).with_backpressure_boundary(64 * 1024);
    hyper_upgrade::serve(address, threads, transport, move |request| {
        let (response, upgrade) = WebSocket::upgrade_with_options(request, options.clone())?;
        Ok::<_, WebSocketError>((response, async { drop(session_tuned(upgrade).await) }))
    })
}

fn broadcast(address: &str, threads: usize, options: Options) -> io::Result<()> {
    let hub = Hub::new();
    hyper_upgrade::serve(address, threads, Transport::Tcp, move |request| {
        let (response, upgrade) = WebSocket::upgrade_with_options(request, options.clone())?;
        let member = hub.member();
        let session = async move {
            if let Ok(socket) = upgrade.await {
                let _ = member.run(socket.map(Ok::<_, WebSocketError>), is_data).await;
            }
        };
        Ok::<_, WebSocketError>((response, session))
    })
}

fn is_data(frame: &Frame) -> bool {
    matches!(frame.opcode(), OpCode::Text | OpCode::Binary)
}

async fn session(upgrade: UpgradeFut) -> Result<(), WebSocketError> {
    let mut socket = upgrade.await?;
    loop {
        let frame = socket.next_frame().await?;
        match frame.opcode() {
            OpCode::Close => return Ok(()),
            OpCode::Text | OpCode::Binary => socket.send(frame).await?,
            _ => {}
        }
    }
}

async fn session_tuned(upgrade: UpgradeFut) -> Result<(), WebSocketError> {
    let mut socket = upgrade.await?;
    loop {
        let mut frame = socket.next_frame().await?;
        for left in (0..BATCH).rev() {
            match frame.opcode() {
                OpCode::Close => return socket.close().await,
                OpCode::Text | OpCode::Binary => socket.feed(frame).await?,
                _ => {}
            }
            if left == 0 {
                break;
            }
            match socket.next_frame().now_or_never() {
                Some(next) => frame = next?,
                None => break,
            }
        }
        socket.flush().await?;
    }
}
