//! [`CloseWrite`]: a socket whose `close` closes its write side.

#[cfg(unix)]
pub(crate) use std::os::fd::AsFd as AsSocket;
#[cfg(windows)]
pub(crate) use std::os::windows::io::AsSocket;
use std::{
    io,
    net::Shutdown,
    pin::Pin,
    task::{Context, Poll, ready},
};

use futures_io::{AsyncRead, AsyncWrite};
use socket2::SockRef;

/// A socket whose `close` closes its write side, as [`Transport`](crate::Transport) requires.
///
/// The `close` of async-std's sockets only flushes, so a peer that waits for the end of the stream would wait until the
/// socket is dropped. The sockets of `smol::net` and the streams of prism-tokio do not need this wrapper. For sockets
/// in an `async_io::Async` (also known as `smol::Async`), use `AsyncIoStream`.
///
/// With TLS, wrap the socket, not the TLS stream: the `close` of the TLS stream sends `close_notify`.
///
/// ```no_run
/// # use prism_driver::{CloseWrite, Transport};
/// # async fn example<S: Transport>(socket: S)
/// # where CloseWrite<S>: Transport {
/// let transport = CloseWrite(socket); // for `serve_stream`, or `Client::connect_stream`
/// # fn is_transport(_: impl Transport) {}
/// # is_transport(transport);
/// # }
/// ```
#[derive(Debug)]
pub struct CloseWrite<S>(pub S);

impl<S: AsyncRead + Unpin> AsyncRead for CloseWrite<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + AsSocket + Unpin> AsyncWrite for CloseWrite<S> {
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
        ready!(self.as_mut().poll_flush(cx))?;
        Poll::Ready(SockRef::from(&self.0).shutdown(Shutdown::Write))
    }
}
