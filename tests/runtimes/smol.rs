//! Implements what the suite needs on smol.

use std::{net, time::Duration};

use futures_lite::future::or;
use prism_smol::AsyncIoStream;
use prism_tokio::Io;
use smol::{Async, Timer, net::unix::UnixStream};
use tokio::io::DuplexStream;

#[path = "../../examples/signals_async_io.rs"]
mod signals;

/// The adapter for the driver.
pub(crate) type Network = prism_smol::Smol;

/// Runs a future on the calling thread. Panics if the future takes longer than `limit`.
pub(crate) fn block_on<F: Future>(limit: Duration, future: F) -> F::Output {
    let late = async {
        Timer::after(limit).await;
        None
    };
    let limited = smol::block_on(or(async { Some(future.await) }, late));
    limited.expect("the scenario finishes in time")
}

/// Completes when a signal asks this process to end. The code is that of the examples.
pub(crate) fn shutdown_signal() -> impl Future<Output = ()> {
    signals::shutdown_signal().expect("a signal handler")
}

/// Runs a future on the runtime's own threads.
pub(crate) fn spawn(future: impl Future<Output = ()> + Send + 'static) {
    smol::spawn(future).detach();
}

/// Returns an in-memory pipe: the server's end and the client's end. It is a type of tokio's, but
/// works without its runtime.
pub(crate) fn pipe() -> (Io<DuplexStream>, Io<DuplexStream>) {
    let (server, client) = tokio::io::duplex(4096);
    (Io(server), Io(client))
}

/// Returns two connected Unix sockets: the server's and the client's.
pub(crate) fn unix_pair() -> (UnixStream, UnixStream) {
    UnixStream::pair().expect("two sockets")
}

/// Converts a connected standard socket into one of this runtime.
pub(crate) fn adopt(stream: net::TcpStream) -> AsyncIoStream<net::TcpStream> {
    Async::new(stream).expect("a socket").into()
}
