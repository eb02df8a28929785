//! [`Presence`]: which people are in which room. The public interface of the [`Tracker`].

use std::{fmt, sync::Arc, time::Duration};

use prism_driver::{Connection, ConnectionId, Runtime};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::value::to_raw_value;

use crate::{
    cluster::{Cluster, envelope::presence::MAX_META, topic::TopicHandle},
    error::{JoinError, TrackError},
    options::PresenceOptions,
};

mod change;
mod compressions;
mod deferred;
mod encoded_change;
mod in_cluster;
mod json_size;
mod notify_schedule;
mod people;
mod room_presence;
mod topic_observer;
mod tracker;
mod watch;
mod watcher;

pub use self::{
    change::{Change, Person, Tracked},
    watch::Watch,
};
use self::{in_cluster::InCluster, tracker::Tracker};

/// A tracker of the people who are present in each room, which sends the changes to watchers. Cheap to clone: all
/// clones share the same state.
///
/// `M` is the metadata of a connection: a name, a status, whether the user is typing. Connections that
/// [watch](Self::watch) receive it as JSON. Your own program receives it as an `M`.
///
/// ```no_run
/// # fn example(connection: &prism_driver::Connection, runtime: impl prism_driver::Runtime) -> Result<(), Box<dyn std::error::Error>> {
/// use prism_rooms::Presence;
/// use serde::Serialize;
///
/// #[derive(Serialize)]
/// struct Status {
///     typing: bool,
/// }
///
/// let presence = Presence::new(runtime); // such as `prism_tokio::Tokio`
/// presence.track(connection, "tea", "ada", Status { typing: false })?;
/// presence.watch(connection, "tea")?; // the browser now receives each change
/// assert_eq!(presence.count("tea"), 1);
/// # Ok(()) }
/// ```
///
/// When a connection ends, it is untracked and stops watching, however it ended. A person with several
/// connections (tabs, devices) is present until the last of them has ended or has been untracked.
///
/// `Presence` is independent of [`Rooms`](crate::Rooms). Its rooms are names too, and you can use the same ones.
/// But a connection that leaves a room of `Rooms` remains present until you [untrack](Self::untrack) it.
///
/// Metadata is dropped while no lock is held. So the destructor of `M` may call any method of `Presence`, and a
/// panic in that destructor affects nothing else.
///
/// With [`new`](Self::new), it is about the connections of this process; with [`on`](Self::on), about those of all
/// nodes of a [`Cluster`].
pub struct Presence<M> {
    /// The topic ends with the last clone, although tasks may keep the tracker a little longer.
    topic: Option<Arc<TopicHandle>>,
    tracker: Arc<Tracker<M>>,
}

