//! [`Stamp`]: which message it was.

use std::sync::atomic::{AtomicU64, Ordering};

/// Which message it was: no two have the same stamp, on however many machines.
///
/// Of two messages of one process, all members of a room got the one with the lower number first. So
/// whoever takes messages to other processes can put them back in order there, and knows those that
/// come back as its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stamp {
    /// Which process it comes from, as in [its connections' ids](prism_driver::ConnectionId::origin).
    pub origin: u64,
    /// The number of the message in that process; not all numbers come to one room.
    pub number: u64,
}

impl Stamp {
    /// The next one. Where it is taken is where the message has its place in the order: under the lock
    /// of whom it is for.
    pub(crate) fn next() -> Self {
        static NUMBER: AtomicU64 = AtomicU64::new(1);
        Self { origin: prism_driver::origin(), number: NUMBER.fetch_add(1, Ordering::Relaxed) }
    }
}
