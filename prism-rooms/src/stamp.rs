//! [`Stamp`]: the identity of a message to rooms, and its position in their order.

use std::sync::atomic::{AtomicU64, Ordering};

/// The identity of a message, and its position in the order of each room that it was sent to. Globally unique.
///
/// If a process sends two messages to a room, a member that receives both receives the one with the lower number
/// first. If you forward messages to other processes, their stamps let you restore the order there, and recognize
/// your own messages when they come back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stamp {
    /// The ID of the process that sent the message. The [IDs of that process's
    /// connections](prism_driver::ConnectionId::origin) contain the same value.
    pub origin: u64,
    /// The number of the message in that process. All rooms share one counter, so the numbers in one room have
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
