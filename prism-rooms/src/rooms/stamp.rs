//! [`Stamp`]: identifies a message to rooms, and orders it.

use std::sync::atomic::{AtomicU64, Ordering};

/// Identifies a message and gives its place in the order. Unique across machines.
///
/// Of two messages from one process, every member of a room received the one with the lower number first. If
/// you forward messages to other processes, their stamps let you restore the order there, and recognise your
/// own messages when they come back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stamp {
    /// The process that sent the message, as in [its connections'
    /// IDs](prism_driver::ConnectionId::origin).
    pub origin: u64,
    /// The number of the message in that process. All rooms share the count, so the numbers in one room have
    /// gaps.
    pub number: u64,
}

impl Stamp {
    /// Returns the next stamp. To be called under the lock of the recipients: that is what makes the order of
    /// the stamps the order of the messages.
    pub(crate) fn next() -> Self {
        static NUMBER: AtomicU64 = AtomicU64::new(1);
        Self { origin: prism_driver::origin(), number: NUMBER.fetch_add(1, Ordering::Relaxed) }
    }
}
