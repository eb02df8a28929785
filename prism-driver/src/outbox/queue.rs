//! [`SendQueue`]: the bytes that wait to be written, in order. They are the connection's own bytes and, in between,
//! frames that are shared with other connections.
//!
//! The own bytes are one buffer. A shared frame is kept as a reference, with the number of own bytes in front of it. So
//! a broadcast of a long message takes one copy of it, however many connections wait for their peers. One vectored
//! write takes several pieces of the queue.

use std::{collections::VecDeque, io::IoSlice};

use bytes::{Buf, BytesMut};
use prism_core::{Output, PreparedMessage};

use crate::outbox::budget::BudgetEntry;

pub(crate) mod counted;

/// The length from which a frame is shared. A shorter one is copied, which costs less than keeping track of it.
pub(crate) const MIN_SHARED: usize = 256;

/// The memory that a [droppable](Droppable) message takes besides its bytes: its allocations and its place in a
/// `VecDeque` that may be half empty.
const DROPPABLE_OVERHEAD: usize = 160;

/// The size up to which a buffer doubles when it grows.
const MAX_DOUBLED: usize = 16 << 10;

/// The maximum number of pieces in one write.
pub(crate) const MAX_PIECES: usize = 32;

/// A queue of bytes to be written: the connection's own, and frames that are shared with other connections.
///
/// ```text
///   own      |  own_before  |  own_before  |  after all frames  |
///                           ▲              ▲
///   frames                frame          frame
/// ```
#[derive(Debug, Default)]
pub(crate) struct SendQueue {
    own: BytesMut,
    frames: VecDeque<Frame>,
    /// The sum of the frames' `own_before`.
    own_before_frames: usize,
    /// The number of bytes in the frames that are not yet written.
    frame_bytes: usize,
    /// The number of bytes of the first frame that have been written.
    front_written: usize,
    /// The number of bytes of memory in front of `own` whose contents have been written.
    dead: usize,
    /// The queue's entry in the server's budget, while the queue is counted there.
    entry: Option<BudgetEntry>,
}

#[derive(Debug)]
struct Frame {
    /// The number of own bytes between the previous frame and this one.
    own_before: usize,
    message: PreparedMessage,
}

impl SendQueue {
    pub(crate) fn with_capacity(bytes: usize) -> Self {
        let mut queue = Self::default();
        queue.own.reserve(bytes);
        queue
    }

