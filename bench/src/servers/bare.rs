//! The cost of a task and a socket on each runtime: accepts, answers the handshake, and waits.

use std::{io, sync::Arc};

use smol::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::{announce, floor::SWITCHING, on_tokio};

pub(super) fn on_tokio(address: &str, threads: usize) -> io::Result<()> {
    on_tokio::serve(address, threads, wait_on_tokio)
}

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

async fn wait(mut stream: impl AsyncRead + AsyncWrite + Unpin) {
    let (mut byte, mut request) = ([0], Request::default());
    while let Ok(1) = stream.read(&mut byte).await {
        if request.ends_with(byte[0]) && stream.write_all(SWITCHING).await.is_err() {
            return;
        }
    }
}

/// The same with tokio's own traits.
async fn wait_on_tokio(mut stream: tokio::net::TcpStream) {
    let (mut byte, mut request) = ([0], Request::default());
    while let Ok(1) = tokio::io::AsyncReadExt::read(&mut stream, &mut byte).await {
        let write = tokio::io::AsyncWriteExt::write_all;
        if request.ends_with(byte[0]) && write(&mut stream, SWITCHING).await.is_err() {
            return;
        }
    }
}

/// Finds the empty line byte by byte, because a buffer would count as the task's memory.
#[derive(Default)]
struct Request {
    /// How much of the end has arrived.
    end: usize,
}

impl Request {
    fn ends_with(&mut self, byte: u8) -> bool {
        let expected = byte == b"\r\n\r\n"[self.end];
        self.end = if expected { (self.end + 1) % 4 } else { usize::from(byte == b'\r') };
        expected && self.end == 0
    }
}
