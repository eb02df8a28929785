//! A transport in memory, with two ends and a script: how much it takes, and how it fails.
//!
//! Like TCP, it resets the connection: when an end is dropped with unread bytes, or written to after it
//! was dropped, the bytes on their way to the other end are destroyed.

use std::{
    collections::VecDeque,
    io,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard},
    task::{Context, Poll, Waker},
};

use futures_io::{AsyncRead, AsyncWrite};

/// One direction.
struct Lane {
    bytes: VecDeque<u8>,
    /// How many bytes it holds before a writer has to wait.
    capacity: usize,
    /// How many more bytes may be written, however many are read.
    allowance: usize,
    /// The most bytes that one read or write moves.
    piece: usize,
    /// The writer has closed it, or was dropped.
    closed: bool,
    /// The reader was dropped.
    deserted: bool,
    /// Reads and writes fail.
    broken: Option<io::ErrorKind>,
    /// Writes fail after this many more bytes.
    breaks_after: Option<(usize, io::ErrorKind)>,
    /// Only the next write fails.
    fails_once: Option<io::ErrorKind>,
    flush_fails: Option<io::ErrorKind>,
    close_fails: Option<io::ErrorKind>,
    close_blocks: bool,
    /// The bytes written since the last flush, if a flush is needed.
    held: Option<Vec<u8>>,
    reader: Option<Waker>,
    writer: Option<Waker>,
    /// The number of writes.
    writes: usize,
    /// `None`: reads always try. Otherwise whether the last read did not fill its buffer, so that the
    /// next one first returns `Pending`.
    delays_readiness: Option<bool>,
}

impl Lane {
    fn new() -> Arc<Mutex<Self>> {
        Arc::new(Mutex::new(Self {
            bytes: VecDeque::new(),
            capacity: 1 << 20,
            allowance: usize::MAX,
            piece: usize::MAX,
            closed: false,
            deserted: false,
            broken: None,
            breaks_after: None,
            fails_once: None,
            flush_fails: None,
            close_fails: None,
            close_blocks: false,
            held: None,
            reader: None,
            writer: None,
            writes: 0,
            delays_readiness: None,
        }))
    }

    fn wake(&mut self) {
        for waker in [self.reader.take(), self.writer.take()].into_iter().flatten() {
            waker.wake();
        }
    }

    /// Destroys the bytes in the pipe.
    fn reset(&mut self) {
        self.bytes.clear();
        self.broken = Some(io::ErrorKind::ConnectionReset);
        self.wake();
    }

    /// Returns how many more bytes may be written now.
    fn room(&self) -> usize {
        self.capacity.saturating_sub(self.bytes.len()).min(self.allowance)
    }

