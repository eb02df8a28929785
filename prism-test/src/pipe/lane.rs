//! [`Lane`]: one direction of a pipe.

use std::{
    collections::VecDeque,
    io, mem,
    ops::{Deref, DerefMut},
    sync::{Arc, Mutex, MutexGuard},
    task::{Poll, Waker},
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
    /// Neither reads nor writes make progress, and what the writer's end does is not heard.
    pub(super) stalled: bool,
    /// Close frames vanish.
    pub(super) loses_close: Option<CloseFilter>,
    /// The writer's end has reset the connection.
    reset: bool,
    /// The test makes reads and writes fail.
    pub(super) broken: Option<io::ErrorKind>,
    /// Writes fail after this many more bytes, and reads behind these.
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
    /// [`Locked`] wakes both when it unlocks the lane.
    wakes: bool,
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
            reset: false,
            broken: None,
            breaks_after: None,
            fails_once: None,
            flush_fails: None,
            close_fails: None,
            close_blocks: false,
            held: None,
            reader: None,
            writer: None,
            wakes: false,
            writes: 0,
            delays_readiness: None,
        }))
    }

    /// Resets the connection: destroys the bytes in the pipe.
    pub(super) fn reset(&mut self) {
        self.bytes.clear();
        self.reset = true;
        self.wake();
    }

    /// Returns whether the reader's end has heard of a reset.
    pub(super) const fn is_reset(&self) -> bool {
        self.reset && !self.stalled
    }

    /// Returns whether bytes arrive where nobody reads them.
    pub(super) const fn is_deserted(&self) -> bool {
        self.deserted && !self.stalled
    }

    /// Returns how many more bytes may be written now.
    pub(super) fn room(&self) -> usize {
        if self.stalled {
            return 0;
        }
        self.capacity.saturating_sub(self.bytes.len()).min(self.allowance)
    }

    /// Reads, or swaps `waker` with that of the reader, so that the caller drops the old one when the lane is unlocked.
    pub(super) fn read(
        &mut self,
        waker: &mut Option<Waker>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        if let Some(error) = self.broken {
            return Poll::Ready(Err(error.into()));
        }
        if self.stalled {
            mem::swap(&mut self.reader, waker);
            return Poll::Pending;
        }
        if self.reset {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        if self.delays_readiness == Some(true) {
            self.delays_readiness = Some(false);
            mem::swap(&mut self.reader, waker);
            if !self.bytes.is_empty() || self.closed {
                self.wake(); // there is something to read already
            }
            return Poll::Pending;
        }
        if let Some((0, error)) = self.breaks_after
            && self.bytes.is_empty()
        {
            return Poll::Ready(Err(error.into()));
        }
        let count = buf.len().min(self.piece).min(self.bytes.len());
        if count == 0 && !self.closed && !buf.is_empty() {
            mem::swap(&mut self.reader, waker);
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

    /// Writes, or swaps `waker` with that of the writer, so that the caller drops the old one when the lane is
    /// unlocked.
    pub(super) fn write(
        &mut self,
        waker: &mut Option<Waker>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let cut = self.breaks_after.and_then(|(left, error)| (left == 0).then_some(error));
        if let Some(error) = self.fails_once.take().or(self.broken).or(cut) {
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
            mem::swap(&mut self.writer, waker);
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
        if matches!(self.breaks_after, Some((0, _))) {
            self.flush(); // the writer cannot be relied on to flush after its error
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

    /// Wakes the ends that wait, when the lane is unlocked.
    pub(super) const fn wake(&mut self) {
        self.wakes = true;
    }
}

/// Changes a lane, and wakes the ends that wait.
pub(super) fn change<T>(lane: &Mutex<Lane>, change: impl FnOnce(&mut Lane) -> T) -> T {
    let mut lane = lock(lane);
    let result = change(&mut lane);
    lane.wake();
    result
}

pub(super) fn lock(lane: &Mutex<Lane>) -> Locked<'_> {
    Locked(Some(lane.lock().expect("nothing panics with a lane locked")))
}

/// A locked lane, which wakes the ends that wait after it was unlocked: a waker may run or drop a task that has an end
/// of the same pipe.
pub(super) struct Locked<'a>(Option<MutexGuard<'a, Lane>>);

impl Deref for Locked<'_> {
    type Target = Lane;

    fn deref(&self) -> &Lane {
        self.0.as_ref().expect(LOCKED)
    }
}

impl DerefMut for Locked<'_> {
    fn deref_mut(&mut self) -> &mut Lane {
        self.0.as_mut().expect(LOCKED)
    }
}

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        let Some(mut lane) = self.0.take() else { return };
        if !mem::take(&mut lane.wakes) {
            return;
        }
        let wakers = [lane.reader.take(), lane.writer.take()];
        drop(lane);
        wakers.into_iter().flatten().for_each(Waker::wake);
    }
}

const LOCKED: &str = "it is unlocked only when it is dropped";
