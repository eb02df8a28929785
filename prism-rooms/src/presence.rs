//! [`Presence`]: which people are in which room. The public face of the [`Tracker`].

use std::{fmt, sync::Arc, time::Duration};

use prism_driver::{Connection, ConnectionId, Runtime};
use serde::Serialize;
use serde_json::value::to_raw_value;

use crate::{
    error::{JoinError, TrackError},
    options::PresenceOptions,
};

mod change;
mod deferred;
mod json_size;
mod notify_schedule;
mod people;
mod room_presence;
mod signal;
mod tracker;
mod watch;
mod watcher;

use self::tracker::Tracker;
pub use self::{
    change::{Change, Person, Tracked},
    watch::Watch,
};

/// Tracks which people are present in which room, and sends the changes to watchers. Cheap to clone: all
/// clones share the same state.
///
/// `M` is the metadata of a connection: a name, a status, whether the user is typing.
/// [Watchers](Self::watch) receive it as JSON, and your own program gets it as it is.
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
/// Presence is independent of [`Rooms`](crate::Rooms). Its rooms are names too, and you can use the same ones.
/// But a connection that leaves a room there is shown here until it is [untracked](Self::untrack).
///
/// Metadata is dropped while no lock is held. So its destructor may call any method, and a panic in it affects
/// nothing else.
pub struct Presence<M> {
    tracker: Arc<Tracker<M>>,
}

impl<M: Serialize + Send + Sync + 'static> Presence<M> {
    /// Creates an empty presence tracker with the default options.
    ///
    /// This spawns the task that sends changes to watchers, so call it within the runtime. The task sleeps
    /// while nothing changes, and ends when the last clone is dropped.
    pub fn new(runtime: impl Runtime) -> Self {
        Self::with_options(runtime, PresenceOptions::default())
    }

    /// Creates an empty presence tracker, as [`new`](Self::new) does, with other options.
    pub fn with_options(runtime: impl Runtime, options: PresenceOptions) -> Self {
        // A watcher that is behind is tried again after each window. Without a least window the task would
        // never sleep.
        let options = options.window(options.window.max(Duration::from_millis(1)));
        Self { tracker: Tracker::new(runtime, options) }
    }

    // ---- being present

    /// Shows a connection in a room as one of a person's connections, or replaces what is shown of it.
    ///
    /// `person` is the key of the person, which you choose. A connection belongs to one person in each room:
    /// to track it with another key moves it to that person.
    ///
    /// # Errors
    /// Returns an error if the connection has ended, if `meta` cannot be encoded as JSON, or if one of the
    /// [limits](PresenceOptions) would be exceeded. Then nothing has changed: what was shown before is still
    /// shown.
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
        let tracked = Tracked::new(connection.id(), meta, json.into());
        self.tracker.track(connection, room, person, tracked)
    }

    /// Stops showing a connection in a room. Returns whether it was shown there.
    pub fn untrack(&self, id: ConnectionId, room: &str) -> bool {
        self.tracker.untrack(id, room)
    }

    // ---- who is present, at this moment

    /// Returns the people in a room, in the order of their keys.
    #[must_use]
    pub fn list(&self, room: &str) -> Vec<Arc<Person<M>>> {
        self.list_after(room, None, usize::MAX)
    }

    /// Returns a page of the people in a room: the first `most` people in the order of their keys, starting
    /// after the key `after`, or at the beginning if it is `None`. For the next page, pass the last key of the
    /// previous one.
    ///
    /// The cost grows with the size of the page, not of the room.
    #[must_use]
    pub fn list_after(&self, room: &str, after: Option<&str>, most: usize) -> Vec<Arc<Person<M>>> {
        self.tracker.read(room, |room| room.people.list_after(after, most)).unwrap_or_default()
    }

    /// Returns the person with this key, if they are in the room.
    #[must_use]
    pub fn person(&self, room: &str, key: &str) -> Option<Arc<Person<M>>> {
        self.tracker.read(room, |room| room.people.get(key)).flatten()
    }

    /// Returns how many people are in a room.
    #[must_use]
    pub fn count(&self, room: &str) -> usize {
        self.tracker.read(room, |room| room.people.len()).unwrap_or(0)
    }

    // ---- watching

    /// Makes a connection a watcher of a room: it is sent all people in the room now, and each change from then
    /// on, as [JSON messages](crate#messages-to-watchers). Returns `false` if it already was a watcher.
    ///
    /// # Errors
    /// Returns an error if the connection has ended, or if it is already in as many rooms, tracked or
    /// watching, as it [may be](PresenceOptions::max_rooms_per_connection).
    pub fn watch(&self, connection: &Connection, room: &str) -> Result<bool, JoinError> {
        self.tracker.watch(connection, room)
    }

    /// Stops sending a room's changes to a connection. Returns whether it was watching.
    pub fn unwatch(&self, id: ConnectionId, room: &str) -> bool {
        self.tracker.unwatch(id, room)
    }

    /// Watches a room from your own program: returns a [`Watch`], which receives what a
    /// [watching](Self::watch) connection is sent.
    #[must_use]
    pub fn watch_here(&self, room: &str) -> Watch<M> {
        self.tracker.watch_here(room)
    }
}

impl<M> Clone for Presence<M> {
    fn clone(&self) -> Self {
        Self { tracker: self.tracker.clone() }
    }
}

impl<M> fmt::Debug for Presence<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Presence").field("options", &self.tracker.options).finish_non_exhaustive()
    }
}
