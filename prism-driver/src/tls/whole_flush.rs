//! [`WholeFlush`]: a stream of TLS for those who only want to know whether a flush is complete.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use futures_io::{AsyncRead, AsyncWrite};

use crate::{
    runtime::{
        Transport,
        flush::{Flushed, poll_flush},
    },
    tls::stream::TlsStream,
};

/// A stream of TLS whose flush is ready only when it is complete, as the traits of `futures_io` say.
pub(crate) struct WholeFlush<T>(pub(crate) TlsStream<T>);

impl<T: Transport> AsyncRead for WholeFlush<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl<T: Transport> AsyncWrite for WholeFlush<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Flushed::Some(_) = ready!(poll_flush(Pin::new(&mut self.0), cx))? {}
        Poll::Ready(Ok(()))
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_close(cx)
    }
}
