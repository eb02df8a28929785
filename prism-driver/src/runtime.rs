//! The traits that a runtime implements: [`Runtime`], [`Network`], [`Transport`].
//!
//! An adapter accepts, resolves, connects, sleeps and spawns. It makes no choice that another adapter could make
//! differently. The listening socket, the clock (unless the runtime has its own), `TCP_NODELAY`, the order in which
//! addresses are tried, and the timeouts are the driver's. An adapter exports all that the driver exports, so no two
//! adapters can differ. The runtimes on the reactor of `async-io`, such as smol and async-std, share one [`Network`],
//! which is part of the driver too, behind the feature `async-io`.

use std::{
    io,
    net::{SocketAddr, TcpListener},
    sync::LazyLock,
    task::Waker,
    time::{Duration, Instant},
};

use futures_io::{AsyncRead, AsyncWrite};

pub(crate) mod address_errors;
#[cfg(feature = "async-io")]
pub(crate) mod async_io;
pub(crate) mod close_write;
pub(crate) mod contain;
pub(crate) mod flush;
pub(crate) mod notice;
pub(crate) mod random;
pub(crate) mod timeout;
pub(crate) mod turn;
#[cfg(any(target_os = "android", target_os = "linux"))]
pub(crate) mod unsent_limit;
pub(crate) mod wakeups;

/// The instant at which [`Runtime::now`] is zero.
pub(crate) static EPOCH: LazyLock<Instant> = LazyLock::new(Instant::now);

/// A runtime: a clock, timers and tasks.
///
/// ```
/// use std::time::Duration;
///
/// # use prism_driver::Runtime;
/// /// Another runtime, with a log of its tasks.
/// #[derive(Clone)]
/// struct Logged<R>(R);
///
/// impl<R: Runtime> Runtime for Logged<R> {
///     type Sleep = R::Sleep;
///
///     fn now(&self) -> Duration {
///         self.0.now()
///     }
///
///     fn sleep(&self, span: Duration) -> Self::Sleep {
///         self.0.sleep(span)
///     }
///
///     fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) {
///         println!("a task begins");
///         self.0.spawn(future);
///     }
/// }
/// ```
pub trait Runtime: Clone + Send + Sync + 'static {
    /// The future that [`sleep`](Self::sleep) returns. Its output is ignored.
    type Sleep: Future + Send;

    /// Returns the time since a fixed moment. It never decreases.
    ///
    /// By default, this is the operating system's monotonic clock. Override it if the runtime has a clock of its own,
    /// such as virtual time.
    fn now(&self) -> Duration {
        EPOCH.elapsed()
    }

    /// Returns a future that is ready when [`now`](Self::now) has advanced by `span`. It must accept any span up to
    /// [`Duration::MAX`].
    fn sleep(&self, span: Duration) -> Self::Sleep;

    /// Runs a future in a task of its own. The task is detached: it runs until the future is ready.
    fn spawn(&self, future: impl Future<Output = ()> + Send + 'static);

    /// Wakes the current task, which has more to do, but lets others go first.
    ///
    /// By default, this is an ordinary wakeup. Override it if the runtime looks for I/O only after many polls of tasks
    /// that are ready: then it should look before it polls this task again. Otherwise a peer that always has work for
    /// us would delay all others by as many polls.
    fn yield_to_others(&self, waker: &Waker) {
        waker.wake_by_ref();
    }
}

/// A runtime that can use streams of type `S` as [transports](Transport). An adapter implements it for every stream
/// with the traits of its runtime.
///
/// If the runtime's streams are transports themselves, this is all that is needed:
///
/// ```
/// # use prism_driver::{AdaptStream, Runtime, Transport};
/// # #[derive(Clone)]
/// # struct MyRuntime;
/// # impl Runtime for MyRuntime {
/// #     type Sleep = std::future::Ready<()>;
/// #     fn sleep(&self, _: std::time::Duration) -> Self::Sleep { std::future::ready(()) }
/// #     fn spawn(&self, _: impl Future<Output = ()> + Send + 'static) {}
/// # }
/// impl<T: Transport> AdaptStream<T> for MyRuntime {
///     type Transport = T;
///
///     fn adapt(stream: T) -> T {
///         stream
///     }
/// }
/// ```
#[doc(alias("AsyncRead", "AsyncWrite", "TcpStream"))]
#[diagnostic::on_unimplemented(
    message = "`{S}` is not a stream that `{Self}` can use",
    note = "on tokio, it has to implement tokio's `AsyncRead` and `AsyncWrite`; on smol and async-std, those of `futures_io`",
    note = "it also has to be `Send`, `Unpin` and `'static`"
)]
pub trait AdaptStream<S>: Runtime {
    /// The transport that a stream is converted into.
    type Transport: Transport;

