//! [`RoomsOptions`] and [`PresenceOptions`]: limits on the load that one connection can put on the others.

use std::time::Duration;

/// The limits of [`Rooms`](crate::Rooms).
///
/// ```
/// use prism_rooms::{Rooms, RoomsOptions};
///
/// let rooms = Rooms::with_options(RoomsOptions::default().max_rooms_per_connection(32));
/// ```
#[derive(Clone, Copy, Debug)]
#[must_use = "it is for `Rooms::with_options`"]
pub struct RoomsOptions {
    pub(crate) max_rooms_per_connection: usize,
}

impl RoomsOptions {
    /// Sets the maximum number of rooms that one connection may be in. Default: 1,024, which is more rooms than any
    /// single user follows. When a connection in that many rooms ends, leaving them all blocks its thread for up
    /// to a millisecond.
    pub const fn max_rooms_per_connection(mut self, limit: usize) -> Self {
        self.max_rooms_per_connection = limit;
        self
    }
}

impl Default for RoomsOptions {
    fn default() -> Self {
        Self { max_rooms_per_connection: MAX_ROOMS }
    }
}

/// The limits of a [`Presence`](crate::Presence), and the time for which it batches changes.
///
/// ```
/// use std::time::Duration;
/// use prism_rooms::PresenceOptions;
///
/// let options = PresenceOptions::default().window(Duration::from_millis(500)).max_people_per_room(50);
/// ```
#[derive(Clone, Copy, Debug)]
#[must_use = "it is for `Presence::with_options`"]
pub struct PresenceOptions {
    pub(crate) window: Duration,
    pub(crate) max_rooms_per_connection: usize,
    pub(crate) max_people_per_room: usize,
    pub(crate) max_connections_per_person: usize,
    pub(crate) max_meta_size: usize,
    pub(crate) max_state_size: usize,
}

impl PresenceOptions {
    /// Sets how long changes are batched before they are sent. A time shorter than one millisecond counts as one
    /// millisecond. A person who leaves and comes back within the window is not reported as gone. A longer window
    /// means fewer messages, which arrive later.
    ///
    /// Default: 100 ms, which people perceive as immediate. A watcher then receives at most ten messages a
    /// second from a room, however many people come and go.
    pub const fn window(mut self, window: Duration) -> Self {
        self.window = window;
        self
    }

    /// Sets the maximum number of rooms in which one connection may be tracked or that it may watch. A room in which
    /// the connection is tracked, and that it also watches, counts once. Default: 1,024, for the reasons given at
    /// [`RoomsOptions::max_rooms_per_connection`]. When a connection ends that is tracked in, and watches,
    /// that many rooms, removing it blocks its thread for about 3 milliseconds.
    pub const fn max_rooms_per_connection(mut self, limit: usize) -> Self {
        self.max_rooms_per_connection = limit;
        self
    }

    /// Sets the maximum number of people in a room. Default: 1,000, because a longer list is hardly ever read. And if
    /// 1,000 people all watch their room, each change in it is sent 1,000 times.
    ///
    /// Further connections of the same person do not count; [another limit](Self::max_connections_per_person) does.
    pub const fn max_people_per_room(mut self, limit: usize) -> Self {
        self.max_people_per_room = limit;
        self
    }

    /// Sets the maximum number of connections of one person that are tracked in a room. Default: 32, which is more
    /// devices and browser tabs than anyone uses. Every change to one of them sends all of them to every watcher.
    pub const fn max_connections_per_person(mut self, limit: usize) -> Self {
        self.max_connections_per_person = limit;
        self
    }

    /// Sets the maximum size of the metadata of one connection, encoded as JSON, in bytes. Default: 4 KiB, which is
    /// plenty for a status and the URL of a picture. Every change to the metadata is sent to every watcher.
    pub const fn max_meta_size(mut self, limit: usize) -> Self {
        self.max_meta_size = limit;
        self
    }

    /// Sets the maximum size of the state of a room, encoded as JSON, in bytes. The state is the message that lists all
    /// of the room's people; a diff is at most twice as large. Default: 256 KiB, which is enough for a thousand people
    /// with 150 bytes of metadata each. For each watcher that does not read, the server may hold one state or diff in
    /// addition to a full [outbox](prism_driver::Options::high_water_mark), because an outbox that is not full accepts
    /// a message of any size. By default, that is at most 256 KiB for a state and 512 KiB for a diff. All watchers that
    /// are sent the same message share its memory.
    ///
    /// A state of more than 64 KiB is encoded at most once a second, and all watchers that need it in that second
    /// share it. If the room has changed since the last time, a watcher waits up to a second for such a state.
    pub const fn max_state_size(mut self, limit: usize) -> Self {
        self.max_state_size = limit;
        self
    }
}

impl Default for PresenceOptions {
    fn default() -> Self {
        Self {
            window: Duration::from_millis(100),
            max_rooms_per_connection: MAX_ROOMS,
            max_people_per_room: 1000,
            max_connections_per_person: 32,
            max_meta_size: 4 << 10,
            max_state_size: 256 << 10,
        }
    }
}

const MAX_ROOMS: usize = 1024;
