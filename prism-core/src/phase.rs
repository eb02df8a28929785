//! [`Phase`]: how far the close handshake has got (RFC 6455 §7.1).
//!
//! ```text
//!             close()                    the peer's Close
//!      Open ───────────► CloseSent ──────────────────────► Closed ──► (client: wait for the
//!       │                                                    ▲         server to end TCP)
//!       ├── the peer's Close, echoed ────────────────────────┤
//!       └── fail(): Close with the error's code ─────────────┘
//! ```

use core::time::Duration;

use crate::{close_timer::CloseTimer, keepalive::Keepalive, state::State};

/// How far the close handshake has got, with the deadlines that apply then.
#[derive(Debug)]
pub(crate) enum Phase {
    Open(Keepalive),
    /// Our close frame is in the output, and the peer's has not arrived.
    CloseSent(CloseTimer),
    /// Both close frames have passed, or the connection has failed. TCP has yet to end.
    Closed(CloseTimer),
    /// TCP has ended, or the time to wait for its end is over.
    Ended,
}

impl Phase {
    pub(crate) const fn state(&self) -> State {
        match self {
            Self::Open(_) => State::Open,
            Self::CloseSent(_) | Self::Closed(_) => State::Closing,
            Self::Ended => State::Closed,
        }
    }

    /// Returns when the next deadline is due.
    pub(crate) fn due(&self) -> Option<Duration> {
        match self {
            Self::Open(keepalive) => keepalive.due(),
            Self::CloseSent(timer) | Self::Closed(timer) => timer.due(),
            Self::Ended => None,
        }
    }

    /// Ends the close handshake, whether it succeeded or not. TCP has yet to end; the deadline for
    /// that is set once, however often the peer breaks the protocol afterwards.
    pub(crate) fn finish(&mut self) {
        match self {
            Self::Open(_) => *self = Self::Closed(CloseTimer::new()),
            Self::CloseSent(timer) => *self = Self::Closed(timer.restarted()),
            Self::Closed(_) | Self::Ended => {}
        }
    }
}