impl<M: Serialize + Send + Sync + 'static> Presence<M> {
    /// Creates an empty presence tracker with the default options.
    ///
    /// Also spawns a task that sends changes to watchers. The task sleeps while nothing changes, and ends when the
    /// last clone is dropped.
    ///
    /// # Panics
    /// On tokio, if it is called outside of the runtime.
    pub fn new(runtime: impl Runtime) -> Self {
        Self::with_options(runtime, PresenceOptions::default())
    }

    /// Creates an empty presence tracker, as [`new`](Self::new) does, with other options.
    ///
    /// # Panics
    /// As [`new`](Self::new) does.
    pub fn with_options(runtime: impl Runtime, options: PresenceOptions) -> Self {
        Self { topic: None, tracker: Tracker::new(runtime, with_least_window(options), None) }
    }

    // ---- being present

    /// Marks a person as present in a room, with this connection, or replaces the connection's metadata.
    ///
    /// `person` is the key of the person, which you choose. In each room, a connection belongs to one person. If you
    /// track it again with another key, it moves to that person.
    ///
    /// # Errors
    /// Returns an error if the connection has ended, if `meta` cannot be encoded as JSON, or if one of the
    /// [limits](PresenceOptions) would be exceeded. Then the call has no effect: a connection that was tracked
    /// before is still tracked as it was.
    pub fn track(
        &self,
        connection: &Connection,
        room: &str,
        person: &str,
        meta: M,
    ) -> Result<(), TrackError> {
        let json = to_raw_value(&meta).map_err(TrackError::NotJson)?;
        let (size, limit) = (json.get().len(), self.tracker.options.max_meta_size);
        if size > limit {
            return Err(TrackError::MetaTooLarge { size, limit });
        }
        let tracked = Tracked::new(connection.id(), None, meta, json.into());
        self.tracker.track(connection, room, person, tracked)
    }

    /// Stops tracking a connection in a room. Returns whether it was tracked there. A person without connections is
    /// no longer present.
    pub fn untrack(&self, id: ConnectionId, room: &str) -> bool {
        self.tracker.untrack(id, room)
    }

    // ---- the people who are present now

    /// Returns the people in a room, sorted by the bytes of their keys.
    ///
    /// This makes a list of all people, while the room is locked. If any client can request the list, use
    /// [`list_after`](Self::list_after) or [`count`](Self::count).
    #[must_use]
    pub fn list(&self, room: &str) -> Vec<Arc<Person<M>>> {
        self.list_after(room, None, usize::MAX)
    }

    /// Returns up to `limit` people in a room, sorted by the bytes of their keys: those who follow the key `after`,
    /// or the first ones if `after` is `None`. For the next page, pass the last key of the previous page.
    ///
    /// The cost depends on the size of the page, not of the room.
    #[must_use]
    pub fn list_after(&self, room: &str, after: Option<&str>, limit: usize) -> Vec<Arc<Person<M>>> {
        self.tracker.read(room, |room| room.people.list_after(after, limit)).unwrap_or_default()
    }

    /// Returns the person with this key, if they are in the room.
    #[must_use]
    pub fn person(&self, room: &str, key: &str) -> Option<Arc<Person<M>>> {
        self.tracker.read(room, |room| room.people.get(key)).flatten()
    }

    /// Returns the number of people in a room.
    #[must_use]
    pub fn count(&self, room: &str) -> usize {
        self.tracker.read(room, |room| room.people.len()).unwrap_or(0)
    }

    // ---- watching

    /// Subscribes a connection to the changes in a room. The connection receives the list of people, and then the
    /// changes of each [window](PresenceOptions::window), as [JSON
    /// messages](crate::docs::presence#messages-to-watchers). Returns `false` if it was watching already.
    ///
    /// # Errors
    /// Returns an error if the connection has ended, or if the rooms in which it is tracked, together with
    /// those that it watches, have reached the [maximum number](PresenceOptions::max_rooms_per_connection).
    pub fn watch(&self, connection: &Connection, room: &str) -> Result<bool, JoinError> {
        self.tracker.watch(connection, room)
    }

    /// Stops sending a room's changes to a connection. Returns whether it was watching.
    pub fn unwatch(&self, id: ConnectionId, room: &str) -> bool {
        self.tracker.unwatch(id, room)
    }

    /// Watches a room from your own program. Returns a [`Watch`], which receives the same changes as a connection
    /// that [watches](Self::watch).
    #[must_use]
    pub fn watch_here(&self, room: &str) -> Watch<M> {
        self.tracker.watch_here(room)
    }
}

