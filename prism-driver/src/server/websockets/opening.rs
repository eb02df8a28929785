//! [`Opening`]: an accepted request, until its stream is there.

use std::{fmt, net::SocketAddr, sync::Arc, time::Duration};

use crate::{
    handler::connection_handler::ConnectionHandler,
    runtime::{Runtime, Transport, timeout::within},
    server::{
        endpoint::{Alone, run},
        route_context::RouteContext,
        slot::Slot,
        socket_endpoint::start_socket,
        websockets::handshake_guard::HandshakeGuard,
    },
    session::{Established, Session, read_buffer::ReadBuffer},
    socket::Socket,
    tls::info::TlsInfo,
};

/// An accepted request, from [`PendingUpgrade::accept`](crate::PendingUpgrade::accept). Once the response is sent, and
/// the HTTP server has given its stream away, the connection opens.
///
/// It counts towards the limits on connections. If it is dropped, because there is no stream, it is counted as
/// [`left`](crate::Refused::left).
///
/// Its methods that start a task panic if [`Runtime::spawn`] does, as on tokio outside of a runtime.
#[must_use]
pub struct Opening<R: Runtime> {
    established: Established,
    guard: HandshakeGuard<R>,
    context: Arc<RouteContext<R>>,
    peer_addr: Option<SocketAddr>,
    tls: Option<Arc<TlsInfo>>,
    read_buffer: ReadBuffer,
}

impl<R: Runtime> Opening<R> {
    pub(super) const fn new(
        established: Established,
        guard: HandshakeGuard<R>,
        context: Arc<RouteContext<R>>,
        peer_addr: Option<SocketAddr>,
        tls: Option<Arc<TlsInfo>>,
    ) -> Self {
        Self { established, guard, context, peer_addr, tls, read_buffer: ReadBuffer::new() }
    }

    /// Adds bytes that the HTTP server has read beyond the request. They come before those of the stream.
    pub fn received(mut self, bytes: &[u8]) -> Self {
        if !bytes.is_empty() {
            self.read_buffer.buffer().extend_from_slice(bytes);
            self.read_buffer.shrink();
        }
        self
    }

    /// Waits for the stream, in a task of its own, for at most the [handshake
    /// timeout](crate::Options::handshake_timeout), and then calls `open` with it. If there is none, the client has
    /// left.
    ///
    /// # Panics
    /// If [`Runtime::spawn`] does.
    pub fn when_ready<S, F>(self, stream: F, open: impl FnOnce(Self, S) + Send + 'static)
    where
        S: Send,
        F: Future<Output = Option<S>> + Send + 'static,
    {
        let runtime = self.context.connections.runtime.clone();
        let timeout: Duration = self.context.options.handshake_timeout;
        runtime.clone().spawn(async move {
            if let Some(Some(stream)) = within(&runtime, timeout, stream).await {
                open(self, stream);
            }
        });
    }

    /// Runs the handler on the stream, in a task of its own. The handler is a [`ConnectionHandler`] or a
    /// [`Handler`](crate::Handler); several connections can share an `Arc` of the latter.
    ///
    /// # Panics
    /// If [`Runtime::spawn`] does.
    pub fn serve(self, stream: impl Transport, handler: impl ConnectionHandler) {
        let (session, slot) = self.open(stream);
        run(session, slot, handler, Alone);
    }

    /// Runs an async function on the stream, in a task of its own, as a [`socket`](crate::socket) route does: when the
    /// function returns, the connection is closed with 1000, and if it panics, with 1011.
    ///
    /// # Panics
    /// If [`Runtime::spawn`] does.
    pub fn serve_socket<F, P>(self, stream: impl Transport, run_socket: F)
    where
        F: FnOnce(Socket) -> P,
        P: Future<Output = ()> + Send + 'static,
    {
        let (session, slot) = self.open(stream);
        start_socket(session, slot, run_socket);
    }

    fn open(self, stream: impl Transport) -> (Session, Slot<R>) {
        let Self { established, guard, context, peer_addr, tls, read_buffer } = self;
        let stream = Box::new(stream);
        let session = Session::new(established, stream, peer_addr, read_buffer, &context.options)
            .with_tls(tls);
        let slot = guard.opened(&session.connection);
        (session, slot)
    }
}

impl<R: Runtime> fmt::Debug for Opening<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opening").field("peer_addr", &self.peer_addr).finish_non_exhaustive()
    }
}
