//! Implements what the suite needs on tokio.

use std::{net, sync::LazyLock, time::Duration};

use tokio::{
    io::DuplexStream,
    net::{TcpStream, UnixStream},
    runtime::{Builder, Runtime},
};

#[path = "../../examples/signals_tokio.rs"]
mod signals;

/// The adapter for the driver.
pub(crate) type Network = prism_tokio::Tokio;

static TOKIO: LazyLock<Runtime> = LazyLock::new(|| {
    let built = Builder::new_multi_thread().worker_threads(2).enable_all().build();
    built.expect("a runtime with two threads")
});

/// Runs a future on the calling thread. Panics if the future takes longer than `limit`.
pub(crate) fn block_on<F: Future>(limit: Duration, future: F) -> F::Output {
    let limited = TOKIO.block_on(async { tokio::time::timeout(limit, future).await });
    limited.expect("the scenario finishes in time")
}

/// Completes when a signal asks this process to end. The code is that of the examples.
pub(crate) fn shutdown_signal() -> impl Future<Output = ()> {
    let _context = TOKIO.enter();
    signals::shutdown_signal().expect("a signal handler")
}

/// Runs a future on the runtime's own threads.
pub(crate) fn spawn(future: impl Future<Output = ()> + Send + 'static) {
    TOKIO.spawn(future);
}

/// Returns an in-memory pipe: the server's end and the client's end.
pub(crate) fn pipe() -> (DuplexStream, DuplexStream) {
    tokio::io::duplex(4096)
}

/// Returns two connected Unix sockets: the server's and the client's.
pub(crate) fn unix_pair() -> (UnixStream, UnixStream) {
    let _context = TOKIO.enter();
    UnixStream::pair().expect("two sockets")
}

/// Converts a connected standard socket into one of this runtime.
pub(crate) fn adopt(stream: net::TcpStream) -> TcpStream {
    let _context = TOKIO.enter();
    stream.set_nonblocking(true).expect("a socket");
    TcpStream::from_std(stream).expect("a socket")
}
