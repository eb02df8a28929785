//! async-std.

use std::{net, time::Duration};

use async_std::{future::timeout, net::TcpStream, os::unix::net::UnixStream, task};
use prism_async_std::CloseWrite;
use tokio::io::DuplexStream;

/// The runtime, as the driver sees it.
pub(crate) type Network = prism_async_std::AsyncStd;

/// Runs a future on the calling thread. Panics if that takes longer than `limit`.
pub(crate) fn block_on<F: Future>(limit: Duration, future: F) -> F::Output {
    task::block_on(timeout(limit, future)).expect("the scenario goes on")
}

/// Ready when somebody wants this process to end, as the examples on this runtime have it.
pub(crate) fn asked_to_end() -> impl Future<Output = ()> {
    super::smol::asked_to_end()
}

/// Runs a future on the runtime's own threads.
pub(crate) fn spawn(future: impl Future<Output = ()> + Send + 'static) {
    task::spawn(future);
}

/// A pipe in memory: the server's end, and the client's.
pub(crate) fn pipe() -> (prism_tokio::Io<DuplexStream>, prism_tokio::Io<DuplexStream>) {
    super::smol::pipe()
}

/// Two connected Unix sockets: the server's, and the client's.
pub(crate) fn unix_pair() -> (CloseWrite<UnixStream>, CloseWrite<UnixStream>) {
    let (server, client) = UnixStream::pair().expect("two sockets");
    (CloseWrite(server), CloseWrite(client))
}

/// A socket that somebody else has accepted, as one of the runtime's.
pub(crate) fn adopt(stream: net::TcpStream) -> CloseWrite<TcpStream> {
    CloseWrite(stream.into())
}

/// A connected socket, as a client takes it.
pub(crate) fn transport(stream: net::TcpStream) -> CloseWrite<TcpStream> {
    adopt(stream)
}
