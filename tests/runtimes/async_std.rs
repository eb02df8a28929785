//! Implements what the suite needs on async-std.

use std::{net, time::Duration};

use async_std::{future::timeout, net::TcpStream, os::unix::net::UnixStream, task};
use prism_async_std::CloseWrite;
use tokio::io::DuplexStream;

/// The adapter for the driver.
pub(crate) type Network = prism_async_std::AsyncStd;

/// Runs a future on the calling thread. Panics if the future takes longer than `limit`.
pub(crate) fn block_on<F: Future>(limit: Duration, future: F) -> F::Output {
    task::block_on(timeout(limit, future)).expect("the scenario finishes in time")
}

/// Completes when a signal asks this process to end. The code is that of the examples.
pub(crate) fn shutdown_signal() -> impl Future<Output = ()> {
    super::smol::shutdown_signal()
}

/// Runs a future on the runtime's own threads.
pub(crate) fn spawn(future: impl Future<Output = ()> + Send + 'static) {
    task::spawn(future);
}

/// Returns an in-memory pipe: the server's end and the client's end.
pub(crate) fn pipe() -> (prism_tokio::Io<DuplexStream>, prism_tokio::Io<DuplexStream>) {
    super::smol::pipe()
}

/// Returns two connected Unix sockets: the server's and the client's.
pub(crate) fn unix_pair() -> (CloseWrite<UnixStream>, CloseWrite<UnixStream>) {
    let (server, client) = UnixStream::pair().expect("two sockets");
    (CloseWrite(server), CloseWrite(client))
}

/// Converts a connected standard socket into one of this runtime.
pub(crate) fn adopt(stream: net::TcpStream) -> CloseWrite<TcpStream> {
    CloseWrite(stream.into())
}
