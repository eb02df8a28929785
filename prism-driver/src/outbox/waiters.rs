//! [`Waiters`]: the tasks that wait for an event on a connection.

use std::sync::Arc;

use crate::runtime::notice::Notice;

/// How much room there is in an outbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RoomLeft {
    None,
    Some,
    /// The outbox is empty.
    All,
    /// There will be no room any more.
    Never,
}

/// The tasks to wake because bytes have left, if any wait, and the room that there is now.
#[derive(Default)]
#[must_use = "the tasks have to be woken when nothing is locked"]
pub(crate) struct Progress(pub(super) Option<(Arc<Waiters>, RoomLeft)>);

impl Progress {
    /// Returns whether there are no tasks to wake.
    #[inline]
    pub(crate) const fn is_nothing(&self) -> bool {
        self.0.is_none()
    }

    /// Wakes the tasks. The caller must not hold the lock of an outbox.
    #[inline]
    pub(crate) fn notify(self) {
        if let Some((waiters, room)) = self.0 {
            waiters.notify_progress(room);
        }
    }
}

/// The tasks that wait for an event on a connection. Created by the first task that waits, because on most connections
/// no task ever does. A task asks for this first and checks afterwards whether it has to wait. So a thread that changes
/// something with the outbox locked, and finds no waiters, has no task to wake.
#[derive(Default)]
pub(crate) struct Waiters {
    /// There is room again, or never will be: for senders that wait in turn.
    pub(crate) room: Notice,
    /// Bytes have left, or never will: for all other tasks that wait.
    pub(crate) progress: Notice,
    /// We have closed, or the connection has ended.
    pub(crate) closing: Notice,
}

impl Waiters {
    /// Wakes tasks because bytes have left and perhaps made room. When nothing is left, all senders that wait for room
    /// are woken: a single one might be a future that is not polled, and would keep the room from the others.
    #[inline(never)] // Usually nobody waits.
    fn notify_progress(&self, room: RoomLeft) {
        self.progress.notify(usize::MAX);
        match room {
            RoomLeft::None => {}
            RoomLeft::Some => self.room.notify(1),
            RoomLeft::All => self.room.notify(usize::MAX),
            RoomLeft::Never => {
                self.room.notify(usize::MAX);
                self.closing.notify(usize::MAX);
            }
        }
    }

    /// Wakes all tasks.
    pub(crate) fn notify_all(waiters: Option<Arc<Self>>) {
        if let Some(waiters) = waiters {
            for notice in [&waiters.room, &waiters.progress, &waiters.closing] {
                notice.notify(usize::MAX);
            }
        }
    }
}
