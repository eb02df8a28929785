//! [`CountingNetwork`]: a network that counts its tasks.

use std::{
    io,
    net::{SocketAddr, TcpListener},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::Waker,
    time::Duration,
};

use prism_driver::{Network, Runtime};

#[derive(Clone)]
pub(crate) struct CountingNetwork<N> {
    network: N,
    tasks: Arc<AtomicUsize>,
}

impl<N> CountingNetwork<N> {
    pub(crate) fn new(network: N) -> Self {
        Self { network, tasks: Arc::default() }
    }

    /// Returns the number of tasks, which is kept up to date.
    pub(crate) fn tasks(&self) -> Arc<AtomicUsize> {
        self.tasks.clone()
    }
}

impl<N: Network> Runtime for CountingNetwork<N> {
    type Sleep = N::Sleep;

    fn now(&self) -> Duration {
        self.network.now()
    }

    fn sleep(&self, span: Duration) -> N::Sleep {
        self.network.sleep(span)
    }

    fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) {
        let alive = CountGuard::new(self.tasks.clone());
        self.network.spawn(async move {
            future.await;
            drop(alive);
        });
    }

    fn yield_to_others(&self, waker: &Waker) {
        self.network.yield_to_others(waker);
    }
}

impl<N: Network> Network for CountingNetwork<N> {
    type Stream = N::Stream;
    type Listener = N::Listener;

    fn listen(&self, listener: TcpListener) -> io::Result<N::Listener> {
        self.network.listen(listener)
    }

    async fn accept(&self, listener: &N::Listener) -> io::Result<(N::Stream, SocketAddr)> {
        self.network.accept(listener).await
    }

    async fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        self.network.resolve(host, port).await
    }

    async fn connect(&self, address: SocketAddr) -> io::Result<N::Stream> {
        self.network.connect(address).await
    }

    fn set_nodelay(&self, stream: &N::Stream) -> io::Result<()> {
        self.network.set_nodelay(stream)
    }
}

/// Increments a counter until it is dropped, also with a task that has never run.
pub(crate) struct CountGuard(Arc<AtomicUsize>);

impl CountGuard {
    pub(crate) fn new(count: Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for CountGuard {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
