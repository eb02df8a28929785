//! [`SendQueue`]: the bytes that wait to be written, in order. They are the connection's own bytes and, in between,
//! frames that are not copied.
//!
//! The own bytes are one buffer. A frame that other connections share, or whose payload was passed by value, is kept as
//! a reference, with the number of own bytes in front of it. So a broadcast takes one copy of a long message, however
//! many connections wait for their peers. One vectored write takes several pieces of the queue.

use std::{collections::VecDeque, io::IoSlice, mem};

use bytes::{Buf, BytesMut};
use prism_core::{Output, PreparedMessage};

use crate::outbox::{budget::BudgetEntry, queue::frame::FrameBytes};

pub(crate) mod counted;
pub(crate) mod frame;
pub(crate) mod sequence;
#[cfg(test)]
mod tests;

/// The length from which a frame is shared. A shorter one is copied, which costs less than keeping track of it.
pub(crate) const MIN_SHARED: usize = 256;

/// The memory that a [droppable](Droppable) message takes besides its bytes: its allocations and its place in a
/// `VecDeque` that may be half empty.
const DROPPABLE_OVERHEAD: usize = 176;

/// The size up to which a buffer doubles when it grows.
const MAX_DOUBLED: usize = 16 << 10;

/// The maximum number of pieces in one write.
pub(crate) const MAX_PIECES: usize = 32;

/// A queue of bytes to be written: the connection's own, and frames that are kept by reference.
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
    /// Whether there may be a [sequence](sequence) of frames.
    has_sequence: bool,
    /// Whether the peer has kept something waiting since the queue was empty. Then it has no sequences.
    is_stalled: bool,
    /// The queue's entry in the server's budget, while the queue is counted there.
    entry: Option<BudgetEntry>,
}

