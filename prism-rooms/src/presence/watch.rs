//! [`Watch`]: a receiver of a room's changes in this program; and [`WatchSender`], its other side.

use std::{collections::VecDeque, fmt, sync::Arc};

use async_channel::Receiver;
use prism_driver::Deferring;

use super::change::Change;
use crate::{
    signal::{Signal, Signals},
    sync::Lock,
};

/// The number of changes that a [`Watch`] holds until they are received.
const CAPACITY: usize = 16;

/// A receiver of the changes in a room. Returned by [`Presence::watch_here`](super::Presence::watch_here). To stop
/// watching, drop it.
pub struct Watch<M> {
    queue: Queue<M>,
    signals: Receiver<()>,
    on_drop: Option<Box<dyn FnOnce() + Send + Sync>>,
}

/// Sends changes to a [`Watch`].
pub(super) struct WatchSender<M> {
    queue: Queue<M>,
    signal: Signal,
}

/// The changes that were sent and not yet received. A channel of changes would wake its receiver at once,
/// under the room's lock. So the changes are in a queue, and the channel carries one [`Signal`] for each.
type Queue<M> = Arc<Lock<VecDeque<Arc<Change<M>>>>>;

impl<M> Watch<M> {
    /// Creates a watch and its sender.
    pub(super) fn new() -> (Self, WatchSender<M>) {
        let queue: Queue<M> = Arc::new(Lock::new(VecDeque::new()));
        let (signal, signals) = Signal::new(CAPACITY);
        (Self { queue: queue.clone(), signals, on_drop: None }, WatchSender { queue, signal })
    }

    /// Sets the function to call when the watch is dropped.
    pub(super) fn on_drop(&mut self, on_drop: impl FnOnce() + Send + Sync + 'static) {
        self.on_drop = Some(Box::new(on_drop));
    }

    /// Waits for the next change and returns it: first the state, then the diffs that follow it. Returns
    /// `None` once all clones of the [`Presence`](super::Presence) have been dropped and no change is left.
    /// Cancel-safe.
    ///
    /// Up to 16 changes are kept until they are received. Further changes are skipped. Once there is room again, a
    /// state follows, which includes the skipped changes.
    pub async fn recv(&self) -> Option<Arc<Change<M>>> {
        Deferring::new(self.signals.recv()).await.ok()?;
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
        f.debug_struct("Watch").field("queued", &self.signals.len()).finish_non_exhaustive()
    }
}

impl<M> WatchSender<M> {
    pub(super) fn is_full(&self) -> bool {
        self.queue.lock().len() >= CAPACITY
    }

    /// Returns whether the change was accepted: `false` if the watch is full.
    pub(super) fn try_send(&self, change: &Arc<Change<M>>, signals: &mut Signals) -> bool {
        let mut queue = self.queue.lock();
        let has_room = queue.len() < CAPACITY;
        if has_room {
            queue.push_back(change.clone());
            signals.add(&self.signal);
        }
        has_room
    }
}
