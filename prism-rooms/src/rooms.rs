//! [`Rooms`]: which connections are in which room. The public interface of the [`Membership`].

use std::{
    fmt,
    sync::{Arc, Weak},
};

use prism_driver::{Connection, ConnectionId, Deferring};

use crate::{
    cluster::{event::MemberCount, shared::ClusterHandle},
    error::JoinError,
    options::RoomsOptions,
    shards::DEFAULT_SHARDS,
};

mod broadcast;
pub(crate) mod deliver;
pub(crate) mod membership;

pub use self::broadcast::{Closed, Delivery, Recipients};
use self::membership::{Membership, Scope};

/// Rooms, and the connections in them. Cheap to clone: all clones share the same rooms.
///
/// A room is a name. It exists from the moment when its first member joins until its last member leaves. A
/// connection can be in several rooms. When a connection ends, however it ends, it leaves all its rooms before
/// [`on_disconnect`](prism_driver::Handler::on_disconnect) is called.
///
/// ```no_run
/// # fn example(connection: &prism_driver::Connection) {
/// use prism_rooms::Rooms;
///
/// let rooms = Rooms::new();
/// if rooms.join(connection, "lobby") == Ok(true) {
///     rooms.to("lobby").except(connection.id()).send("somebody joined");
/// }
/// # }
/// ```
///
/// No method waits for a peer, and only [`reached`](Self::reached) and [`len_everywhere`](Self::len_everywhere), which
/// are about the other nodes of a [cluster](crate::Cluster), are async. You can call all of them from any task or
/// thread, inside and outside of a handler.
#[derive(Clone)]
pub struct Rooms {
    membership: Arc<Membership<Connection>>,
}

/// A connection that has left one or more rooms. Passed to the hooks of [`Rooms::on_leave`].
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Departure<'a> {
    /// The [`Rooms`] that the hook is registered with. Use it to send to the other members. A hook that captured a
    /// clone of `Rooms` instead would form a reference cycle with it, so that neither would ever be dropped. So would
    /// one that captured their [`Cluster`](crate::Cluster) or [`History`](crate::History), and the node would never
    /// leave. A hook may capture a [`Presence`](crate::Presence).
    pub rooms: &'a Rooms,
    /// The connection that has left. If it has [ended](Self::ended), you can neither send to it nor add it to a
    /// room, but its ID, path, parameters, query and [data](Connection::data) are still available.
    pub connection: &'a Connection,
    /// The names of the rooms that the connection has left: at least one, in no particular order.
    pub left: &'a [Arc<str>],
    /// Whether the connection has left because it has ended. Otherwise, [`Rooms::leave`] or [`Rooms::leave_all`] was
    /// called.
    pub ended: bool,
}

impl Rooms {
    /// Creates an empty set of rooms with the default options.
    #[must_use]
    pub fn new() -> Self {
        Self::with_options(RoomsOptions::default())
    }

    /// Creates an empty set of rooms with other options.
    #[must_use]
    pub fn with_options(options: RoomsOptions) -> Self {
        Self { membership: Membership::new(DEFAULT_SHARDS, options.max_rooms_per_connection) }
    }

    /// Creates the rooms of a node.
    pub(crate) fn in_cluster(options: RoomsOptions, cluster: Arc<ClusterHandle>) -> Self {
        let limit = options.max_rooms_per_connection;
        Self { membership: Membership::in_cluster(DEFAULT_SHARDS, limit, cluster) }
    }

    pub(crate) fn downgrade(&self) -> Weak<Membership<Connection>> {
        Arc::downgrade(&self.membership)
    }

    // ---- joining and leaving

    /// Adds a connection to [`everyone`](Self::everyone), but to no room. Returns `false` if the connection has ended,
    /// and `true` otherwise, even if it had been added before.
    pub fn add(&self, connection: &Connection) -> bool {
        self.membership.add(connection)
    }

    /// Adds a connection to a room. Returns whether it has joined: `false` if it was in the room already.
    ///
    /// The connection is a recipient of every message that is sent to the room after `join` has returned, and of none
    /// that was sent before `join` was called. In a [cluster](crate::Cluster), this is true of messages that are sent
    /// on this node; for those of other nodes, wait until the room is [`reached`](Self::reached).
    ///
    /// # Errors
    /// Returns an error if the connection has ended, or if it is already in the [maximum number of
    /// rooms](RoomsOptions::max_rooms_per_connection).
    pub fn join(&self, connection: &Connection, room: &str) -> Result<bool, JoinError> {
        self.membership.join(connection, room)
    }

