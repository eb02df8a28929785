//! [`TlsStream`]: TLS as a transport, over another transport.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use futures_io::{AsyncRead, AsyncWrite};
use futures_rustls::{Accept, TlsAcceptor, TlsConnector};
use rustls::{ClientConfig, ServerConfig, pki_types::ServerName};

use crate::{runtime::Transport, tls::MAX_ENCRYPTED};

/// TLS over another transport.
///
/// The end of the inner transport is an end of this one, too, even if TLS's own end (`close_notify`) is missing: a
/// WebSocket shows by its close frame whether it is complete, and many peers end without a `close_notify`.
pub(crate) struct TlsStream<T>(State<T>);

enum State<T> {
    /// The server's handshake, which runs when the stream is first read.
    Accepting(Accept<T>),
    Open(futures_rustls::TlsStream<T>),
    Failed,
}

impl<T: Transport> TlsStream<T> {
    /// Returns a server's stream, which does its handshake when it is first read.
    pub(crate) fn accept(config: Arc<ServerConfig>, transport: T) -> Self {
        let limit = |tls: &mut rustls::ServerConnection| {
            tls.set_buffer_limit(Some(MAX_ENCRYPTED));
        };
        Self(State::Accepting(TlsAcceptor::from(config).accept_with(transport, limit)))
    }

    /// Does a client's handshake.
    pub(crate) async fn connect(
        config: Arc<ClientConfig>,
        name: ServerName<'static>,
        transport: T,
    ) -> io::Result<Self> {
        let limit = |tls: &mut rustls::ClientConnection| {
            tls.set_buffer_limit(Some(MAX_ENCRYPTED));
        };
        let connected = TlsConnector::from(config).connect_with(name, transport, limit).await?;
        Ok(Self(State::Open(connected.into())))
    }

    fn poll_handshake(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<Pin<&mut futures_rustls::TlsStream<T>>>> {
        if let State::Accepting(handshake) = &mut self.0 {
            let accepted = ready!(Pin::new(handshake).poll(cx));
            self.0 = State::Failed;
            self.0 = State::Open(accepted?.into());
        }
        Poll::Ready(self.open())
    }

    /// Returns the stream after its handshake. A server writes nothing before it has read a request, except a 408 to a
    /// peer that has sent none. During the TLS handshake the peer could not read that anyway.
    fn open(&mut self) -> io::Result<Pin<&mut futures_rustls::TlsStream<T>>> {
        match &mut self.0 {
            State::Open(stream) => Ok(Pin::new(stream)),
            State::Accepting(_) | State::Failed => Err(io::ErrorKind::NotConnected.into()),
        }
    }
}

impl<T: Transport> AsyncRead for TlsStream<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let stream = ready!(self.poll_handshake(cx))?;
        match ready!(stream.poll_read(cx, buf)) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Poll::Ready(Ok(0)),
            read => Poll::Ready(read),
        }
    }
}

impl<T: Transport> AsyncWrite for TlsStream<T> {
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

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.open()?.poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.open()?.poll_close(cx)
    }
}
