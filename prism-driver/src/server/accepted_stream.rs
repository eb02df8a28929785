//! [`AcceptedStream`]: an accepted transport during its handshake, with TLS or without.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use futures_io::{AsyncRead, AsyncWrite};

#[cfg(feature = "tls")]
use crate::tls::{prefixed::Prefixed, stream::TlsStream};
use crate::{runtime::Transport, tls::info::TlsInfo};

/// An accepted transport. A connection keeps only what is in it, so that one without TLS pays nothing.
pub(crate) enum AcceptedStream<S> {
    Plain(S),
    #[cfg(feature = "tls")]
    Tls(Box<AcceptedTls<S>>),
}

/// An accepted transport with TLS over it.
#[cfg(feature = "tls")]
pub(crate) type AcceptedTls<S> = TlsStream<Prefixed<S>>;

impl<S: Transport> AcceptedStream<S> {
    /// Returns the transport of a connection.
    pub(crate) fn into_transport(self) -> Box<dyn Transport> {
        match self {
            Self::Plain(stream) => Box::new(stream),
            #[cfg(feature = "tls")]
            Self::Tls(stream) => stream,
        }
    }

    /// Returns what the TLS handshake has agreed on, and forgets it.
    #[cfg_attr(not(feature = "tls"), expect(clippy::needless_pass_by_ref_mut))]
    pub(crate) fn take_tls_info(&mut self) -> Option<Arc<TlsInfo>> {
        match self {
            Self::Plain(_) => None,
            #[cfg(feature = "tls")]
            Self::Tls(stream) => stream.take_info(),
        }
    }
}

#[cfg(feature = "tls")]
impl<S: Transport> AcceptedStream<S> {
    /// Creates a transport over which TLS has yet to begin.
    pub(crate) fn before_tls(stream: S) -> Self {
        Self::Tls(Box::new(TlsStream::plain(stream)))
    }

    pub(crate) fn as_tls(&mut self) -> Option<&mut AcceptedTls<S>> {
        match self {
            Self::Plain(_) => None,
            Self::Tls(stream) => Some(stream),
        }
    }
}

macro_rules! delegate {
    ($self:expr, $method:ident($($argument:expr),*)) => {
        match $self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).$method($($argument),*),
            #[cfg(feature = "tls")]
            Self::Tls(stream) => Pin::new(stream).$method($($argument),*),
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
