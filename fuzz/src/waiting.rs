//! [`Waiting`]: a future of a connection that waits, and the reasons that it may have.

use prism_driver::{OwnedMessage, SendError};

use crate::drive::ManualFuture;

/// A waiting future.
pub enum Waiting {
    /// Waits for room, with this message. It may be prepared.
    Room(OwnedMessage, bool, ManualFuture<Result<(), SendError>>),
    /// Waits until everything up to here has been written.
    Flush(usize, ManualFuture<Result<(), SendError>>),
    /// Waits for the end of the connection.
    End(ManualFuture<()>),
}

/// The state of a connection whose tasks have all run, as far as a future may wait for it.
pub struct Reasons {
    /// Whether the connection is open, and has no room for a message.
    pub full: bool,
    /// How many bytes the transport has taken.
    pub written: usize,
    /// How many bytes were accepted and not dropped.
    pub accepted: usize,
    /// Whether the session has ended.
    pub over: bool,
}

impl Waiting {
    /// Returns whether the future was woken since its last poll.
    pub fn is_woken(&self) -> bool {
        match self {
            Self::Room(_, _, held) | Self::Flush(_, held) => held.is_woken(),
            Self::End(held) => held.is_woken(),
        }
    }

    /// Checks that the future still has a reason to wait.
    ///
    /// # Panics
    /// If it has none.
    pub fn check(&self, reasons: &Reasons) {
        let Reasons { full, written, accepted, over } = *reasons;
        match self {
            Self::Room(..) => {
                assert!(full, "a sender waits although there is room, or never will be");
            }
            Self::Flush(upto, _) => assert!(written < accepted.min(*upto) && !over),
            Self::End(_) => assert!(!over),
        }
    }
}
