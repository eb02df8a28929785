//! [`FloodTransport`]: a peer that never stops sending.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use futures_io::{AsyncRead, AsyncWrite};
use prism_driver::Runtime;
use prism_test::{PipeEnd, Sim};

use super::{ms, s};

/// A client's pong without payload.
const PONG: [u8; 6] = [0x8a, 0x80, 0, 0, 0, 0];

/// A transport that returns what arrives through the pipe, and endless pongs when nothing does. Each
/// read of pongs takes ten milliseconds.
pub struct FloodTransport {
    io: PipeEnd,
    sim: Sim,
}

impl FloodTransport {
    pub fn new(io: PipeEnd, sim: &Sim) -> Self {
        Self { io, sim: sim.clone() }
    }
}

impl AsyncRead for FloodTransport {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        if let Poll::Ready(result) = Pin::new(&mut self.io).poll_read(cx, buf) {
            return Poll::Ready(result);
        }
        if self.sim.now() > s(120) {
            return Poll::Ready(Err(io::Error::other("the flood was read for two minutes")));
        }
        self.sim.block(ms(10));
        let mut count = 0;
        for room in buf.chunks_exact_mut(PONG.len()).take(10) {
            room.copy_from_slice(&PONG);
            count += PONG.len();
        }
        Poll::Ready(Ok(count))
    }
}

impl AsyncWrite for FloodTransport {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_close(cx)
    }
}
