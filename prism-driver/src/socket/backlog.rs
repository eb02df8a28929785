//! [`Backlog`]: the messages that a [`Socket`](crate::Socket) has received and its reader has not taken.

use std::sync::{
    OnceLock,
    atomic::{AtomicUsize, Ordering},
};

use crate::{error::Disconnect, runtime::notice::Notice};

/// The maximum number of received messages that wait for the reader. While another one does not fit, the peer is not
/// read.
pub(super) const MAX_MESSAGES: usize = 16;

/// The maximum number of bytes that wait for the reader, unless a single message is longer.
const MAX_BYTES: usize = 64 << 10;

/// The size of the messages that wait for the reader, and how the connection has ended.
#[derive(Debug, Default)]
pub(crate) struct Backlog {
    bytes: AtomicUsize,
    /// The reader has taken a message, or is gone.
    taken: Notice,
    pub(super) ended: OnceLock<Disconnect>,
}

impl Backlog {
    /// Waits until a message of this length may be added, or until `is_over` returns true.
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

    /// Wakes the task that waits for room, because the reader is gone.
    pub(super) fn stop(&self) {
        self.taken.notify(1);
    }
}
