//! [`Presence`]: who is where, and those who want to know it.

use std::{
    fmt,
    sync::{
        Arc, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_channel::Receiver;
use futures_lite::future::yield_now;
use prism_driver::{Connection, ConnectionId, Runtime};
use serde::Serialize;
use serde_json::value::to_raw_value;

use crate::{
    directory::{Directory, Vacancy},
    error::{JoinError, TrackError},
    member_records::{MemberRecords, RecordOwner, RoomNames},
    options::PresenceOptions,
    shards::DEFAULT_SHARDS,
    sync::run_user_code,
};

mod change;
mod deferred;
mod json_size;
mod notify_schedule;
mod room_presence;
mod watch;

pub use self::{
    change::{Change, Person, Tracked},
    watch::Watch,
};
use self::{
    deferred::Deferred,
    notify_schedule::{Deadline, NotifySchedule},
    room_presence::RoomPresence,
};

/// To how many watchers, and about how many rooms, is told before other tasks get a turn.
const NOTIFICATIONS_PER_TURN: usize = 256;

/// Who is present in which room, with what they want known of them. Cheap to clone: a clone is the
/// same presence.
///
/// `M` is what is known of a connection: a name, a status, whether somebody is typing. It is told
/// to [watchers](Self::watch) as JSON, and to your own program as it is.
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
/// presence.watch(connection, "tea")?; // the browser now hears who comes and goes
/// assert_eq!(presence.count("tea"), 1);
/// # Ok(()) }
/// ```
///
/// It is dropped while nothing is locked, so its destructor may ask presence for anything; a panic in it
/// has no effect on anything else.
///
/// A connection is forgotten when it ends, however it ends: there are no ghosts. A person with
/// several connections (tabs, devices) is one person, who is there until the last of them has gone.
///
/// It knows nothing of [`Rooms`](crate::Rooms): a room here is a name, too, and may be one of theirs;
/// but who leaves it there is shown here until it is [untracked](Self::untrack).
pub struct Presence<M> {
    inner: Arc<Inner<M>>,
}

struct Inner<M> {
    /// For the hooks that connections keep, and for the task: they do not keep this.
    this: Weak<Self>,
    records: MemberRecords<Connection>,
    rooms: Directory<RoomPresence<M>>,
    options: PresenceOptions,
    now: Box<dyn Fn() -> Duration + Send + Sync>,
    schedule: NotifySchedule,
    next_watch_id: AtomicU64,
}

impl<M: Serialize + Send + Sync + 'static> Presence<M> {
    /// Nobody is present yet. Changes are told a tenth of a second after the first of them.
    ///
    /// The telling is done by a task, spawned here, so call this within the runtime. It sleeps while
    /// nothing changes.
    pub fn new(runtime: impl Runtime) -> Self {
        Self::with_options(runtime, PresenceOptions::default())
    }

    /// As [`new`](Self::new), with other limits, or another time for changes to gather in.
    pub fn with_options(runtime: impl Runtime, options: PresenceOptions) -> Self {
        // A watcher that is behind is tried again after it: with none at all that would never end.
        let options = options.window(options.window.max(Duration::from_millis(1)));
        let (schedule, signal) = NotifySchedule::new();
        let clock = runtime.clone();
        let inner = Arc::new_cyclic(|this| Inner {
            this: this.clone(),
            records: MemberRecords::new(DEFAULT_SHARDS),
            rooms: Directory::new(DEFAULT_SHARDS),
            options,
            now: Box::new(move || clock.now()),
            schedule,
            next_watch_id: AtomicU64::new(0),
        });
        runtime.spawn(run_notifications(runtime.clone(), signal, Arc::downgrade(&inner)));
        Self { inner }
    }

    // ---- being present

    /// Shows a connection in a room, as one of this person's; or changes what is shown of it.
    ///
    /// # Errors
    /// If the connection has ended, `meta` cannot be made JSON, or it is against one of the
    /// [limits](PresenceOptions). Then nothing has changed: what was shown before still is.
    pub fn track(
        &self,
        connection: &Connection,
        room: &str,
        person: &str,
        meta: M,
    ) -> Result<(), TrackError> {
        let json = to_raw_value(&meta).map_err(TrackError::NotJson)?;
        let (size, limit) = (json.get().len(), self.inner.options.max_meta_size);
        if size > limit {
            return Err(TrackError::MetaTooLarge { size, limit });
        }
        let tracked = Tracked::new(connection.id(), meta, json.into());
        let limits = &self.inner.options;
        self.inner.update(connection, room, |room, presence, deferred| {
            presence.track(room, person, tracked, limits, deferred)
        })
    }

    /// Does not show a connection in a room any more. Whether it was shown.
    pub fn untrack(&self, id: ConnectionId, room: &str) -> bool {
        self.inner.withdraw(id, room, |presence, deferred| presence.untrack(id, deferred))
    }

    // ---- who is present, at this moment

    /// The people in a room, by their keys.
    #[must_use]
    pub fn list(&self, room: &str) -> Vec<Arc<Person<M>>> {
        self.list_after(room, None, usize::MAX)
    }

    /// Returns a page of the people in a room, in the order of their keys: at most `most`, from the first
    /// behind `after`. To go on, give the key of the last one of the page before. The cost grows with the
    /// page, not with the room.
    #[must_use]
    pub fn list_after(&self, room: &str, after: Option<&str>, most: usize) -> Vec<Arc<Person<M>>> {
        let page = self.inner.rooms.with(room, |presence| presence.people_after(after, most));
        page.unwrap_or_default()
    }

    /// Returns the person with this key, if they are in the room.
    #[must_use]
    pub fn person(&self, room: &str, key: &str) -> Option<Arc<Person<M>>> {
        self.inner.rooms.with(room, |presence| presence.person(key)).flatten()
    }

    /// How many people are in a room.
    #[must_use]
    pub fn count(&self, room: &str) -> usize {
        self.inner.rooms.with(room, |presence| presence.count()).unwrap_or(0)
    }

    // ---- those who want to know it

    /// Has a connection told who is in a room: everybody now, and then who comes, changes and goes, in
    /// [messages of JSON](crate#what-a-watcher-is-told). Returns whether that is new: `false` if it did
    /// watch already.
    ///
    /// # Errors
    /// If the connection has ended, or is shown in and watches as many rooms as it
    /// [may](PresenceOptions::max_rooms_per_connection).
    pub fn watch(&self, connection: &Connection, room: &str) -> Result<bool, JoinError> {
        let watcher = connection.clone();
        self.inner.update(connection, room, |room, presence, deferred| {
            Ok(presence.watch(room, watcher, deferred))
        })
    }

    /// Does not tell a connection any more. Whether it was told.
    pub fn unwatch(&self, id: ConnectionId, room: &str) -> bool {
        self.inner.withdraw(id, room, |presence, deferred| presence.unwatch(id, deferred))
    }

    /// As [`watch`](Self::watch), for your own program.
    #[must_use]
    pub fn watch_here(&self, room: &str) -> Watch<M> {
        let number = self.inner.next_watch_id.fetch_add(1, Ordering::Relaxed);
        let (mut watch, destination) = Watch::new();
        let mut deferred = self.inner.deferred();
        self.inner.rooms.with_or_default(room, |room, presence| {
            presence.add_local_watcher(room, number, destination, &mut deferred);
        });
        let (this, room) = (self.inner.this.clone(), Arc::from(room));
        watch.on_drop(move || {
            if let Some(inner) = this.upgrade() {
                let mut deferred = inner.deferred();
                inner.with_room(&room, &mut deferred, |presence, deferred| {
                    presence.remove_local_watcher(number, deferred)
                });
            }
        });
        watch
    }
}

impl<M: Send + Sync + 'static> Inner<M> {
    /// Lets a connection into a crowd, or change something there.
    fn update<R, E: From<JoinError>>(
        &self,
        connection: &Connection,
        room: &str,
        change: impl FnOnce(&Arc<str>, &mut RoomPresence<M>, &mut Deferred<M>) -> Result<R, E>,
    ) -> Result<R, E> {
        let mut deferred = self.deferred();
        // It holds metadata: if it is not called, it is dropped here, and not under a lock.
        let mut change = Some(change);
        let enter = |rooms: &mut RoomNames| {
            let limit = self.options.max_rooms_per_connection;
            if !rooms.contains(room) && rooms.len() >= limit {
                return Err(JoinError::TooManyRooms { limit }.into());
            }
            self.rooms.with_or_default(room, |room, presence| {
                let change = change.take().expect("a room is entered once");
                let changed = change(room, presence, &mut deferred);
                if presence.has_member(connection.id()) {
                    rooms.insert(room.clone());
                }
                self.schedule_or_clear(room, presence, &mut deferred);
                changed
            })
        };
        let changed = self.records.update(connection, &self.this, || {}, enter);
        changed.unwrap_or_else(|| Err(JoinError::Ended.into()))
    }

    /// Lets a connection take something back.
    fn withdraw(
        &self,
        id: ConnectionId,
        room: &str,
        withdraw: impl FnOnce(&mut RoomPresence<M>, &mut Deferred<M>) -> bool,
    ) -> bool {
        let mut deferred = self.deferred();
        let withdrawn = self.records.update_existing(id, |rooms| {
            let room = rooms.get(room)?.clone();
            self.with_room(&room, &mut deferred, |presence, deferred| {
                let withdrawn = withdraw(presence, deferred);
                if !presence.has_member(id) {
                    rooms.remove(&room);
                }
                withdrawn
            })
        });
        withdrawn.flatten().unwrap_or(false)
    }

    /// Lets `visit` see, and change, who is in a room, if anybody is.
    fn with_room<R>(
        &self,
        room: &Arc<str>,
        deferred: &mut Deferred<M>,
        visit: impl FnOnce(&mut RoomPresence<M>, &mut Deferred<M>) -> R,
    ) -> Option<R> {
        self.rooms.with(room, |presence| {
            let returned = visit(presence, deferred);
            self.schedule_or_clear(room, presence, deferred);
            returned
        })
    }

    fn deferred(&self) -> Deferred<M> {
        Deferred::new((self.now)())
    }

    /// At the end of a visit: sees to it that what has become different is told, if there is somebody to
    /// be told.
    fn schedule_or_clear(
        &self,
        room: &Arc<str>,
        presence: &mut RoomPresence<M>,
        deferred: &mut Deferred<M>,
    ) {
        if presence.is_vacant() {
            presence
                .deadline
                .take()
                .into_iter()
                .for_each(|deadline| self.schedule.cancel(deadline));
            presence.clear(deferred);
        } else if presence.deadline.is_none() && presence.has_pending_changes() {
            presence.deadline = Some(self.schedule.add(
                room,
                deferred.now.saturating_add(self.options.window),
                deferred,
            ));
        }
    }

    /// Tells what is due, but no more than is one turn's.
    fn notify_due(&self) {
        let mut notified = 0;
        while notified < NOTIFICATIONS_PER_TURN {
            let mut deferred = self.deferred();
            let Some((deadline, room)) = self.schedule.take_due(deferred.now) else { break };
            notified += 1 + self.notify(&room, deadline, &mut deferred);
        }
    }

    /// How many watchers were told.
    fn notify(&self, room: &Arc<str>, deadline: Deadline, deferred: &mut Deferred<M>) -> usize {
        let notified = self.with_room(room, deferred, |presence, deferred| {
            // It may have vanished meanwhile, and come back, and be due later.
            if !presence.take_deadline(deadline) {
                return 0;
            }
            presence.notify(room, deferred);
            presence.watcher_count()
        });
        notified.unwrap_or(0)
    }
}

