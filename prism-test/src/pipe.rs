//! [`pipe`]: a transport in memory with two ends, and [`Faults`] that control it.

use std::{
    fmt, io,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
};

use futures_io::{AsyncRead, AsyncWrite};

use self::{
    faults::Faults,
    lane::{Lane, change, lock},
};

mod close_filter;
pub(crate) mod faults;
#[cfg(feature = "hyper")]
mod hyper_io;
mod lane;
#[cfg(feature = "tokio")]
mod tokio_io;

/// Creates a pipe, and returns the server's end, the client's end, and what controls it.
///
/// Each direction holds up to 1 MiB. Like TCP, the pipe resets the connection: when an end is dropped with unread
/// bytes, or the other end writes after that, the bytes on their way are destroyed.
///
/// ```
/// use futures_lite::{AsyncReadExt, AsyncWriteExt, future::block_on};
/// use prism_test::pipe;
///
/// let (mut server, mut client, faults) = pipe();
/// block_on(async {
///     client.write_all(b"ping").await.unwrap();
///     assert_eq!(faults.to_server().unread(), 4);
///     let mut received = [0; 4];
///     server.read_exact(&mut received).await.unwrap();
///     assert_eq!(received, *b"ping");
/// });
/// ```
pub fn pipe() -> (PipeEnd, PipeEnd, Faults) {
    let (to_server, to_client) = (Lane::new(), Lane::new());
    let server = PipeEnd { incoming: to_server.clone(), outgoing: to_client.clone() };
    let client = PipeEnd { incoming: to_client.clone(), outgoing: to_server.clone() };
    (server, client, Faults::new(to_server, to_client))
}

/// An end of a [`pipe`]: a [`Transport`](prism_driver::Transport).
///
/// It has the traits of `futures_io`; with the feature `tokio` also those of tokio, and with the feature `hyper` those
/// of hyper.
pub struct PipeEnd {
    incoming: Arc<Mutex<Lane>>,
    outgoing: Arc<Mutex<Lane>>,
}

impl fmt::Debug for PipeEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PipeEnd").finish_non_exhaustive()
    }
}

impl AsyncRead for PipeEnd {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let mut waker = Some(cx.waker().clone());
        lock(&self.incoming).read(&mut waker, buf)
    }
}

impl AsyncWrite for PipeEnd {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let mut waker = Some(cx.waker().clone());
        let mut lane = lock(&self.outgoing);
        let deserted = lane.is_deserted();
        let written =
            if deserted { Poll::Ready(Ok(buf.len())) } else { lane.write(&mut waker, buf) };
        drop(lane);
        let mut back = lock(&self.incoming);
        if deserted {
            back.reset(); // the answer to bytes that nobody reads
        }
        if back.is_reset() {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        written
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        // No more than fits, so that tests of memory count only the driver's.
        let room = lock(&self.outgoing).room().max(1);
        let mut fitting = Vec::new();
        for buf in bufs {
            fitting.extend_from_slice(&buf[..buf.len().min(room - fitting.len())]);
        }
        self.poll_write(cx, &fitting)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut lane = lock(&self.outgoing);
        if let Some(error) = lane.flush_fails {
            return Poll::Ready(Err(error.into()));
        }
        lane.flush();
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        lock(&self.outgoing).close()
    }
}

impl Drop for PipeEnd {
    fn drop(&mut self) {
        let mut lane = lock(&self.incoming);
        lane.deserted = true;
        let unread = !lane.bytes.is_empty();
        drop(lane);
        change(&self.outgoing, |lane| {
            lane.closed = true;
            if unread {
                lane.reset();
            }
        });
        lock(&self.incoming).wake(); // last: a writer that waits looks at both directions
    }
}
