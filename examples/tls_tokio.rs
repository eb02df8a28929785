//! [`Tls`]: tokio's network, with TLS on what it accepts. Everything else of a server is as it is over
//! TCP, its limits included.

use std::{
    io,
    net::{self, SocketAddr},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
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

/// How many encrypted bytes may wait for a peer: one record of TLS.
const ENCRYPTED: usize = 16 << 10;

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
}

impl Network for Tls {
    type Stream = Io<Stream>;
    type Listener = TcpListener;

    fn listen(&self, listener: net::TcpListener) -> io::Result<TcpListener> {
        Tokio.listen(listener)
    }

    /// Waits for TCP only: TLS shakes hands when the server reads, in a task of the connection's own,
    /// where the handshake timeout is kept, and where it makes way for others.
    async fn accept(&self, listener: &TcpListener) -> io::Result<(Io<Stream>, SocketAddr)> {
        let (stream, peer_addr) = Tokio.accept(listener).await?;
        // What is encrypted waits beside the outbox, which does not count it.
        let set_up = |tls: &mut ServerConnection| tls.set_buffer_limit(Some(ENCRYPTED));
        Ok((
            Io(Stream::Greeting(self.acceptor.accept_with(stream.into_inner(), set_up))),
            peer_addr,
        ))
    }

    async fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        Tokio.resolve(host, port).await
    }

    /// A client has to know whom it expects, and an address does not say that: see
    /// [`Client::connect_stream`](prism_tokio::Client::connect_stream).
    async fn connect(&self, _: SocketAddr) -> io::Result<Io<Stream>> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn set_nodelay(&self, stream: &Io<Stream>) -> io::Result<()> {
        match &stream.0 {
            Stream::Greeting(accept) => {
                accept.get_ref().map_or(Ok(()), |tcp| tcp.set_nodelay(true))
            }
            Stream::Open(tls) => tls.get_ref().0.set_nodelay(true),
            Stream::Failed => Ok(()),
        }
    }
}

/// A stream that shakes hands when it is first read.
pub(crate) enum Stream {
    Greeting(Accept<TcpStream>),
    Open(TlsStream<TcpStream>),
    Failed,
}

impl Stream {
    /// The stream, as soon as there is one.
    fn poll_greet(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<Pin<&mut TlsStream<TcpStream>>>> {
        if let Self::Greeting(accept) = self {
            let greeted = ready!(Pin::new(accept).poll(cx));
            *self = Self::Failed;
            *self = Self::Open(greeted?);
        }
        Poll::Ready(self.open())
    }

    /// Nothing is written before a request has been read, but for the 408 that tells a peer that it has
    /// sent none; and one that has not shaken hands could not read that.
    fn open(&mut self) -> io::Result<Pin<&mut TlsStream<TcpStream>>> {
        match self {
            Self::Open(tls) => Ok(Pin::new(tls)),
            Self::Greeting(_) | Self::Failed => Err(io::ErrorKind::NotConnected.into()),
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        ready!(self.poll_greet(cx))?.poll_read(cx, buf)
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
