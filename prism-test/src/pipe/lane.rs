//! [`Lane`]: one direction of a pipe.

use std::{
    collections::VecDeque,
    io,
    sync::{Arc, Mutex, MutexGuard},
    task::{Context, Poll, Waker},
};

use super::close_filter::CloseFilter;

pub(super) struct Lane {
    pub(super) bytes: VecDeque<u8>,
    /// How many bytes it holds before a writer has to wait.
    pub(super) capacity: usize,
    /// How many more bytes may be written, however many are read.
    pub(super) allowance: usize,
    /// The most bytes that one read or write moves.
    pub(super) piece: usize,
    /// The writer has closed it, or was dropped.
    pub(super) closed: bool,
    /// The reader was dropped.
    pub(super) deserted: bool,
    /// Neither reads nor writes make progress.
    pub(super) stalled: bool,
    /// Close frames vanish.
    pub(super) loses_close: Option<CloseFilter>,
    /// Reads and writes fail.
    pub(super) broken: Option<io::ErrorKind>,
    /// Writes fail after this many more bytes.
    pub(super) breaks_after: Option<(usize, io::ErrorKind)>,
    /// Only the next write fails.
    pub(super) fails_once: Option<io::ErrorKind>,
    pub(super) flush_fails: Option<io::ErrorKind>,
    pub(super) close_fails: Option<io::ErrorKind>,
    pub(super) close_blocks: bool,
    /// The bytes written since the last flush, if a flush is needed.
    pub(super) held: Option<Vec<u8>>,
    reader: Option<Waker>,
    writer: Option<Waker>,
    /// The number of writes.
    pub(super) writes: usize,
    /// `None`: reads always try. Otherwise whether the last read did not fill its buffer, so that the
    /// next one first returns `Pending`.
    pub(super) delays_readiness: Option<bool>,
}

impl Lane {
    pub(super) fn new() -> Arc<Mutex<Self>> {
        Arc::new(Mutex::new(Self {
            bytes: VecDeque::new(),
            capacity: 1 << 20,
            allowance: usize::MAX,
            piece: usize::MAX,
            closed: false,
            deserted: false,
            stalled: false,
            loses_close: None,
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

    /// Destroys the bytes in the pipe.
    pub(super) fn reset(&mut self) {
        self.bytes.clear();
        self.broken = Some(io::ErrorKind::ConnectionReset);
        self.wake();
    }

    /// Returns how many more bytes may be written now.
    pub(super) fn room(&self) -> usize {
        if self.stalled {
            return 0;
        }
        self.capacity.saturating_sub(self.bytes.len()).min(self.allowance)
    }

    pub(super) fn read(&mut self, cx: &Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        if let Some(error) = self.broken {
            return Poll::Ready(Err(error.into()));
        }
        if self.stalled {
            self.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        if self.delays_readiness == Some(true) {
            self.delays_readiness = Some(false);
            // If there is something to read already, the reader is woken at once.
            if self.bytes.is_empty() && !self.closed {
                self.reader = Some(cx.waker().clone());
            } else {
                cx.waker().wake_by_ref();
            }
            return Poll::Pending;
        }
        let count = buf.len().min(self.piece).min(self.bytes.len());
        if count == 0 && !self.closed && !buf.is_empty() {
            self.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        for byte in &mut buf[..count] {
            *byte = self.bytes.pop_front().expect("counted");
        }
        if let Some(short) = &mut self.delays_readiness {
            *short = count < buf.len();
        }
        if self.bytes.is_empty() {
            // An empty pipe holds no memory, so that only the driver's is counted.
            self.bytes = VecDeque::new();
        }
        self.wake();
        Poll::Ready(Ok(count))
    }

    pub(super) fn write(&mut self, cx: &Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
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
        let passing = match &mut self.loses_close {
            Some(filter) => filter.passing(&buf[..count]),
            None => count,
        };
        match &mut self.held {
            Some(held) => held.extend(&buf[..passing]),
            None => self.bytes.extend(&buf[..passing]),
        }
        self.wake();
        Poll::Ready(Ok(count))
    }

    pub(super) fn flush(&mut self) {
        if let Some(held) = &mut self.held {
            self.bytes.extend(held.drain(..));
            self.wake();
        }
    }

    pub(super) fn close(&mut self) -> Poll<io::Result<()>> {
        if let Some(error) = self.close_fails {
            return Poll::Ready(Err(error.into()));
        }
        if self.close_blocks {
            return Poll::Pending;
        }
        self.flush();
        self.closed = true;
        self.wake();
        Poll::Ready(Ok(()))
    }

    fn wake(&mut self) {
        for waker in [self.reader.take(), self.writer.take()].into_iter().flatten() {
            waker.wake();
        }
    }
}

pub(super) fn change<T>(lane: &Mutex<Lane>, change: impl FnOnce(&mut Lane) -> T) -> T {
    let mut lane = lock(lane);
    let result = change(&mut lane);
    lane.wake();
    result
}

pub(super) fn lock(lane: &Mutex<Lane>) -> MutexGuard<'_, Lane> {
    lane.lock().expect("no test panics with a lane locked")
}
