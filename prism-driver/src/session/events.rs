//! What a connection reports as events of the crate `tracing`. Without the feature `tracing`, these functions only
//! count, and do not ask for the time.
//!
//! An event shows what Prism knows of a connection, and never a payload, a header, a query or a path. The little text
//! of the peer that it shows is [quoted, escaped and cut](peer_text). There is no span for the life of a connection: a
//! subscriber may keep whatever belongs to a span until the span ends, so a peer could make it hold more and more
//! memory.
//!
//! The functions are cold, so that their code is not part of the loop that handles messages.

#![cfg_attr(
    not(feature = "tracing"),
    expect(unused_variables, reason = "only events show what they are called with")
)]

use std::time::Duration;

use crate::{connection::Connection, error::Disconnect};
#[cfg(feature = "tracing")]
use crate::{server::stats::ends::EndKind, session::events::peer_text::PeerText};

#[cfg(feature = "tracing")]
mod peer_text;

/// Emits an event. Does nothing without the feature `tracing`.
macro_rules! event {
    ($($event:tt)*) => {
        #[cfg(feature = "tracing")]
        tracing::event!($($event)*);
    };
}
pub(crate) use event;

#[cfg(feature = "tracing")]
const CONNECTION: &str = "prism::connection";

/// From here on a pong is late: no healthy path takes so long.
const LATE: Duration = Duration::from_secs(1);

/// Reports that a connection has opened.
#[cold]
pub(crate) fn opened(connection: &Connection, now: impl FnOnce() -> Duration) {
    #[cfg(feature = "tracing")]
    if tracing::enabled!(target: CONNECTION, tracing::Level::DEBUG) {
        connection.outbox().begin_totals(now());
    }
    event!(
        target: CONNECTION,
        tracing::Level::DEBUG,
        id = %connection.id(),
        peer = connection.peer_addr().map(tracing::field::display),
        route = connection.outbox().route().as_deref(),
        protocol = connection.subprotocol().map(PeerText).map(tracing::field::debug),
        "opened",
    );
}

/// Reports that a connection has ended.
#[cold]
pub(crate) fn ended(connection: &Connection, reason: &Disconnect, now: impl FnOnce() -> Duration) {
    #[cfg(feature = "tracing")]
    let totals = connection.outbox().take_totals().map(|totals| (now(), totals));
    event!(
        target: CONNECTION,
        tracing::Level::DEBUG,
        id = %connection.id(),
        code = reason.code(),
        kind = EndKind::from(reason).name(),
        reason = ?PeerText(&reason.reason()),
        lived_ms = totals.as_ref().map(|(now, it)| now.saturating_sub(it.since).as_millis() as u64),
        received_messages = totals.as_ref().map(|(_, it)| it.received.messages),
        received_bytes = totals.as_ref().map(|(_, it)| it.received.bytes),
        sent_messages = totals.as_ref().map(|(_, it)| it.sent.messages),
        sent_bytes = totals.as_ref().map(|(_, it)| it.sent.bytes),
        missed = connection.missed(),
        "ended",
    );
}

/// Reports that the handler of a connection has panicked.
#[cold]
pub(crate) fn panicked(connection: &Connection) {
    connection.outbox().count_panic();
    event!(
        target: "prism::handler",
        tracing::Level::WARN,
        id = %connection.id(),
        route = connection.outbox().route().as_deref(),
        "panicked",
    );
}

/// Reports that the keepalive has sent a ping.
#[cold]
pub(crate) fn ping_sent(connection: &Connection) {
    event!(target: CONNECTION, tracing::Level::TRACE, id = %connection.id(), "ping sent");
}

/// Reports a pong that took long to arrive.
#[cold]
pub(crate) fn pong_received(connection: &Connection, round_trip: Duration) {
    if round_trip > LATE {
        event!(
            target: CONNECTION,
            tracing::Level::TRACE,
            id = %connection.id(),
            round_trip_ms = round_trip.as_millis() as u64,
            "pong late",
        );
    }
}

/// Reports that something has to wait for the peer.
#[cold]
pub(crate) fn back_pressure_began(connection: &Connection) {
    event!(
        target: CONNECTION,
        tracing::Level::TRACE,
        id = %connection.id(),
        buffered = connection.buffered(),
        "back-pressure began",
    );
}

/// Reports that the peer has taken everything that had to wait for it.
#[cold]
pub(crate) fn back_pressure_ended(connection: &Connection) {
    event!(target: CONNECTION, tracing::Level::TRACE, id = %connection.id(), "back-pressure ended");
}