impl<M: Serialize + DeserializeOwned + Send + Sync + 'static> Presence<M> {
    /// Creates a presence tracker of a node of a cluster, with the default options. It shows the people of all nodes.
    ///
    /// Nodes tell each other about the people of a topic, whose name you choose. So several trackers of one node can
    /// have the same rooms. All nodes should have metadata of the same type for a topic: a connection whose metadata
    /// cannot be read is not shown, and [counted](crate::ClusterCounts::unreadable).
    ///
    /// A node knows the people of the other nodes in a room while it has a person or a watcher there itself. In other
    /// rooms, it knows nobody: [`list`](Self::list) and [`count`](Self::count) return nothing. A [`Watch`] that is kept
    /// is enough to know a room.
    ///
    /// ```no_run
    /// # fn example(connection: &prism_driver::Connection, cluster: prism_rooms::Cluster) -> Result<(), Box<dyn std::error::Error>> {
    /// use prism_rooms::Presence;
    /// use serde::{Deserialize, Serialize};
    ///
    /// #[derive(Serialize, Deserialize)]
    /// struct Status {
    ///     typing: bool,
    /// }
    ///
    /// let presence = Presence::on(&cluster, "status"); // instead of `Presence::new(runtime)`
    /// presence.track(connection, "tea", "ada", Status { typing: false })?;
    /// presence.watch(connection, "tea")?;
    /// println!("{} people", presence.count("tea")); // on all nodes
    /// # Ok(()) }
    /// ```
    ///
    /// [The guide](crate::docs::cluster_presence) says what you can rely on.
    ///
    /// # Limits
    ///
    /// The metadata of a connection may have up to 8 KiB of JSON, whatever
    /// [the options](PresenceOptions::max_meta_size) say. A room is local if its name and the topic's have more than 1
    /// KiB together, and so is a person whose key has more.
    ///
    /// # Panics
    /// If the node has a tracker for this topic already. Clone that one. And as [`new`](Self::new) does.
    pub fn on(cluster: &Cluster, topic: &str) -> Self {
        Self::on_with_options(cluster, topic, PresenceOptions::default())
    }

    /// Creates a presence tracker of a node of a cluster, as [`on`](Self::on) does, with other options. Each node
    /// enforces them for its own connections. It counts the people of all nodes that it knows; so there can be more
    /// than the limit if several nodes track people at the same moment, or while they cannot reach each other.
    ///
    /// # Panics
    /// As [`on`](Self::on) does.
    pub fn on_with_options(cluster: &Cluster, topic: &str, options: PresenceOptions) -> Self {
        let Some(name) = cluster.topic(topic) else {
            panic!("the node has a presence tracker for the topic {topic:?} already");
        };
        let in_cluster = InCluster::new(name, |json| serde_json::from_str(json.get()));
        let options = options.max_meta_size(options.max_meta_size.min(MAX_META));
        let options = with_least_window(options);
        let topic = Some(Arc::new(in_cluster.handle()));
        Self { topic, tracker: Tracker::new(cluster.runtime(), options, Some(in_cluster)) }
    }
}

impl<M> Presence<M> {
    /// Sleeps on the runtime of this tracker.
    pub(crate) async fn sleep(&self, span: Duration) {
        (self.tracker.timer)(span).await;
    }
}

/// While people keep changing, the task would never sleep without a least window.
fn with_least_window(options: PresenceOptions) -> PresenceOptions {
    options.window(options.window.max(Duration::from_millis(1)))
}

impl<M> Clone for Presence<M> {
    fn clone(&self) -> Self {
        Self { topic: self.topic.clone(), tracker: self.tracker.clone() }
    }
}

impl<M> fmt::Debug for Presence<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Presence").field("options", &self.tracker.options).finish_non_exhaustive()
    }
}

#[cfg(all(test, not(prism_loom)))]
mod tests {
    use prism_test::Sim;

    use super::Presence;
    use crate::{Cluster, MemoryBroker};

    #[test]
    fn a_topic_may_begin_again_although_a_task_keeps_the_last_tracker() {
        let sim = Sim::new();
        sim.run(async {
            let cluster = Cluster::new(sim.clone(), MemoryBroker::new().backplane());
            let first = Presence::<String>::on(&cluster, "status");
            let kept = first.tracker.clone();
            drop(first);
            let second = Presence::<String>::on(&cluster, "status");
            drop(kept);
            let panic = std::panic::AssertUnwindSafe(|| Presence::<String>::on(&cluster, "status"));
            assert!(std::panic::catch_unwind(panic).is_err(), "the second one has not ended");
            drop(second);
        });
    }
}
