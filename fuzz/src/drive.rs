//! Futures and pipes that the fuzzer drives step by step.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};

use async_channel::{Receiver, bounded};
use futures_io::{AsyncRead, AsyncWrite};
use prism_core::Header;
use prism_driver::{ConnectionHandler, Options, Runtime, serve_stream, serve_upgraded};
use prism_test::{Faults, PipeEnd, Sim, pipe};

/// A future that is polled by hand, and records whether it was woken meanwhile.
pub struct ManualFuture<T> {
    future: Pin<Box<dyn Future<Output = T>>>,
    woken: Arc<Woken>,
}

struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl<T> ManualFuture<T> {
    /// Creates a future that is not polled yet.
    pub fn new(future: impl Future<Output = T> + 'static) -> Self {
        Self { future: Box::pin(future), woken: Arc::new(Woken(AtomicBool::new(true))) }
    }

    /// Polls the future, whether it was woken or not.
    pub fn poll(&mut self) -> Option<T> {
        self.woken.0.store(false, Ordering::Relaxed);
        let waker = Waker::from(self.woken.clone());
        match self.future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => Some(output),
            Poll::Pending => None,
        }
    }

    /// Returns whether the future was woken since its last poll.
    pub fn is_woken(&self) -> bool {
        self.woken.0.load(Ordering::Relaxed)
    }
}

/// Serves a handler in a task, to a peer that sends this request; without one, the handshake is over. Returns
/// the peer, the faults of the pipe, and what receives an item at the end.
pub fn serve(
    sim: &Sim,
    handler: impl ConnectionHandler,
    options: Options,
    request: Option<String>,
) -> (PipeEnd, Faults, Receiver<()>) {
    let (io, mut peer, faults) = pipe();
    let (tell, ended) = bounded(1);
    let runtime = sim.clone();
    let request = request.unwrap_or_default();
    give(&mut peer, request.as_bytes());
    sim.spawn(async move {
        if request.is_empty() {
            serve_upgraded(runtime, io, "/", &options, handler).await;
        } else {
            serve_stream(runtime, io, &options, handler).await.expect("a valid request");
        }
        tell.try_send(()).expect("once");
    });
    (peer, faults, ended)
}

/// Writes as much to an end of a pipe as it takes now, and returns how much that was.
pub fn give(io: &mut PipeEnd, bytes: &[u8]) -> usize {
    let mut cx = Context::from_waker(Waker::noop());
    let mut given = 0;
    while given < bytes.len() {
        match Pin::new(&mut *io).poll_write(&mut cx, &bytes[given..]) {
            Poll::Ready(Ok(count)) => given += count,
            Poll::Ready(Err(_)) | Poll::Pending => break,
        }
    }
    let _ = Pin::new(io).poll_flush(&mut cx);
    given
}

/// Reads what an end of a pipe has now, but at most this many bytes.
pub fn take(io: &mut PipeEnd, most: usize) -> Vec<u8> {
    let mut cx = Context::from_waker(Waker::noop());
    let (mut taken, mut buffer) = (Vec::new(), [0; 4096]);
    while taken.len() < most {
        let want = buffer.len().min(most - taken.len());
        match Pin::new(&mut *io).poll_read(&mut cx, &mut buffer[..want]) {
            Poll::Ready(Ok(count @ 1..)) => taken.extend(&buffer[..count]),
            Poll::Ready(Ok(0) | Err(_)) | Poll::Pending => break,
        }
    }
    taken
}

/// Ends one side of a pipe.
pub fn end(io: &mut PipeEnd) {
    let _ = Pin::new(io).poll_close(&mut Context::from_waker(Waker::noop()));
}

/// Returns the whole frames at the start of these bytes. The last frame may be incomplete.
///
/// # Panics
/// If a header is invalid.
pub fn whole_frames(bytes: &[u8]) -> &[u8] {
    let mut whole = 0;
    while let Some((header, len)) = Header::parse(&bytes[whole..]).expect("valid headers only") {
        let end = whole + len + usize::try_from(header.len).expect("a length in memory");
        if end > bytes.len() {
            break;
        }
        whole = end;
    }
    &bytes[..whole]
}
