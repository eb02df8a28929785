//! [`Tokio`]: tokio for Prism's driver.

use std::{
    io, net,
    net::SocketAddr,
    pin::pin,
    sync::LazyLock,
    task::{Context, Waker},
    time::Duration,
};

use prism_driver::{AdaptStream, Network, Runtime};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream, lookup_host},
    task::yield_now,
    time::{Instant, Sleep, sleep},
};

use crate::{io::Io, tcp::Tcp};

/// The tokio runtime of the calling task.
///
/// Its I/O and time drivers have to be enabled, as they are in `#[tokio::main]`. Outside of a tokio runtime, or without
/// those drivers, the methods of this type panic, and so does everything that uses them: [`connect`](crate::connect),
/// and [`Server`](crate::Server) from its creation on.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tokio;

/// The instant that [`Runtime::now`] reports as [`LONG_AGO`].
///
/// All runtimes of the process share it. But a runtime whose time is paused has a clock of its own, which may
/// be ahead of this instant, or behind it if that clock was stopped before this was first read.
static EPOCH: LazyLock<Instant> = LazyLock::new(|| std::time::Instant::now().into());

/// Longer than any clock can be behind [`EPOCH`].
const LONG_AGO: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

impl Runtime for Tokio {
    type Sleep = Sleep;

    fn now(&self) -> Duration {
        let (epoch, now) = (*EPOCH, Instant::now());
        match now.checked_duration_since(epoch) {
            Some(span) => LONG_AGO + span,
            None => LONG_AGO.saturating_sub(epoch.duration_since(now)),
        }
    }

    fn sleep(&self, span: Duration) -> Sleep {
        sleep(span)
    }

    fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) {
        tokio::spawn(future);
    }

    /// Tokio looks for I/O after 61 polls. With messages that take a millisecond each, that is much too long.
    fn yield_to_others(&self, waker: &Waker) {
        // The first poll leaves the waker with the runtime, which wakes it after the next look.
        let _ = pin!(yield_now()).poll(&mut Context::from_waker(waker));
    }
}

#[diagnostic::do_not_recommend]
impl<T> AdaptStream<T> for Tokio
where
    T: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    type Transport = Io<T>;

    fn adapt(stream: T) -> Io<T> {
        Io(stream)
    }
}

impl Network for Tokio {
    type Stream = Tcp;
    type Listener = TcpListener;

    fn listen(&self, listener: net::TcpListener) -> io::Result<TcpListener> {
        TcpListener::from_std(listener)
    }

    async fn accept(&self, listener: &TcpListener) -> io::Result<(Tcp, SocketAddr)> {
        let (stream, peer_addr) = listener.accept().await?;
        Ok((stream.into(), peer_addr))
    }

    async fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        Ok(lookup_host((host, port)).await?.collect())
    }

    async fn connect(&self, address: SocketAddr) -> io::Result<Tcp> {
        Ok(TcpStream::connect(address).await?.into())
    }

    fn set_nodelay(&self, stream: &Tcp) -> io::Result<()> {
        stream.get_ref().set_nodelay(true)
    }
}
