//! [`Tls`]: tokio's network, with TLS on accepted connections. Everything else about a server stays the
//! same, including its limits.

use std::{
    io,
    net::{self, SocketAddr},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker, ready},
    time::Duration,
};

use prism_tokio::{Io, Network, Runtime, Tokio};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::{
    Accept, TlsAcceptor,
    rustls::{ServerConfig, ServerConnection},
    server::TlsStream,
};

/// How many encrypted bytes may wait for a peer: one TLS record.
const MAX_ENCRYPTED: usize = 16 << 10;

#[derive(Clone)]
pub(crate) struct Tls {
    acceptor: TlsAcceptor,
}

impl Tls {
    pub(crate) fn new(config: ServerConfig) -> Self {
        Self { acceptor: Arc::new(config).into() }
    }
}

impl Runtime for Tls {
    type Sleep = <Tokio as Runtime>::Sleep;

    fn now(&self) -> Duration {
        Tokio.now()
    }

    fn sleep(&self, span: Duration) -> Self::Sleep {
        Tokio.sleep(span)
    }

    fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) {
        Tokio.spawn(future);
    }

    fn yield_to_others(&self, waker: &Waker) {
        Tokio.yield_to_others(waker);
    }
}

impl Network for Tls {
    type Stream = Io<Stream>;
    type Listener = TcpListener;

    fn listen(&self, listener: net::TcpListener) -> io::Result<TcpListener> {
        Tokio.listen(listener)
    }

    /// Waits for TCP only. The TLS handshake happens when the server first reads, in the connection's own
    /// task, where the handshake timeout and the limit on handshakes apply.
    async fn accept(&self, listener: &TcpListener) -> io::Result<(Io<Stream>, SocketAddr)> {
        let (stream, peer_addr) = Tokio.accept(listener).await?;
        // Encrypted bytes wait outside the outbox, which does not count them.
        let set_up = |tls: &mut ServerConnection| tls.set_buffer_limit(Some(MAX_ENCRYPTED));
        let handshake = self.acceptor.accept_with(stream.into_inner(), set_up);
        Ok((Io(Stream::Handshaking(handshake)), peer_addr))
    }

    async fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        Tokio.resolve(host, port).await
    }

    /// Always fails: a TLS client needs the server's name, and an address has none. Clients use
    /// [`Client::connect_stream`](prism_tokio::Client::connect_stream).
    async fn connect(&self, _: SocketAddr) -> io::Result<Io<Stream>> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn set_nodelay(&self, stream: &Io<Stream>) -> io::Result<()> {
        match &stream.0 {
            Stream::Handshaking(handshake) => {
                handshake.get_ref().map_or(Ok(()), |tcp| tcp.set_nodelay(true))
            }
            Stream::Open(tls) => tls.get_ref().0.set_nodelay(true),
            Stream::Failed => Ok(()),
        }
    }
}

/// A stream whose TLS handshake runs when it is first read.
pub(crate) enum Stream {
    Handshaking(Accept<TcpStream>),
    Open(TlsStream<TcpStream>),
    Failed,
}

impl Stream {
    /// Polls the handshake, and returns the stream once it is open.
    fn poll_handshake(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<Pin<&mut TlsStream<TcpStream>>>> {
        if let Self::Handshaking(handshake) = self {
            let result = ready!(Pin::new(handshake).poll(cx));
            *self = Self::Failed;
            *self = Self::Open(result?);
        }
        Poll::Ready(self.open())
    }

    /// Returns the stream if it is open. The server writes nothing before it has read a request, except a
    /// 408 to a peer that has sent none. During the TLS handshake the peer could not read that anyway.
    fn open(&mut self) -> io::Result<Pin<&mut TlsStream<TcpStream>>> {
        match self {
            Self::Open(tls) => Ok(Pin::new(tls)),
            Self::Handshaking(_) | Self::Failed => Err(io::ErrorKind::NotConnected.into()),
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        ready!(self.poll_handshake(cx))?.poll_read(cx, buf)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.open()?.poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.open()?.poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.open()?.poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.open()?.poll_shutdown(cx)
    }
}
