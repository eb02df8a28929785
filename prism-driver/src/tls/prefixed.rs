//! [`Prefixed`]: a transport of which some bytes have been read already.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll},
};

use bytes::{Buf, Bytes};
use futures_io::{AsyncRead, AsyncWrite};

use crate::runtime::Transport;

/// A transport of which some bytes have been read already: they are read again first.
pub(crate) struct Prefixed<T> {
    prefix: Bytes,
    transport: T,
}

impl<T> Prefixed<T> {
    pub(crate) const fn new(prefix: Bytes, transport: T) -> Self {
        Self { prefix, transport }
    }

    pub(crate) fn into_inner(self) -> T {
        self.transport
    }
}

impl<T: Transport> AsyncRead for Prefixed<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        if self.prefix.is_empty() {
            return Pin::new(&mut self.transport).poll_read(cx, buf);
        }
        let count = buf.len().min(self.prefix.len());
        self.prefix.copy_to_slice(&mut buf[..count]);
        if self.prefix.is_empty() {
            self.prefix = Bytes::new(); // frees the memory
        }
        Poll::Ready(Ok(count))
    }
}

impl<T: Transport> AsyncWrite for Prefixed<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.transport).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.transport).poll_write_vectored(cx, bufs)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.transport).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.transport).poll_close(cx)
    }
}
