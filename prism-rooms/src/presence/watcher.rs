//! [`Watcher`]: one watcher of a room, and whether it is up to date.

use prism_driver::{Connection, TrySendError};

use super::{change::EncodedChange, signal::Signals, watch::WatchSender};

pub(super) struct Watcher<M> {
    destination: Destination<M>,
    /// Whether the next thing to send has to be the state: nothing was sent yet, or something was skipped.
    pub(super) is_behind: bool,
}

/// Where a watcher's changes go.
pub(super) enum Destination<M> {
    Connection(Connection),
    Watch(WatchSender<M>),
}

impl<M> Watcher<M> {
    pub(super) const fn new(destination: Destination<M>) -> Self {
        Self { destination, is_behind: true }
    }

    /// Returns whether a change would be accepted now.
    pub(super) fn has_room(&self) -> bool {
        match &self.destination {
            Destination::Connection(connection) => !connection.is_full(),
            Destination::Watch(watch) => !watch.is_full(),
        }
    }

    /// Sends a change; if there is no room for it, the watcher is behind from then on.
    pub(super) fn send(&mut self, change: &EncodedChange<M>, signals: &mut Signals) {
        self.is_behind = match &self.destination {
            Destination::Connection(connection) => {
                connection.try_send(change.json()) == Err(TrySendError::Full)
            }
            Destination::Watch(watch) => !watch.try_send(change.change(), signals),
        };
    }
}
