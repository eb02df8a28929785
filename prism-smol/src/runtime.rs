//! [`Smol`]: the runtime, as Prism's driver sees it.

use std::{fmt, io, net, net::SocketAddr, sync::Arc, time::Duration};

use prism_driver::{Network, Runtime};
use smol::{
    Async, Executor, Timer,
    net::{TcpListener, TcpStream, resolve},
};

/// The smol runtime: an executor of yours, or the global one.
///
/// The global executor has one thread, or `SMOL_THREADS` of them. A server that should use more
/// gets an executor that you run on as many threads as you like:
///
/// ```no_run
/// use std::{future::pending, sync::Arc, thread};
/// use prism_smol::{Server, Smol};
///
/// # use prism_smol::{Connection, Handler, Message};
/// # struct Echo;
/// # impl Handler for Echo {
/// #     async fn on_message(&self, _: &Connection, _: Message<'_>) {}
/// # }
/// # fn main() -> std::io::Result<()> {
/// let executor = Arc::new(smol::Executor::new());
/// for _ in 0..3 {
///     let executor = executor.clone();
///     thread::spawn(move || smol::block_on(executor.run(pending::<()>())));
/// }
/// smol::block_on(executor.run(async {
///     let server = Server::bind_on(Smol::on(executor.clone()), "127.0.0.1:8080").await?;
///     server.web_socket("/ws", Echo).serve().await;
///     Ok(())
/// }))
/// # }
/// ```
#[derive(Clone, Default)]
pub struct Smol {
    executor: Option<Arc<Executor<'static>>>,
}

impl Smol {
    /// The runtime whose tasks run on this executor, for as long as somebody runs it.
    #[must_use]
    pub const fn on(executor: Arc<Executor<'static>>) -> Self {
        Self { executor: Some(executor) }
    }
}

impl Runtime for Smol {
    type Sleep = Timer;

    fn sleep(&self, span: Duration) -> Timer {
        Timer::after(span)
    }

    fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) {
        match &self.executor {
            Some(executor) => executor.spawn(future),
            None => smol::spawn(future),
        }
        .detach();
    }
}

impl Network for Smol {
    type Stream = TcpStream;
    type Listener = TcpListener;

    fn listen(&self, listener: net::TcpListener) -> io::Result<TcpListener> {
        Ok(Async::new_nonblocking(listener)?.into())
    }

    async fn accept(&self, listener: &TcpListener) -> io::Result<(TcpStream, SocketAddr)> {
        let (stream, peer_addr) = listener.accept().await?;
        Ok((undelayed(stream), peer_addr))
    }

    async fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        resolve((host, port)).await
    }

    async fn connect(&self, address: SocketAddr) -> io::Result<TcpStream> {
        Ok(undelayed(TcpStream::connect(address).await?))
    }
}

impl fmt::Debug for Smol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let executor = if self.executor.is_some() { "its own" } else { "global" };
        f.debug_struct("Smol").field("executor", &executor).finish()
    }
}

fn undelayed(stream: TcpStream) -> TcpStream {
    // A socket that can not be told so is one that has gone, and will say so itself.
    let _ = stream.set_nodelay(true);
    stream
}
