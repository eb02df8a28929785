//! smol.

use std::{net, time::Duration};

use futures_lite::future::or;
use prism_smol::AsyncIoStream;
use prism_tokio::Io;
use smol::{Async, Timer, net::unix::UnixStream};
use tokio::io::DuplexStream;

#[path = "../../examples/signals_async_io.rs"]
mod signals;

/// The runtime, as the driver sees it.
pub(crate) type Network = prism_smol::Smol;

/// Runs a future on the calling thread. Panics if that takes longer than `limit`.
pub(crate) fn block_on<F: Future>(limit: Duration, future: F) -> F::Output {
    let late = async {
        Timer::after(limit).await;
        None
    };
    let limited = smol::block_on(or(async { Some(future.await) }, late));
    limited.expect("the scenario goes on")
}

/// Ready when somebody wants this process to end, as the examples on this runtime have it.
pub(crate) fn asked_to_end() -> impl Future<Output = ()> {
    signals::asked_to_end().expect("signals can be listened to")
}

/// Runs a future on the runtime's own threads.
pub(crate) fn spawn(future: impl Future<Output = ()> + Send + 'static) {
    smol::spawn(future).detach();
}

/// A pipe in memory: the server's end, and the client's. (tokio's needs nothing of tokio.)
pub(crate) fn pipe() -> (Io<DuplexStream>, Io<DuplexStream>) {
    let (server, client) = tokio::io::duplex(4096);
    (Io(server), Io(client))
}

/// Two connected Unix sockets: the server's, and the client's.
pub(crate) fn unix_pair() -> (UnixStream, UnixStream) {
    UnixStream::pair().expect("two sockets")
}

/// A socket that somebody else has accepted, as one of the runtime's reactor.
pub(crate) fn adopt(stream: net::TcpStream) -> AsyncIoStream<net::TcpStream> {
    Async::new(stream).expect("a socket").into()
}

/// A connected socket, as a client takes it.
pub(crate) fn transport(stream: net::TcpStream) -> AsyncIoStream<net::TcpStream> {
    adopt(stream)
}
