//! A transport in memory, with two ends and a script: how much it takes, and how it fails.

use std::{
    collections::VecDeque,
    io,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard},
    task::{Context, Poll, Waker},
};

use futures_io::{AsyncRead, AsyncWrite};

/// One direction.
#[derive(Default)]
struct Lane {
    bytes: VecDeque<u8>,
    /// How many bytes it holds before a writer has to wait.
    capacity: usize,
    /// At most so many bytes a read or write moves.
    piece: usize,
    closed: bool,
    broken: Option<io::ErrorKind>,
    reader: Option<Waker>,
    writer: Option<Waker>,
    /// How many writes there were.
    writes: usize,
}

impl Lane {
    fn wake(&mut self) {
        for waker in [self.reader.take(), self.writer.take()].into_iter().flatten() {
            waker.wake();
        }
    }
}

/// An end of the pipe: a [`Transport`](prism_driver::Transport).
pub struct End {
    incoming: Arc<Mutex<Lane>>,
    outgoing: Arc<Mutex<Lane>>,
}

/// Controls a pipe from outside.
#[derive(Clone)]
pub struct Script {
    to_server: Arc<Mutex<Lane>>,
    to_client: Arc<Mutex<Lane>>,
}

/// A pipe: the server's end, the client's end, and its script.
pub fn pipe() -> (End, End, Script) {
    let lane = || {
        let lane = Lane { capacity: 1 << 20, piece: usize::MAX, ..Lane::default() };
        Arc::new(Mutex::new(lane))
    };
    let (to_server, to_client) = (lane(), lane());
    let server = End { incoming: to_server.clone(), outgoing: to_client.clone() };
    let client = End { incoming: to_client.clone(), outgoing: to_server.clone() };
    (server, client, Script { to_server, to_client })
}

impl Script {
    /// From now on the pipe holds so many bytes towards the client: a client that reads slowly.
    pub fn set_capacity_to_client(&self, bytes: usize) {
        let mut lane = lock(&self.to_client);
        lane.capacity = bytes;
        lane.wake();
    }

    /// From now on reads and writes move so many bytes at a time.
    pub fn set_piece(&self, bytes: usize) {
        lock(&self.to_client).piece = bytes;
        lock(&self.to_server).piece = bytes;
    }

    /// The server's writes fail from now on; its reads go on.
    pub fn break_to_client(&self, error: io::ErrorKind) {
        let mut lane = lock(&self.to_client);
        lane.broken = Some(error);
        lane.wake();
    }

    /// The server's reads fail from now on.
    pub fn break_to_server(&self, error: io::ErrorKind) {
        let mut lane = lock(&self.to_server);
        lane.broken = Some(error);
        lane.wake();
    }

    /// How many writes the server has made.
    pub fn writes_to_client(&self) -> usize {
        lock(&self.to_client).writes
    }

    /// How many bytes the server has not read.
    pub fn unread_by_server(&self) -> usize {
        lock(&self.to_server).bytes.len()
    }

    /// Whether the server has shut its write side down or dropped its end.
    pub fn closed_by_server(&self) -> bool {
        lock(&self.to_client).closed
    }
}

impl AsyncRead for End {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let mut lane = lock(&self.incoming);
        if let Some(error) = lane.broken {
            return Poll::Ready(Err(error.into()));
        }
        let count = buf.len().min(lane.piece).min(lane.bytes.len());
        if count == 0 && !lane.closed && !buf.is_empty() {
            lane.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        for byte in &mut buf[..count] {
            *byte = lane.bytes.pop_front().expect("counted");
        }
        lane.wake();
        Poll::Ready(Ok(count))
    }
}

impl AsyncWrite for End {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let mut lane = lock(&self.outgoing);
        if let Some(error) = lane.broken {
            return Poll::Ready(Err(error.into()));
        }
        if lane.closed {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let room = lane.capacity.saturating_sub(lane.bytes.len());
        let count = buf.len().min(lane.piece).min(room);
        if count == 0 && !buf.is_empty() {
            lane.writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        lane.bytes.extend(&buf[..count]);
        lane.writes += 1;
        lane.wake();
        Poll::Ready(Ok(count))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut lane = lock(&self.outgoing);
        lane.closed = true;
        lane.wake();
        Poll::Ready(Ok(()))
    }
}

impl Drop for End {
    fn drop(&mut self) {
        for lane in [&self.incoming, &self.outgoing] {
            let mut lane = lock(lane);
            lane.closed = true;
            lane.wake();
        }
    }
}

fn lock(lane: &Mutex<Lane>) -> MutexGuard<'_, Lane> {
    lane.lock().expect("no test panics with a lane locked")
}
