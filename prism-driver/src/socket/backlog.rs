//! [`Backlog`]: what a [`Socket`](crate::Socket) has received, and its reader has not.

use std::sync::{
    OnceLock,
    atomic::{AtomicUsize, Ordering},
};

use crate::{error::Disconnect, runtime::notice::Notice};

/// How many received messages wait for the reader before the peer is no longer read.
pub(super) const MAX_MESSAGES: usize = 16;

/// How many bytes wait, apart from a message that is longer.
const MAX_BYTES: usize = 64 << 10;

/// The size of what waits for the reader, and how the connection has ended.
#[derive(Debug, Default)]
pub(crate) struct Backlog {
    bytes: AtomicUsize,
    /// The reader has taken a message, or reads no more.
    taken: Notice,
    pub(super) ended: OnceLock<Disconnect>,
}

impl Backlog {
    /// Returns when a message of this length may be added, or when `is_over`.
    pub(super) async fn until_room(&self, len: usize, is_over: impl Fn() -> bool) {
        let has_room = || {
            let bytes = self.bytes.load(Ordering::Acquire);
            bytes == 0 || bytes.saturating_add(len) <= MAX_BYTES
        };
        self.taken.wait_until(|| has_room() || is_over()).await;
    }

    pub(super) fn add(&self, len: usize) {
        self.bytes.fetch_add(len, Ordering::AcqRel);
    }

    pub(super) fn remove(&self, len: usize) {
        self.bytes.fetch_sub(len, Ordering::AcqRel);
        self.taken.notify(1);
    }

    /// Lets a task go that waits for room, because nothing is read any more.
    pub(super) fn stop(&self) {
        self.taken.notify(1);
    }
}
