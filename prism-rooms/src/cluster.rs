//! [`Cluster`]: rooms across several processes.

use std::{
    fmt,
    hash::{BuildHasher, RandomState},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use async_channel::Receiver;
use prism_driver::{Deferring, Runtime, in_batches};

use crate::{
    backplane::Backplane,
    history::{appends::AppendCounts, hub::Hub, task::HistoryTask},
    options::RoomsOptions,
    rooms::Rooms,
};

pub(crate) mod action;
pub(crate) mod core;
mod deadline;
pub(crate) mod elsewhere;
pub(crate) mod envelope;
pub(crate) mod event;
pub(crate) mod node_id;
pub(crate) mod present;
mod run;
pub(crate) mod runtime;
mod served;
pub(crate) mod shared;
pub(crate) mod topic;
pub(crate) mod topic_observer;

use self::{
    event::{ClusterCounts, ClusterEvent},
    node_id::NodeId,
    run::ClusterTask,
    runtime::AnyRuntime,
    shared::{ClusterHandle, Shared},
    topic::Topic,
};

/// A node of a cluster: rooms whose members are connected to several processes. Cheap to clone: all clones are the same
/// node.
///
/// The nodes exchange messages over a [`Backplane`]. Each has [`rooms`](Self::rooms), which are used like any others. A
/// message to a room is sent to its members on this node, as always, and published for the others. The same is true of
/// messages to [everyone](Rooms::everyone), of [`close`](crate::Recipients::close), and of
/// [`wake`](crate::Recipients::wake). [`len_everywhere`](Rooms::len_everywhere) counts the members on all nodes, and
/// [`reached`](Rooms::reached) waits until messages of the others arrive. The other methods of rooms, such as
/// [`len`](Rooms::len) and [`members`](Rooms::members), see the connections of this node. Presence that is
/// [on the cluster](crate::Presence::on) shows the people on all nodes.
///
/// ```no_run
/// # fn example(connection: prism_driver::Connection, backplane: prism_rooms::MemoryBackplane) {
/// use prism_rooms::Cluster;
/// use prism_tokio::Tokio;
///
/// let cluster = Cluster::new(Tokio, backplane);
/// let rooms = cluster.rooms(); // instead of `Rooms::new()`
/// rooms.join(&connection, "tea").unwrap();
/// let delivery = rooms.to("tea").send("the kettle is on");
/// println!("sent to {} here, elsewhere {:?}", delivery.delivered, delivery.elsewhere);
/// # }
/// ```
///
/// No call waits for the backplane. If it fails, rooms go on locally, and the node tries to reach it until it does.
/// [`events`](Self::events) and [`counts`](Self::counts) report this.
/// [What you can rely on in a cluster](crate::docs::cluster) has the guarantees.
///
/// The node [leaves](Self::leave) when the last clone of this, of its rooms, of presence on it, and of the handlers
/// that have them is dropped.
///
/// # Limits
///
/// Other nodes miss a message of more than 1 MiB, one for more than 64 rooms, and one that excludes more than 64
/// connections of other nodes. A room whose name is longer than 1 KiB is local.
///
/// Messages that wait to be published take up 4 MiB at most. If there are more, or if they wait for more than 2 s, the
/// oldest are dropped.
#[derive(Clone)]
pub struct Cluster {
    rooms: Rooms,
    handle: Arc<ClusterHandle>,
    runtime: AnyRuntime,
    /// `None` if the backplane keeps no messages.
    history: Option<Arc<Hub>>,
    /// Closed when the node has left.
    left: Receiver<()>,
}

/// A receiver of what happens in a cluster. Returned by [`Cluster::events`].
pub struct ClusterEvents(Receiver<ClusterEvent>);

impl Cluster {
    /// Creates a node, and spawns the task that connects it. The runtime has to be the one on which it is called.
    #[must_use]
    pub fn new(runtime: impl Runtime, backplane: impl Backplane) -> Self {
        Self::with_options(runtime, backplane, RoomsOptions::default())
    }

    /// Creates a node, with other options for its rooms, and spawns the task that connects it. The runtime has to be
    /// the one on which it is called.
    #[must_use]
    pub fn with_options(
        runtime: impl Runtime,
        backplane: impl Backplane,
        options: RoomsOptions,
    ) -> Self {
        let clock = runtime.clone();
        let (shared, signals) = Shared::new(new_origin(), move || clock.now());
        let shared = Arc::new(shared);
        let handle = Arc::new(ClusterHandle::new(shared.clone()));
        let rooms = Rooms::in_cluster(options, handle.clone());
        let (runs, left) = async_channel::bounded(1);
        let membership = rooms.downgrade();
        let hub = Arc::new(Hub::new(shared.signal()));
        let history = backplane.keeps_history().then(|| hub.clone());
        let any_runtime = AnyRuntime::new(runtime.clone());
        let history_task = HistoryTask::new(hub, any_runtime.clone(), membership.clone());
        let task =
            ClusterTask::new(runtime.clone(), shared, signals, runs, membership, history_task);
        // In batches, because most of what it does is to send to many members.
        runtime.spawn(in_batches(task.run(backplane)));
        Self { rooms, handle, runtime: any_runtime, history, left }
    }

    /// Returns the rooms of this node. Each call returns the same.
    #[must_use]
    pub fn rooms(&self) -> Rooms {
        self.rooms.clone()
    }

    /// Returns the ID of this node. In a process with one cluster, its number is the [origin](prism_driver::origin) of
    /// the process's stamps and connections.
    #[must_use]
    pub fn node(&self) -> NodeId {
        self.handle.shared().origin
    }

    /// Returns a receiver of what happens from now on. If the node cannot reach the backplane, the first event is
    /// [why](ClusterEvent::ConnectFailed). A receiver that is 1,024 events behind misses the oldest.
    ///
    /// ```no_run
    /// # async fn example(cluster: prism_rooms::Cluster) {
    /// let events = cluster.events();
    /// while let Some(event) = events.recv().await {
    ///     println!("{event:?} {:?}", cluster.counts());
    /// }
    /// # }
    /// ```
    #[must_use]
    pub fn events(&self) -> ClusterEvents {
        ClusterEvents(self.handle.shared().listen())
    }

    /// Returns a snapshot of the counters.
    #[must_use]
    pub fn counts(&self) -> ClusterCounts {
        let counts = self.handle.shared().counts();
        let Some(hub) = &self.history else { return counts };
        let AppendCounts { kept, not_kept, unconfirmed } = hub.append_counts();
        ClusterCounts { kept, not_kept, unconfirmed, ..counts }
    }

    /// Leaves the cluster: publishes what waits to be published, says goodbye, and waits until that is done, for a
    /// second at most. The other nodes then know at once that this one has gone; otherwise they would have to wait for
    /// 7 s of silence.
    ///
    /// Call this when a server has shut down. If the future is dropped, the node leaves all the same.
    ///
    /// # Open connections
    /// Connections that are still open stay so, and their rooms go on locally: members receive what is sent to them on
    /// this node, other nodes [miss](crate::Elsewhere::Missed) it, and presence shows the people of this node. Members
    /// of rooms with a [`History`](crate::History) are closed with 1012 instead, because they can receive nothing more
    /// here. They reconnect to another node, which sends them what they have missed.
    ///
    /// [`History::append`](crate::History::append) fails from now on. What is being appended is kept if the backplane
    /// confirms it in time. Otherwise it ends with [`AppendError::Unknown`](crate::AppendError::Unknown), or with
    /// [`Unavailable`](crate::AppendError::Unavailable) if it was not given to the backplane.
    pub async fn leave(&self) {
        self.handle.shared().leave();
        let _ = Deferring::new(self.left.recv()).await; // fails when the task has ended, and not before
    }
}

impl ClusterEvents {
    /// Waits for the next event. Returns `None` once the node has left. Cancel-safe.
    pub async fn recv(&self) -> Option<ClusterEvent> {
        Deferring::new(self.0.recv()).await.ok()
    }
}

impl Cluster {
    /// Returns a topic of presence on this node, if there is none with this name.
    pub(crate) fn topic(&self, name: &str) -> Option<Topic> {
        Topic::new(name, self.handle.clone())
    }

    pub(crate) fn runtime(&self) -> AnyRuntime {
        self.runtime.clone()
    }

    /// Returns what a history shares with this node, if the backplane keeps messages.
    pub(crate) fn history(&self) -> Option<Arc<Hub>> {
        self.history.clone()
    }
}

/// Returns the ID of a new node: that of the process, unless another node of this process has it.
fn new_origin() -> NodeId {
    static NODES: AtomicU64 = AtomicU64::new(0);
    loop {
        let number = match NODES.fetch_add(1, Ordering::Relaxed) {
            0 => prism_driver::origin(),
            number => RandomState::new().hash_one((prism_driver::origin(), number)),
        };
        if let Some(origin) = NodeId::new(number) {
            return origin;
        }
    }
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Cluster");
        debug.field("node", &self.node()).field("counts", &self.counts()).finish_non_exhaustive()
    }
}

impl fmt::Debug for ClusterEvents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClusterEvents").field("waiting", &self.0.len()).finish_non_exhaustive()
    }
}
