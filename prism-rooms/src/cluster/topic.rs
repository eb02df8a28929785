//! [`Topic`]: the hold of a [`Presence`](crate::Presence) on its cluster.

use std::sync::{Arc, Weak, atomic::AtomicBool};

use super::{
    present::Present,
    shared::{ClusterHandle, PresenceChanges, Shared},
    topic_observer::TopicObserver,
};
use crate::{directory::NameObserver, signal::Signals};

/// A topic of presence on a node, which says who is there, until it [ends](TopicHandle).
pub(crate) struct Topic {
    rooms: TopicRooms,
    /// The node is there as long as the topic.
    _node: Arc<ClusterHandle>,
}

/// The rooms of a topic. To the cluster, a room's name is that of its topic and its own.
#[derive(Clone)]
struct TopicRooms {
    shared: Arc<Shared>,
    prefix: Arc<str>,
    /// Whether the topic has not ended. After that, nothing is recorded.
    is_open: Arc<AtomicBool>,
}

/// Ends its topic when it is dropped: nobody is there any more, and the node may have another one with this name.
pub(crate) struct TopicHandle(TopicRooms);

impl Topic {
    /// Creates a topic of a node. Returns `None` if the node has one with this name.
    pub(crate) fn new(name: &str, node: Arc<ClusterHandle>) -> Option<Self> {
        // The name ends at the first colon.
        let prefix = Arc::from(name.replace('%', "%25").replace(':', "%3a") + ":");
        let is_open = Arc::new(AtomicBool::new(true));
        let rooms = TopicRooms { shared: node.shared().clone(), prefix, is_open };
        rooms.shared.add_topic(&rooms.prefix).then_some(Self { rooms, _node: node })
    }

    /// Returns what ends the topic when it is dropped.
    pub(crate) fn handle(&self) -> TopicHandle {
        TopicHandle(self.rooms.clone())
    }

    /// Sets who is told of what other nodes say.
    pub(crate) fn observe(&self, observer: Weak<dyn TopicObserver>) {
        self.rooms.shared.observe_topic(&self.rooms.prefix, observer);
    }

    /// Returns an observer of the rooms of this topic.
    pub(crate) fn room_observer(&self) -> Arc<dyn NameObserver> {
        Arc::new(self.rooms.clone())
    }

    /// Records that a connection is present in a room, or is not any more. To be called under the room's lock;
    /// [`signal`](Self::signal) has to follow.
    pub(crate) fn record(&self, room: &str, id: u128, present: Option<Present>) {
        self.rooms.record(room, |changes| drop(changes.people.insert(id, present)));
    }

    /// Wakes the cluster later, if anything was recorded.
    pub(crate) fn signal(&self, signals: &mut Signals) {
        if self.rooms.shared.lower_has_changes() {
            signals.add(&self.rooms.shared.signal());
        }
    }
}

impl Drop for TopicHandle {
    fn drop(&mut self) {
        self.0.shared.end_topic(&self.0.prefix, &self.0.is_open);
    }
}

impl TopicRooms {
    fn record(&self, room: &str, record: impl FnOnce(&mut PresenceChanges)) {
        self.shared.record_presence([&self.prefix, room].concat(), &self.is_open, record);
    }
}

impl NameObserver for TopicRooms {
    fn appeared(&self, room: &Arc<str>) {
        self.record(room, |changes| changes.exists = Some(true));
    }

    fn vanished(&self, room: &Arc<str>) {
        self.record(room, |changes| changes.exists = Some(false));
    }
}