    pub(crate) fn len(&self) -> usize {
        self.own.len() + self.frame_bytes
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the most memory that the queue takes besides its bytes, if every frame is [droppable](Droppable).
    pub(crate) fn overhead(&self) -> usize {
        self.frames.len() * DROPPABLE_OVERHEAD
    }

    /// Returns all bytes, if they lie in one piece.
    pub(crate) fn contiguous(&self) -> Option<&[u8]> {
        match self.frames.front() {
            None => Some(&self.own),
            Some(frame) if self.own.is_empty() && self.frames.len() == 1 => {
                Some(&frame.message.frame()[self.front_written..])
            }
            Some(_) => None,
        }
    }

    /// Fills `into` with the first pieces of the queue, followed by `tail`. Returns the number of pieces.
    pub(crate) fn pieces<'a>(&'a self, tail: &'a [u8], into: &mut [IoSlice<'a>]) -> usize {
        let mut own = &self.own[..];
        let mut written = self.front_written;
        let up_to_last_frame = self.frames.iter().flat_map(|frame| {
            let own_before = own.split_off(..frame.own_before).unwrap_or_default();
            [own_before, &frame.message.frame()[std::mem::take(&mut written)..]]
        });
        let after_frames = [&self.own[self.own_before_frames..], tail];
        let pieces = up_to_last_frame.chain(after_frames).filter(|piece| !piece.is_empty());
        let mut count = 0;
        for (slot, piece) in into.iter_mut().zip(pieces) {
            *slot = IoSlice::new(piece);
            count += 1;
        }
        count
    }

    /// Appends the last `unwritten_payload` bytes of a message. The queue must hold nothing but the rest of the
    /// message's header.
    pub(crate) fn append_rest(&mut self, message: &PreparedMessage, unwritten_payload: usize) {
        let left = self.own.len() + unwritten_payload;
        debug_assert!(self.frames.is_empty() && left <= message.frame().len());
        self.own.clear();
        self.push(message);
        self.advance(message.frame().len() - left);
    }

    /// Removes the first `count` bytes, which have been written.
    pub(crate) fn advance(&mut self, mut count: usize) {
        if let Some(entry) = &mut self.entry {
            entry.progress();
        }
        while let Some(frame) = self.frames.front_mut() {
            let own = count.min(frame.own_before);
            self.own.advance(own);
            self.dead += own;
            frame.own_before -= own;
            self.own_before_frames -= own;
            count -= own;
            let left = frame.message.frame().len() - self.front_written;
            if count < left {
                self.frame_bytes -= count;
                self.front_written += count;
                return;
            }
            self.frame_bytes -= left;
            self.front_written = 0;
            count -= left;
            if let Some(entry) = &self.entry {
                entry.release(&frame.message);
            }
            self.frames.pop_front();
        }
        self.own.advance(count);
        self.dead += count;
    }

    /// Drops the oldest frame of which nothing has been written. Returns whether there was one.
    pub(crate) fn drop_oldest(&mut self) -> bool {
        let oldest = usize::from(self.front_written > 0);
        let Some(Frame { own_before, message }) = self.frames.remove(oldest) else { return false };
        self.frame_bytes -= message.frame().len();
        if let Some(entry) = &self.entry {
            entry.release(&message);
        }
        // The own bytes in front of the frame stay where they are.
        match self.frames.get_mut(oldest) {
            Some(next) => next.own_before += own_before,
            None => self.own_before_frames -= own_before,
        }
        true
    }

    /// Removes everything, but keeps the memory.
    pub(crate) fn clear(&mut self) {
        if self.entry.is_some() {
            self.leave_budget();
        }
        self.frames.clear();
        (self.own_before_frames, self.frame_bytes, self.front_written, self.dead) = (0, 0, 0, 0);
        self.own.clear();
        // `advance` has cut written bytes off the buffer's front. Asked for more capacity than it has, the buffer
        // reclaims that memory.
        let _ = self.own.try_reclaim(self.own.capacity() + 1);
    }

    /// Makes room for this many more own bytes.
    ///
    /// A large buffer gets only a sixteenth more than it needs. Doubling it could make a peer that does not read cost
    /// twice the memory of the waiting bytes.
    #[cold]
    fn grow(&mut self, bytes: usize) {
        if self.own.try_reclaim(bytes) {
            self.dead = 0;
            return;
        }
        let needed = self.own.len() + bytes;
        let more = if needed <= MAX_DOUBLED { self.own.capacity() } else { needed / 16 };
        self.move_to(needed + more);
        self.update_budget();
    }

    /// Moves the own bytes to memory of this size.
    fn move_to(&mut self, capacity: usize) {
        let mut own = BytesMut::with_capacity(capacity);
        own.extend_from_slice(&self.own);
        (self.own, self.dead) = (own, 0);
    }

    fn push(&mut self, message: &PreparedMessage) {
        let own_before = self.own.len() - self.own_before_frames;
        self.own_before_frames += own_before;
        self.frame_bytes += message.frame().len();
        self.frames.push_back(Frame { own_before, message: message.clone() });
        if let Some(entry) = &self.entry {
            entry.hold(message);
            self.update_budget();
        }
    }

    /// Returns the number of bytes of memory that the queue has, without the frames' bytes.
    pub(crate) fn capacity(&self) -> usize {
        self.own.capacity() + self.dead + self.frames.capacity() * size_of::<Frame>()
    }
}

impl Output for SendQueue {
    fn buffer(&mut self) -> &mut BytesMut {
        &mut self.own
    }

    #[inline]
    fn reserve(&mut self, bytes: usize) {
        if self.own.capacity() - self.own.len() < bytes {
            self.grow(bytes);
        }
    }

    fn unsent_bytes(&self) -> usize {
        self.len()
    }

    fn append(&mut self, message: &PreparedMessage) {
        let frame = message.frame();
        if frame.len() < MIN_SHARED {
            self.reserve(frame.len());
            self.own.extend_from_slice(frame);
        } else {
            self.push(message);
        }
    }
}

/// An [`Output`] that appends each message to a [`SendQueue`] as a frame, however short. Only frames can be
/// [dropped](SendQueue::drop_oldest).
pub(crate) struct Droppable<'a>(pub(crate) &'a mut SendQueue);

impl Output for Droppable<'_> {
    fn buffer(&mut self) -> &mut BytesMut {
        &mut self.0.own
    }

    fn reserve(&mut self, bytes: usize) {
        self.0.reserve(bytes);
    }

    fn unsent_bytes(&self) -> usize {
        self.0.len()
    }

    fn append(&mut self, message: &PreparedMessage) {
        self.0.push(message);
    }
}

#[cfg(test)]
mod tests {
    use std::io::IoSlice;

    use prism_core::{Output, PreparedMessage};

    use super::{MAX_DOUBLED, MAX_PIECES, MIN_SHARED, SendQueue};

    /// Returns a queue with own bytes and with long and short frames, alternating, and all its bytes in one piece.
    fn mixed() -> (SendQueue, Vec<u8>) {
        let (mut queue, mut all) = (SendQueue::default(), Vec::new());
        for (i, len) in
            [MIN_SHARED, 3, MIN_SHARED + 7, MIN_SHARED, 1, MIN_SHARED * 2].into_iter().enumerate()
        {
            let message = PreparedMessage::new(&vec![i as u8; len]);
            queue.append(&message);
            let own = vec![b'a' + i as u8; i % 3];
            queue.buffer().extend_from_slice(&own);
            all.extend([message.frame(), &own].concat());
        }
        (queue, all)
    }

