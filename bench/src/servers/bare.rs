//! What a task and a socket cost on smol and async-std: accept, answer the handshake, wait.

use std::{io, sync::Arc};

use smol::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::{announce, floor::SWITCHING};

pub(super) fn on_smol(address: &str, _: usize) -> io::Result<()> {
    let executor = Arc::new(smol::Executor::new());
    smol::block_on(executor.run(async {
        let listener = smol::net::TcpListener::bind(address).await?;
        announce(listener.local_addr()?);
        loop {
            let (stream, _) = listener.accept().await?;
            executor.spawn(wait(stream)).detach();
        }
    }))
}

pub(super) fn on_async_std(address: &str, _: usize) -> io::Result<()> {
    async_std::task::block_on(async {
        let listener = async_std::net::TcpListener::bind(address).await?;
        announce(listener.local_addr()?);
        loop {
            let (stream, _) = listener.accept().await?;
            async_std::task::spawn(wait(stream));
        }
    })
}

/// Takes the request in small pieces, because a buffer would count as the task's memory.
async fn wait(mut stream: impl AsyncRead + AsyncWrite + Unpin) {
    let mut byte = [0];
    let mut end = 0; // how much of the empty line is there
    while let Ok(1) = stream.read(&mut byte).await {
        end = if byte[0] == b"\r\n\r\n"[end] { end + 1 } else { usize::from(byte[0] == b'\r') };
        if end == 4 {
            end = 0;
            if stream.write_all(SWITCHING).await.is_err() {
                return;
            }
        }
    }
}
