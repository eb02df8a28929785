//! [`TlsStream`]: TLS as a transport, over another transport.
//!
//! ```text
//!   Plain ── begin ──► Handshaking ──► Open        a server's
//!                           └────────► Failed      the alert has been sent
//!                        connect ────► Open        a client's
//! ```

use std::{
    io::{self, Read},
    mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use futures_io::{AsyncRead, AsyncWrite};
use futures_rustls::{FallibleAccept, TlsAcceptor, TlsConnector};
use rustls::{ClientConfig, ServerConfig, pki_types::ServerName};

use crate::{
    runtime::{Transport, flush::Drained},
    tls::{checked::Checked, info::TlsInfo, prefixed::Prefixed},
};

/// How many encrypted bytes may wait for a peer: three TLS records. They wait outside the outbox, which does not count
/// them. With this, a message of 64 KiB takes two writes. With two records it would take three, and an eighth more
/// time; with one, a quarter more.
const MAX_ENCRYPTED: usize = 48 << 10;

/// How many bytes a server may send during a client's handshake: much more than a long chain of certificates and a long
/// list of the authorities of clients, of which rustls takes 64 KiB each.
const SERVER_ALLOWANCE: u32 = 256 << 10;

/// TLS over another transport.
///
/// The end of the inner transport is an end of this one, too, even if TLS's own end (`close_notify`) is missing: a
/// WebSocket shows by its close frame whether it is complete, and many peers end without a `close_notify`.
pub(crate) struct TlsStream<T> {
    state: State<T>,
    /// What the handshake has agreed on, until it is taken.
    info: Option<Arc<TlsInfo>>,
    /// The violation that has arrived together with good bytes, until those are read.
    error: Option<io::Error>,
}

enum State<T> {
    /// Before TLS begins, bytes pass as they are.
    Plain(T),
    Handshaking(FallibleAccept<Checked<T>>),
    Open(futures_rustls::TlsStream<Checked<T>>),
    /// The handshake has failed. What the peer sends can still be read, to be discarded.
    Failed(T),
    /// One state is being replaced by another.
    Changing,
}

impl<T: Transport> TlsStream<Prefixed<T>> {
    /// Returns a server's stream, over which bytes pass as they are until TLS [begins](Self::begin).
    pub(crate) const fn plain(transport: T) -> Self {
        Self {
            state: State::Plain(Prefixed::new(Bytes::new(), transport)),
            info: None,
            error: None,
        }
    }

    /// Begins the server's handshake. `received` is what has been read already, and `allowance` how many bytes the
    /// handshake may read.
    pub(crate) fn begin(&mut self, config: Arc<ServerConfig>, received: Bytes, allowance: u32) {
        let limit = |tls: &mut rustls::ServerConnection| tls.set_buffer_limit(Some(MAX_ENCRYPTED));
        self.state = match mem::replace(&mut self.state, State::Changing) {
            State::Plain(transport) => {
                let transport = Prefixed::new(received, transport.into_inner());
                let transport = Checked::new(transport, allowance);
                let handshake = TlsAcceptor::from(config).accept_with(transport, limit);
                State::Handshaking(handshake.into_fallible())
            }
            begun => begun,
        };
    }
}

impl<T: Transport> TlsStream<T> {
    /// Does a client's handshake.
    pub(crate) async fn connect(
        config: Arc<ClientConfig>,
        name: ServerName<'static>,
        transport: T,
    ) -> io::Result<Self> {
        let limit = |tls: &mut rustls::ClientConnection| tls.set_buffer_limit(Some(MAX_ENCRYPTED));
        let transport = Checked::new(transport, SERVER_ALLOWANCE);
        let connector = TlsConnector::from(config);
        let mut connected = connector.connect_with(name.clone(), transport, limit).await?;
        connected.get_mut().0.handshake_is_over();
        let info = TlsInfo::of_client(connected.get_ref().1, &name);
        Ok(Self { state: State::Open(connected.into()), info: Some(info), error: None })
    }

    /// Does a server's handshake. If it fails, an alert has been written, as far as the transport has taken it at once.
    pub(crate) fn poll_handshake(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let State::Handshaking(handshake) = &mut self.state else { return Poll::Ready(Ok(())) };
        match ready!(Pin::new(handshake).poll(cx)) {
            Ok(mut stream) => {
                let (transport, tls) = stream.get_mut();
                transport.handshake_is_over();
                self.info = Some(TlsInfo::of_server(tls));
                self.state = State::Open(stream.into());
                Poll::Ready(Ok(()))
            }
            Err((error, transport)) => {
                self.state = State::Failed(transport.into_inner());
                Poll::Ready(Err(error))
            }
        }
    }

    /// Returns what the handshake has agreed on.
    pub(crate) const fn info(&self) -> Option<&Arc<TlsInfo>> {
        self.info.as_ref()
    }

    /// Returns what the handshake has agreed on, and forgets it.
    pub(crate) const fn take_info(&mut self) -> Option<Arc<TlsInfo>> {
        self.info.take()
    }
}

fn transport_of<T>(stream: &mut futures_rustls::TlsStream<Checked<T>>) -> &mut Checked<T> {
    match stream {
        futures_rustls::TlsStream::Client(stream) => stream.get_mut().0,
        futures_rustls::TlsStream::Server(stream) => stream.get_mut().0,
    }
}

/// Reads what has been decrypted already, without waiting for more.
fn read_decrypted<T>(stream: &mut futures_rustls::TlsStream<T>, buf: &mut [u8]) -> usize {
    let read = match stream {
        futures_rustls::TlsStream::Client(stream) => stream.get_mut().1.reader().read(buf),
        futures_rustls::TlsStream::Server(stream) => stream.get_mut().1.reader().read(buf),
    };
    read.unwrap_or(0)
}

/// What a caller gets that does not do the handshake first.
fn not_open<T>() -> Poll<io::Result<T>> {
    Poll::Ready(Err(io::ErrorKind::NotConnected.into()))
}

impl<T: Transport> AsyncRead for TlsStream<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let Self { state, error: pending, .. } = &mut *self;
        match state {
            State::Open(stream) => {
                let error = match pending.take() {
                    Some(error) => error,
                    None => match ready!(Pin::new(&mut *stream).poll_read(cx, buf)) {
                        Ok(count) => {
                            transport_of(stream).content_has_arrived(count);
                            return Poll::Ready(Ok(count));
                        }
                        Err(error) => error,
                    },
                };
                match error.kind() {
                    io::ErrorKind::UnexpectedEof => Poll::Ready(Ok(0)),
                    // What came before the violation counts, such as a close frame.
                    io::ErrorKind::InvalidData => match read_decrypted(stream, buf) {
                        0 => Poll::Ready(Err(error)),
                        count => {
                            *pending = Some(error);
                            Poll::Ready(Ok(count))
                        }
                    },
                    _ => Poll::Ready(Err(error)),
                }
            }
            State::Plain(transport) => Pin::new(transport).poll_read(cx, buf),
            State::Failed(transport) => Pin::new(transport).poll_read(cx, buf),
            State::Handshaking(_) | State::Changing => not_open(),
        }
    }
}

