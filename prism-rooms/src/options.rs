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
    /// Sets how many rooms one connection may be in. Default: 1,024: more than anybody follows, and at its
    /// end a connection leaves so many in about a millisecond, for which its thread does nothing else.
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
    /// Sets how long changes gather before they are told, a millisecond at least. Whoever is gone for less
    /// is not told to have been away; the longer it is, the fewer messages, and the later. Default: 100 ms:
    /// people take it for "at once", and a watcher gets at most ten messages a second from a room, however
    /// many come and go.
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

    /// Sets how many people may be in a room. (How many connections a person has does not count here, but
    /// for the [state's size](Self::max_state_size).) Default: 1,000: a longer list is not read, and where
    /// all of them watch, each change is told to a thousand.
    pub const fn max_people_per_room(mut self, limit: usize) -> Self {
        self.max_people_per_room = limit;
        self
    }

    /// Sets how large the metadata of one connection may be as JSON, in bytes. Default: 4 KiB: much for a
    /// status and the address of a picture. Each change of it is sent to all who watch.
    pub const fn max_meta_size(mut self, limit: usize) -> Self {
        self.max_meta_size = limit;
        self
    }

    /// Sets how large the state of a room may be as JSON, in bytes: the message that tells all of its
    /// people. A diff is at most twice that. Default: 256 KiB: a thousand people with 150 bytes of
    /// metadata each, and no more than four full [outboxes](prism_driver::Options::high_water_mark),
    /// because a watcher that does not read may hold a state of its own.
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