    /// Removes a connection of this node from a room. Returns whether it was in the room. In a
    /// [cluster](crate::Cluster), connections of other nodes are not found, and stay.
    pub fn leave(&self, id: ConnectionId, room: &str) -> bool {
        self.membership.leave(id, room)
    }

    /// Removes a connection from all its rooms. Returns their names. The connection still belongs to
    /// [`everyone`](Self::everyone).
    pub fn leave_all(&self, id: ConnectionId) -> Vec<Arc<str>> {
        self.membership.leave_all(id)
    }

    /// Registers a hook that is called when a connection has left one or more rooms: by
    /// [`leave`](Self::leave), by [`leave_all`](Self::leave_all), or because it has ended, however it
    /// ended. Each time a connection has joined a room, that room is in exactly one later departure.
    ///
    /// ```no_run
    /// # use prism_rooms::Rooms;
    /// let rooms = Rooms::new();
    /// rooms.on_leave(|departure| {
    ///     let name = departure.connection.query().unwrap_or("somebody");
    ///     for room in departure.left {
    ///         departure.rooms.to(room).send(format!("{name} left"));
    ///     }
    /// });
    /// ```
    ///
    /// The connection is removed from its rooms before the hook is called. The methods `leave` and `leave_all` call
    /// the hook before they return. When a connection has ended, the hook is called once with all of its rooms,
    /// before [`on_disconnect`](prism_driver::Handler::on_disconnect). (If the connection's task was dropped,
    /// the hook runs although `on_disconnect` does not.) For a connection that was in no room, the hook is not
    /// called.
    ///
    /// The hook runs in the task or thread that removes the connection, and no lock of `Rooms` is held. So the hook
    /// may call any method of `Rooms`, and may even add or remove other connections. If it calls `leave` or
    /// `leave_all`, they call the hook again, recursively. Keep the hook quick, because it delays the end of the
    /// connection. A panic in the hook affects nothing else.
    ///
    /// You can register any number of hooks; they are called in the order of registration. A hook cannot be
    /// removed: it is dropped with the last clone of this `Rooms`.
    ///
    /// If many members of a room leave at the same time, as in a shutdown, announcing each departure to the
    /// remaining members takes quadratic time. For large rooms use [`Presence`](crate::Presence), which batches
    /// changes. `Presence` and `Rooms` are not synchronized: while the hook runs for a connection that has ended,
    /// that connection may or may not be [listed](crate::Presence::list) by `Presence`.
    pub fn on_leave(&self, hook: impl Fn(&Departure<'_>) + Send + Sync + 'static) {
        let membership = Arc::downgrade(&self.membership);
        self.membership.on_leave(move |connection, left, ended| {
            // Always succeeds, because the hook is called by a method of the membership.
            if let Some(membership) = membership.upgrade() {
                hook(&Departure { rooms: &Self { membership }, connection, left, ended });
            }
        });
    }

    // ---- sending

    /// Selects the members of a room as the recipients of a message. A room that does not exist has no members.
    pub fn to<'a>(&'a self, room: &'a str) -> Recipients<'a> {
        Recipients::new(&self.membership, Scope::Rooms(vec![room]))
    }

    /// Selects all connections that have joined a room, or were [added](Self::add), and have not ended. This includes
    /// connections that have left all their rooms.
    ///
    /// A message to everyone has one place in the order of each room: all members of the room receive it at that place.
    /// To ensure that, its `send` blocks until every `send` in progress has put its message into the outboxes, and
    /// further calls to `send` block until it is done. None of them waits for a peer.
    pub fn everyone(&self) -> Recipients<'_> {
        Recipients::new(&self.membership, Scope::Everyone)
    }

    /// Returns the connection with this ID, if it belongs to [`everyone`](Self::everyone).
    #[must_use]
    pub fn one(&self, id: ConnectionId) -> Option<Connection> {
        self.membership.member(id)
    }

    /// Waits until messages that other nodes of the [`Cluster`](crate::Cluster) send to a room arrive here. Returns
    /// whether they do.
    ///
    /// The first connection that joins a room makes this node subscribe to it, which takes a moment: the time of a
    /// round trip to the backplane, or until the backplane can be reached. The room's members receive what other nodes
    /// send after this has returned. They may receive some that was sent before.
    ///
    /// Returns `false` if the room has no members here, or none any more, and if the node has left the cluster. Returns
    /// at once if there is no cluster: `true` if the room has members. Cancel-safe.
    ///
    /// ```no_run
    /// # async fn example(rooms: prism_rooms::Rooms, connection: prism_driver::Connection) {
    /// if rooms.join(&connection, "tea") == Ok(true) && rooms.reached("tea").await {
    ///     let _ = connection.try_send("you will miss nothing from here on");
    /// }
    /// # }
    /// ```
    pub async fn reached(&self, room: &str) -> bool {
        match self.membership.cluster() {
            Some(cluster) => {
                let answer = cluster.ask(room);
                Deferring::new(answer.recv()).await.unwrap_or(false)
            }
            None => !self.is_empty(room),
        }
    }

