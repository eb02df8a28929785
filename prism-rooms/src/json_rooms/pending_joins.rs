//! [`PendingJoins`]: the joins that are about to be decided, so that they can be cancelled.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use prism_driver::ConnectionId;

/// The joins that wait for the application's decision, or are just being executed. Each connection has at most one,
/// because its requests are executed one after the other.
#[derive(Clone, Default)]
pub(super) struct PendingJoins {
    joins: Arc<Mutex<HashMap<ConnectionId, PendingJoin>>>,
}

struct PendingJoin {
    room: Box<str>,
    is_cancelled: bool,
}

/// A join that is pending until this is dropped.
pub(super) struct Pending<'a> {
    joins: &'a PendingJoins,
    id: ConnectionId,
}

impl PendingJoins {
    pub(super) fn begin(&self, id: ConnectionId, room: &str) -> Pending<'_> {
        let join = PendingJoin { room: room.into(), is_cancelled: false };
        self.with(|joins| joins.insert(id, join));
        Pending { joins: self, id }
    }

    pub(super) fn contains(&self, id: ConnectionId, room: &str) -> bool {
        self.with(|joins| joins.get(&id).is_some_and(|join| *join.room == *room))
    }

    /// Cancels a join of this room. Returns whether there was one.
    pub(super) fn cancel(&self, id: ConnectionId, room: &str) -> bool {
        self.with(|joins| {
            let join = joins.get_mut(&id).filter(|join| *join.room == *room);
            join.map(|join| join.is_cancelled = true).is_some()
        })
    }

    fn with<R>(&self, access: impl FnOnce(&mut HashMap<ConnectionId, PendingJoin>) -> R) -> R {
        access(&mut self.joins.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Pending<'_> {
    /// Ends it. Returns whether it was cancelled.
    pub(super) fn end(self) -> bool {
        self.joins.with(|joins| joins.remove(&self.id)).is_some_and(|join| join.is_cancelled)
    }
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        self.joins.with(|joins| joins.remove(&self.id));
    }
}
