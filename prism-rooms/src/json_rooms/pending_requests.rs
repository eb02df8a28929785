//! [`PendingRequests`]: the joins and leaves that are being executed.

use std::{collections::HashMap, convert::Infallible, sync::Arc};

use async_channel::Sender;
use prism_driver::{ConnectionId, Deferring, hold_wakeups};

use crate::sync::Lock;

/// The joins that wait for the application's decision or are being executed, and the leaves. Each connection has at
/// most one, because its requests are executed one after the other. What becomes of a connection in such a room is up
/// to that request, and not to [`after_leave`](super::departures::after_leave).
#[derive(Clone, Default)]
pub(super) struct PendingRequests {
    requests: Arc<Lock<HashMap<ConnectionId, PendingRequest>>>,
}

struct PendingRequest {
    room: Box<str>,
    is_cancelled: bool,
    /// Closed when the request is cancelled.
    cancel: Option<Sender<Infallible>>,
}

/// A request that is pending until this is dropped.
pub(super) struct Pending<'a> {
    requests: &'a PendingRequests,
    id: ConnectionId,
}

impl PendingRequests {
    pub(super) fn begin(&self, id: ConnectionId, room: &str) -> Pending<'_> {
        let request = PendingRequest { room: room.into(), is_cancelled: false, cancel: None };
        self.with(|requests| requests.insert(id, request));
        Pending { requests: self, id }
    }

    pub(super) fn contains(&self, id: ConnectionId, room: &str) -> bool {
        self.with(|requests| requests.get(&id).is_some_and(|request| *request.room == *room))
    }

    /// Cancels a request about this room. Returns whether there was one.
    pub(super) fn cancel(&self, id: ConnectionId, room: &str) -> bool {
        let _wakeups = hold_wakeups();
        let cancelled = self.with(|requests| {
            let request = requests.get_mut(&id).filter(|request| *request.room == *room)?;
            request.is_cancelled = true;
            Some(request.cancel.take())
        });
        cancelled.is_some() // unlocked: this closes the channel
    }

    fn with<R>(&self, access: impl FnOnce(&mut HashMap<ConnectionId, PendingRequest>) -> R) -> R {
        access(&mut self.requests.lock())
    }
}

impl Pending<'_> {
    /// Waits until it is cancelled.
    pub(super) async fn cancelled(&self) {
        let (cancel, cancelled) = async_channel::bounded(1);
        let is_cancelled = self.requests.with(|requests| {
            let Some(request) = requests.get_mut(&self.id) else { return true };
            request.cancel = Some(cancel);
            request.is_cancelled
        });
        if !is_cancelled {
            let _ = Deferring::new(cancelled.recv()).await; // fails: the channel is closed
        }
    }

    /// Ends it. Returns whether it was cancelled.
    pub(super) fn end(self) -> bool {
        self.requests
            .with(|requests| requests.remove(&self.id))
            .is_some_and(|request| request.is_cancelled)
    }
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        self.requests.with(|requests| requests.remove(&self.id));
    }
}