    fn write(&mut self, cx: &Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if let Some((0, error)) = self.breaks_after {
            self.broken = Some(error);
        }
        if let Some(error) = self.fails_once.take().or(self.broken) {
            return Poll::Ready(Err(error.into()));
        }
        if self.closed {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let mut count = buf.len().min(self.piece).min(self.room());
        if let Some((left, _)) = &mut self.breaks_after {
            count = count.min(*left);
            *left -= count;
        }
        if count == 0 && !buf.is_empty() {
            self.writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        self.writes += 1;
        if self.allowance < usize::MAX {
            self.allowance -= count;
        }
        match &mut self.held {
            Some(held) => held.extend(&buf[..count]),
            None => self.bytes.extend(&buf[..count]),
        }
        self.wake();
        Poll::Ready(Ok(count))
    }

    fn flush(&mut self) {
        if let Some(held) = &mut self.held {
            self.bytes.extend(held.drain(..));
            self.wake();
        }
    }
}

/// An end of the pipe: a [`Transport`](prism_driver::Transport).
pub struct End {
    incoming: Arc<Mutex<Lane>>,
    outgoing: Arc<Mutex<Lane>>,
}

/// Controls a pipe from the outside.
#[derive(Clone)]
pub struct Script {
    to_server: Arc<Mutex<Lane>>,
    to_client: Arc<Mutex<Lane>>,
}

/// Creates a pipe: the server's end, the client's end, and its script.
pub fn pipe() -> (End, End, Script) {
    let (to_server, to_client) = (Lane::new(), Lane::new());
    let server = End { incoming: to_server.clone(), outgoing: to_client.clone() };
    let client = End { incoming: to_client.clone(), outgoing: to_server.clone() };
    (server, client, Script { to_server, to_client })
}

impl Script {
    /// Sets how many bytes the pipe holds towards the client: a client that reads slowly.
    pub fn set_capacity_to_client(&self, bytes: usize) {
        change(&self.to_client, |lane| lane.capacity = bytes);
    }

    /// Sets how many bytes the pipe holds towards the server.
    pub fn set_capacity_to_server(&self, bytes: usize) {
        change(&self.to_server, |lane| lane.capacity = bytes);
    }

    /// Sets how many more bytes the client may write, however fast the server reads; `usize::MAX`: all.
    pub fn allow_to_server(&self, bytes: usize) {
        change(&self.to_server, |lane| lane.allowance = bytes);
    }

    /// Sets how many bytes a read or write moves at most.
    pub fn set_piece(&self, bytes: usize) {
        change(&self.to_client, |lane| lane.piece = bytes);
        change(&self.to_server, |lane| lane.piece = bytes);
    }

    /// Makes both sides buffer what is written until it is flushed, as TLS and buffered writers do.
    pub fn hold_until_flushed(&self) {
        for lane in [&self.to_client, &self.to_server] {
            change(lane, |lane| {
                lane.held.get_or_insert_default();
            });
        }
    }

    /// Makes the server's end return `Pending` once after each read that did not fill its buffer, as
    /// sockets do that ask the reactor for readiness first.
    pub fn delay_readiness(&self) {
        change(&self.to_server, |lane| lane.delays_readiness = Some(false));
    }

    /// Sets how many more bytes the server may write, however fast the client reads; `usize::MAX`: all.
    pub fn allow_to_client(&self, bytes: usize) {
        change(&self.to_client, |lane| lane.allowance = bytes);
    }

    /// Sends bytes to the client that the server has not written.
    pub fn send_to_client(&self, bytes: &[u8]) {
        change(&self.to_client, |lane| lane.bytes.extend(bytes));
    }

    /// Makes the server's writes fail from now on. Its reads go on.
    pub fn break_to_client(&self, error: io::ErrorKind) {
        change(&self.to_client, |lane| lane.broken = Some(error));
    }

    /// Makes only the server's next write fail: the error is reported once.
    pub fn fail_to_client_once(&self, error: io::ErrorKind) {
        change(&self.to_client, |lane| lane.fails_once = Some(error));
    }

    /// Makes the server's writes fail after this many more bytes. Its reads go on.
    pub fn break_to_client_after(&self, bytes: usize, error: io::ErrorKind) {
        change(&self.to_client, |lane| lane.breaks_after = Some((bytes, error)));
    }

    /// Makes the server's reads and the client's writes fail from now on.
    pub fn break_to_server(&self, error: io::ErrorKind) {
        change(&self.to_server, |lane| lane.broken = Some(error));
    }

    /// Makes the server's flushes fail from now on.
    pub fn break_flush(&self, error: io::ErrorKind) {
        change(&self.to_client, |lane| lane.flush_fails = Some(error));
    }

    /// Makes the server's attempt to end its side fail.
    pub fn break_close(&self, error: io::ErrorKind) {
        change(&self.to_client, |lane| lane.close_fails = Some(error));
    }

    /// Makes the server's attempt to end its side never finish.
    pub fn block_close(&self) {
        change(&self.to_client, |lane| lane.close_blocks = true);
    }

    /// Returns how many writes the server has made.
    pub fn writes_to_client(&self) -> usize {
        lock(&self.to_client).writes
    }

    /// Returns how many bytes the server has not read yet.
    pub fn unread_by_server(&self) -> usize {
        lock(&self.to_server).bytes.len()
    }

    /// Returns how many bytes the client has not read yet.
    pub fn unread_by_client(&self) -> usize {
        lock(&self.to_client).bytes.len()
    }

    /// Returns whether the server has ended its side or dropped its end.
    pub fn closed_by_server(&self) -> bool {
        lock(&self.to_client).closed
    }

    /// Returns whether the server has dropped its end.
    pub fn dropped_by_server(&self) -> bool {
        lock(&self.to_server).deserted
    }

    /// Returns whether the client has dropped its end.
    pub fn dropped_by_client(&self) -> bool {
        lock(&self.to_client).deserted
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
        if lane.delays_readiness == Some(true) {
            lane.delays_readiness = Some(false);
            // If there is something to read already, the reader is woken at once.
            if lane.bytes.is_empty() && !lane.closed {
                lane.reader = Some(cx.waker().clone());
            } else {
                cx.waker().wake_by_ref();
            }
            return Poll::Pending;
        }
        let count = buf.len().min(lane.piece).min(lane.bytes.len());
        if count == 0 && !lane.closed && !buf.is_empty() {
            lane.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        for byte in &mut buf[..count] {
            *byte = lane.bytes.pop_front().expect("counted");
        }
        if let Some(short) = &mut lane.delays_readiness {
            *short = count < buf.len();
        }
        if lane.bytes.is_empty() {
            // An empty pipe holds no memory, so that only the driver's is counted.
            lane.bytes = VecDeque::new();
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
        if !lane.deserted {
            return lane.write(cx, buf);
        }
        drop(lane);
        lock(&self.incoming).reset();
        Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()))
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
        let mut lane = lock(&self.outgoing);
        if let Some(error) = lane.close_fails {
            return Poll::Ready(Err(error.into()));
        }
        if lane.close_blocks {
            return Poll::Pending;
        }
        lane.flush();
        lane.closed = true;
        lane.wake();
        Poll::Ready(Ok(()))
    }
}

impl Drop for End {
    fn drop(&mut self) {
        let unread = change(&self.incoming, |lane| {
            lane.deserted = true;
            !lane.bytes.is_empty()
        });
        change(&self.outgoing, |lane| lane.closed = true);
        if unread {
            lock(&self.outgoing).reset();
        }
    }
}

fn change<T>(lane: &Mutex<Lane>, change: impl FnOnce(&mut Lane) -> T) -> T {
    let mut lane = lock(lane);
    let result = change(&mut lane);
    lane.wake();
    result
}

fn lock(lane: &Mutex<Lane>) -> MutexGuard<'_, Lane> {
    lane.lock().expect("no test panics with a lane locked")
}
