//! [`SendQueue`]: what waits to be written, in order: a connection's own bytes, and between them frames
//! that other connections send as well.

use std::{collections::VecDeque, io::IoSlice};

use bytes::{Buf, BytesMut};
use prism_core::{Output, PreparedMessage};

use crate::outbox::budget::BudgetEntry;

pub(crate) mod counted;

/// From this length on a shared frame is not copied: less costs more to keep track of than to copy.
pub(crate) const SHARED: usize = 256;

/// What a message costs beside its bytes that is kept [apart](Apart): its allocations, and its place
/// in a queue that may be half empty.
const APART: usize = 160;

/// Up to this size a buffer doubles when it grows.
const DOUBLED: usize = 16 << 10;

/// How many pieces one write takes.
pub(crate) const PIECES: usize = 32;

/// ```text
///   own      |  after  |   after   |  behind all frames  |
///                     ▲           ▲
///   frames         frame       frame
/// ```
#[derive(Debug, Default)]
pub(crate) struct SendQueue {
    own: BytesMut,
    frames: VecDeque<Frame>,
    /// The sum of the frames' `after`.
    claimed: usize,
    /// The sum of the frames' lengths, without what the first has lost.
    framed: usize,
    /// How much of the first frame has been written.
    written: usize,
    /// How much of the own bytes' memory lies before them, where others have been written.
    dead: usize,
    /// Its place in the server's budget, while the peer keeps it waiting.
    entry: Option<BudgetEntry>,
}

#[derive(Debug)]
struct Frame {
    /// How many own bytes lie between the frame before and this one.
    after: usize,
    message: PreparedMessage,
}

impl SendQueue {
    pub(crate) fn with_capacity(bytes: usize) -> Self {
        let mut unsent = Self::default();
        unsent.own.reserve(bytes);
        unsent
    }

