//! [`ColdState`]: the part of an outbox's state that few connections need.

#[cfg(feature = "tracing")]
use std::time::Duration;
use std::{io, sync::Arc};

use prism_core::{CloseCode, OwnedHeaders};

#[cfg(feature = "tracing")]
use crate::server::stats::traffic::Traffic;
use crate::{
    error::Failure,
    outbox::{pings::Pings, waiters::Waiters},
    tls::info::TlsInfo,
};

/// State that few connections need. It is allocated when it is needed, and freed when it is empty.
#[derive(Default)]
pub(crate) struct ColdState {
    /// The headers of the handshake, until `on_connect` has run: an idle connection should not hold them.
    pub(crate) headers: Option<OwnedHeaders>,
    /// What the TLS handshake has agreed on, until `on_connect` has run.
    pub(crate) tls: Option<Arc<TlsInfo>>,
    /// The reason why the transport takes no more.
    pub(super) write_error: Option<io::Error>,
    /// How the connection has failed while a handler runs.
    pub(super) failure: Option<Box<Failure>>,
    /// The bytes that the peer had sent when the transport was given up while a handler ran. Boxed, because each
    /// handshake leaves some cold state behind, and very few connections have this.
    pub(super) unread: Option<Box<io::Cursor<Vec<u8>>>>,
    /// How many bytes have been written since a task first asked.
    pub(super) written: Option<u64>,
    /// How many bytes were unsent when the transport was dropped.
    pub(super) lost: u64,
    /// How many messages found no room.
    pub(crate) missed: u64,
    /// What the connection has carried, if somebody will look. Boxed, because that is rare.
    #[cfg(feature = "tracing")]
    pub(super) totals: Option<Box<Totals>>,
    /// How we closed, if we did so first.
    pub(crate) closed_with: Option<(CloseCode, Box<str>)>,
    pub(crate) waiters: Option<Arc<Waiters>>,
    /// The application's pings that wait for their pongs. Boxed, because few applications ping.
    pub(super) pings: Option<Box<Pings>>,
    /// The hooks to run when the connection has ended.
    pub(crate) hooks: Vec<Box<dyn FnOnce() + Send>>,
}

/// What a connection has carried, for the event of its end.
#[cfg(feature = "tracing")]
pub(crate) struct Totals {
    /// When the connection was opened.
    pub(crate) since: Duration,
    pub(crate) received: Traffic,
    pub(crate) sent: Traffic,
}

impl ColdState {
    pub(super) fn is_empty(&self) -> bool {
        let Self {
            headers,
            tls,
            write_error,
            failure,
            unread,
            written,
            lost,
            missed,
            #[cfg(feature = "tracing")]
            totals,
            closed_with,
            waiters,
            pings,
            hooks,
        } = self;
        #[cfg(feature = "tracing")]
        if totals.is_some() {
            return false;
        }
        headers.is_none()
            && tls.is_none()
            && write_error.is_none()
            && failure.is_none()
            && unread.is_none()
            && written.is_none()
            && *lost == 0
            && *missed == 0
            && closed_with.is_none()
            && waiters.is_none()
            && pings.is_none()
            && hooks.is_empty()
    }
}
