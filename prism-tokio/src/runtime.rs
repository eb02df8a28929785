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
///
/// The process has one, but a runtime whose time is paused has a clock of its own, which may be
/// ahead. The real time is not ahead of any.
static EPOCH: LazyLock<Instant> =
    LazyLock::new(|| Instant::now().min(std::time::Instant::now().into()));

/// About thirty years: as good as never.
const FAR: Duration = Duration::from_secs(1_000_000_000);

impl Runtime for Tokio {
    type Sleep = Sleep;

    fn now(&self) -> Duration {
        EPOCH.elapsed()
    }

    fn sleep_until(&self, deadline: Duration) -> Sleep {
        let moment = EPOCH.checked_add(deadline.min(FAR));
        sleep_until(moment.unwrap_or_else(Instant::now))
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
        Ok(stream(TcpStream::connect((host, port)).await?))
    }
}

/// A listener on tokio.
#[derive(Debug)]
pub struct TokioListener(TcpListener);

impl Listener for TokioListener {
    type Stream = Io<TcpStream>;

    async fn accept(&self) -> io::Result<(Io<TcpStream>, SocketAddr)> {
        let (socket, peer_addr) = self.0.accept().await?;
        Ok((stream(socket), peer_addr))
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

fn stream(socket: TcpStream) -> Io<TcpStream> {
    // What is written is already gathered; waiting for more would only delay it. A socket that
    // can not be told so is one that has gone, and will say so itself.
    let _ = socket.set_nodelay(true);
    Io(socket)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use prism_driver::Runtime;

    use super::Tokio;

    #[tokio::test]
    async fn a_deadline_may_be_as_far_as_can_be() {
        let far = Tokio.sleep_until(Duration::MAX);
        let near = Tokio.sleep_until(Tokio.now() + Duration::from_millis(1));
        tokio::select! {
            () = far => panic!("the end of time has come"),
            () = near => {}
        }
    }

    #[test]
    fn a_runtime_that_was_paused_and_ran_ahead_does_not_stop_the_clock_of_others() {
        let hour = Duration::from_secs(3600);
        let runtime = |paused| {
            let mut builder = tokio::runtime::Builder::new_current_thread();
            builder.enable_time().start_paused(paused).build().unwrap()
        };
        let ahead = runtime(true).block_on(async {
            tokio::time::advance(hour).await;
            Tokio.now()
        });
        let others = runtime(false).block_on(async { Tokio.now() });
        assert!(others < ahead, "each has its own time");
        runtime(false).block_on(async {
            Tokio.sleep_until(others + Duration::from_millis(1)).await;
            assert!(Tokio.now() > others);
        });
    }
}
