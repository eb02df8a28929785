//! A pool of buffers per thread, so that idle connections hold none.
//!
//! A connection takes a buffer when it has bytes to read or to send, and returns it when it has none. A thread thus
//! works in the same cached memory, whichever connection it serves.

use std::{
    cell::{Cell, RefCell},
    thread::LocalKey,
};

use crate::{
    outbox::queue::SendQueue, server::stats::traffic::Traffic,
    session::counted_buffer::CountedBuffer,
};

/// The size of a new receive buffer in bytes. It limits what one read returns, until a message needs a larger buffer.
pub(crate) const RECV_BUFFER: usize = 64 << 10;

/// The size of a new receive buffer for a long message, of which much has arrived.
pub(crate) const LARGE_RECV_BUFFER: usize = 512 << 10;

/// The size up to which a receive buffer is kept: that of a message of 1 MiB, the default limit, and a read behind it.
const MAX_RECV_BUFFER: usize = (1 << 20) + (64 << 10);

/// The size of a new send buffer in bytes. That of a connection whose task sleeps begins smaller: a message to
/// thousands of such connections would take as many of these.
const SEND_BUFFER: usize = 4 << 10;

/// The size up to which a send buffer, with its memory for frames, is kept for the next connection in any case.
const MAX_WARM_SEND: usize = 64 << 10;

/// How many bytes of free buffers of each kind a thread keeps.
const MAX_KEPT: usize = 4 << 20;

/// How many bytes of free buffers for long messages a thread keeps, as long as it needs so many.
const MAX_KEPT_LARGE: usize = 16 << 20;

/// After how many returned receive buffers a thread frees the buffers for long messages that it has not needed
/// meanwhile.
const REVIEW: u8 = 64;