#[derive(Debug)]
struct Frame {
    /// The number of own bytes between the previous frame and this one.
    own_before: usize,
    bytes: FrameBytes,
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
                match frame.bytes.rest(self.front_written) {
                    [rest, []] | [[], rest] => Some(rest),
                    _ => None,
                }
            }
            Some(_) => None,
        }
    }

    /// Fills `into` with the first pieces of the queue, followed by `tail` if these are all. Returns the number of
    /// pieces.
    pub(crate) fn pieces<'a>(&'a self, tail: &'a [u8], into: &mut [IoSlice<'a>]) -> usize {
        let mut own = &self.own[..];
        let mut written = self.front_written;
        let offered = self.offered_frames(into.len());
        let up_to_last_frame = self.frames.iter().take(offered).flat_map(|frame| {
            let own_before = own.split_off(..frame.own_before).unwrap_or_default();
            let [header, payload] = frame.bytes.rest(mem::take(&mut written));
            [own_before, header, payload]
        });
        let after_frames = match offered == self.frames.len() {
            true => [&self.own[self.own_before_frames..], tail],
            false => [&[][..]; 2],
        };
        let pieces = up_to_last_frame.chain(after_frames).filter(|piece| !piece.is_empty());
        let mut count = 0;
        for (slot, piece) in into.iter_mut().zip(pieces) {
            *slot = IoSlice::new(piece);
            count += 1;
        }
        count
    }

    /// Returns how many frames are offered to one write of this many pieces. At most one sequence is joined for a
    /// write, because the outbox is locked meanwhile, and the transport may not take the next one.
    fn offered_frames(&self, pieces: usize) -> usize {
        if !self.has_sequence {
            return self.frames.len();
        }
        let to_join =
            self.frames.iter().take(pieces).position(|frame| frame.bytes.is_to_be_joined());
        to_join.map_or(self.frames.len(), |at| at + 1)
    }

    /// Appends a frame without copying its bytes.
    pub(crate) fn push(&mut self, frame: FrameBytes) {
        let own_before = self.own.len() - self.own_before_frames;
        self.own_before_frames += own_before;
        self.frame_bytes += frame.len();
        self.frames.push_back(Frame { own_before, bytes: frame });
        if let (Some(entry), Some(last)) = (&self.entry, self.frames.back()) {
            entry.hold(&last.bytes);
            self.update_budget();
        }
    }

    /// Appends the last `unwritten_payload` bytes of a frame. The queue must hold nothing but the rest of the frame's
    /// header.
    pub(crate) fn append_rest(&mut self, frame: FrameBytes, unwritten_payload: usize) {
        let left = self.own.len() + unwritten_payload;
        debug_assert!(self.frames.is_empty() && left <= frame.len());
        self.own.clear();
        let written = frame.len() - left;
        self.push(frame);
        self.advance(written);
    }

    /// Appends a message to the last frames, if it follows them directly. Returns whether it was appended.
    fn extend_last(&mut self, message: &PreparedMessage) -> bool {
        // What is written in part stays a frame by itself.
        let is_whole = self.front_written == 0 && !self.is_stalled;
        if !is_whole || self.own.len() > self.own_before_frames {
            return false;
        }
        let extends = self.frames.back_mut().is_some_and(|last| last.bytes.extend_with(message));
        if extends {
            self.frame_bytes += message.frame().len();
            self.has_sequence = true;
        }
        extends
    }

    /// Notes that the peer keeps the queue waiting. Until the queue is empty, it holds no sequences, because they would
    /// keep the frames of others alive.
    pub(crate) fn note_stalled(&mut self) {
        self.is_stalled = true;
        self.separate_frames();
    }

    /// Turns sequences into their frames.
    fn separate_frames(&mut self) {
        if !mem::take(&mut self.has_sequence) {
            return;
        }
        for frame in mem::take(&mut self.frames) {
            let mut own_before = frame.own_before;
            match frame.bytes.separate() {
                Ok(frames) => self.frames.extend(
                    frames.map(|bytes| Frame { own_before: mem::take(&mut own_before), bytes }),
                ),
                Err(bytes) => self.frames.push_back(Frame { own_before, bytes }),
            }
        }
    }

    /// Removes the first `count` bytes, which have been written.
    #[inline]
    pub(crate) fn advance(&mut self, count: usize) {
        if self.frames.is_empty() && self.entry.is_none() && count == self.own.len() {
            self.own.clear(); // this cuts nothing off
        } else {
            self.advance_by_part(count);
        }
    }

    #[inline(never)] // Usually a write takes everything, and there are no frames.
    fn advance_by_part(&mut self, mut count: usize) {
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
            let left = frame.bytes.len() - self.front_written;
            if (1..left).contains(&count) && frame.bytes.is_sequence() {
                self.separate_frames();
                continue;
            }
            if count < left {
                self.frame_bytes -= count;
                self.front_written += count;
                return;
            }
            self.frame_bytes -= left;
            self.front_written = 0;
            count -= left;
            if let Some(entry) = &self.entry {
                entry.release(&frame.bytes);
            }
            self.frames.pop_front();
        }
        if count == self.own.len() {
            self.own.clear(); // this cuts nothing off
        } else {
            self.own.advance(count);
            self.dead += count;
        }
    }

    /// Drops the oldest droppable frame of which nothing has been written. Returns whether there was one.
    pub(crate) fn drop_oldest(&mut self) -> bool {
        self.separate_frames();
        let unwritten = usize::from(self.front_written > 0)..self.frames.len();
        let is_droppable = |&at: &usize| self.frames[at].bytes.is_droppable();
        let Some(oldest) = unwritten.into_iter().find(is_droppable) else { return false };
        let Some(Frame { own_before, bytes }) = self.frames.remove(oldest) else { return false };
        self.frame_bytes -= bytes.len();
        if let Some(entry) = &self.entry {
            entry.release(&bytes);
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
        (self.own_before_frames, self.frame_bytes, self.front_written) = (0, 0, 0);
        (self.has_sequence, self.is_stalled) = (false, false);
        self.own.clear();
        if self.dead > 0 {
            // `advance` has cut written bytes off the buffer's front. Asked for more capacity than it has, the buffer
            // reclaims that memory.
            let _ = self.own.try_reclaim(self.own.capacity() + 1);
            self.dead = 0;
        }
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

    /// Returns the number of bytes of memory that the queue has, without the frames' bytes.
    pub(crate) fn capacity(&self) -> usize {
        self.own_capacity() + self.frames.capacity() * size_of::<Frame>()
    }

    /// Returns the number of bytes of memory that the queue has for its own bytes.
    pub(crate) fn own_capacity(&self) -> usize {
        self.own.capacity() + self.dead
    }

    /// Returns an output whose messages can be [dropped](Self::drop_oldest), because each is a frame.
    pub(crate) const fn droppable(&mut self) -> Marked<'_> {
        Marked { queue: self, are_droppable: true }
    }

    /// Returns an output whose messages cannot be [dropped](Self::drop_oldest).
    pub(crate) const fn undroppable(&mut self) -> Marked<'_> {
        Marked { queue: self, are_droppable: false }
    }

    fn copy(&mut self, frame: &[u8]) {
        self.reserve(frame.len());
        self.own.extend_from_slice(frame);
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
            self.copy(frame);
        } else if !self.extend_last(message) {
            self.push(message.clone().into());
        }
    }
}

/// An [`Output`] that appends messages to a [`SendQueue`] of which all can be dropped, or none.
pub(crate) struct Marked<'a> {
    queue: &'a mut SendQueue,
    are_droppable: bool,
}

impl Output for Marked<'_> {
    fn buffer(&mut self) -> &mut BytesMut {
        self.queue.buffer()
    }

    fn reserve(&mut self, bytes: usize) {
        self.queue.reserve(bytes);
    }

    fn unsent_bytes(&self) -> usize {
        self.queue.len()
    }

    fn append(&mut self, message: &PreparedMessage) {
        if self.are_droppable {
            self.queue.push(message.clone().into());
        } else if message.frame().len() < MIN_SHARED {
            self.queue.copy(message.frame());
        } else {
            self.queue.push(FrameBytes::undroppable(message.clone()));
        }
    }
}
