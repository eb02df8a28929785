//! [`FixedResolver`]: the runtime, with names of a scenario's own.

use std::{
    io,
    net::{self, SocketAddr},
    time::Duration,
};

use prism_driver::{Network, Runtime};

use crate::runtime;

/// The runtime, with a resolver that returns fixed addresses for every name.
#[derive(Clone)]
pub(crate) struct FixedResolver<N> {
    network: N,
    addresses: Vec<SocketAddr>,
}

impl FixedResolver<runtime::Network> {
    pub(crate) fn new(addresses: Vec<SocketAddr>) -> Self {
        Self { network: runtime::Network::default(), addresses }
    }
}

impl<N: Network> Runtime for FixedResolver<N> {
    type Sleep = N::Sleep;

    fn now(&self) -> Duration {
        self.network.now()
    }

    fn sleep(&self, span: Duration) -> N::Sleep {
        self.network.sleep(span)
    }

    fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) {
        self.network.spawn(future);
    }
}

impl<N: Network> Network for FixedResolver<N> {
    type Stream = N::Stream;
    type Listener = N::Listener;

    fn listen(&self, listener: net::TcpListener) -> io::Result<N::Listener> {
        self.network.listen(listener)
    }

    async fn accept(&self, listener: &N::Listener) -> io::Result<(N::Stream, SocketAddr)> {
        self.network.accept(listener).await
    }

    async fn resolve(&self, _: &str, _: u16) -> io::Result<Vec<SocketAddr>> {
        Ok(self.addresses.clone())
    }

    async fn connect(&self, address: SocketAddr) -> io::Result<N::Stream> {
        self.network.connect(address).await
    }

    fn set_nodelay(&self, stream: &N::Stream) -> io::Result<()> {
        self.network.set_nodelay(stream)
    }
}
