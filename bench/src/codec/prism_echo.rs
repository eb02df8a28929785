//! An echo through `prism-driver`, on a transport in memory.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use prism_tokio::{Connection, Handler, Message, Options, serve_upgraded};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    runtime::Builder,
};

use super::{item::Item, library::Batch};

/// Prepares a server's connection. In each batch it receives bytes, echoes them, and waits again.
///
/// The connection's future is polled by hand, so that only the driver's work is measured, without a
/// runtime.
pub(super) fn prepare(item: &Item) -> Batch {
    let (request, answer) = (item.masked_wire(), item.plain_wire());
    let echoed = Arc::new(AtomicUsize::new(0));
    let io = Peer { request, answer: answer.clone(), brought: true, echoed: Arc::clone(&echoed) };
    // The connection's timer needs a runtime.
    let runtime = Builder::new_current_thread().enable_time().build().expect("a runtime starts");
    let mut connection =
        Box::pin(async move { serve_upgraded(io, "/", &Options::default(), Echo).await });
    let mut poll = move || {
        let _runtime = runtime.enter();
        let polled = connection.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert!(polled.is_pending(), "the connection ended");
    };
    poll();
    let length = answer.len();
    Box::new(move || {
        let before = echoed.load(Ordering::Relaxed);
        poll();
        // A session may yield before it goes on.
        while echoed.load(Ordering::Relaxed) == before {
            poll();
        }
        assert_eq!(echoed.load(Ordering::Relaxed) - before, length, "everything is echoed once");
    })
}

struct Echo;

impl Handler for Echo {
    async fn on_message(&self, connection: &Connection, message: Message<'_>) {
        connection.send(message).await.expect("the connection is open");
    }
}

/// The other end: alternately returns `Pending` and its batch.
struct Peer {
    request: Bytes,
    answer: Bytes,
    brought: bool,
    echoed: Arc<AtomicUsize>,
}

impl AsyncRead for Peer {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.brought = !self.brought;
        if !self.brought {
            return Poll::Pending;
        }
        buf.put_slice(&self.request);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Peer {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        // Everything arrives in one write. Comparing it costs as much as a copy would.
        assert!(buf == self.answer, "the echo is wrong");
        self.echoed.fetch_add(buf.len(), Ordering::Relaxed);
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
