//! [`AsyncStd`]: the runtime, as Prism's driver sees it.

use std::{io, net, net::SocketAddr, time::Duration};

use async_io::{Async, Timer};
use async_std::{net::ToSocketAddrs, task};
use prism_driver::{CloseWrite, Network, Runtime};

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

// async-std's own sockets are these behind a pointer that is not needed here.
impl Network for AsyncStd {
    type Stream = CloseWrite<Async<net::TcpStream>>;
    type Listener = Async<net::TcpListener>;

    fn listen(&self, listener: net::TcpListener) -> io::Result<Self::Listener> {
        Async::new_nonblocking(listener)
    }

    async fn accept(&self, listener: &Self::Listener) -> io::Result<(Self::Stream, SocketAddr)> {
        let (stream, peer_addr) = listener.accept().await?;
        Ok((CloseWrite(stream), peer_addr))
    }

    async fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        Ok((host, port).to_socket_addrs().await?.collect())
    }

    async fn connect(&self, address: SocketAddr) -> io::Result<Self::Stream> {
        Ok(CloseWrite(Async::<net::TcpStream>::connect(address).await?))
    }

    fn set_nodelay(&self, stream: &Self::Stream) -> io::Result<()> {
        stream.0.get_ref().set_nodelay(true)
    }
}
