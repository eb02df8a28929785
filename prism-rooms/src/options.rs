//! [`RoomsOptions`] and [`PresenceOptions`]: limits for what one connection can cost the others.

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
    /// Sets how many rooms one connection may be in. Default: 1,024, which is more than one user follows. When a
    /// connection in that many rooms ends, it takes about a millisecond to leave them all, and blocks its
    /// thread meanwhile.
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

/// The limits of a [`Presence`](crate::Presence), and how long it batches changes.
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
    pub(crate) max_meta_size: usize,
    pub(crate) max_state_size: usize,
}

impl PresenceOptions {
    /// Sets how long changes are batched before they are sent, at least a millisecond. A person who leaves and
    /// comes back within the window is not reported as gone. A longer window means fewer messages, which arrive
    /// later.
    ///
    /// Default: 100 ms, which people perceive as immediate. A watcher then receives at most ten messages a
    /// second from a room, however many people come and go.
    pub const fn window(mut self, window: Duration) -> Self {
        self.window = window;
        self
    }

    /// Sets in how many rooms one connection may be tracked or watch. A room in which it does both counts once.
    /// Default: 1,024, for the reasons given at [`RoomsOptions::max_rooms_per_connection`].
    pub const fn max_rooms_per_connection(mut self, limit: usize) -> Self {
        self.max_rooms_per_connection = limit;
        self
    }

    /// Sets how many people may be in a room. Default: 1,000, because a longer list is hardly ever read, and because
    /// each change is sent a thousand times if they all watch.
    ///
    /// Further connections of the same person count only towards the [size of the state](Self::max_state_size).
    pub const fn max_people_per_room(mut self, limit: usize) -> Self {
        self.max_people_per_room = limit;
        self
    }

    /// Sets how large the metadata of one connection may be as JSON, in bytes. Default: 4 KiB, which is plenty
    /// for a status and the URL of a picture. Each change of it is sent to every watcher.
    pub const fn max_meta_size(mut self, limit: usize) -> Self {
        self.max_meta_size = limit;
        self
    }

    /// Sets how large the state of a room may be as JSON, in bytes. The state is the message that lists all of
    /// the room's people; a diff is at most twice as large. Default: 256 KiB, which is enough for a thousand
    /// people with 150 bytes of metadata each. A watcher that does not read holds one state, which by default is
    /// as much as four full [outboxes](prism_driver::Options::high_water_mark).
    ///
    /// A state of more than 64 KiB is encoded at most once a second, so that watchers that do not read share
    /// it. Therefore a watcher that needs such a state waits up to a second while there are changes.
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
            max_meta_size: 4 << 10,
            max_state_size: 256 << 10,
        }
    }
}

const MAX_ROOMS: usize = 1024;
