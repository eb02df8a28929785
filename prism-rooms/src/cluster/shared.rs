//! [`Shared`]: what rooms and the task of their cluster share.

use std::{
    collections::HashMap,
    mem,
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use async_channel::{Receiver, Sender};
use prism_driver::hold_wakeups;

use super::{
    action::OwnedAction,
    core::outbox::Outbox,
    elsewhere::Elsewhere,
    event::{ClusterCounts, ClusterEvent, MemberCount},
    node_id::NodeId,
    present::{PresenceUpdate, Present},
    topic_observer::TopicObserver,
};
use crate::{
    directory::NameObserver,
    signal::Signal,
    stamp::Stamp,
    sync::{Flag, Lock},
};

/// How many events wait until they are received.
const MAX_EVENTS: usize = 1024;

pub(crate) struct Shared {
    /// The ID of this node.
    pub(crate) origin: NodeId,
    /// Locked while rooms are locked.
    pub(crate) outbox: Lock<Outbox>,
    /// `None` once the node has left.
    changes: Lock<Option<Changes>>,
    /// Whether rooms have changed, and the task was not woken for that. Raised and lowered under the lock of `changes`,
    /// except by the thread that wakes the task.
    has_changes: Flag,
    clock: Box<dyn Fn() -> Duration + Send + Sync>,
    /// Wakes the task.
    signal: Signal,
    counts: Lock<ClusterCounts>,
    topics: Lock<Topics>,
    /// How many people of other nodes have metadata that cannot be read.
    unreadable: Lock<u64>,
    /// `None` once the node has left.
    listeners: Lock<Option<Listeners>>,
}

/// The receivers of events.
#[derive(Default)]
struct Listeners {
    senders: Vec<Sender<ClusterEvent>>,
    /// Why the node cannot connect, for those that begin to listen later.
    failure: Option<ClusterEvent>,
}

/// The topics of presence, by the beginnings of the names of their rooms, and who is told what other nodes say.
type Topics = HashMap<Arc<str>, Option<Weak<dyn TopicObserver>>>;

/// What has happened since the task has looked.
#[derive(Default)]
pub(crate) struct Changes {
    /// The rooms that have appeared or vanished, and whether they exist now. Only the latest state of each matters, so
    /// there are never more than there are names.
    pub(crate) rooms: HashMap<Arc<str>, bool>,
    /// The rooms of which somebody asks whether they are reached.
    pub(crate) reached_requests: Vec<(Box<str>, Sender<bool>)>,
    /// The rooms of which somebody asks how many members they have on all nodes, with their number here.
    pub(crate) count_requests: Vec<(Box<str>, usize, Sender<MemberCount>)>,
    /// What has changed in rooms of presence.
    pub(crate) presence: HashMap<Arc<str>, PresenceChanges>,
    /// The topics that have ended, before that. It holds the beginnings of the names of their rooms.
    pub(crate) ended_topics: Vec<Arc<str>>,
    /// Whether the node leaves.
    pub(crate) leaves: bool,
}

/// What has changed in a room of presence. Only the latest state matters, so there is never more than there are people.
#[derive(Default)]
pub(crate) struct PresenceChanges {
    /// Whether the room exists, if that has changed. If it does, it may have vanished in between.
    pub(crate) exists: Option<bool>,
    /// The connections that are present, or are not any more.
    pub(crate) people: HashMap<u128, Option<Present>>,
}

impl Shared {
    /// Returns it with the receiver of its signals.
    pub(crate) fn new(
        origin: NodeId,
        clock: impl Fn() -> Duration + Send + Sync + 'static,
    ) -> (Self, Receiver<()>) {
        let (signal, signals) = Signal::new(1);
        let shared = Self {
            origin,
            outbox: Lock::new(Outbox::new(origin)),
            changes: Lock::new(Some(Changes::default())),
            has_changes: Flag::new(),
            clock: Box::new(clock),
            signal,
            counts: Lock::new(ClusterCounts::default()),
            topics: Lock::new(HashMap::new()),
            unreadable: Lock::new(0),
            listeners: Lock::new(Some(Listeners::default())),
        };
        (shared, signals)
    }

    // ---- for rooms

    /// Returns the time. The caller must hold no lock, because the clock is application code.
    pub(crate) fn now(&self) -> Duration {
        (self.clock)()
    }

    /// Adds something to do for members of these rooms on other nodes; `None` for everyone. The caller holds the locks
    /// of the rooms, or the one for everyone, and calls [`wake`](Self::wake) afterwards.
    pub(crate) fn publish(
        &self,
        rooms: Option<&[&str]>,
        except: Vec<u128>,
        action: OwnedAction,
        now: Duration,
    ) -> (Stamp, Elsewhere) {
        let mut outbox = self.outbox.lock();
        let (stamp, is_queued) = match rooms {
            Some(rooms) => outbox.push_to_rooms(rooms, except, action, now),
            None => outbox.push_to_everyone(except, action, now),
        };
        (stamp, if is_queued { Elsewhere::Queued } else { Elsewhere::Missed })
    }

    /// Wakes the task. The caller must hold no lock.
    pub(crate) fn wake(&self) {
        self.signal.send();
    }

    /// Wakes the task if rooms have appeared or vanished. The caller must hold no lock.
    pub(crate) fn wake_if_changed(&self) {
        if self.lower_has_changes() {
            self.wake();
        }
    }

    /// Returns whether something has changed for which the task was not woken. The caller wakes it.
    pub(crate) fn lower_has_changes(&self) -> bool {
        self.has_changes.lower()
    }

    /// Asks whether messages of other nodes reach a room. The answer comes once that is known. The channel is closed if
    /// the node leaves before.
    pub(crate) fn ask(&self, room: &str) -> Receiver<bool> {
        let (answer_to, answer) = async_channel::bounded(1);
        if let Some(changes) = &mut *self.changes.lock() {
            changes.reached_requests.push((room.into(), answer_to));
        }
        self.wake();
        answer
    }

    /// Asks how many members a room has on all nodes. `members` is its number of members on this node. The channel is
    /// closed if the node has left.
    pub(crate) fn count(&self, room: &str, members: usize) -> Receiver<MemberCount> {
        let (answer_to, answer) = async_channel::bounded(1);
        if let Some(changes) = &mut *self.changes.lock() {
            changes.count_requests.push((room.into(), members, answer_to));
        }
        self.wake();
        answer
    }

    /// Makes the node leave the cluster.
    pub(crate) fn leave(&self) {
        if let Some(changes) = &mut *self.changes.lock() {
            changes.leaves = true;
        }
        self.wake();
    }

    // ---- for presence

    /// Adds a topic. Returns `false` if there is one with the same rooms.
    pub(crate) fn add_topic(&self, prefix: &Arc<str>) -> bool {
        let mut topics = self.topics.lock();
        let is_new = !topics.contains_key(prefix);
        if is_new {
            topics.insert(prefix.clone(), None);
        }
        is_new
    }

    /// Sets who is told of what other nodes say about a topic.
    pub(crate) fn observe_topic(&self, prefix: &Arc<str>, observer: Weak<dyn TopicObserver>) {
        self.topics.lock().insert(prefix.clone(), Some(observer));
    }

    /// Ends a topic, if it is open: nobody is present there. The caller must hold no lock.
    pub(crate) fn end_topic(&self, prefix: &Arc<str>, is_open: &AtomicBool) {
        let mut changes = self.changes.lock();
        if !is_open.swap(false, Relaxed) {
            return; // there may be another one with this name by now
        }
        if let Some(changes) = &mut *changes {
            changes.presence.retain(|room, _| !room.starts_with(&**prefix));
            changes.ended_topics.push(prefix.clone());
        }
        drop(changes);
        self.topics.lock().remove(prefix);
        self.wake();
    }

    /// Records what has changed in a room of presence, if its topic is open.
    pub(crate) fn record_presence(
        &self,
        room: String,
        is_open: &AtomicBool,
        record: impl FnOnce(&mut PresenceChanges),
    ) {
        if let Some(changes) = &mut *self.changes.lock()
            && is_open.load(Relaxed)
        {
            record(changes.presence.entry(room.into()).or_default());
            self.has_changes.raise();
        }
    }

    // ---- for the cluster

    pub(crate) fn counts(&self) -> ClusterCounts {
        let outbox = self.outbox.lock();
        let (published, unpublished) = (outbox.published(), outbox.unpublished());
        drop(outbox);
        let unreadable = *self.unreadable.lock();
        ClusterCounts { published, unpublished, unreadable, ..*self.counts.lock() }
    }

    /// Returns a receiver of the events from now on. The first is why the node cannot connect, if it cannot.
    pub(crate) fn listen(&self) -> Receiver<ClusterEvent> {
        let (sender, events) = async_channel::bounded(MAX_EVENTS);
        if let Some(listeners) = &mut *self.listeners.lock() {
            listeners.senders.retain(|listener| !listener.is_closed());
            if let Some(failure) = &listeners.failure {
                let _ = sender.try_send(failure.clone()); // cannot fail, and nobody waits yet
            }
            listeners.senders.push(sender);
        }
        events
    }

    // ---- for the task

    pub(crate) fn signal(&self) -> Signal {
        self.signal.clone()
    }

    pub(crate) fn take_changes(&self) -> Changes {
        let mut changes = self.changes.lock();
        self.has_changes.lower();
        changes.as_mut().map(mem::take).unwrap_or_default()
    }

    /// Shows what other nodes say about presence. The caller must hold no lock.
    pub(crate) fn show(&self, update: PresenceUpdate) {
        let PresenceUpdate { room, change } = update;
        let Some((topic, _)) = room.split_once(':') else { return };
        let (prefix, room) = room.split_at(topic.len() + 1);
        let observer = self.topics.lock().get(prefix).cloned().flatten();
        if let Some(observer) = observer.and_then(|observer| observer.upgrade()) {
            let unreadable = observer.show(room, change);
            *self.unreadable.lock() += unreadable;
        }
    }

    pub(crate) fn set_counts(&self, counts: ClusterCounts) {
        *self.counts.lock() = counts;
    }

    /// Tells all listeners of an event. Those that are behind miss their oldest.
    pub(crate) fn report(&self, event: &ClusterEvent) {
        let senders = self.listeners.lock().as_mut().map(|listeners| {
            match event {
                ClusterEvent::ConnectFailed { .. } => listeners.failure = Some(event.clone()),
                ClusterEvent::Connected => listeners.failure = None,
                _ => {}
            }
            listeners.senders.retain(|listener| !listener.is_closed());
            listeners.senders.clone()
        });
        for listener in senders.iter().flatten() {
            let _ = listener.force_send(event.clone()); // fails if it was dropped
        }
    }

    /// Ends it all: no events follow, and those who ask are told that the node has left.
    pub(crate) fn close(&self) {
        let _wakeups = hold_wakeups();
        self.outbox.lock().close();
        let mut counts = self.counts.lock();
        (counts.connected, counts.nodes) = (false, 0);
        drop(counts);
        let changes = self.changes.lock().take();
        let listeners = self.listeners.lock().take();
        drop((changes, listeners)); // unlocked: this closes the channels
    }
}

impl NameObserver for Shared {
    fn appeared(&self, room: &Arc<str>) {
        self.note(room, true);
    }

    fn vanished(&self, room: &Arc<str>) {
        self.note(room, false);
    }
}

impl Shared {
    fn note(&self, room: &Arc<str>, exists: bool) {
        if let Some(changes) = &mut *self.changes.lock() {
            changes.rooms.insert(room.clone(), exists);
            self.has_changes.raise();
        }
    }
}

/// Keeps a node in its cluster: when the last clone of its `Arc` is dropped, the node leaves. Rooms hold one, and so do
/// topics of presence. These do not hold the rooms, whose hooks may have the presence.
pub(crate) struct ClusterHandle(Arc<Shared>);

impl ClusterHandle {
    pub(crate) const fn new(shared: Arc<Shared>) -> Self {
        Self(shared)
    }

    pub(crate) const fn shared(&self) -> &Arc<Shared> {
        &self.0
    }
}

impl Drop for ClusterHandle {
    fn drop(&mut self) {
        self.0.leave();
    }
}

#[cfg(all(test, prism_loom))]
mod races;
#[cfg(all(test, not(prism_loom)))]
mod tests {
    use std::time::Duration;

    use super::Shared;
    use crate::cluster::{event::ClusterEvent, node_id::node_id};

    #[test]
    fn receivers_of_events_that_were_dropped_do_not_accumulate() {
        let (shared, _signals) = Shared::new(node_id(1), || Duration::ZERO);
        let events = shared.listen();
        for _ in 0..100 {
            drop(shared.listen());
        }
        assert!(shared.listeners.lock().as_ref().unwrap().senders.len() <= 2);
        assert!(!events.is_closed());
    }

    #[test]
    fn later_listeners_are_told_why_the_node_cannot_connect() {
        let (shared, _signals) = Shared::new(node_id(1), || Duration::ZERO);
        let failed = |reason: &str| ClusterEvent::ConnectFailed { reason: reason.into() };
        assert!(shared.listen().is_empty());
        shared.report(&failed("no password"));
        shared.report(&failed("refused"));
        let events = shared.listen();
        assert_eq!(events.try_recv(), Ok(failed("refused")));
        shared.report(&ClusterEvent::Connected);
        assert_eq!(events.try_recv(), Ok(ClusterEvent::Connected));
        assert!(shared.listen().is_empty());
    }
}
