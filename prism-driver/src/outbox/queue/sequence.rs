//! [`Sequence`]: frames that several queues hold in the same order, so that the queues share one copy of all of them.
//!
//! The members of a room are mostly sent the same messages in the same order. If each member's queue kept a reference
//! to each frame, sending sixteen messages to a thousand members would count references sixteen thousand times, and
//! copy each frame a thousand times, because a system call with one piece of memory is cheaper than one with sixteen.
//! Instead, the queues refer to the beginning of one sequence, whose frames are joined once, when the first queue is
//! written:
//!
//! ```text
//!                             frames             joined
//!   member 1 ──► first 3 of ┌───┬───┬───┐      ┌───────────┐
//!   member 2 ──► first 3 of │ a │ b │ c │ ───► │ a   b   c │
//!   member 3 ──► first 2 of └───┴───┴───┘      └───────────┘
//! ```
//!
//! A queue starts with a sequence when it gets its second frame. It is either the same as the thread's last sequence,
//! or the thread begins another one. A queue may hold several sequences, one after the other. A write joins at most one
//! of them, which copies up to 32 KiB while the outbox is locked.
//!
//! A queue that holds two frames of a sequence keeps all of its frames alive, and their copy: up to 64 KiB. So once its
//! peer has not taken all at once, a queue holds no sequences until it is empty.
//!
//! Threads may extend and join a sequence at the same time: each place is filled once and never changes, and joining
//! fills the first empty one with the end. So what a queue has found at its places is what the joined bytes begin with.

use std::{
    array,
    cell::RefCell,
    sync::{Arc, Weak},
};

use prism_core::PreparedMessage;

use crate::outbox::sync::OnceLock;

/// The maximum number of frames in a sequence.
const MAX_FRAMES: usize = if cfg!(prism_loom) { 4 } else { 32 };

/// The maximum number of bytes in a sequence. More are not joined: without a copy they are cheaper.
pub(crate) const MAX_JOINED: usize = 32 << 10;

thread_local! {
    /// The sequence that this thread has begun last.
    static LAST: RefCell<Weak<Sequence>> = const { RefCell::new(Weak::new()) };
}

/// Frames in the order in which they are sent. Frames can be added until the frames are joined.
#[derive(Debug)]
pub(super) struct Sequence {
    /// The frames, and then a `None` if the sequence has ended.
    frames: [OnceLock<Option<PreparedMessage>>; MAX_FRAMES],
    /// The bytes of all frames. Once they exist, the sequence has ended.
    joined: OnceLock<Vec<u8>>,
}

impl Sequence {
    /// Returns a sequence that begins with these two frames, or `None` if they are too long.
    pub(super) fn beginning_with(
        first: &PreparedMessage,
        second: &PreparedMessage,
    ) -> Option<Arc<Self>> {
        if first.frame().len() + second.frame().len() > MAX_JOINED {
            return None;
        }
        let last = LAST.try_with(|last| last.borrow().upgrade()).ok().flatten();
        if let Some(last) = last.filter(|last| last.has(0, first) && last.has(1, second)) {
            return Some(last);
        }
        let sequence =
            Arc::new(Self { frames: array::from_fn(|_| OnceLock::new()), joined: OnceLock::new() });
        let begins = sequence.accepts_at(0, first) && sequence.accepts_at(1, second);
        debug_assert!(begins, "a new sequence has only empty places");
        let _ = LAST.try_with(|last| *last.borrow_mut() = Arc::downgrade(&sequence)); // or the thread ends
        Some(sequence)
    }

    /// Returns whether a frame is the one with this index, which it may become just now. `before` is the number of
    /// bytes in front of it.
    pub(super) fn continues_with(
        &self,
        index: usize,
        before: usize,
        frame: &PreparedMessage,
    ) -> bool {
        let fits = index < MAX_FRAMES && before + frame.frame().len() <= MAX_JOINED;
        fits && self.accepts_at(index, frame)
    }

    /// Returns the frame with this index, if the sequence is so long.
    pub(super) fn frame(&self, index: usize) -> Option<&PreparedMessage> {
        self.frames.get(index)?.get()?.as_ref()
    }

    /// Returns whether the frames are joined already.
    pub(super) fn is_joined(&self) -> bool {
        self.joined.get().is_some()
    }

    /// Returns the first bytes of all frames. Joins them, unless that has been done.
    pub(super) fn joined(&self, len: usize) -> &[u8] {
        &self.joined.get_or_init(|| self.join())[..len]
    }

    fn join(&self) -> Vec<u8> {
        // No frame is added from now on, so the joined bytes are those of all queues.
        for frame in &self.frames {
            if frame.get_or_init(|| None).is_none() {
                break;
            }
        }
        let frames = (0..MAX_FRAMES).map_while(|index| self.frame(index));
        frames.map(PreparedMessage::frame).collect::<Vec<_>>().concat()
    }

    fn has(&self, index: usize, frame: &PreparedMessage) -> bool {
        matches!(self.frames[index].get(), Some(Some(there)) if is_same(there, frame))
    }

    /// Returns whether the frame is the one with this index, which it becomes if there is none.
    fn accepts_at(&self, index: usize, frame: &PreparedMessage) -> bool {
        let there = self.frames[index].get_or_init(|| Some(frame.clone()));
        there.as_ref().is_some_and(|there| is_same(there, frame))
    }
}

/// Returns whether two messages share their bytes.
fn is_same(one: &PreparedMessage, other: &PreparedMessage) -> bool {
    std::ptr::eq(one.frame(), other.frame())
}
