//! [`Tokio`]: the runtime, as Prism's driver sees it.

use std::{io, net::SocketAddr, sync::LazyLock, time::Duration};

use prism_driver::{Listener, Network, Runtime};
use tokio::{
    net::{TcpListener, TcpStream},
    time::{Instant, Sleep, sleep_until},
};

use crate::io::Io;

/// The tokio runtime that the calling task runs on.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tokio;

/// The moment that [`Runtime::now`] counts from.
static EPOCH: LazyLock<Instant> = LazyLock::new(Instant::now);

impl Runtime for Tokio {
    type Sleep = Sleep;

    fn now(&self) -> Duration {
        EPOCH.elapsed()
    }

    fn sleep_until(&self, deadline: Duration) -> Sleep {
        sleep_until(*EPOCH + deadline)
    }

    fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) {
        tokio::spawn(future);
    }
}

impl Network for Tokio {
    type Stream = Io<TcpStream>;
    type Listener = TokioListener;

    async fn listen(&self, addresses: &[SocketAddr]) -> io::Result<TokioListener> {
        TcpListener::bind(addresses).await.map(TokioListener)
    }

    async fn connect(&self, host: &str, port: u16) -> io::Result<Io<TcpStream>> {
        stream(TcpStream::connect((host, port)).await?)
    }
}

/// A listener on tokio.
#[derive(Debug)]
pub struct TokioListener(TcpListener);

impl Listener for TokioListener {
    type Stream = Io<TcpStream>;

    async fn accept(&self) -> io::Result<(Io<TcpStream>, SocketAddr)> {
        let (socket, peer_addr) = self.0.accept().await?;
        Ok((stream(socket)?, peer_addr))
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

fn stream(socket: TcpStream) -> io::Result<Io<TcpStream>> {
    // What is written is already gathered; waiting for more would only delay it.
    socket.set_nodelay(true)?;
    Ok(Io(socket))
}
