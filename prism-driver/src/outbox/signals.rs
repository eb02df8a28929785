//! [`Signals`]: what the session has to know before it gives the handler an event. The signals take one byte, because a
//! session looks at them for each message.

use std::sync::atomic::Ordering;

use crate::outbox::sync::AtomicU8;

/// We have closed.
const CLOSED: u8 = 1;
/// We have closed because the peer was too slow, and not because the application said so.
const TOO_SLOW: u8 = 4;
/// The application has woken the handler.
const WOKEN: u8 = 2;
/// A handler still ran when the transport was gone. This is not a signal for the session, but there is room for it here.
const STUCK: u8 = 8;

#[derive(Default)]
pub(crate) struct Signals(AtomicU8);

impl Signals {
    /// Returns whether any signal is set.
    pub(crate) fn is_any(&self) -> bool {
        self.load() & !STUCK != 0
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.load() & CLOSED != 0
    }

    pub(crate) fn set_closed(&self) {
        self.0.fetch_or(CLOSED, Ordering::Release);
    }

    /// Returns whether we have closed for another reason than that the peer was too slow.
    pub(crate) fn is_closed_by_application(&self) -> bool {
        self.load() & (CLOSED | TOO_SLOW) == CLOSED
    }

    pub(crate) fn set_closed_as_too_slow(&self) {
        self.0.fetch_or(CLOSED | TOO_SLOW, Ordering::Release);
    }

    /// Returns whether the handler was woken, and we have not closed.
    pub(crate) fn is_only_woken(&self) -> bool {
        self.load() & !STUCK == WOKEN
    }

    pub(crate) fn set_woken(&self) {
        self.0.fetch_or(WOKEN, Ordering::Release);
    }

    /// Returns whether the handler was woken since the last call. If it was, everything that the waking threads did
    /// before is visible to the caller.
    pub(crate) fn take_woken(&self) -> bool {
        self.0.fetch_and(!WOKEN, Ordering::AcqRel) & WOKEN != 0
    }

    pub(crate) fn is_stuck(&self) -> bool {
        self.load() & STUCK != 0
    }

    /// Notes that a handler still runs though the transport is gone. Returns whether that is new.
    pub(crate) fn set_stuck(&self) -> bool {
        self.0.fetch_or(STUCK, Ordering::Relaxed) & STUCK == 0
    }

    fn load(&self) -> u8 {
        self.0.load(Ordering::Acquire)
    }
}
