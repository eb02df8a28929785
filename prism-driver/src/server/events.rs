//! What a server reports as events of the crate `tracing`. Without the feature `tracing`, these functions do nothing.
//!
//! A log is a target, too. So what peers can cause again and again is limited: refusals to ten in a second, and
//! warnings to one a minute. The next event of the kind says how many there were. Where no subscriber wants an event,
//! neither the clock is read nor the limit locked.

#![cfg_attr(
    not(feature = "tracing"),
    expect(unused_variables, reason = "only events show what they are called with")
)]

use std::{io, net::SocketAddr, time::Duration};

#[cfg(feature = "tracing")]
use crate::server::events::limit::Limit;
use crate::{
    server::stats::{NotUpgraded, Shutdown},
    session::events::event,
};

#[cfg(feature = "tracing")]
mod limit;

#[cfg(feature = "tracing")]
const HANDSHAKE: &str = "prism::handshake";
#[cfg(feature = "tracing")]
const SERVER: &str = "prism::server";

/// The events of a server that are limited.
#[derive(Debug, Default)]
pub(crate) struct ServerEvents {
    #[cfg(feature = "tracing")]
    refused: Limit<10, 1>,
    #[cfg(feature = "tracing")]
    exhausted: Limit<1, 60>,
    #[cfg(feature = "tracing")]
    accept_failed: Limit<1, 60>,
    #[cfg(feature = "tracing")]
    evicting: Limit<1, 60>,
}

impl ServerEvents {
    /// Reports a peer that gets no connection.
    pub(crate) fn refused(
        &self,
        now: impl FnOnce() -> Duration,
        peer: Option<SocketAddr>,
        reason: NotUpgraded,
        status: Option<u16>,
    ) {
        #[cfg(feature = "tracing")]
        if reason != NotUpgraded::Page
            && tracing::enabled!(target: HANDSHAKE, tracing::Level::DEBUG)
            && let Some(unreported) = self.refused.admit(now())
        {
            event!(
                target: HANDSHAKE,
                tracing::Level::DEBUG,
                peer = peer.map(tracing::field::display),
                reason = reason.name(),
                status,
                unreported,
                "refused",
            );
        }
    }

    /// Reports that the operating system has no descriptor or memory for another connection.
    pub(crate) fn descriptors_exhausted(&self, now: impl FnOnce() -> Duration, error: &io::Error) {
        #[cfg(feature = "tracing")]
        if warnings_are_wanted()
            && let Some(unreported) = self.exhausted.admit(now())
        {
            let message = "descriptors exhausted";
            event!(target: SERVER, tracing::Level::WARN, %error, unreported, message);
        }
    }

    /// Reports that no connection could be accepted, for another reason.
    pub(crate) fn accept_failed(&self, now: impl FnOnce() -> Duration, error: &io::Error) {
        #[cfg(feature = "tracing")]
        if warnings_are_wanted()
            && let Some(unreported) = self.accept_failed.admit(now())
        {
            let message = "accept failing";
            event!(target: SERVER, tracing::Level::WARN, %error, unreported, message);
        }
    }

    /// Reports that a handshake, a page or a waiting request had to make room for a connection.
    pub(crate) fn evicting(&self, now: impl FnOnce() -> Duration) {
        #[cfg(feature = "tracing")]
        if warnings_are_wanted()
            && let Some(unreported) = self.evicting.admit(now())
        {
            event!(target: SERVER, tracing::Level::WARN, unreported, "evicting handshakes");
        }
    }
}

/// Reports that a server listens.
pub(crate) fn listening(address: SocketAddr, tls: bool) {
    event!(target: SERVER, tracing::Level::INFO, %address, tls, "listening");
}

/// Reports that a shutdown has begun.
pub(crate) fn shutting_down(open: usize) {
    event!(target: SERVER, tracing::Level::INFO, open, "shutting down");
}

/// Reports that a shutdown is over.
pub(crate) fn shut_down(outcome: &Shutdown) {
    event!(
        target: SERVER,
        tracing::Level::INFO,
        closed = outcome.closed,
        failed = outcome.failed,
        cut = outcome.cut,
        "shut down",
    );
}

#[cfg(feature = "tracing")]
fn warnings_are_wanted() -> bool {
    tracing::enabled!(target: SERVER, tracing::Level::WARN)
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::{NotUpgraded, ServerEvents};

    #[test]
    fn without_a_subscriber_the_clock_is_not_read() {
        let (events, now) = (ServerEvents::default(), || panic!("nobody wants the event"));
        events.refused(now, None, NotUpgraded::NotFound, Some(404));
        events.descriptors_exhausted(now, &io::ErrorKind::OutOfMemory.into());
        events.accept_failed(now, &io::ErrorKind::Other.into());
        events.evicting(now);
    }
}
