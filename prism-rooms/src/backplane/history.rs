//! What a backplane that keeps the messages of rooms has to do: [`Append`], [`Read`], and their replies.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;

use super::ticket::Ticket;
use crate::history::position::Position;

/// How much is kept of each room. All nodes of a cluster should keep the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Keep {
    /// How many messages are kept, at least: 1 or more. A backplane may keep a few more. A message has at most 1 MiB.
    pub messages: u32,
    /// How long all of them are kept after the last one, at least. It counts as one second at least. A
    /// [`MemoryBroker`](crate::MemoryBroker) ignores it.
    pub age: Duration,
}

impl Keep {
    /// Keeps at least `messages` messages of each room, for at least `age` after the last one.
    #[must_use]
    pub const fn new(messages: u32, age: Duration) -> Self {
        Self { messages, age }
    }
}

/// Keep a message, and publish it, in one atomic step. Part of a [`Command`](crate::Command).
///
/// Each room has a log: an epoch, an offset, and the last messages. If the room has none, or if the log was written
/// before the server restarted, or before another server became the master, an empty one with [this epoch](Self::epoch)
/// and the offset 0 takes its place. The offset is increased. The message is stored with it, and published on the
/// room's channel, as: the head, the position (as it prints), a space, the record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Append {
    /// The room.
    pub room: Arc<str>,
    /// The epoch of a new log. It is never used again.
    pub epoch: Box<str>,
    /// What is kept.
    pub keep: Keep,
    /// What is published before the position.
    pub head: Bytes,
    /// What is kept: opaque bytes, a little over 1 MiB at most.
    pub record: Bytes,
    /// What to pass to [`Session::appended`](crate::Session::appended).
    pub ticket: Ticket,
}

/// Read what was kept, in one atomic step. Part of a [`Command`](crate::Command). A room without a log, or with an
/// outdated one, gets a new log first, as [`Append`] describes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Read {
    /// The room.
    pub room: Arc<str>,
    /// The epoch of a new log. It is never used again.
    pub epoch: Box<str>,
    /// What is kept.
    pub keep: Keep,
    /// The position after which to read; `None` to read no messages, but the position of the last one. If its epoch is
    /// not that of the log, no messages are read either.
    pub after: Option<Position>,
    /// Where to stop: with the message that makes it as many bytes as this, or more. So one message is always read.
    pub max_bytes: usize,
    /// What to pass to [`Session::read`](crate::Session::read).
    pub ticket: Ticket,
}

/// What a [`Read`] has found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// The position of the log's last message, whether it is on this page or not. Its offset is 0 if there never was
    /// one.
    pub last: Position,
    /// The offset of the first record.
    pub first: u64,
    /// Records with consecutive offsets.
    pub records: Vec<Bytes>,
}

impl Page {
    /// Returns the records after an offset, with theirs.
    pub(crate) fn records_after(&self, offset: u64) -> impl Iterator<Item = (u64, &Bytes)> {
        let known = (offset + 1).saturating_sub(self.first) as usize;
        (self.first..).zip(&self.records).skip(known)
    }

    /// Returns the offset of the first record; if there are none, of the message that comes next.
    pub(crate) fn first_offset(&self) -> u64 {
        if self.records.is_empty() { self.last.offset() + 1 } else { self.first }
    }

    /// Returns whether it can be what was read.
    pub(crate) fn is_valid(&self) -> bool {
        let end = self.first.checked_add(self.records.len() as u64);
        self.records.is_empty()
            || self.first > 0 && end.is_some_and(|end| end <= self.last.offset() + 1)
    }
}

/// The reply to an [`Append`] or a [`Read`].
#[derive(Debug)]
pub(crate) enum Reply {
    Appended(Position),
    Page(Page),
    /// It was refused, and had no effect.
    Refused(String),
}
