//! [`Tcp`]: tokio's TCP sockets for Prism's driver.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use futures_io::{AsyncRead, AsyncWrite};
#[cfg(any(target_os = "android", target_os = "linux"))]
use prism_driver::UnsentLimit;
#[cfg(any(target_os = "android", target_os = "linux"))]
use socket2::SockRef;
use tokio::net::TcpStream;

use crate::io::Io;

/// A tokio TCP socket that tries every write, even if tokio believes that the socket is full.
///
/// After a write that would block, tokio does not try again until the operating system reports the socket as
/// writable. Linux reports that only after half of the unsent data has left. If the peer reads slowly but
/// steadily, no progress would be seen for so long that the [write
/// timeout](prism_driver::Options::write_timeout) could end the connection. On a server, this type also lets the kernel
/// accept more unsent bytes, up to 1 MiB instead of 128 KiB, for a peer that takes at once what it is sent.
///
/// On operating systems other than Linux and Android, this type behaves like the socket itself.
///
/// [`Server`](crate::Server) and [`Client`](crate::Client) use this type for the sockets that they open. To use it for
/// a socket of your own, pass `Tcp::from(socket)` to [`Client::connect_stream`](crate::Client::connect_stream) or to
/// [`prism_driver::serve_stream`]. ([`serve_stream`](crate::serve_stream) takes tokio's streams, and does not wrap them
/// in this type.)
#[derive(Debug)]
pub struct Tcp {
    socket: Io<TcpStream>,
    #[cfg(any(target_os = "android", target_os = "linux"))]
    unsent_limit: UnsentLimit,
}

impl Tcp {
    /// Returns a reference to tokio's socket.
    #[must_use]
    pub const fn get_ref(&self) -> &TcpStream {
        &self.socket.0
    }

    /// Unwraps tokio's socket.
    #[must_use]
    pub fn into_inner(self) -> TcpStream {
        self.socket.0
    }

    /// Tries a write that tokio has not tried, and adapts the socket to how its peer takes what is written.
    #[cfg(any(target_os = "android", target_os = "linux"))]
    fn write_now(
        &mut self,
        mut written: Poll<io::Result<usize>>,
        offered: usize,
        write: impl FnOnce(&SockRef<'_>, i32) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        let socket = &self.socket.0;
        if written.is_pending() {
            written = match write(&SockRef::from(socket), libc::MSG_NOSIGNAL) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => Poll::Pending,
                // The write is tried again when the socket is ready, or at the next call.
                Err(error) if error.kind() == io::ErrorKind::Interrupted => Poll::Pending,
                written => Poll::Ready(written),
            };
        }
        self.unsent_limit.note_write(|| SockRef::from(socket), offered, &written);
        written
    }
}

impl From<TcpStream> for Tcp {
    fn from(socket: TcpStream) -> Self {
        Self {
            socket: Io(socket),
            #[cfg(any(target_os = "android", target_os = "linux"))]
            unsent_limit: UnsentLimit::default(),
        }
    }
}

impl AsyncRead for Tcp {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_read(cx, buf)
    }
}

impl AsyncWrite for Tcp {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.socket).poll_write(cx, buf);
        #[cfg(any(target_os = "android", target_os = "linux"))]
        let written =
            self.write_now(written, buf.len(), |socket, flags| socket.send_with_flags(buf, flags));
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.socket).poll_write_vectored(cx, bufs);
        #[cfg(any(target_os = "android", target_os = "linux"))]
        let written = {
            let offered = bufs.iter().map(|buf| buf.len()).sum();
            self.write_now(written, offered, |socket, flags| {
                socket.send_vectored_with_flags(bufs, flags)
            })
        };
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_close(cx)
    }
}
