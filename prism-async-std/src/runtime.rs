//! [`AsyncStd`]: the runtime, as Prism's driver sees it.

use std::{io, net, net::SocketAddr, time::Duration};

use async_io::Timer;
use async_std::{
    net::{TcpListener, TcpStream, ToSocketAddrs},
    task,
};
use prism_driver::{Network, Runtime};

use crate::io::Io;

/// The async-std runtime.
#[derive(Clone, Copy, Debug, Default)]
pub struct AsyncStd;

impl Runtime for AsyncStd {
    type Sleep = Timer;

    fn sleep(&self, span: Duration) -> Timer {
        Timer::after(span)
    }

    fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) {
        task::spawn(future);
    }
}

impl Network for AsyncStd {
    type Stream = Io<TcpStream>;
    type Listener = TcpListener;

    fn listen(&self, listener: net::TcpListener) -> io::Result<TcpListener> {
        Ok(listener.into())
    }

    async fn accept(&self, listener: &TcpListener) -> io::Result<(Io<TcpStream>, SocketAddr)> {
        let (stream, peer_addr) = listener.accept().await?;
        Ok((Io(stream), peer_addr))
    }

    async fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        Ok((host, port).to_socket_addrs().await?.collect())
    }

    async fn connect(&self, address: SocketAddr) -> io::Result<Io<TcpStream>> {
        Ok(Io(TcpStream::connect(address).await?))
    }

    fn set_nodelay(&self, stream: &Io<TcpStream>) -> io::Result<()> {
        stream.0.set_nodelay(true)
    }
}