impl<T: Transport> AsyncWrite for TlsStream<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.state {
            State::Open(stream) => Pin::new(stream).poll_write(cx, buf),
            State::Plain(transport) => Pin::new(transport).poll_write(cx, buf),
            State::Handshaking(_) | State::Failed(_) | State::Changing => not_open(),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.state {
            State::Open(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            State::Plain(transport) => Pin::new(transport).poll_write_vectored(cx, bufs),
            State::Handshaking(_) | State::Failed(_) | State::Changing => not_open(),
        }
    }

    /// Fails with [`Drained`] if the flush has to wait, but the peer has taken something.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.state {
            State::Open(stream) => {
                transport_of(stream).take_drained(); // by writes, which count by themselves
                if let Poll::Ready(flushed) = Pin::new(&mut *stream).poll_flush(cx) {
                    return Poll::Ready(flushed);
                }
                match transport_of(stream).take_drained() {
                    0 => Poll::Pending,
                    count => Poll::Ready(Err(Drained::error(count))),
                }
            }
            State::Plain(transport) => Pin::new(transport).poll_flush(cx),
            State::Failed(transport) => Pin::new(transport).poll_flush(cx),
            State::Handshaking(_) | State::Changing => not_open(),
        }
    }

    /// Sends TLS's own end (`close_notify`, RFC 8446 §6.1) and then ends the inner transport.
    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.state {
            State::Open(stream) => Pin::new(stream).poll_close(cx),
            State::Plain(transport) => Pin::new(transport).poll_close(cx),
            State::Failed(transport) => {
                ready!(Pin::new(&mut *transport).poll_flush(cx))?; // the alert
                Pin::new(transport).poll_close(cx)
            }
            State::Handshaking(_) | State::Changing => not_open(),
        }
    }
}
