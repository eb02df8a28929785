//! What a runtime has to offer: [`Runtime`], [`Network`], [`Listener`], [`Transport`].

use std::{io, net::SocketAddr, time::Duration};

use futures_io::{AsyncRead, AsyncWrite};

/// A clock, timers, and tasks.
pub trait Runtime: Clone + Send + Sync + 'static {
    /// A timer; see [`sleep_until`](Self::sleep_until).
    type Sleep: Future<Output = ()> + Send;

    /// What time it is: a duration since a fixed moment, never going back.
    fn now(&self) -> Duration;

    /// A future that is ready when [`now`](Self::now) has reached `deadline`.
    fn sleep_until(&self, deadline: Duration) -> Self::Sleep;

    /// Runs a future in a task of its own.
    fn spawn(&self, future: impl Future<Output = ()> + Send + 'static);
}

/// A runtime that has TCP.
pub trait Network: Runtime {
    /// A TCP connection.
    type Stream: Transport;
    /// A TCP listener.
    type Listener: Listener<Stream = Self::Stream>;

    /// Listens on one of the addresses.
    fn listen(
        &self,
        addresses: &[SocketAddr],
    ) -> impl Future<Output = io::Result<Self::Listener>> + Send;

    /// Connects to a host, which is a name or an address.
    fn connect(
        &self,
        host: &str,
        port: u16,
    ) -> impl Future<Output = io::Result<Self::Stream>> + Send;
}

/// Where connections come from.
pub trait Listener: Send + Sync + 'static {
    /// A connection.
    type Stream: Transport;

    /// The next connection, and its peer's address. Cancel-safe: dropping the future loses none.
    fn accept(&self) -> impl Future<Output = io::Result<(Self::Stream, SocketAddr)>> + Send;

    /// The address that is listened on.
    ///
    /// # Errors
    /// What the operating system says.
    fn local_addr(&self) -> io::Result<SocketAddr>;
}

/// A stream of bytes in both directions: TCP, TLS, a Unix socket, a pipe in memory.
///
/// Implemented by everything that has the traits of [`futures_io`].
pub trait Transport: AsyncRead + AsyncWrite + Send + Unpin + 'static {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin + 'static> Transport for T {}

/// The future's output, or `None` when the time has come.
pub(crate) async fn until<R: Runtime, T>(
    runtime: &R,
    deadline: Duration,
    future: impl Future<Output = T>,
) -> Option<T> {
    let late = async {
        runtime.sleep_until(deadline).await;
        None
    };
    futures_lite::future::or(async { Some(future.await) }, late).await
}
