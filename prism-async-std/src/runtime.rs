//! [`AsyncStd`]: async-std for Prism's driver.

use std::{io, net::SocketAddr, task::Waker, time::Duration};

use async_io::Timer;
use async_std::{net::ToSocketAddrs, task};
use prism_driver::{AsyncIo, Runtime};

/// The async-std runtime. Connections run as tasks of its global executor.
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

    fn yield_to_others(&self, waker: &Waker) {
        self.yield_to_reactor(waker);
    }
}

impl AsyncIo for AsyncStd {
    async fn look_up(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        Ok((host, port).to_socket_addrs().await?.collect())
    }
}
