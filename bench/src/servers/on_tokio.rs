//! Shared by all servers on tokio: the runtime, and accepting connections.

use std::io;

use tokio::{
    net::{TcpListener, TcpStream},
    runtime,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

/// Runs a future on a runtime with this many threads.
pub(crate) fn block_on<T>(threads: usize, future: impl Future<Output = T>) -> io::Result<T> {
    let mut runtime = match threads {
        1 => runtime::Builder::new_current_thread(),
        _ => runtime::Builder::new_multi_thread(),
    };
    Ok(runtime.worker_threads(threads).enable_all().build()?.block_on(future))
}

/// Runs a server that gives each connection a task.
///
/// Failed connections are not reported: the load generator ends connections without a close frame.
pub(super) fn serve<F>(
    address: &str,
    threads: usize,
    connection: impl Fn(TcpStream) -> F,
) -> io::Result<()>
where
    F: Future<Output = ()> + Send + 'static,
{
    block_on(threads, accept(address, connection))?
}

/// Accepts connections, and gives each a task.
pub(crate) async fn accept<F>(address: &str, connection: impl Fn(TcpStream) -> F) -> io::Result<()>
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind(address).await?;
    super::announce(listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tokio::spawn(connection(stream));
    }
}

/// Runs a server that gives each connection a task, which begins with the handshake of TLS.
pub(super) fn serve_tls<F>(
    address: &str,
    threads: usize,
    connection: impl Fn(TlsStream<TcpStream>) -> F + Clone + Send + 'static,
) -> io::Result<()>
where
    F: Future<Output = ()> + Send + 'static,
{
    let acceptor = TlsAcceptor::from(super::tls::of_peers()?);
    serve(address, threads, move |stream| {
        let (accepted, connection) = (acceptor.accept(stream), connection.clone());
        async move {
            if let Ok(stream) = accepted.await {
                connection(stream).await;
            }
        }
    })
}
