//! [`Rooms`]: the public face of the [`Membership`].

use std::{fmt, sync::Arc};

use prism_driver::{Connection, ConnectionId};

use crate::{error::JoinError, options::RoomsOptions, shards::DEFAULT_SHARDS};

mod membership;
mod recipients;
mod stamp;

use self::membership::{Membership, Scope};
pub use self::{
    recipients::{Delivery, Recipients},
    stamp::Stamp,
};

/// Rooms, and the connections in them. Cheap to clone: a clone is the same rooms.
///
/// A room is a name. It is there from when its first member joins until its last one has left. A
/// connection can be in any number of rooms; it leaves them all when it ends, however it ends,
/// before [`on_disconnect`](prism_driver::Handler::on_disconnect) is called.
///
/// ```no_run
/// # fn example(connection: &prism_driver::Connection) {
/// use prism_rooms::Rooms;
///
/// let rooms = Rooms::new();
/// if rooms.join(connection, "lobby") == Ok(true) {
///     rooms.to("lobby").except(connection.id()).send("somebody came in");
/// }
/// # }
/// ```
///
/// Nothing in here waits for a peer, or is async: call it from anywhere.
#[derive(Clone)]
pub struct Rooms {
    membership: Arc<Membership<Connection>>,
}

/// A connection that has left rooms, as told to the hooks of [`Rooms::on_leave`].
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Departure<'a> {
    /// The rooms that the hook is registered with. Send to the other members through this: a hook that
    /// captured a clone instead would keep itself, and all rooms, alive.
    pub rooms: &'a Rooms,
    /// The connection that has left. Once it has [ended](Self::ended) it can neither be sent to nor join
    /// a room; its id, path, parameters and query are still known.
    pub connection: &'a Connection,
    /// The names of the rooms that it has left: at least one, in no particular order.
    pub left: &'a [Arc<str>],
    /// Whether it has left them because it has ended, and not by [`Rooms::leave`] or
    /// [`Rooms::leave_all`].
    pub ended: bool,
}

impl Rooms {
    /// No rooms yet.
    #[must_use]
    pub fn new() -> Self {
        Self::with_options(RoomsOptions::default())
    }

    /// As [`new`](Self::new), with other limits.
    #[must_use]
    pub fn with_options(options: RoomsOptions) -> Self {
        Self { membership: Membership::new(DEFAULT_SHARDS, options.max_rooms_per_connection) }
    }

    // ---- coming and going

    /// Makes a connection known, so that it is among [`everyone`](Self::everyone), without it joining
    /// a room. Whether it is known now: `false` if it is over.
    pub fn add(&self, connection: &Connection) -> bool {
        self.membership.add(connection)
    }

    /// Lets a connection into a room. Returns whether it has come in: `false` if it was in already.
    ///
    /// What was sent to the room before is not repeated for it; what is sent after this has returned,
    /// it gets.
    ///
    /// # Errors
    /// If the connection has ended, or is in as many rooms as it
    /// [may be](RoomsOptions::max_rooms_per_connection).
    pub fn join(&self, connection: &Connection, room: &str) -> Result<bool, JoinError> {
        self.membership.join(connection, room)
    }

    /// Takes a connection out of a room. Whether it was in.
    pub fn leave(&self, id: ConnectionId, room: &str) -> bool {
        self.membership.leave(id, room)
    }

    /// Takes a connection out of all its rooms: those it was in. It is still among
    /// [`everyone`](Self::everyone).
    pub fn leave_all(&self, id: ConnectionId) -> Vec<Arc<str>> {
        self.membership.leave_all(id)
    }