    // ---- the rooms and their members, at this moment

    /// Returns the number of rooms.
    #[must_use]
    pub fn room_count(&self) -> usize {
        self.membership.rooms().len()
    }

    /// Returns the number of connections that belong to [`everyone`](Self::everyone).
    #[must_use]
    pub fn connection_count(&self) -> usize {
        self.membership.member_count()
    }

    /// Returns the names of all rooms, in no particular order.
    ///
    /// This makes a list of all names. If there may be very many rooms, and any client can request the list, use
    /// [`names_after`](Self::names_after).
    #[must_use]
    pub fn names(&self) -> Vec<Arc<str>> {
        self.membership.rooms().names()
    }

    /// Returns up to `limit` names of rooms, sorted by their bytes: those that follow the name `after`, or the first
    /// ones if `after` is `None`. For the next page, pass the last name of the previous page.
    ///
    /// The cost depends on the size of the page, and hardly on the number of rooms. A room that exists while you
    /// ask for all pages is on exactly one of them. A room that is created or disappears in the meantime is on one
    /// of them or on none.
    ///
    /// ```no_run
    /// # use prism_rooms::Rooms;
    /// # fn example(rooms: &Rooms) {
    /// let first = rooms.names_after(None, 100);
    /// let second = rooms.names_after(first.last().map(|name| &**name), 100);
    /// # }
    /// ```
    #[must_use]
    pub fn names_after(&self, after: Option<&str>, limit: usize) -> Vec<Arc<str>> {
        self.membership.rooms().names_after(after, limit)
    }

    /// Returns the names of the rooms that a connection is in, in no particular order.
    #[must_use]
    pub fn rooms_of(&self, id: ConnectionId) -> Vec<Arc<str>> {
        self.membership.rooms_of(id)
    }

    /// Returns the number of members in a room.
    #[must_use]
    pub fn len(&self, room: &str) -> usize {
        self.membership.with_members(room, |members| members.len()).unwrap_or(0)
    }

    /// Returns the number of members in a room on all nodes of the [`Cluster`](crate::Cluster). Asks the other nodes,
    /// and waits for their answers, for 300 ms at most.
    ///
    /// This costs each node an answer, so it is for an occasional look, and not for each request of a peer. Without a
    /// cluster, it returns the number of members here at once. Cancel-safe.
    ///
    /// ```no_run
    /// # async fn example(rooms: prism_rooms::Rooms) {
    /// let count = rooms.len_everywhere("tea").await;
    /// println!("{} members at {} nodes; {} have not answered", count.members, count.nodes, count.unanswered);
    /// # }
    /// ```
    pub async fn len_everywhere(&self, room: &str) -> MemberCount {
        let members = self.len(room);
        let here = MemberCount { members, nodes: 1, unanswered: 0 };
        match self.membership.cluster() {
            Some(cluster) => {
                let answer = cluster.count(room, members);
                Deferring::new(answer.recv()).await.unwrap_or(here)
            }
            None => here,
        }
    }

    /// Returns whether a room has no members, that is, does not exist.
    #[must_use]
    pub fn is_empty(&self, room: &str) -> bool {
        self.len(room) == 0
    }

    /// Returns the IDs of the members of a room, in no particular order.
    ///
    /// This makes a list of all members, while the room is locked. If there may be very many members, and any client
    /// can request the list, use [`len`](Self::len), or track the members with a [`Presence`](crate::Presence) and use
    /// [`list_after`](crate::Presence::list_after).
    #[must_use]
    pub fn members(&self, room: &str) -> Vec<ConnectionId> {
        let ids = self.membership.with_members(room, |members| members.ids().collect());
        ids.unwrap_or_default()
    }

    /// Returns whether a connection is in a room.
    #[must_use]
    pub fn contains(&self, room: &str, id: ConnectionId) -> bool {
        self.membership.contains(room, id)
    }
}

impl Default for Rooms {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Rooms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Rooms");
        debug.field("rooms", &self.room_count()).field("connections", &self.connection_count());
        debug.finish_non_exhaustive()
    }
}
