//! Those who are told: a connection, or a [`Watch`] in this program.

use std::{cell::OnceCell, collections::VecDeque, fmt, sync::Arc};

use async_channel::{Receiver, Sender};
use prism_driver::{Connection, PreparedMessage, TrySendError};

use super::{
    change::{Change, IS_JSON},
    deferred::Deferred,
};
use crate::sync::Lock;

/// How many changes wait in a [`Watch`] that nobody receives from.
const QUEUE_CAPACITY: usize = 16;

/// What a room tells your own program; see [`Presence::watch_here`](super::Presence::watch_here).
/// Dropped, it is told no more.
pub struct Watch<M> {
    queue: Queue<M>,
    signals: Receiver<()>,
    on_drop: Option<Box<dyn FnOnce() + Send + Sync>>,
}

/// What has been told and not received. It is not in the channel itself, because a channel wakes its
/// receiver at once, and a room tells while it is locked: the channel is [rung](Deferred::ring) once for each
/// change in here.
type Queue<M> = Arc<Lock<VecDeque<Arc<Change<M>>>>>;

impl<M> Watch<M> {
    /// One that is told by the outlet, and not yet by anybody.
    pub(super) fn new() -> (Self, Destination<M>) {
        let queue: Queue<M> = Arc::new(Lock::new(VecDeque::new()));
        let (signal, signals) = async_channel::bounded(QUEUE_CAPACITY);
        let destination = Destination::Local { queue: queue.clone(), signal };
        (Self { queue, signals, on_drop: None }, destination)
    }

    /// What is to be called when it is dropped.
    pub(super) fn on_drop(&mut self, on_drop: impl FnOnce() + Send + Sync + 'static) {
        self.on_drop = Some(Box::new(on_drop));
    }

    /// What comes next: first the state, then what changes. `None` when the presence is there no
    /// more. Cancel-safe.
    ///
    /// A few changes wait until they are received; if more come, they are left out, and the state
    /// comes next.
    pub async fn recv(&self) -> Option<Arc<Change<M>>> {
        self.signals.recv().await.ok()?;
        self.queue.lock().pop_front()
    }
}

impl<M> Drop for Watch<M> {
    fn drop(&mut self) {
        if let Some(on_drop) = self.on_drop.take() {
            on_drop();
        }
    }
}

impl<M> fmt::Debug for Watch<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").field("queue", &self.signals.len()).finish_non_exhaustive()
    }
}

/// Somebody who is told, and whether that has worked so far.
pub(super) struct Watcher<M> {
    to: Destination<M>,
    /// Something was left out: the next thing has to be the state.
    pub(super) is_behind: bool,
}

pub(super) enum Destination<M> {
    Connection(Connection),
    Local { queue: Queue<M>, signal: Sender<()> },
}

impl<M> Watcher<M> {
    /// A watcher that was told nothing yet.
    pub(super) const fn new(to: Destination<M>) -> Self {
        Self { to, is_behind: true }
    }

    /// Whether it could be told something now.
    pub(super) fn has_room(&self) -> bool {
        match &self.to {
            Destination::Connection(connection) => !connection.is_full(),
            Destination::Local { queue, .. } => !is_full(&queue.lock()),
        }
    }

    pub(super) fn send(&mut self, change: &EncodedChange<M>, deferred: &mut Deferred<M>) {
        self.is_behind = match &self.to {
            Destination::Connection(connection) => {
                let sent = connection.try_send_prepared(change.json());
                sent == Err(TrySendError::Full)
            }
            Destination::Local { queue, signal } => {
                let mut queue = queue.lock();
                let is_full = is_full(&queue);
                if !is_full {
                    queue.push_back(change.change.clone());
                    deferred.send_signal(signal);
                }
                is_full
            }
        };
    }
}

fn is_full<M>(queue: &VecDeque<Arc<Change<M>>>) -> bool {
    queue.len() >= QUEUE_CAPACITY
}

/// A change, encoded at most once, for all who are told it.
pub(super) struct EncodedChange<M> {
    change: Arc<Change<M>>,
    json: OnceCell<PreparedMessage>,
}

impl<M> EncodedChange<M> {
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
