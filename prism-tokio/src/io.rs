//! [`Io`]: the traits of `futures_io` for tokio's streams.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use futures_io::{AsyncRead, AsyncWrite};
use tokio::io::ReadBuf;

/// A wrapper that gives a stream with tokio's `AsyncRead` and `AsyncWrite` the traits of `futures_io`, which Prism
/// uses.
///
/// Vectored writes are passed on. [`serve_stream`](crate::serve_stream) and
/// [`serve_upgraded`](crate::serve_upgraded) wrap their streams themselves. A client's
/// [`connect_stream`](crate::Client::connect_stream) and
/// [`run_stream`](crate::Client::run_stream) take a stream in this wrapper:
///
/// ```no_run
/// use prism_tokio::{Client, Io};
/// use tokio::net::TcpStream;
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let stream = TcpStream::connect("127.0.0.1:8080").await?; // or a TLS stream, a Unix socket ...
/// let socket = Client::new("ws://127.0.0.1:8080/ws")?.connect_stream(Io(stream)).await?;
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct Io<T>(pub T);

impl<T: tokio::io::AsyncRead + Unpin> AsyncRead for Io<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let mut buf = ReadBuf::new(buf);
        ready!(Pin::new(&mut self.0).poll_read(cx, &mut buf))?;
        Poll::Ready(Ok(buf.filled().len()))
    }
}

impl<T: tokio::io::AsyncWrite + Unpin> AsyncWrite for Io<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(cx, bufs)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