thread_local! {
    /// The receive buffer that was returned last. Usually it is the next one that is taken, and takes no accounting.
    static WARM_RECV: Cell<Option<Box<CountedBuffer>>> = const { Cell::new(None) };
    static RECV: RefCell<Stack<CountedBuffer>> = const { RefCell::new(Stack::new(MAX_KEPT)) };
    static LARGE_RECV: RefCell<Stack<CountedBuffer>> =
        const { RefCell::new(Stack::new(MAX_KEPT_LARGE)) };
    /// How many receive buffers may be returned until the next review.
    static UNTIL_REVIEW: Cell<u8> = const { Cell::new(REVIEW) };
    /// The send buffer that was returned last, if it is not large.
    static WARM_SEND: Cell<Option<Box<SendQueue>>> = const { Cell::new(None) };
    static SEND: RefCell<Stack<SendQueue>> = const { RefCell::new(Stack::new(MAX_KEPT)) };
    static SMALL_SEND: RefCell<Stack<SendQueue>> = const { RefCell::new(Stack::new(MAX_KEPT)) };
    static SCRATCH: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Takes an empty receive buffer.
pub(crate) fn take_recv() -> Box<CountedBuffer> {
    WARM_RECV.try_with(Cell::take).ok().flatten().unwrap_or_else(take_cold_recv)
}

#[inline(never)]
fn take_cold_recv() -> Box<CountedBuffer> {
    with(&RECV, Stack::take)
        .flatten()
        .unwrap_or_else(|| Box::new(CountedBuffer::with_capacity(RECV_BUFFER)))
}

/// Takes an empty receive buffer for a long message.
pub(crate) fn take_large_recv() -> Box<CountedBuffer> {
    with(&LARGE_RECV, Stack::take)
        .flatten()
        .unwrap_or_else(|| Box::new(CountedBuffer::with_capacity(LARGE_RECV_BUFFER)))
}

/// Returns a receive buffer to the pool, and discards its content.
pub(crate) fn put_recv(mut buffer: Box<CountedBuffer>) {
    buffer.clear();
    buffer.pause_after(u32::MAX);
    buffer.uncounted = Traffic::default();
    let size = buffer.capacity();
    if size == RECV_BUFFER {
        if let Ok(Some(previous)) = WARM_RECV.try_with(|warm| warm.replace(Some(buffer))) {
            put_cold_recv(previous);
        }
    } else {
        put_cold_recv(buffer);
    }
    let until_review = UNTIL_REVIEW.get() - 1;
    UNTIL_REVIEW.set(until_review);
    if until_review == 0 {
        UNTIL_REVIEW.set(REVIEW);
        with(&LARGE_RECV, Stack::free_unneeded);
    }
}

#[inline(never)]
fn put_cold_recv(buffer: Box<CountedBuffer>) {
    match buffer.capacity() {
        // It was made for one waiting fragment, and would limit the size of reads.
        ..RECV_BUFFER => {}
        size @ RECV_BUFFER..LARGE_RECV_BUFFER => drop(with(&RECV, |stack| stack.put(size, buffer))),
        size @ LARGE_RECV_BUFFER..=MAX_RECV_BUFFER => {
            with(&LARGE_RECV, |stack| stack.put(size, buffer));
        }
        _ => {}
    }
}

/// Takes an empty send buffer.
pub(crate) fn take_send() -> Box<SendQueue> {
    WARM_SEND.try_with(Cell::take).ok().flatten().unwrap_or_else(take_cold_send)
}

#[inline(never)]
fn take_cold_send() -> Box<SendQueue> {
    with(&SEND, Stack::take)
        .flatten()
        .unwrap_or_else(|| Box::new(SendQueue::with_capacity(SEND_BUFFER)))
}

/// Takes an empty send buffer that is smaller, or has no memory at all.
pub(crate) fn take_small_send() -> Box<SendQueue> {
    with(&SMALL_SEND, Stack::take).flatten().unwrap_or_default()
}

/// Returns a send buffer to the pool, and discards its content.
pub(crate) fn put_send(mut buffer: Box<SendQueue>) {
    buffer.clear();
    if buffer.own_capacity() >= SEND_BUFFER && buffer.capacity() <= MAX_WARM_SEND {
        if let Ok(Some(previous)) = WARM_SEND.try_with(|warm| warm.replace(Some(buffer))) {
            put_cold_send(previous);
        }
    } else {
        put_cold_send(buffer);
    }
}

#[inline(never)]
fn put_cold_send(buffer: Box<SendQueue>) {
    let size = size_of::<SendQueue>() + buffer.capacity();
    if buffer.own_capacity() >= SEND_BUFFER {
        with(&SEND, |stack| stack.put(size, buffer));
    } else {
        with(&SMALL_SEND, |stack| stack.put(size, buffer));
    }
}

/// Calls `work` with an empty scratch buffer of this thread, and returns its result.
pub(crate) fn with_scratch<T>(work: impl FnOnce(&mut Vec<u8>) -> T) -> T {
    let mut scratch = SCRATCH.try_with(Cell::take).unwrap_or_default();
    scratch.clear();
    let result = work(&mut scratch);
    let _ = SCRATCH.try_with(|kept| kept.set(scratch)); // fails only while the thread ends
    result
}

/// Calls `work` with a stack of this thread, or returns `None` if the thread is ending. The destructors of
/// thread-locals may still drop connections then, and a panic in one of them would abort the process.
fn with<B, T>(
    stack: &'static LocalKey<RefCell<Stack<B>>>,
    work: impl FnOnce(&mut Stack<B>) -> T,
) -> Option<T> {
    stack.try_with(|stack| work(&mut stack.borrow_mut())).ok()
}

/// Free buffers with their sizes, the most recently used on top.
struct Stack<B> {
    buffers: Vec<(usize, Box<B>)>,
    bytes: usize,
    max_bytes: usize,
    /// The least number of free buffers since the last review. So many have not been needed.
    unneeded: usize,
}

impl<B> Stack<B> {
    const fn new(max_bytes: usize) -> Self {
        Self { buffers: Vec::new(), bytes: 0, max_bytes, unneeded: 0 }
    }

    fn take(&mut self) -> Option<Box<B>> {
        let (bytes, buffer) = self.buffers.pop()?;
        self.bytes -= bytes;
        self.unneeded = self.unneeded.min(self.buffers.len());
        Some(buffer)
    }

    fn put(&mut self, bytes: usize, buffer: Box<B>) {
        if self.bytes + bytes <= self.max_bytes {
            self.bytes += bytes;
            self.buffers.push((bytes, buffer));
        }
    }

    /// Frees the buffers that have not been needed since the last review: those at the bottom.
    #[inline(never)]
    fn free_unneeded(&mut self) {
        let freed = self.buffers.drain(..self.unneeded);
        self.bytes -= freed.map(|(bytes, _)| bytes).sum::<usize>();
        self.unneeded = self.buffers.len();
    }
}

#[cfg(test)]
mod tests {
    use std::iter;

    use prism_core::{Output, PreparedMessage};

    use super::{
        LARGE_RECV, LARGE_RECV_BUFFER, MAX_KEPT, REVIEW, SEND, SendQueue, WARM_SEND, put_recv,
        put_send, take_large_recv, take_recv, take_send,
    };
    use crate::outbox::queue::MIN_SHARED;

    #[test]
    fn memory_of_sent_bytes_counts_towards_the_limit() {
        const SIZE: usize = 240_000;
        for _ in 0..100 {
            let mut buffer = Box::new(SendQueue::with_capacity(SIZE));
            buffer.buffer().resize(SIZE, 0);
            buffer.advance(SIZE / 2);
            put_send(buffer);
        }
        let large = iter::repeat_with(take_send).take_while(|buffer| buffer.capacity() >= SIZE);
        assert_eq!(large.count(), MAX_KEPT / (SIZE + size_of::<SendQueue>()));
    }

    #[test]
    fn a_buffer_with_much_memory_for_frames_is_not_the_warm_one() {
        let frame = PreparedMessage::new(&[7; MIN_SHARED]);
        for (frames, is_warm) in [(100, true), (10_000, false)] {
            let mut buffer = take_send();
            (0..frames).for_each(|_| buffer.push(frame.clone().into()));
            put_send(buffer);
            assert_eq!(WARM_SEND.take().is_some(), is_warm, "{frames} frames");
        }
        let kept = SEND.with_borrow(|stack| stack.bytes);
        assert!((240_000..1_000_000).contains(&kept), "the other counts towards the limit: {kept}");
    }

    #[test]
    fn large_buffers_are_kept_while_they_are_needed_and_freed_when_they_are_not() {
        let kept = || LARGE_RECV.with_borrow(|stack| (stack.buffers.len(), stack.bytes));
        for needed in [20, 10, 3] {
            for _ in 0..2 * REVIEW {
                let taken: Vec<_> = iter::repeat_with(take_large_recv).take(needed).collect();
                taken.into_iter().for_each(put_recv);
            }
            assert_eq!(kept(), (needed, needed * LARGE_RECV_BUFFER));
        }
        (0..2 * REVIEW).for_each(|_| put_recv(take_recv()));
        assert_eq!(kept(), (0, 0), "short messages need none");
    }
}
