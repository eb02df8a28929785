//! Buffers that idle connections do not hold: a stack of them per thread.
//!
//! A connection takes one when there are bytes and gives it back when there are none, so that a
//! thread works in the same warm memory whichever connection it serves.

use std::{
    cell::{Cell, RefCell},
    thread::LocalKey,
};

use prism_core::RecvBuffer;

use crate::outbox::queue::SendQueue;

/// The size of a fresh receive buffer: what one read brings at most, until a message needs more.
pub(crate) const RECV_BUFFER: usize = 64 << 10;

/// The size of a fresh send buffer.
const SEND_BUFFER: usize = 4 << 10;

/// How much memory a thread keeps for receiving, and for sending.
const KEPT: usize = 4 << 20;

thread_local! {
    static RECV: RefCell<Stack<RecvBuffer>> = const { RefCell::new(Stack::new()) };
    static SEND: RefCell<Stack<SendQueue>> = const { RefCell::new(Stack::new()) };
    static SCRATCH: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// A receive buffer with spare memory.
pub(crate) fn take_recv() -> Box<RecvBuffer> {
    with(&RECV, Stack::take)
        .flatten()
        .unwrap_or_else(|| Box::new(RecvBuffer::with_capacity(RECV_BUFFER)))
}

/// Gives a receive buffer back, whatever is in it.
pub(crate) fn put_recv(mut buffer: Box<RecvBuffer>) {
    buffer.clear();
    buffer.hold_after(u32::MAX);
    // Smaller ones were made for one waiting fragment and would only make for small reads.
    if buffer.capacity() >= RECV_BUFFER {
        with(&RECV, |stack| stack.put(buffer.capacity(), buffer));
    }
}

/// An empty send buffer.
pub(crate) fn take_send() -> Box<SendQueue> {
    with(&SEND, Stack::take)
        .flatten()
        .unwrap_or_else(|| Box::new(SendQueue::with_capacity(SEND_BUFFER)))
}

/// Gives a send buffer back, whatever is in it.
pub(crate) fn put_send(mut buffer: Box<SendQueue>) {
    buffer.clear();
    if buffer.capacity() >= SEND_BUFFER {
        with(&SEND, |stack| stack.put(buffer.capacity(), buffer));
    }
}

/// Lends memory for a moment, empty.
pub(crate) fn with_scratch<T>(work: impl FnOnce(&mut Vec<u8>) -> T) -> T {
    let mut scratch = SCRATCH.try_with(Cell::take).unwrap_or_default();
    scratch.clear();
    let result = work(&mut scratch);
    let _ = SCRATCH.try_with(|kept| kept.set(scratch)); // or the thread ends
    result
}

/// Works with a stack of this thread. A thread that ends has none any more, but may still drop
/// connections: from the destructor of a thread-local, in which a panic would end the process.
fn with<B, T>(
    stack: &'static LocalKey<RefCell<Stack<B>>>,
    work: impl FnOnce(&mut Stack<B>) -> T,
) -> Option<T> {
    stack.try_with(|stack| work(&mut stack.borrow_mut())).ok()
}

/// Buffers that nobody needs just now, the last used on top, each with its size.
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
        if self.bytes + bytes <= KEPT {
            self.bytes += bytes;
            self.buffers.push((bytes, buffer));
        }
    }
}

#[cfg(test)]
mod tests {
    use prism_core::Output;

    use super::{KEPT, SendQueue, put_send, take_send};

    #[test]
    fn what_was_sent_counts_as_memory_that_is_kept() {
        const SIZE: usize = 240_000;
        for _ in 0..100 {
            let mut buffer = Box::new(SendQueue::with_capacity(SIZE));
            buffer.buffer().resize(SIZE, 0);
            buffer.advance(SIZE / 2);
            put_send(buffer);
        }
        let large =
            std::iter::repeat_with(take_send).take_while(|buffer| buffer.capacity() >= SIZE);
        assert_eq!(large.count(), KEPT / SIZE);
    }
}
