//! yawc: frame by frame, and tuned as in its authors' benchmark: with a larger read buffer, and one flush for
//! all ready messages.

use std::io;

use futures_util::{FutureExt, SinkExt};
use yawc::{OpCode, Options, UpgradeFut, WebSocket, WebSocketError};

use super::{MAX_MESSAGE, hyper_upgrade};

/// How many messages its authors' benchmark answers with one flush.
const BATCH: usize = 32;

pub(super) fn echo(address: &str, threads: usize) -> io::Result<()> {
    hyper_upgrade::serve(address, threads, |request| {
        let (response, upgrade) = WebSocket::upgrade_with_options(request, options())?;
        Ok::<_, WebSocketError>((response, async { drop(session(upgrade).await) }))
    })
}

pub(super) fn echo_tuned(address: &str, threads: usize) -> io::Result<()> {
    hyper_upgrade::serve(address, threads, |request| {
        let options =
            options().with_read_buffer_capacity(128 * 1024).with_backpressure_boundary(64 * 1024);
        let (response, upgrade) = WebSocket::upgrade_with_options(request, options)?;
        Ok::<_, WebSocketError>((response, async { drop(session_tuned(upgrade).await) }))
    })
}

/// Returns options with the text check, which is optional in yawc, and which all other libraries do.
fn options() -> Options {
    Options::default().with_utf8().without_compression().with_limits(MAX_MESSAGE, 2 * MAX_MESSAGE)
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
