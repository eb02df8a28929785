//! What a runtime has to offer: [`Runtime`], [`Network`], [`Transport`].

use std::{
    io,
    net::{SocketAddr, TcpListener},
    sync::LazyLock,
    time::{Duration, Instant},
};

use futures_io::{AsyncRead, AsyncWrite};

pub(crate) mod address_errors;
#[cfg(feature = "async-io")]
pub(crate) mod async_io;
pub(crate) mod close_write;
pub(crate) mod contain;
pub(crate) mod notice;
pub(crate) mod timeout;
pub(crate) mod wakeups;

/// The moment that [`Runtime::now`] counts from.
static EPOCH: LazyLock<Instant> = LazyLock::new(Instant::now);

/// A clock, timers, and tasks.
pub trait Runtime: Clone + Send + Sync + 'static {
    /// A timer; see [`sleep`](Self::sleep). What it gives is not looked at.
    type Sleep: Future + Send;

    /// What time it is: a duration since a fixed moment, never going back.
    ///
    /// The time of the operating system, unless the runtime has a time of its own.
    fn now(&self) -> Duration {
        EPOCH.elapsed()
    }

    /// A future that is ready when [`now`](Self::now) has gone on by `span`, which may be as long
    /// as a duration can be.
    fn sleep(&self, span: Duration) -> Self::Sleep;

    /// Runs a future in a task of its own.
    fn spawn(&self, future: impl Future<Output = ()> + Send + 'static);
}

/// A runtime that has TCP.
pub trait Network: Runtime {
    /// A TCP connection. Closing it ends its write side, and only that.
    type Stream: Transport;
    /// A TCP listener.
    type Listener: Send + Sync + 'static;

    /// Takes over a listener of the operating system that does not block.
    ///
    /// # Errors
    /// What the operating system says.
    fn listen(&self, listener: TcpListener) -> io::Result<Self::Listener>;

    /// The next connection, and its peer's address. Cancel-safe: dropping the future loses none.
    fn accept(
        &self,
        listener: &Self::Listener,
    ) -> impl Future<Output = io::Result<(Self::Stream, SocketAddr)>> + Send;

    /// The addresses of a host, the preferred one first.
    fn resolve(
        &self,
        host: &str,
        port: u16,
    ) -> impl Future<Output = io::Result<Vec<SocketAddr>>> + Send;

    /// Connects to an address. Dropped, it is given up, and leaves no connection behind.
    fn connect(&self, address: SocketAddr)
    -> impl Future<Output = io::Result<Self::Stream>> + Send;

    /// Has what is written to a stream leave without delay (`TCP_NODELAY`).
    ///
    /// # Errors
    /// What the operating system says.
    fn set_nodelay(&self, stream: &Self::Stream) -> io::Result<()>;
}

/// A stream of bytes in both directions: TCP, TLS, a Unix socket, a pipe in memory.
///
/// Implemented by everything that has the traits of [`futures_io`]. Its `close` must end its write side
/// (for sockets that do not do that, there is [`CloseWrite`](crate::CloseWrite), and `AsyncIoStream`). One
/// that is pending in `poll_write` has taken nothing: what it is offered next may be other bytes (see
/// [`DropOldest`](crate::WhenSlow::DropOldest)).
///
/// It is polled while its connection's outbox is locked, by whoever sends, and by senders that hold locks of
/// their own. So it must not send to connections, nor ask them for anything. A panic in it is a failed write,
/// or the end of the connection's task.
pub trait Transport: AsyncRead + AsyncWrite + Send + Unpin + 'static {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin + 'static> Transport for T {}

/// A stream of which nothing is held back: what is written to it was gathered already.
pub(crate) fn undelayed<N: Network>(network: &N, stream: N::Stream) -> N::Stream {
    // A socket that can not be told so is one that has gone, and will say so itself.
    let _ = network.set_nodelay(&stream);
    stream
}
