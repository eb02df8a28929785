//! Those who are told: a connection, or a [`Watch`] in this program.

use std::{cell::OnceCell, collections::VecDeque, fmt, sync::Arc};

use async_channel::{Receiver, Sender};
use prism_driver::{Connection, PreparedMessage, TrySendError};

use super::{
    change::{Change, IS_JSON},
    deferred::Later,
};
use crate::sync::Lock;

/// How many changes wait in a [`Watch`] that nobody receives from.
const WAITING: usize = 16;

/// What a room tells your own program; see [`Presence::watch_here`](super::Presence::watch_here).
/// Dropped, it is told no more.
pub struct Watch<M> {
    waiting: Waiting<M>,
    rings: Receiver<()>,
    end: Option<Box<dyn FnOnce() + Send + Sync>>,
}

/// What has been told and not received. It is not in the channel itself, because a channel wakes its
/// receiver at once, and a room tells while it is locked: the channel is [rung](Later::ring) once for each
/// change in here.
type Waiting<M> = Arc<Lock<VecDeque<Arc<Change<M>>>>>;

impl<M> Watch<M> {
    /// One that is told by the outlet, and not yet by anybody.
    pub(super) fn new() -> (Self, Outlet<M>) {
        let waiting: Waiting<M> = Arc::new(Lock::new(VecDeque::new()));
        let (bell, rings) = async_channel::bounded(WAITING);
        let outlet = Outlet::Here { waiting: waiting.clone(), bell };
        (Self { waiting, rings, end: None }, outlet)
    }

    /// What is to be called when it is dropped.
    pub(super) fn on_drop(&mut self, end: impl FnOnce() + Send + Sync + 'static) {
        self.end = Some(Box::new(end));
    }

    /// What comes next: first the state, then what changes. `None` when the presence is there no
    /// more. Cancel-safe.
    ///
    /// A few changes wait until they are received; if more come, they are left out, and the state
    /// comes next.
    pub async fn recv(&self) -> Option<Arc<Change<M>>> {
        self.rings.recv().await.ok()?;
        self.waiting.lock().pop_front()
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
        f.debug_struct("Watch").field("waiting", &self.rings.len()).finish_non_exhaustive()
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
    Here { waiting: Waiting<M>, bell: Sender<()> },
}

impl<M> Watcher<M> {
    /// A watcher that was told nothing yet.
    pub(super) const fn new(to: Outlet<M>) -> Self {
        Self { to, is_behind: true }
    }

    /// Whether it could be told something now.
    pub(super) fn has_room(&self) -> bool {
        match &self.to {
            Outlet::Connection(connection) => !connection.is_full(),
            Outlet::Here { waiting, .. } => !is_full(&waiting.lock()),
        }
    }

    pub(super) fn tell(&mut self, what: &Told<M>, later: &mut Later<M>) {
        self.is_behind = match &self.to {
            Outlet::Connection(connection) => {
                let told = connection.try_send_prepared(what.json());
                told == Err(TrySendError::Full)
            }
            Outlet::Here { waiting, bell } => {
                let mut waiting = waiting.lock();
                let is_full = is_full(&waiting);
                if !is_full {
                    waiting.push_back(what.change.clone());
                    later.ring(bell);
                }
                is_full
            }
        };
    }
}

fn is_full<M>(waiting: &VecDeque<Arc<Change<M>>>) -> bool {
    waiting.len() >= WAITING
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
            PreparedMessage::new(&json.expect(IS_JSON))
        })
    }
}
