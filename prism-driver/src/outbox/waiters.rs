//! [`Waiters`]: what those wait for who wait for a connection.

use std::sync::Arc;

use crate::runtime::notice::Notice;

/// How much room there is in an outbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Room {
    None,
    Some,
    /// It is empty.
    All,
}

/// Made by the first who waits, because on most connections nobody ever does. Whoever changes
/// something with the outbox locked, and finds none, has nobody to tell: who waits asks for these
/// first, and then looks whether it has to.
#[derive(Default)]
pub(crate) struct Waiters {
    /// There is room again, or never will be: for those who wait for it in turn.
    pub(crate) room: Notice,
    /// Bytes have left, or never will: for everybody else who waits.
    pub(crate) progress: Notice,
    /// We have closed, or the connection is over.
    pub(crate) closing: Notice,
}

impl Waiters {
    /// Bytes have left, and perhaps made room. When nothing is left, everybody who waits for room is told:
    /// whoever was told alone may be a future that nobody polls, and would keep it from the others.
    pub(crate) fn notify_progress(&self, room: Room) {
        self.progress.notify(usize::MAX);
        match room {
            Room::None => {}
            Room::Some => self.room.notify(1),
            Room::All => self.room.notify(usize::MAX),
        }
    }

    /// Everything has changed.
    pub(crate) fn notify_all(waiters: Option<Arc<Self>>) {
        if let Some(waiters) = waiters {
            for notice in [&waiters.room, &waiters.progress, &waiters.closing] {
                notice.notify(usize::MAX);
            }
        }
    }
}
