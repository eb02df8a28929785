//! [`Tracker`]: the presence of all rooms, and the task that notifies their watchers.
//!
//! One task notifies the watchers of all rooms. It is a task of its own because changes also come from
//! connections' end hooks, and those run where no task can be spawned. A room is in the
//! [schedule](NotifySchedule) at most once, and no longer once it has vanished, so a busy room cannot starve the
//! others.

use std::{
    pin::Pin,
    sync::{
        Arc, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_channel::Receiver;
use futures_lite::future::{or, yield_now};
use prism_driver::{Connection, ConnectionId, Deferring, Runtime};

use super::{
    change::Tracked,
    deferred::Deferred,
    in_cluster::InCluster,
    notify_schedule::{Deadline, NotifySchedule},
    room_presence::RoomPresence,
    watch::Watch,
};
use crate::{
    directory::{Directory, Vacancy},
    error::{JoinError, TrackError},
    member_records::{MemberRecords, RecordOwner, RoomNames},
    options::PresenceOptions,
    shards::DEFAULT_SHARDS,
    sync::run_user_code,
};

/// How many watchers and rooms, roughly, the task notifies before it lets other tasks run.
const NOTIFICATIONS_PER_TURN: usize = 256;

/// Sleeps for a time.
type Timer = Box<dyn Fn(Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync>;

pub(super) struct Tracker<M> {
    /// For the hooks of connections, and for the task: they must not keep the tracker alive.
    this: Weak<Self>,
    /// The rooms in which each connection is tracked or watches.
    records: MemberRecords<Connection>,
    rooms: Directory<RoomPresence<M>>,
    pub(super) options: PresenceOptions,
    clock: Box<dyn Fn() -> Duration + Send + Sync>,
    pub(super) timer: Timer,
    schedule: NotifySchedule,
    next_watch_id: AtomicU64,
    /// `None` if there are no other nodes.
    pub(super) cluster: Option<InCluster<M>>,
}

impl<M: Send + Sync + 'static> Tracker<M> {
    /// Creates a tracker and spawns its task.
    pub(super) fn new(
        runtime: impl Runtime,
        options: PresenceOptions,
        cluster: Option<InCluster<M>>,
    ) -> Arc<Self> {
        let (schedule, signals) = NotifySchedule::new();
        let (clock, timer) = (runtime.clone(), runtime.clone());
        let tracker = Arc::new_cyclic(|this| Self {
            this: this.clone(),
            records: MemberRecords::new(DEFAULT_SHARDS),
            rooms: match &cluster {
                None => Directory::new(DEFAULT_SHARDS),
                Some(cluster) => Directory::observed(DEFAULT_SHARDS, cluster.room_observer()),
            },
            options,
            clock: Box::new(move || clock.now()),
            timer: Box::new(move |span| {
                let sleep = timer.sleep(span);
                Box::pin(async move { drop(sleep.await) })
            }),
            schedule,
            next_watch_id: AtomicU64::new(0),
            cluster,
        });
        if let Some(cluster) = &tracker.cluster {
            let observer: Weak<Self> = Arc::downgrade(&tracker);
            cluster.observe(observer);
        }
        runtime.spawn(notify_when_due(runtime.clone(), signals, Arc::downgrade(&tracker)));
        tracker
    }

    pub(super) fn track(
        &self,
        connection: &Connection,
        room: &str,
        person: &str,
        tracked: Tracked<M>,
    ) -> Result<(), TrackError> {
        let mut deferred = self.deferred();
        self.add(connection, room, &mut deferred, |name, room, deferred| {
            room.people.track(name, person, tracked, &self.options, deferred)?;
            self.record(name, connection.id(), room);
            Ok(())
        })
    }

    pub(super) fn untrack(&self, id: ConnectionId, room: &str) -> bool {
        self.remove(id, room, |name, room, deferred| self.untrack_in(id, name, room, deferred))
    }

    pub(super) fn watch(&self, connection: &Connection, room: &str) -> Result<bool, JoinError> {
        let watcher = connection.clone();
        let mut deferred = self.deferred();
        let is_new = self.add(connection, room, &mut deferred, |name, room, deferred| {
            Ok(room.watch(name, watcher, deferred))
        });
        if !deferred.compressions.is_empty() {
            self.compress_and_send(&room.into(), &mut deferred, |name, room, deferred| {
                room.send_to_new(name, connection.id(), deferred);
            });
        }
        is_new
    }

    pub(super) fn unwatch(&self, id: ConnectionId, room: &str) -> bool {
        self.remove(id, room, |_, room, deferred| room.unwatch(id, deferred))
    }

    pub(super) fn watch_here(&self, room: &str) -> Watch<M> {
        let watch_id = self.next_watch_id.fetch_add(1, Ordering::Relaxed);
        let (mut watch, sender) = Watch::new();
        let mut deferred = self.deferred();
        self.rooms.with_or_default(room, |name, room| {
            room.watch_here(name, watch_id, sender, &mut deferred);
            self.schedule_or_clear(name, room, &mut deferred);
        });
        self.signal_cluster(&mut deferred);
        let (this, name) = (self.this.clone(), Arc::from(room));
        watch.on_drop(move || {
            if let Some(tracker) = this.upgrade() {
                let mut deferred = tracker.deferred();
                tracker.with_room(&name, &mut deferred, |room, deferred| {
                    room.unwatch_here(watch_id, deferred);
                });
                tracker.signal_cluster(&mut deferred);
            }
        });
        watch
    }

    /// Calls `read` with a room, if it has people or watchers.
    pub(super) fn read<R>(
        &self,
        room: &str,
        read: impl FnOnce(&RoomPresence<M>) -> R,
    ) -> Option<R> {
        self.rooms.with(room, |room| read(room))
    }

    /// Calls `add`, which tracks a connection in a room or adds it as a watcher, unless the connection has ended
    /// or is in too many rooms.
    fn add<R, E: From<JoinError>>(
        &self,
        connection: &Connection,
        room: &str,
        deferred: &mut Deferred<M>,
        add: impl FnOnce(&Arc<str>, &mut RoomPresence<M>, &mut Deferred<M>) -> Result<R, E>,
    ) -> Result<R, E> {
        // It owns metadata. If it is not called, it is dropped at the end, where no lock is held.
        let mut add = Some(add);
        let enter = |rooms: &mut RoomNames| {
            let limit = self.options.max_rooms_per_connection;
            if !rooms.contains(room) && rooms.len() >= limit {
                return Err(JoinError::TooManyRooms { limit }.into());
            }
            self.rooms.with_or_default(room, |name, room| {
                let add = add.take().expect("the directory calls this once");
                let added = add(name, room, deferred);
                if room.has_connection(connection.id()) {
                    rooms.insert(name.clone());
                }
                self.schedule_or_clear(name, room, deferred);
                added
            })
        };
        let added = self.records.update(connection, &self.this, || {}, enter);
        self.signal_cluster(deferred);
        added.unwrap_or_else(|| Err(JoinError::Ended.into()))
    }

    /// Calls `remove`, which untracks a connection in a room or removes it as a watcher. Returns what `remove`
    /// returns, or `false` if the connection is neither tracked nor a watcher there.
    fn remove(
        &self,
        id: ConnectionId,
        room: &str,
        remove: impl FnOnce(&Arc<str>, &mut RoomPresence<M>, &mut Deferred<M>) -> bool,
    ) -> bool {
        let mut deferred = self.deferred();
        let removed = self.records.update_existing(id, |rooms| {
            let name = rooms.get(room)?.clone();
            self.with_room(&name, &mut deferred, |room, deferred| {
                let removed = remove(&name, room, deferred);
                if !room.has_connection(id) {
                    rooms.remove(&name);
                }
                removed
            })
        });
        self.signal_cluster(&mut deferred);
        removed.flatten().unwrap_or(false)
    }

    /// Untracks a connection in a room, which is locked.
    fn untrack_in(
        &self,
        id: ConnectionId,
        name: &Arc<str>,
        room: &mut RoomPresence<M>,
        deferred: &mut Deferred<M>,
    ) -> bool {
        let was_tracked = room.people.untrack(id, deferred);
        if was_tracked {
            self.record(name, id, room);
        }
        was_tracked
    }

    /// Records for the cluster, if there is one, what a connection is in a room, which is locked.
    fn record(&self, name: &Arc<str>, id: ConnectionId, room: &RoomPresence<M>) {
        if let Some(cluster) = &self.cluster {
            cluster.record(name, id, &room.people);
        }
    }

    /// Wakes the cluster, if there is one, when no lock is held.
    fn signal_cluster(&self, deferred: &mut Deferred<M>) {
        if let Some(cluster) = &self.cluster {
            cluster.signal(&mut deferred.signals);
        }
    }

    /// Calls `change` with a room, if it has people or watchers; then schedules the notification.
    pub(super) fn with_room<R>(
        &self,
        name: &Arc<str>,
        deferred: &mut Deferred<M>,
        change: impl FnOnce(&mut RoomPresence<M>, &mut Deferred<M>) -> R,
    ) -> Option<R> {
        self.rooms.with(name, |room| {
            let returned = change(room, deferred);
            self.schedule_or_clear(name, room, deferred);
            returned
        })
    }

    /// Compresses what could not be sent to a room's watchers before, and calls `send` to send it; again while that
    /// leaves something to compress, because the room has changed.
    ///
    /// This ends soon: only the tracker's task takes the next diff, and not before it has sent the last one, or a
    /// state, to all watchers with room for it.
    fn compress_and_send(
        &self,
        name: &Arc<str>,
        deferred: &mut Deferred<M>,
        send: impl Fn(&Arc<str>, &mut RoomPresence<M>, &mut Deferred<M>),
    ) {
        while !deferred.compressions.is_empty() {
            deferred.compressions.run();
            self.with_room(name, deferred, |room, deferred| send(name, room, deferred));
        }
    }

    /// Starts a change. To be called before a lock is taken.
    pub(super) fn deferred(&self) -> Deferred<M> {
        Deferred::new((self.clock)())
    }

    /// Ends each change of a room: schedules a notification if one is needed, and not otherwise, and clears a vacant
    /// room.
    fn schedule_or_clear(
        &self,
        name: &Arc<str>,
        room: &mut RoomPresence<M>,
        deferred: &mut Deferred<M>,
    ) {
        let wait = if room.is_vacant() {
            room.clear(deferred);
            None
        } else {
            room.notify_after(self.options.window)
        };
        let at = wait.map(|wait| deferred.now.saturating_add(wait));
        if let (Some(deadline), Some(at)) = (room.deadline, at)
            && deadline.at() <= at
        {
            return;
        }
        if let Some(unneeded) = room.deadline.take() {
            self.schedule.cancel(unneeded);
        }
        room.deadline = at.map(|at| self.schedule.add(name, at, &mut deferred.signals));
    }

    /// Notifies watchers whose deadline has passed, up to the number for one turn.
    fn notify_some(&self) {
        let mut notified = 0;
        while notified < NOTIFICATIONS_PER_TURN {
            let mut deferred = self.deferred();
            let Some((deadline, room)) = self.schedule.take_due(deferred.now) else { break };
            notified += 1 + self.notify(&room, deadline, &mut deferred);
        }
    }

    /// Notifies the watchers of a room. Returns their number.
    fn notify(&self, name: &Arc<str>, deadline: Deadline, deferred: &mut Deferred<M>) -> usize {
        let watchers = self.with_room(name, deferred, |room, deferred| {
            // Since the deadline was taken from the schedule, the room may have vanished and come back, with
            // another deadline.
            if !room.take_deadline(deadline) {
                return 0;
            }
            room.notify(name, deferred);
            room.watcher_count()
        });
        self.compress_and_send(name, deferred, |name, room, deferred| {
            room.send_to_all(name, deferred);
        });
        watchers.unwrap_or(0)
    }
}

impl<M: Send + Sync + 'static> RecordOwner<Connection> for Tracker<M> {
    fn records(&self) -> &MemberRecords<Connection> {
        &self.records
    }

    fn member_ended(&self, id: ConnectionId) {
        let mut deferred = self.deferred();
        self.records.end(id, |rooms| {
            for name in rooms {
                self.with_room(name, &mut deferred, |room, deferred| {
                    room.unwatch(id, deferred);
                    self.untrack_in(id, name, room, deferred);
                });
            }
        });
        self.signal_cluster(&mut deferred);
    }
}

/// Runs the tracker's task. It sleeps while the schedule is empty, and ends when the tracker is dropped.
async fn notify_when_due<M: Send + Sync + 'static>(
    runtime: impl Runtime,
    signals: Receiver<()>,
    tracker: Weak<Tracker<M>>,
) {
    while Deferring::new(signals.recv()).await.is_ok() {
        while let Some(at) = tracker.upgrade().and_then(|tracker| tracker.schedule.next_at()) {
            let early = at.saturating_sub(runtime.now());
            if early > Duration::ZERO {
                // A signal means that there is an earlier deadline, or no tracker any more.
                let (slept, signalled) = (runtime.sleep(early), Deferring::new(signals.recv()));
                or(async { drop(slept.await) }, async {
                    let _ = signalled.await;
                })
                .await;
            }
            if let Some(tracker) = tracker.upgrade() {
                // This wakes tasks and drops metadata. A panic in either must not end this task, the only one that
                // notifies.
                run_user_code(move || tracker.notify_some());
            }
            yield_now().await; // there may be thousands more to notify
        }
    }
}
