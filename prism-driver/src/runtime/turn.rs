//! A session's turn: one poll of it, from beginning to end.
//!
//! What a session sends to others in a turn is one [batch](batch_number). How much it may do in a turn is limited by
//! [`work`], and a sender that reaches the limit before its session does [yields](yielding).
//!
//! While a thread ends, the destructors of its other thread-locals may still send, or drop a session, after the
//! thread-locals of this module are gone. Such destructors count as code outside of sessions.

pub(crate) mod batch_number;
pub(crate) mod work;
pub(crate) mod yielding;

use batch_number::Sender;
use work::Parts;
use yielding::Yield;

/// The turn of a session, or other code, that the turn of another session interrupts.
#[derive(Clone, Copy)]
pub(crate) struct Interrupted {
    sender: Sender,
    work: Parts,
    yielding: Yield,
}

/// Begins a session's turn. Returns what it interrupts, to be passed to [`end`].
pub(crate) fn begin() -> Interrupted {
    Interrupted {
        sender: batch_number::replace(Sender::QuietSession),
        work: work::replace(Parts::default()),
        yielding: yielding::replace(Yield::No),
    }
}

/// Ends a session's turn. Returns whether the session has sent anything to others.
pub(crate) fn end(interrupted: Interrupted) -> bool {
    work::replace(interrupted.work);
    yielding::replace(interrupted.yielding);
    matches!(batch_number::replace(interrupted.sender), Sender::Session(_))
}
