//! [`Tcp`]: tokio's TCP sockets, as Prism's driver needs them.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use futures_io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use crate::io::Io;

/// A TCP socket that takes what it can take whenever it is written to.
///
/// Once a socket has taken no more, tokio does not ask it again before the operating system says that it
/// takes more, and Linux says so only when half of what it holds back has left. Of a peer that reads slowly
/// but steadily nothing would be seen for so long that it could be given up for reading nothing.
#[derive(Debug)]
pub struct Tcp(Io<TcpStream>);

impl Tcp {
    /// Returns the socket.
    #[must_use]
    pub const fn get_ref(&self) -> &TcpStream {
        &self.0.0
    }

    /// Returns the socket that this was made of.
    #[must_use]
    pub fn into_inner(self) -> TcpStream {
        self.0.0
    }

    #[cfg(any(target_os = "android", target_os = "linux"))]
    fn write_now(
        &self,
        write: impl FnOnce(&socket2::Socket, i32) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        match write(&socket2::SockRef::from(self.get_ref()), libc::MSG_NOSIGNAL) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Poll::Pending,
            // It is tried again when the socket is ready, or when somebody asks.
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Poll::Pending,
            written => Poll::Ready(written),
        }
    }
}

impl From<TcpStream> for Tcp {
    fn from(socket: TcpStream) -> Self {
        Self(Io(socket))
    }
}

impl AsyncRead for Tcp {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for Tcp {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.0).poll_write(cx, buf);
        #[cfg(any(target_os = "android", target_os = "linux"))]
        if written.is_pending() {
            return self.write_now(|socket, flags| socket.send_with_flags(buf, flags));
        }
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.0).poll_write_vectored(cx, bufs);
        #[cfg(any(target_os = "android", target_os = "linux"))]
        if written.is_pending() {
            return self.write_now(|socket, flags| socket.send_vectored_with_flags(bufs, flags));
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_close(cx)
    }
}