    /// Converts a stream into a transport.
    fn adapt(stream: S) -> Self::Transport;
}

/// A runtime with TCP.
pub trait Network: Runtime {
    /// A TCP connection. Closing it closes its write side only.
    type Stream: Transport;
    /// A TCP listener.
    type Listener: Send + Sync + 'static;

    /// Registers a non-blocking listener with the runtime.
    ///
    /// # Errors
    /// If the runtime or the operating system refuses the listener.
    fn listen(&self, listener: TcpListener) -> io::Result<Self::Listener>;

    /// Accepts the next connection, and returns it with its peer's address. Must be cancel-safe: dropping the future
    /// must not lose a connection.
    ///
    /// # Errors
    /// Any error of the operating system. The server retries after each of them.
    fn accept(
        &self,
        listener: &Self::Listener,
    ) -> impl Future<Output = io::Result<(Self::Stream, SocketAddr)>> + Send;

    /// Resolves a host to its addresses, in order of preference.
    ///
    /// # Errors
    /// If the host cannot be resolved.
    fn resolve(
        &self,
        host: &str,
        port: u16,
    ) -> impl Future<Output = io::Result<Vec<SocketAddr>>> + Send;

    /// Connects to an address. Dropping the future cancels the attempt and leaves no connection open.
    ///
    /// # Errors
    /// If the connection cannot be established.
    fn connect(&self, address: SocketAddr)
    -> impl Future<Output = io::Result<Self::Stream>> + Send;

    /// Disables Nagle's algorithm on a stream (`TCP_NODELAY`).
    ///
    /// # Errors
    /// Any error of the operating system. Prism ignores it.
    fn set_nodelay(&self, stream: &Self::Stream) -> io::Result<()>;
}

/// A bidirectional stream of bytes: TCP, TLS, a Unix socket, an in-memory pipe.
///
/// Every type that implements the traits of [`futures_io`] is a transport. It has to follow these rules:
///
/// - `poll_close` closes the write side. For sockets that do not do so, there are [`CloseWrite`](crate::CloseWrite)
///   and, with the feature `async-io`, `AsyncIoStream`.
/// - If `poll_write` returns `Pending`, it has taken no bytes. The next call may offer different bytes (see
///   [`DropOldest`](crate::WhenSlow::DropOldest)).
/// - Its methods do not use a [`Connection`](crate::Connection) in any way: they are called while the connection's
///   outbox is locked, and by senders that may hold locks of their own.
///
/// A panic while writing counts as a failed write. A panic while reading ends the connection's task: the
/// [`on_end`](crate::Connection::on_end) hooks run, but `on_disconnect` does not.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a transport",
    note = "a transport implements `AsyncRead` and `AsyncWrite` of `futures_io`, and is `Send`, `Unpin` and `'static`",
    note = "for a stream with tokio's traits, use the functions of `prism_tokio`, or wrap it in `prism_tokio::Io`"
)]
pub trait Transport: AsyncRead + AsyncWrite + Send + Unpin + 'static {}

#[diagnostic::do_not_recommend]
impl<T: AsyncRead + AsyncWrite + Send + Unpin + 'static> Transport for T {}

/// Sets `TCP_NODELAY` on a stream, and returns it. Writes are batched already: Nagle's algorithm would only delay them.
pub(crate) fn with_nodelay<N: Network>(network: &N, stream: N::Stream) -> N::Stream {
    // This fails only if the socket is dead, and then the next read or write reports it.
    let _ = network.set_nodelay(&stream);
    stream
}
