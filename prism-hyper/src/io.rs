//! [`Io`]: the traits of `futures_io` for the streams of hyper.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use futures_io::{AsyncRead, AsyncWrite};
use http::Version;
use hyper::{
    rt::{Read, ReadBuf, Write},
    upgrade::Upgraded,
};

/// The most that is written to a stream of HTTP/2 at once. hyper makes a copy of each write, whatever its size, and
/// queues up to four.
const MAX_HTTP2_WRITE: usize = 16 << 10;

/// A stream of hyper as a [transport](prism_driver::Transport). [`Upgrade`](crate::Upgrade) wraps streams itself. You
/// need this type only to serve one with an [`Opening`](prism_driver::Opening).
#[derive(Debug)]
pub struct Io {
    stream: Upgraded,
    max_write: usize,
}

impl Io {
    /// Wraps the stream of a request that had this version of HTTP.
    #[must_use]
    pub fn new(stream: Upgraded, version: Version) -> Self {
        let max_write = if version < Version::HTTP_2 { usize::MAX } else { MAX_HTTP2_WRITE };
        Self { stream, max_write }
    }
}

impl AsyncRead for Io {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let mut buf = ReadBuf::new(buf);
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf.unfilled()))?;
        Poll::Ready(Ok(buf.filled().len()))
    }
}

impl AsyncWrite for Io {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let length = buf.len().min(self.max_write);
        Pin::new(&mut self.stream).poll_write(cx, &buf[..length])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        // Only HTTP/2 limits writes, and hyper's streams of HTTP/2 would have to be limited here, too.
        if self.max_write == usize::MAX && self.stream.is_write_vectored() {
            return Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        }
        let first = bufs.iter().find(|buf| !buf.is_empty());
        self.poll_write(cx, first.map_or(&[], |buf| buf))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