    pub(crate) fn len(&self) -> usize {
        self.own.len() + self.framed
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What it costs beside its bytes, at most, if each frame is a message that is kept [apart](Apart).
    pub(crate) fn apart(&self) -> usize {
        self.frames.len() * APART
    }

    /// Everything, if it lies in one piece.
    pub(crate) fn whole(&self) -> Option<&[u8]> {
        match self.frames.front() {
            None => Some(&self.own),
            Some(frame) if self.own.is_empty() && self.frames.len() == 1 => {
                Some(&frame.message.frame()[self.written..])
            }
            Some(_) => None,
        }
    }

    /// The first pieces of everything, and of `tail` behind it; how many they are.
    pub(crate) fn pieces<'a>(&'a self, tail: &'a [u8], into: &mut [IoSlice<'a>]) -> usize {
        let mut own = &self.own[..];
        let mut written = self.written;
        let framed = self.frames.iter().flat_map(|frame| {
            let after = own.split_off(..frame.after).unwrap_or_default();
            [after, &frame.message.frame()[std::mem::take(&mut written)..]]
        });
        let behind = [&self.own[self.claimed..], tail];
        let pieces = framed.chain(behind).filter(|piece| !piece.is_empty());
        let mut count = 0;
        for (slot, piece) in into.iter_mut().zip(pieces) {
            *slot = IoSlice::new(piece);
            count += 1;
        }
        count
    }

    /// Appends what is left of a message, where nothing else is unsent but perhaps a part of its header, and
    /// so many bytes of its payload.
    pub(crate) fn append_rest(&mut self, message: &PreparedMessage, payload: usize) {
        let left = self.own.len() + payload;
        debug_assert!(self.frames.is_empty() && left <= message.frame().len());
        self.own.clear();
        self.push(message);
        self.advance(message.frame().len() - left);
    }

    /// Takes what has been written out at the front.
    pub(crate) fn advance(&mut self, mut count: usize) {
        if let Some(entry) = &mut self.entry {
            entry.progress();
        }
        while let Some(frame) = self.frames.front_mut() {
            let own = count.min(frame.after);
            self.own.advance(own);
            self.dead += own;
            frame.after -= own;
            self.claimed -= own;
            count -= own;
            let left = frame.message.frame().len() - self.written;
            if count < left {
                self.framed -= count;
                self.written += count;
                return;
            }
            self.framed -= left;
            self.written = 0;
            count -= left;
            if let Some(entry) = &self.entry {
                entry.release(&frame.message);
            }
            self.frames.pop_front();
        }
        self.own.advance(count);
        self.dead += count;
    }

    /// Drops the oldest frame of which nothing has been written; whether there was one.
    pub(crate) fn drop_oldest(&mut self) -> bool {
        let oldest = usize::from(self.written > 0);
        let Some(Frame { after, message }) = self.frames.remove(oldest) else { return false };
        self.framed -= message.frame().len();
        if let Some(entry) = &self.entry {
            entry.release(&message);
        }
        // The own bytes in front of it stay where they are.
        match self.frames.get_mut(oldest) {
            Some(next) => next.after += after,
            None => self.claimed -= after,
        }
        true
    }

    /// Forgets everything; keeps the memory, all of it.
    pub(crate) fn clear(&mut self) {
        if self.entry.is_some() {
            self.leave();
        }
        self.frames.clear();
        (self.claimed, self.framed, self.written, self.dead) = (0, 0, 0, 0);
        self.own.clear();
        // What was sent was cut off at the front; asked for more than there is behind it, the buffer
        // makes it capacity again.
        let _ = self.own.try_reclaim(self.own.capacity() + 1);
    }

    /// What a peer that does not read costs is what waits for it: a large buffer is not doubled, as that
    /// could cost twice as much, but gets a sixteenth more than it needs.
    #[cold]
    fn grow(&mut self, bytes: usize) {
        if self.own.try_reclaim(bytes) {
            self.dead = 0;
            return;
        }
        let needed = self.own.len() + bytes;
        let more = if needed <= DOUBLED { self.own.capacity() } else { needed / 16 };
        self.move_to(needed + more);
        self.settle();
    }

    /// Moves the own bytes to memory of this size.
    fn move_to(&mut self, capacity: usize) {
        let mut own = BytesMut::with_capacity(capacity);
        own.extend_from_slice(&self.own);
        (self.own, self.dead) = (own, 0);
    }

    fn push(&mut self, message: &PreparedMessage) {
        let after = self.own.len() - self.claimed;
        self.claimed += after;
        self.framed += message.frame().len();
        self.frames.push_back(Frame { after, message: message.clone() });
        if let Some(entry) = &self.entry {
            entry.hold(message);
            self.settle();
        }
    }

    /// How many bytes of memory it has, apart from the frames.
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

    fn unsent(&self) -> usize {
        self.len()
    }

    fn append(&mut self, message: &PreparedMessage) {
        let frame = message.frame();
        if frame.len() < SHARED {
            self.reserve(frame.len());
            self.own.extend_from_slice(frame);
        } else {
            self.push(message);
        }
    }
}

/// Keeps each message apart from all else, so that it can be [dropped](SendQueue::drop_oldest).
pub(crate) struct Apart<'a>(pub(crate) &'a mut SendQueue);