    fn pieces_of(queue: &SendQueue, tail: &[u8]) -> Vec<u8> {
        let mut pieces = [IoSlice::new(&[]); MAX_PIECES];
        let count = queue.pieces(tail, &mut pieces);
        pieces[..count].iter().flat_map(|piece| piece.to_vec()).collect()
    }

    #[test]
    fn pieces_are_all_bytes_in_order_after_any_advance() {
        let all = mixed().1;
        for first in 0..=all.len() {
            let mut queue = mixed().0;
            queue.advance(first);
            assert_eq!(queue.len(), all.len() - first);
            assert_eq!(pieces_of(&queue, b"tail"), [&all[first..], b"tail"].concat());
            queue.advance((all.len() - first) / 2);
            assert_eq!(pieces_of(&queue, b"").len(), queue.len());
            queue.advance(queue.len());
            assert!(queue.is_empty() && queue.contiguous() == Some(b""));
        }
    }

    #[test]
    fn what_is_left_of_a_single_frame_is_returned_without_a_copy() {
        let mut queue = SendQueue::default();
        let message = PreparedMessage::new(&[7; MIN_SHARED]);
        queue.append(&message);
        for written in [0, 1, MIN_SHARED] {
            queue.advance(queue.len() - message.frame()[written..].len());
            let left = queue.contiguous().unwrap();
            assert!(std::ptr::eq(left, &message.frame()[written..]), "{written} bytes written");
        }
        queue.buffer().extend_from_slice(b"more");
        assert_eq!(queue.contiguous(), None);
    }

    #[test]
    fn pieces_beyond_one_write_are_left_for_the_next() {
        let mut queue = SendQueue::default();
        let message = PreparedMessage::new(&[7; MIN_SHARED]);
        (0..MAX_PIECES + 3).for_each(|_| queue.append(&message));
        let mut writes = Vec::new();
        while !queue.is_empty() {
            writes.push(pieces_of(&queue, b"").len() / message.frame().len());
            queue.advance(pieces_of(&queue, b"").len());
        }
        assert_eq!(writes, [MAX_PIECES, 3]);
    }

    #[test]
    fn a_large_buffer_is_little_larger_than_its_contents() {
        for len in [1, 100, 5000, 40_000] {
            let mut queue = SendQueue::default();
            while queue.len() < 200_000 {
                queue.reserve(len);
                let room = queue.own.capacity() - queue.own.len();
                assert!(room >= len, "room for {room} of {len} bytes");
                queue.buffer().extend(std::iter::repeat_n(7, len));
                let limit = (queue.len() * 17 / 16).max(MAX_DOUBLED * 2);
                assert!(
                    queue.capacity() <= limit,
                    "{} bytes for {}",
                    queue.capacity(),
                    queue.len()
                );
                queue.advance(len / 7);
            }
            assert!(queue.own.iter().all(|&byte| byte == 7), "the contents are unchanged");
        }
    }

    #[test]
    fn long_frames_are_shared_and_short_ones_are_copied() {
        let mut queue = SendQueue::default();
        queue.append(&PreparedMessage::new(&[1; MIN_SHARED]));
        queue.append(&PreparedMessage::new(&[2; MIN_SHARED / 2]));
        assert_eq!((queue.frames.len(), queue.own.len()), (1, 4 + MIN_SHARED / 2));
        queue.advance(MIN_SHARED + 4);
        assert_eq!(queue.frames.len(), 0, "the frame has been written");
        queue.append(&PreparedMessage::new(&[1; MIN_SHARED]));
        queue.clear();
        assert!(queue.frames.is_empty() && queue.is_empty());
    }

    #[test]
    fn drop_oldest_keeps_own_bytes_and_a_partly_written_frame() {
        let all = mixed().1;
        for first in 0..=all.len() {
            let mut queue = mixed().0;
            queue.advance(first);
            let partly_written = queue.frames.front().filter(|_| queue.front_written > 0);
            let partly_written = partly_written
                .map_or(&[][..], |frame| &frame.message.frame()[queue.front_written..]);
            let mut kept = [partly_written, &queue.own].concat();
            kept.sort_unstable();
            while queue.drop_oldest() {
                assert_eq!(queue.len(), pieces_of(&queue, b"").len());
            }
            let mut pieces = pieces_of(&queue, b"");
            pieces.sort_unstable();
            assert!(pieces == kept, "after {first} bytes");
            queue.append(&PreparedMessage::new(&[9; MIN_SHARED]));
            queue.advance(queue.len());
            assert!(queue.is_empty());
        }
    }
}
