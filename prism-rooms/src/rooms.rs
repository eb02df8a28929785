//! [`Rooms`]: which connections are in which room. The public face of the [`Membership`].

use std::{fmt, sync::Arc};

use prism_driver::{Connection, ConnectionId};

use crate::{error::JoinError, options::RoomsOptions, shards::DEFAULT_SHARDS};

mod broadcast;
mod membership;
mod stamp;

use self::membership::{Membership, Scope};
pub use self::{
    broadcast::{Delivery, Recipients},
    stamp::Stamp,
};

/// Rooms, and the connections in them. Cheap to clone: all clones share the same rooms.
///
/// A room is a name. It exists from when its first member joins until its last member has left. A connection
/// can be in several rooms. When it ends, however it ends, it leaves them all before
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
/// No method is async or waits for a peer, so you can call them from anywhere.
#[derive(Clone)]
pub struct Rooms {
    membership: Arc<Membership<Connection>>,
}

/// A connection that has left one or more rooms. Passed to the hooks of [`Rooms::on_leave`].
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Departure<'a> {
    /// The rooms that the hook is registered with. Use this to send to the other members. If the hook captured
    /// a clone instead, the rooms would own the hook and the hook the rooms, so neither would ever be dropped.
    pub rooms: &'a Rooms,
    /// The connection that has left. If it has [ended](Self::ended), you can neither send to it nor let it join
    /// a room, but its ID, path, parameters and query are still available.
    pub connection: &'a Connection,
    /// The names of the rooms that it has left: at least one, in no particular order.
    pub left: &'a [Arc<str>],
    /// Whether it left because it has ended. Otherwise it left by [`Rooms::leave`] or [`Rooms::leave_all`].
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

    // ---- joining and leaving

    /// Adds a connection to [`everyone`](Self::everyone) without letting it join a room. Returns whether it is
    /// among them now: `false` if it has ended.
    pub fn add(&self, connection: &Connection) -> bool {
        self.membership.add(connection)
    }

    /// Lets a connection join a room. Returns whether it has joined: `false` if it was in the room already.
    ///
    /// The connection receives everything that is sent to the room after this has returned, and nothing that
    /// was sent before this was called.
    ///
    /// # Errors
    /// Returns an error if the connection has ended, or if it is already in as many rooms as it
    /// [may be](RoomsOptions::max_rooms_per_connection).
    pub fn join(&self, connection: &Connection, room: &str) -> Result<bool, JoinError> {
        self.membership.join(connection, room)
    }

    /// Removes a connection from a room. Returns whether it was in the room.
    pub fn leave(&self, id: ConnectionId, room: &str) -> bool {
        self.membership.leave(id, room)
    }

    /// Removes a connection from all its rooms. Returns the names of the rooms that it was in. It stays among
    /// [`everyone`](Self::everyone).
    pub fn leave_all(&self, id: ConnectionId) -> Vec<Arc<str>> {
        self.membership.leave_all(id)
    }

    /// Registers a hook that is called when a connection has left one or more rooms: by
    /// [`leave`](Self::leave), by [`leave_all`](Self::leave_all), or because it has ended, however it
    /// ended. Each time that a connection joins a room is followed by exactly one departure from it.
    ///
    /// ```no_run
    /// # use prism_rooms::Rooms;
    /// let rooms = Rooms::new();
    /// rooms.on_leave(|departure| {
    ///     let name = departure.connection.query().unwrap_or("somebody");
    ///     for room in departure.left {
    ///         departure.rooms.to(room).send(&format!("{name} left"));
    ///     }
    /// });
    /// ```
    ///
    /// The connection is removed from these rooms before the call. If it left by `leave` or `leave_all`, the
    /// hook is called before the method returns. If it has ended, the hook is called once with all of its rooms,
    /// before [`on_disconnect`](prism_driver::Handler::on_disconnect). (If the connection's task was dropped,
    /// the hook runs although `on_disconnect` does not.) If it was in no room, the hook is not called.
    ///
    /// The hook runs in the task or thread in which the connection leaves, while these rooms hold no lock. So it
    /// may call any method, also to let other connections join or leave; the departures that it causes call it
    /// again. Keep it quick, because it delays the end of the connection. A panic in it affects nothing else.
    ///
    /// You can register any number of hooks; they are called in the order of registration. A hook cannot be
    /// removed: it is dropped with the last clone of these rooms.
    ///
    /// If many members of a room leave at the same time, as in a shutdown, announcing each departure to the
    /// remaining members takes quadratic time. For large rooms use [`Presence`](crate::Presence), which batches
    /// changes. Presence and rooms do not wait for each other: when a connection ends, it may or may not be
    /// [listed](crate::Presence::list) there while the hook runs.
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

    /// Selects every connection as a recipient, from when it first joined a room or was [added](Self::add)
    /// until it ends.
    ///
    /// A message to everyone has a place in the order of each room. For that it waits until the messages that
    /// are being sent to rooms are in their members' outboxes, and messages to rooms wait for it meanwhile.
    pub fn everyone(&self) -> Recipients<'_> {
        Recipients::new(&self.membership, Scope::Everyone)
    }

    /// Returns the connection with this ID, if it is among [`everyone`](Self::everyone).
    #[must_use]
    pub fn one(&self, id: ConnectionId) -> Option<Connection> {
        self.membership.member(id)
    }

    // ---- the rooms and their members, at this moment

    /// Returns the number of rooms.
    #[must_use]
    pub fn room_count(&self) -> usize {
        self.membership.rooms().len()
    }

    /// Returns the number of connections among [`everyone`](Self::everyone).
    #[must_use]
    pub fn connection_count(&self) -> usize {
        self.membership.member_count()
    }

    /// Returns the names of all rooms, in no particular order.
    ///
    /// This copies all of them. If there may be very many, or if any client can ask for them, use
    /// [`names_after`](Self::names_after).
    #[must_use]
    pub fn names(&self) -> Vec<Arc<str>> {
        self.membership.rooms().names()
    }

    /// Returns a page of the names of all rooms: the first `most` names in the order of their bytes, starting
    /// after `after`, or at the beginning if it is `None`. For the next page, pass the last name of the
    /// previous one.
    ///
    /// The cost grows with the size of the page, and hardly with the number of rooms. A room that exists while
    /// you ask for all pages is on exactly one of them. A room that appears or vanishes meanwhile may or may
    /// not be.
    ///
    /// ```no_run
    /// # use prism_rooms::Rooms;
    /// # fn example(rooms: &Rooms) {
    /// let first = rooms.names_after(None, 100);
    /// let second = rooms.names_after(first.last().map(|name| &**name), 100);
    /// # }
    /// ```
    #[must_use]
    pub fn names_after(&self, after: Option<&str>, most: usize) -> Vec<Arc<str>> {
        self.membership.rooms().names_after(after, most)
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

    /// Returns whether a room has no members, that is, does not exist.
    #[must_use]
    pub fn is_empty(&self, room: &str) -> bool {
        self.len(room) == 0
    }

    /// Returns the IDs of the members of a room, in no particular order.
    #[must_use]
    pub fn members(&self, room: &str) -> Vec<ConnectionId> {
        let ids = self.membership.with_members(room, |members| members.keys().copied().collect());
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
