//! [`Flags`]: what is known of a connection without locking its outbox. The flags take one byte, because a session
//! looks at them for each message.

use std::sync::atomic::Ordering;

use crate::outbox::sync::AtomicU8;

/// We have closed.
const CLOSED: u8 = 1;
/// We have closed because the peer was too slow, and not because the application said so.
const TOO_SLOW: u8 = 1 << 1;
/// The application has woken the handler.
const WOKEN: u8 = 1 << 2;
/// A handler still ran when the transport was gone.
const STUCK: u8 = 1 << 3;

/// What the session has to know before it gives the handler an event.
const SIGNALS: u8 = CLOSED | TOO_SLOW | WOKEN;

#[derive(Default)]
pub(crate) struct Flags(AtomicU8);

impl Flags {
    /// Returns whether we have closed, or the application has woken the handler.
    pub(crate) fn has_signals(&self) -> bool {
        self.load() & SIGNALS != 0
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.load() & CLOSED != 0
    }

    pub(crate) fn set_closed(&self) {
        self.set(CLOSED);
    }

    /// Returns whether we have closed for another reason than that the peer was too slow.
    pub(crate) fn is_closed_by_application(&self) -> bool {
        self.load() & (CLOSED | TOO_SLOW) == CLOSED
    }

    pub(crate) fn set_closed_as_too_slow(&self) {
        self.set(CLOSED | TOO_SLOW);
    }

    /// Returns whether the handler was woken, and we have not closed.
    pub(crate) fn is_only_woken(&self) -> bool {
        self.load() & SIGNALS == WOKEN
    }

    pub(crate) fn set_woken(&self) {
        self.set(WOKEN);
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
        self.set(STUCK) & STUCK == 0
    }

    fn load(&self) -> u8 {
        self.0.load(Ordering::Acquire)
    }

    /// Sets flags. Returns those that were set before.
    fn set(&self, flags: u8) -> u8 {
        self.0.fetch_or(flags, Ordering::Release)
    }
}

#[cfg(all(test, not(prism_loom)))]
mod tests {
    use super::Flags;

    #[test]
    fn a_handler_that_is_stuck_is_no_signal_to_the_session() {
        let flags = Flags::default();
        assert!(flags.set_stuck() && !flags.set_stuck() && flags.is_stuck());
        assert!(!flags.has_signals());
        flags.set_woken();
        assert!(flags.has_signals() && flags.is_only_woken());
        flags.set_closed_as_too_slow();
        assert!(flags.is_closed() && !flags.is_closed_by_application() && !flags.is_only_woken());
        assert!(flags.take_woken() && !flags.take_woken());
        assert!(flags.has_signals());
    }
}
