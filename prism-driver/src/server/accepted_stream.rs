//! [`AcceptedStream`]: an accepted transport during its handshake, with TLS or without.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use futures_io::{AsyncRead, AsyncWrite};

use crate::runtime::Transport;
#[cfg(feature = "tls")]
use crate::tls::{prefixed::Prefixed, server::TlsServer, stream::TlsStream};

/// An accepted transport. A connection keeps what is in it, so that one without TLS pays nothing.
pub(crate) enum AcceptedStream<S> {
    Plain(S),
    #[cfg(feature = "tls")]
    Tls(Box<TlsStream<Prefixed<S>>>),
    /// Only while the transport is being wrapped.
    #[cfg(feature = "tls")]
    Moved,
}

impl<S: Transport> AcceptedStream<S> {
    /// Returns the transport of a connection.
    pub(crate) fn into_transport(self) -> Box<dyn Transport> {
        match self {
            Self::Plain(stream) => Box::new(stream),
            #[cfg(feature = "tls")]
            Self::Tls(stream) => stream,
            #[cfg(feature = "tls")]
            Self::Moved => unreachable!("it is being wrapped"),
        }
    }

    /// Begins TLS. `received` has the bytes that have been read already.
    #[cfg(feature = "tls")]
    pub(crate) fn begin_tls(&mut self, tls: &TlsServer, received: bytes::Bytes) {
        *self = match std::mem::replace(self, Self::Moved) {
            Self::Plain(stream) => {
                let stream = Prefixed::new(received, stream);
                Self::Tls(Box::new(TlsStream::accept(tls.config().clone(), stream)))
            }
            other => other,
        };
    }
}

macro_rules! delegate {
    ($self:expr, $method:ident($($argument:expr),*)) => {
        match $self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).$method($($argument),*),
            #[cfg(feature = "tls")]
            Self::Tls(stream) => Pin::new(stream).$method($($argument),*),
            #[cfg(feature = "tls")]
            Self::Moved => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    };
}

impl<S: Transport> AsyncRead for AcceptedStream<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        delegate!(self, poll_read(cx, buf))
    }
}

impl<S: Transport> AsyncWrite for AcceptedStream<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        delegate!(self, poll_write(cx, buf))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        delegate!(self, poll_write_vectored(cx, bufs))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        delegate!(self, poll_flush(cx))
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        delegate!(self, poll_close(cx))
    }
}
