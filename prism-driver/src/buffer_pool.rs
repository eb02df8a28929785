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

/// The size of a new send buffer in bytes. That of a connection whose task sleeps begins smaller: a message to thousands of
/// such connections would take as many of these.
const SEND_BUFFER: usize = 4 << 10;

/// How many bytes of free receive buffers, and of free send buffers, a thread keeps.
const MAX_KEPT: usize = 4 << 20;

thread_local! {
    static RECV: RefCell<Stack<CountedBuffer>> = const { RefCell::new(Stack::new()) };
    static SEND: RefCell<Stack<SendQueue>> = const { RefCell::new(Stack::new()) };
    static SMALL_SEND: RefCell<Stack<SendQueue>> = const { RefCell::new(Stack::new()) };
    static SCRATCH: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Takes an empty receive buffer.
pub(crate) fn take_recv() -> Box<CountedBuffer> {
    with(&RECV, Stack::take)
        .flatten()
        .unwrap_or_else(|| Box::new(CountedBuffer::with_capacity(RECV_BUFFER)))
}

/// Returns a receive buffer to the pool, and discards its content.
pub(crate) fn put_recv(mut buffer: Box<CountedBuffer>) {
    buffer.clear();
    buffer.hold_after(u32::MAX);
    buffer.uncounted = Traffic::default();
    // A smaller buffer was made for one waiting fragment, and would limit the size of reads.
    if buffer.capacity() >= RECV_BUFFER {
        with(&RECV, |stack| stack.put(buffer.capacity(), buffer));
    }
}

/// Takes an empty send buffer.
pub(crate) fn take_send() -> Box<SendQueue> {
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
}

impl<B> Stack<B> {
    const fn new() -> Self {
        Self { buffers: Vec::new(), bytes: 0 }
    }

    fn take(&mut self) -> Option<Box<B>> {
        let (bytes, buffer) = self.buffers.pop()?;
        self.bytes -= bytes;
        Some(buffer)
    }

    fn put(&mut self, bytes: usize, buffer: Box<B>) {
        if self.bytes + bytes <= MAX_KEPT {
            self.bytes += bytes;
            self.buffers.push((bytes, buffer));
        }
    }
}

#[cfg(test)]
mod tests {
    use prism_core::Output;

    use super::{MAX_KEPT, SendQueue, put_send, take_send};

    #[test]
    fn memory_of_sent_bytes_counts_towards_the_limit() {
        const SIZE: usize = 240_000;
        for _ in 0..100 {
            let mut buffer = Box::new(SendQueue::with_capacity(SIZE));
            buffer.buffer().resize(SIZE, 0);
            buffer.advance(SIZE / 2);
            put_send(buffer);
        }
        let large =
            std::iter::repeat_with(take_send).take_while(|buffer| buffer.capacity() >= SIZE);
        assert_eq!(large.count(), MAX_KEPT / (SIZE + size_of::<SendQueue>()));
    }
}
