//! tokio.

use std::{net, sync::LazyLock, time::Duration};

use prism_tokio::Io;
use tokio::{
    io::DuplexStream,
    net::{TcpStream, UnixStream},
    runtime::{Builder, Runtime},
};

#[path = "../../examples/signals_tokio.rs"]
mod signals;

/// The runtime, as the driver sees it.
pub(crate) type Network = prism_tokio::Tokio;

static TOKIO: LazyLock<Runtime> = LazyLock::new(|| {
    let built = Builder::new_multi_thread().worker_threads(2).enable_all().build();
    built.expect("the operating system gives threads")
});

/// Runs a future on the calling thread. Panics if that takes longer than `limit`.
pub(crate) fn block_on<F: Future>(limit: Duration, future: F) -> F::Output {
    let limited = TOKIO.block_on(async { tokio::time::timeout(limit, future).await });
    limited.expect("the scenario goes on")
}

/// Ready when somebody wants this process to end, as the examples on this runtime have it.
pub(crate) fn asked_to_end() -> impl Future<Output = ()> {
    let _context = TOKIO.enter();
    signals::asked_to_end().expect("signals can be listened to")
}

/// Runs a future on the runtime's own threads.
pub(crate) fn spawn(future: impl Future<Output = ()> + Send + 'static) {
    TOKIO.spawn(future);
}

/// A pipe in memory: the server's end, and the client's.
pub(crate) fn pipe() -> (DuplexStream, Io<DuplexStream>) {
    let (server, client) = tokio::io::duplex(4096);
    (server, Io(client))
}

/// Two connected Unix sockets: the server's, and the client's.
pub(crate) fn unix_pair() -> (UnixStream, Io<UnixStream>) {
    let _context = TOKIO.enter();
    let (server, client) = UnixStream::pair().expect("two sockets");
    (server, Io(client))
}

/// A socket that somebody else has accepted, as one of the runtime's.
pub(crate) fn adopt(stream: net::TcpStream) -> TcpStream {
    let _context = TOKIO.enter();
    stream.set_nonblocking(true).expect("a socket");
    TcpStream::from_std(stream).expect("a socket")
}

/// A connected socket, as a client takes it.
pub(crate) fn transport(stream: net::TcpStream) -> Io<TcpStream> {
    Io(adopt(stream))
}
