//! The cost of a task and a socket on each runtime, without TLS and with it: accepts, answers the handshake, and waits.

use std::{io, sync::Arc};

use futures_rustls::TlsAcceptor;
use smol::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::io::{AsyncRead as TokioRead, AsyncWrite as TokioWrite};

use super::{announce, floor::SWITCHING, on_tokio, tls};

pub(super) fn on_tokio(address: &str, threads: usize) -> io::Result<()> {
    on_tokio::serve(address, threads, wait_on_tokio)
}

pub(super) fn tls_on_tokio(address: &str, threads: usize) -> io::Result<()> {
    on_tokio::serve_tls(address, threads, wait_on_tokio)
}

pub(super) fn on_smol(address: &str, _: usize) -> io::Result<()> {
    serve_on_smol(address, wait)
}

pub(super) fn tls_on_smol(address: &str, _: usize) -> io::Result<()> {
    let acceptor = TlsAcceptor::from(tls::of_peers()?);
    serve_on_smol(address, move |stream| wait_over_tls(acceptor.clone(), stream))
}

fn serve_on_smol<F>(address: &str, connection: impl Fn(smol::net::TcpStream) -> F) -> io::Result<()>
where
    F: Future<Output = ()> + Send + 'static,
{
    let executor = Arc::new(smol::Executor::new());
    smol::block_on(executor.run(async {
        let listener = smol::net::TcpListener::bind(address).await?;
        announce(listener.local_addr()?);
        loop {
            let (stream, _) = listener.accept().await?;
            executor.spawn(connection(stream)).detach();
        }
    }))
}

pub(super) fn on_async_std(address: &str, _: usize) -> io::Result<()> {
    serve_on_async_std(address, wait)
}

pub(super) fn tls_on_async_std(address: &str, _: usize) -> io::Result<()> {
    let acceptor = TlsAcceptor::from(tls::of_peers()?);
    serve_on_async_std(address, move |stream| wait_over_tls(acceptor.clone(), stream))
}

fn serve_on_async_std<F>(
    address: &str,
    connection: impl Fn(async_std::net::TcpStream) -> F,
) -> io::Result<()>
where
    F: Future<Output = ()> + Send + 'static,
{
    async_std::task::block_on(async {
        let listener = async_std::net::TcpListener::bind(address).await?;
        announce(listener.local_addr()?);
        loop {
            let (stream, _) = listener.accept().await?;
            async_std::task::spawn(connection(stream));
        }
    })
}

async fn wait_over_tls(acceptor: TlsAcceptor, stream: impl AsyncRead + AsyncWrite + Unpin) {
    if let Ok(stream) = acceptor.accept(stream).await {
        wait(stream).await;
    }
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
async fn wait_on_tokio(mut stream: impl TokioRead + TokioWrite + Unpin) {
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