impl<M: Send + Sync + 'static> RecordOwner<Connection> for Inner<M> {
    fn records(&self) -> &MemberRecords<Connection> {
        &self.records
    }

    fn member_ended(&self, id: ConnectionId) {
        let mut deferred = self.deferred();
        self.records.end(id, |rooms| {
            for room in rooms {
                self.with_room(room, &mut deferred, |presence, deferred| {
                    presence.unwatch(id, deferred);
                    presence.untrack(id, deferred);
                });
            }
        });
    }
}

async fn run_notifications<M: Send + Sync + 'static>(
    runtime: impl Runtime,
    signal: Receiver<()>,
    presence: Weak<Inner<M>>,
) {
    while signal.recv().await.is_ok() {
        while let Some(at) = presence.upgrade().and_then(|presence| presence.schedule.next_at()) {
            let early = at.saturating_sub(runtime.now());
            if early > Duration::ZERO {
                runtime.sleep(early).await;
            }
            if let Some(presence) = presence.upgrade() {
                // It wakes tasks and drops metadata, and this task is the only one that tells.
                run_user_code(move || presence.notify_due());
            }
            yield_now().await; // ten thousand may have to be told
        }
    }
}

impl<M> Clone for Presence<M> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone() }
    }
}

impl<M> fmt::Debug for Presence<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Presence").field("options", &self.inner.options).finish_non_exhaustive()
    }
}