    /// Registers a hook that is called when a connection has left one or more rooms: by
    /// [`leave`](Self::leave), by [`leave_all`](Self::leave_all), or because it has ended, however it
    /// ended. Each time a connection has joined a room is matched by one departure from it.
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
    /// The connection has been taken out of these rooms before the call. When a connection ends, the hook is
    /// called once with all of its rooms, before
    /// [`on_disconnect`](prism_driver::Handler::on_disconnect) (which does not run if the connection's task
    /// was dropped; the hook does). It is not called if the connection was in no room. Otherwise it is
    /// called before `leave` or `leave_all` returns.
    ///
    /// The hook runs in the task or thread in which the departure happens, while no lock of these rooms is
    /// held. So it may send, ask anything, and let other connections join or leave; departures that it
    /// causes call it again. Keep it quick, because it delays the end of the connection. A panic in it has
    /// no effect on anything else.
    ///
    /// Any number of hooks can be registered; they are called in that order. A hook cannot be removed: it is
    /// dropped with the last clone of these rooms.
    ///
    /// If many members of a room leave at the same time, as in a shutdown, announcing each departure to those
    /// who remain takes quadratic time. For large rooms use [`Presence`](crate::Presence), which gathers
    /// changes. Presence and rooms do not wait for each other: when a connection ends, it may or may not be
    /// [listed](crate::Presence::list) there while the hook runs.
    pub fn on_leave(&self, hook: impl Fn(&Departure<'_>) + Send + Sync + 'static) {
        let membership = Arc::downgrade(&self.membership);
        self.membership.on_leave(move |connection, left, ended| {
            // It is there: somebody is calling a method of it.
            if let Some(membership) = membership.upgrade() {
                hook(&Departure { rooms: &Self { membership }, connection, left, ended });
            }
        });
    }

    // ---- sending

    /// Whoever is in this room, to send to. A room that is not there has nobody in it.
    pub fn to<'a>(&'a self, room: &'a str) -> Recipients<'a> {
        Recipients::new(&self.membership, Scope::Rooms(vec![room]))
    }

    /// Each connection that is known, to send to: from when it first joined a room, or was
    /// [added](Self::add), until its end.
    ///
    /// To have its place in the order of each room, what is sent to everyone waits until what is being
    /// sent to rooms is in their members' outboxes, and what is sent to rooms meanwhile waits for it.
    pub fn everyone(&self) -> Recipients<'_> {
        Recipients::new(&self.membership, Scope::Everyone)
    }

    /// The known connection with this id.
    #[must_use]
    pub fn one(&self, id: ConnectionId) -> Option<Connection> {
        self.membership.member(id)
    }

    // ---- what there is, at this moment

    /// Returns how many rooms there are.
    #[must_use]
    pub fn room_count(&self) -> usize {
        self.membership.rooms().len()
    }

    /// Returns how many connections are known, that is, how many are among
    /// [`everyone`](Self::everyone).
    #[must_use]
    pub fn connection_count(&self) -> usize {
        self.membership.member_count()
    }

    /// Returns the names of the rooms that there are, in no particular order. It copies all of them:
    /// where there may be very many, or anybody may ask, use [`names_after`](Self::names_after).
    #[must_use]
    pub fn names(&self) -> Vec<Arc<str>> {
        self.membership.rooms().names()
    }

    /// Returns a page of the names of the rooms that there are, in the order of their bytes: at most
    /// `most`, from the first behind `after`. To go on, give the last one of the page before.
    ///
    /// The cost grows with the page, and hardly with how many rooms there are. A room that is there
    /// while all pages are asked for is in one of them, once; one that comes or goes meanwhile may or may
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

    /// The rooms that a connection is in, in no particular order.
    #[must_use]
    pub fn rooms_of(&self, id: ConnectionId) -> Vec<Arc<str>> {
        self.membership.rooms_of(id)
    }

    /// How many members a room has.
    #[must_use]
    pub fn len(&self, room: &str) -> usize {
        self.membership.with_members(room, |members| members.len()).unwrap_or(0)
    }

    /// Whether a room has no members, that is, whether it is not there.
    #[must_use]
    pub fn is_empty(&self, room: &str) -> bool {
        self.len(room) == 0
    }

    /// The members of a room, in no particular order.
    #[must_use]
    pub fn members(&self, room: &str) -> Vec<ConnectionId> {
        self.membership
            .with_members(room, |members| members.keys().copied().collect())
            .unwrap_or_default()
    }

    /// Whether a connection is in a room.
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
