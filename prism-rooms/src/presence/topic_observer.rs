//! Shows the people of other nodes in the rooms of a [`Tracker`].

use std::sync::Arc;

use prism_driver::ConnectionId;

use super::{change::Tracked, tracker::Tracker};
use crate::cluster::{
    node_id::NodeId,
    present::{OthersChange, Present},
    topic_observer::TopicObserver,
};

/// How many connections are shown or hidden before others may use the room.
const AT_ONCE: usize = 1024;

/// A connection of another node: the person's key, if it is present, and what it shows.
type Shown<M> = (ConnectionId, Option<(Arc<str>, Tracked<M>)>);

impl<M: Send + Sync + 'static> TopicObserver for Tracker<M> {
    fn show(&self, room: &str, change: OthersChange) -> u64 {
        let (mut unreadable, room) = (0, Arc::from(room));
        let (node, changes) = match change {
            OthersChange::HideAll => {
                while self.hide_some(&room) {}
                return 0;
            }
            OthersChange::Show(node, changes) => (node, changes),
        };
        for changes in changes.chunks(AT_ONCE) {
            let shown = changes.iter().map(|(id, present)| {
                let id = ConnectionId::from_u128(*id);
                let read =
                    present.as_ref().and_then(|present| self.read_present(id, node, present));
                unreadable += u64::from(present.is_some() && read.is_none());
                (id, read)
            });
            self.show_in(&room, node, shown.collect());
        }
        unreadable
    }
}

impl<M: Send + Sync + 'static> Tracker<M> {
    fn show_in(&self, name: &Arc<str>, node: NodeId, shown: Vec<Shown<M>>) {
        let mut deferred = self.deferred();
        // The room may have vanished. If it comes back, all of its people are shown again.
        self.with_room(name, &mut deferred, |room, deferred| {
            for (id, present) in shown {
                match present {
                    Some((key, tracked)) => room.people.show(name, &key, tracked, deferred),
                    None => room.people.hide(node, id, deferred),
                }
            }
        });
    }

    /// Hides people of other nodes. Returns whether there may be more.
    fn hide_some(&self, name: &Arc<str>) -> bool {
        let mut deferred = self.deferred();
        let hidden = self.with_room(name, &mut deferred, |room, deferred| {
            room.people.hide_elsewhere(AT_ONCE, deferred)
        });
        hidden == Some(AT_ONCE)
    }

    fn read_present(
        &self,
        id: ConnectionId,
        node: NodeId,
        present: &Present,
    ) -> Option<(Arc<str>, Tracked<M>)> {
        let meta = self.cluster.as_ref()?.read(present)?;
        let tracked = Tracked::new(id, Some(node), meta, present.meta.clone());
        Some((present.key.clone(), tracked))
    }
}