impl Output for Apart<'_> {
    fn buffer(&mut self) -> &mut BytesMut {
        &mut self.0.own
    }

    fn reserve(&mut self, bytes: usize) {
        self.0.reserve(bytes);
    }

    fn unsent(&self) -> usize {
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

    use super::{DOUBLED, PIECES, SHARED, SendQueue};

    /// Own bytes and shared frames, long and short, in turn; and all of it in one piece.
    fn mixed() -> (SendQueue, Vec<u8>) {
        let (mut unsent, mut all) = (SendQueue::default(), Vec::new());
        for (i, len) in [SHARED, 3, SHARED + 7, SHARED, 1, SHARED * 2].into_iter().enumerate() {
            let message = PreparedMessage::new(&vec![i as u8; len]);
            unsent.append(&message);
            let own = vec![b'a' + i as u8; i % 3];
            unsent.buffer().extend_from_slice(&own);
            all.extend([message.frame(), &own].concat());
        }
        (unsent, all)
    }

    fn pieces_of(unsent: &SendQueue, tail: &[u8]) -> Vec<u8> {
        let mut pieces = [IoSlice::new(&[]); PIECES];
        let count = unsent.pieces(tail, &mut pieces);
        pieces[..count].iter().flat_map(|piece| piece.to_vec()).collect()
    }

    #[test]
    fn the_pieces_are_everything_in_order_whatever_has_been_taken_out() {
        let all = mixed().1;
        for first in 0..=all.len() {
            let mut unsent = mixed().0;
            unsent.advance(first);
            assert_eq!(unsent.len(), all.len() - first);
            assert_eq!(pieces_of(&unsent, b"tail"), [&all[first..], b"tail"].concat());
            unsent.advance((all.len() - first) / 2);
            assert_eq!(pieces_of(&unsent, b"").len(), unsent.len());
            unsent.advance(unsent.len());
            assert!(unsent.is_empty() && unsent.whole() == Some(b""));
        }
    }

    #[test]
    fn one_frame_alone_is_whole_where_it_lies_and_so_is_what_is_left_of_it() {
        let mut unsent = SendQueue::default();
        let message = PreparedMessage::new(&[7; SHARED]);
        unsent.append(&message);
        for written in [0, 1, SHARED] {
            unsent.advance(unsent.len() - message.frame()[written..].len());
            let whole = unsent.whole().unwrap();
            assert!(std::ptr::eq(whole, &message.frame()[written..]), "{written} written");
        }
        unsent.buffer().extend_from_slice(b"more");
        assert_eq!(unsent.whole(), None);
    }

    #[test]
    fn what_does_not_fit_in_one_write_is_left_for_the_next() {
        let mut unsent = SendQueue::default();
        let message = PreparedMessage::new(&[7; SHARED]);
        (0..PIECES + 3).for_each(|_| unsent.append(&message));
        let mut writes = Vec::new();
        while !unsent.is_empty() {
            writes.push(pieces_of(&unsent, b"").len() / message.frame().len());
            unsent.advance(pieces_of(&unsent, b"").len());
        }
        assert_eq!(writes, [PIECES, 3]);
    }

    #[test]
    fn a_large_buffer_is_little_larger_than_what_is_in_it_however_that_came() {
        for len in [1, 100, 5000, 40_000] {
            let mut unsent = SendQueue::default();
            while unsent.len() < 200_000 {
                unsent.reserve(len);
                let room = unsent.own.capacity() - unsent.own.len();
                assert!(room >= len, "{room} for {len}");
                unsent.buffer().extend(std::iter::repeat_n(7, len));
                let most = (unsent.len() * 17 / 16).max(DOUBLED * 2);
                assert!(unsent.capacity() <= most, "{} for {}", unsent.capacity(), unsent.len());
                unsent.advance(len / 7);
            }
            assert!(unsent.own.iter().all(|&byte| byte == 7), "it is still the same");
        }
    }

    #[test]
    fn a_long_frame_is_not_copied_and_a_short_one_is() {
        let mut unsent = SendQueue::default();
        unsent.append(&PreparedMessage::new(&[1; SHARED]));
        unsent.append(&PreparedMessage::new(&[2; SHARED / 2]));
        assert_eq!((unsent.frames.len(), unsent.own.len()), (1, 4 + SHARED / 2));
        unsent.advance(SHARED + 4);
        assert_eq!(unsent.frames.len(), 0, "it has left");
        unsent.append(&PreparedMessage::new(&[1; SHARED]));
        unsent.clear();
        assert!(unsent.frames.is_empty() && unsent.is_empty());
    }

    #[test]
    fn the_oldest_frames_are_dropped_and_what_is_our_own_stays() {
        // What is left when the frames are dropped that have not begun to leave.
        let all = mixed().1;
        for first in 0..=all.len() {
            let mut unsent = mixed().0;
            unsent.advance(first);
            let begun = unsent.frames.front().filter(|_| unsent.written > 0);
            let begun = begun.map_or(&[][..], |frame| &frame.message.frame()[unsent.written..]);
            let mut left = [begun, &unsent.own].concat();
            left.sort_unstable();
            while unsent.drop_oldest() {
                assert_eq!(unsent.len(), pieces_of(&unsent, b"").len());
            }
            let mut pieces = pieces_of(&unsent, b"");
            pieces.sort_unstable();
            assert!(pieces == left, "after {first} bytes");
            unsent.append(&PreparedMessage::new(&[9; SHARED]));
            unsent.advance(unsent.len());
            assert!(unsent.is_empty());
        }
    }
}
