//! Those who are told: a connection, or a [`Watch`] in this program.

use std::{cell::OnceCell, fmt, sync::Arc};

use async_channel::{Receiver, Sender, TrySendError};
use prism_driver::{self as driver, Connection, PreparedMessage};

use super::change::Change;

/// What a room tells your own program; see [`Presence::watch_here`](super::Presence::watch_here).
/// Dropped, it is told no more.
pub struct Watch<M> {
    changes: Receiver<Arc<Change<M>>>,
    end: Option<Box<dyn FnOnce() + Send + Sync>>,
}

impl<M> Watch<M> {
    pub(super) fn new(
        changes: Receiver<Arc<Change<M>>>,
        end: impl FnOnce() + Send + Sync + 'static,
    ) -> Self {
        Self { changes, end: Some(Box::new(end)) }
    }

    /// What comes next: first the state, then what changes. `None` when the presence is there no
    /// more. Cancel-safe.
    ///
    /// A few changes wait until they are received; if more come, they are left out, and the state
    /// comes next.
    pub async fn recv(&self) -> Option<Arc<Change<M>>> {
        self.changes.recv().await.ok()
    }
}

impl<M> Drop for Watch<M> {
    fn drop(&mut self) {
        if let Some(end) = self.end.take() {
            end();
        }
    }
}

impl<M> fmt::Debug for Watch<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").field("waiting", &self.changes.len()).finish_non_exhaustive()
    }
}

/// Somebody who is told, and whether that has worked so far.
pub(super) struct Watcher<M> {
    to: Outlet<M>,
    /// Something was left out: the next thing has to be the state.
    pub(super) is_behind: bool,
}

pub(super) enum Outlet<M> {
    Connection(Connection),
    Here(Sender<Arc<Change<M>>>),
}

impl<M> Watcher<M> {
    /// A watcher that was told nothing yet.
    pub(super) const fn new(to: Outlet<M>) -> Self {
        Self { to, is_behind: true }
    }

    /// Tells the state to one that is behind, if there is room for it: only then is it made.
    pub(super) fn catch_up<'t>(&mut self, state: impl FnOnce() -> &'t Told<M>)
    where
        M: 't,
    {
        let is_full = match &self.to {
            Outlet::Connection(connection) => connection.is_full(),
            Outlet::Here(sender) => sender.is_full(),
        };
        if !is_full {
            self.tell(state());
        }
    }

    pub(super) fn tell(&mut self, what: &Told<M>) {
        self.is_behind = match &self.to {
            Outlet::Connection(connection) => {
                let told = connection.try_send_prepared(what.json());
                told == Err(driver::TrySendError::Full)
            }
            Outlet::Here(sender) => {
                let told = sender.try_send(what.change.clone());
                matches!(told, Err(TrySendError::Full(_)))
            }
        };
    }
}

/// A change, encoded at most once, for all who are told it.
pub(super) struct Told<M> {
    change: Arc<Change<M>>,
    json: OnceCell<PreparedMessage>,
}

impl<M> Told<M> {
    pub(super) fn new(change: Change<M>) -> Self {
        Self { change: Arc::new(change), json: OnceCell::new() }
    }

    fn json(&self) -> &PreparedMessage {
        self.json.get_or_init(|| {
            let json = serde_json::to_string(&*self.change);
            let json = json.expect("text, numbers, and JSON that was made already");
            PreparedMessage::new(&json)
        })
    }
}
