//! [`RoomsOptions`] and [`PresenceOptions`]: what one member may cost all others.

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
    /// Sets how many rooms one connection may be in. Default: 1,024, which is more than anybody follows. A
    /// connection leaves that many rooms in about a millisecond when it ends, and blocks its thread for as
    /// long.
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

/// The limits of a [`Presence`](crate::Presence), and how long it gathers changes.
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
    /// Sets how long changes are gathered before they are sent, at least a millisecond. A person who is
    /// away for less is not reported as gone. A longer window means fewer messages, and later ones.
    /// Default: 100 ms, which people perceive as immediate: a watcher gets at most ten messages a second
    /// from a room, however many people come and go.
    pub const fn window(mut self, window: Duration) -> Self {
        self.window = window;
        self
    }

    /// Sets in how many rooms one connection may be shown or watch. Default: 1,024, for the reasons of
    /// [`RoomsOptions::max_rooms_per_connection`].
    pub const fn max_rooms_per_connection(mut self, limit: usize) -> Self {
        self.max_rooms_per_connection = limit;
        self
    }

    /// Sets how many people may be in a room. (Connections of the same person count only towards the
    /// [size of the state](Self::max_state_size).) Default: 1,000: nobody reads a longer list, and if all of
    /// them watch, each change is sent a thousand times.
    pub const fn max_people_per_room(mut self, limit: usize) -> Self {
        self.max_people_per_room = limit;
        self
    }

    /// Sets how large the metadata of one connection may be as JSON, in bytes. Default: 4 KiB, which is
    /// plenty for a status and the address of a picture. Each change is sent to every watcher.
    pub const fn max_meta_size(mut self, limit: usize) -> Self {
        self.max_meta_size = limit;
        self
    }

    /// Sets how large the state of a room may be as JSON, in bytes: the message that lists all of its
    /// people. A diff is at most twice as large. Default: 256 KiB, which is enough for a thousand people
    /// with 150 bytes of metadata each, and no more than four full
    /// [outboxes](prism_driver::Options::high_water_mark): a watcher that does not read holds one state.
    ///
    /// A state of more than 64 KiB is encoded at most once a second, so that watchers which do not read
    /// share it. A watcher that needs one may wait that long while there are changes.
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
