//! [`Watcher`]: one watcher of a room, and whether it is up to date.

use prism_driver::{Connection, TrySendError};

use super::{compressions::Compressions, encoded_change::EncodedChange, watch::WatchSender};
use crate::signal::Signals;

pub(super) struct Watcher<M> {
    destination: Destination<M>,
    pub(super) needs: Needs,
}

/// What a watcher has to be sent next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Needs {
    /// The state: nothing was sent yet, or something was skipped.
    State,
    /// The latest diff.
    Diff,
    /// Nothing, until there is a diff.
    Nothing,
}

/// Where a watcher's changes go.
pub(super) enum Destination<M> {
    Connection(Connection),
    Watch(WatchSender<M>),
}

impl<M> Watcher<M> {
    pub(super) const fn new(destination: Destination<M>) -> Self {
        Self { destination, needs: Needs::State }
    }

    /// Returns whether a change would be accepted now.
    pub(super) fn has_room(&self) -> bool {
        match &self.destination {
            Destination::Connection(connection) => !connection.is_full(),
            Destination::Watch(watch) => !watch.is_full(),
        }
    }

    /// Sends the change that the watcher needs. If there is no room for it, the watcher needs the state from then on.
    /// If it has to be compressed first, it is added to the compressions instead, and the watcher still needs it.
    pub(super) fn send(
        &mut self,
        change: &EncodedChange<M>,
        signals: &mut Signals,
        compressions: &mut Compressions,
    ) {
        let is_sent = match &self.destination {
            Destination::Connection(connection) => {
                let json = change.json();
                if let Some(form) = connection.compressed_form().filter(|form| json.lacks(form)) {
                    compressions.add(json, form);
                    return;
                }
                connection.try_send(json.to_send()) != Err(TrySendError::Full)
            }
            Destination::Watch(watch) => watch.try_send(change.change(), signals),
        };
        self.needs = if is_sent { Needs::Nothing } else { Needs::State };
    }
}
