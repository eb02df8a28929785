//! [`Membership`]: which member is in which room. The logic of [`Rooms`](crate::Rooms), for members of any
//! kind. So loom can try its interleavings, and a model can check it under load, without connections.
//!
//! Everything that a member does happens under the lock of its [record](crate::member_records), its end
//! included. So the end finds all of the member's rooms, and a later join finds that the member has ended. A
//! hook of the connection reports the end, so handlers need no cleanup. There is one such hook for each member,
//! so its departure is announced by the task that ends the connection, and nowhere else.
//!
//! A broadcast holds the lock of its room while it puts the message into each outbox; it does not wait for any
//! of them. That gives all members one order, and a new member joins either before a message or after it. A message
//! to everyone has a place in each room's order too: messages to rooms share the
//! [broadcast lock](BroadcastLock), and a message to everyone holds it exclusively.
//!
//! Lock order: first a member's record (to join, leave or end) or the broadcast lock (to send), never both.
//! Then rooms, in the order of their names, or the list of everyone. Then those of the [cluster](Shared), if there is
//! one.

use std::{
    collections::HashSet,
    sync::{
        Arc, Weak,
        atomic::{AtomicUsize, Ordering},
    },
};

use crate::{
    cluster::shared::{ClusterHandle, Shared},
    directory::Directory,
    error::JoinError,
    member_records::{Member, MemberRecords, RecordOwner, RoomNames},
    shared_message::SharedMessage,
    sync::{BroadcastLock, Lock, run_user_code},
};

mod forms;
mod members;

pub(crate) use self::members::Members;

pub(crate) struct Membership<M: Member> {
    /// For the end hooks of members, which must not keep the membership alive.
    this: Weak<Self>,
    records: MemberRecords<M>,
    rooms: Directory<Members<M>>,
    /// `None` if there are no other nodes.
    cluster: Option<Arc<ClusterHandle>>,
    everyone: Lock<Members<M>>,
    /// Held while a message is delivered.
    broadcast_lock: BroadcastLock,
    /// The number of members whose messages are compressed, so that senders without such members look for none.
    compressed_members: AtomicUsize,
    max_rooms_per_member: usize,
    /// Called when a member has left rooms. A new hook replaces the list, so that it can be called from a copy
    /// while nothing is locked.
    leave_hooks: Lock<Arc<Vec<LeaveHook<M>>>>,
}

/// Called with the member, the rooms that it has left (at least one), and whether it left because it ended.
type LeaveHook<M> = Arc<dyn Fn(&M, &[Arc<str>], bool) + Send + Sync>;

/// The members that a message is for.
#[derive(Clone, Debug)]
pub(crate) enum Scope<'a> {
    Everyone,
    /// The members of at least one of these rooms.
    Rooms(Vec<&'a str>),
}

impl<M: Member> Membership<M> {
    pub(crate) fn new(shards: usize, max_rooms_per_member: usize) -> Arc<Self> {
        Self::with_rooms(Directory::new(shards), None, shards, max_rooms_per_member)
    }

    /// Creates a membership of a node, which is told of its rooms.
    pub(crate) fn in_cluster(
        shards: usize,
        max_rooms_per_member: usize,
        cluster: Arc<ClusterHandle>,
    ) -> Arc<Self> {
        let rooms = Directory::observed(shards, cluster.shared().clone());
        Self::with_rooms(rooms, Some(cluster), shards, max_rooms_per_member)
    }

    fn with_rooms(
        rooms: Directory<Members<M>>,
        cluster: Option<Arc<ClusterHandle>>,
        shards: usize,
        max_rooms_per_member: usize,
    ) -> Arc<Self> {
        Arc::new_cyclic(|this| Self {
            this: this.clone(),
            records: MemberRecords::new(shards),
            rooms,
            cluster,
            everyone: Lock::new(Members::default()),
            broadcast_lock: BroadcastLock::new(),
            compressed_members: AtomicUsize::new(0),
            max_rooms_per_member,
            leave_hooks: Lock::new(Arc::default()),
        })
    }

    /// Registers a hook for the departures that happen from now on.
    pub(crate) fn on_leave(&self, hook: impl Fn(&M, &[Arc<str>], bool) + Send + Sync + 'static) {
        let mut hooks = self.leave_hooks.lock();
        let all = hooks.iter().cloned().chain([Arc::new(hook) as LeaveHook<M>]).collect();
        *hooks = Arc::new(all);
    }

    /// Adds the member to `everyone`. Returns whether it is in there now: `false` if it has ended.
    pub(crate) fn add(&self, member: &M) -> bool {
        self.update_rooms_of(member, |_| ()).is_some()
    }

    /// Returns whether the member has entered the room: `false` if it was in already.
    pub(crate) fn join(&self, member: &M, room: &str) -> Result<bool, JoinError> {
        let joined = self.update_rooms_of(member, |rooms| {
            if rooms.contains(room) {
                return Ok(false);
            }
            if rooms.len() >= self.max_rooms_per_member {
                return Err(JoinError::TooManyRooms { limit: self.max_rooms_per_member });
            }
            self.rooms.with_or_default(room, |name, members| {
                members.insert(member);
                rooms.insert(name.clone());
            });
            Ok(true)
        });
        self.wake_cluster();
        joined.unwrap_or(Err(JoinError::Ended))
    }

    /// Returns whether the member was in the room.
    pub(crate) fn leave(&self, id: M::Id, room: &str) -> bool {
        let left = self.records.update_existing(id, |rooms| {
            let room = rooms.take(room)?;
            Some((self.remove_from(id, &room)?, room))
        });
        self.wake_cluster();
        let Some((member, room)) = left.flatten() else { return false };
        self.call_leave_hooks(&member, &[room], false);
        true
    }

    /// Returns the rooms that the member was in.
    pub(crate) fn leave_all(&self, id: M::Id) -> Vec<Arc<str>> {
        let left = self.records.update_existing(id, |rooms| {
            let rooms: Vec<_> = rooms.drain().collect();
            (self.remove_from_all(id, &rooms), rooms)
        });
        self.wake_cluster();
        let Some((members, rooms)) = left else { return Vec::new() };
        if let Some(member) = members.first() {
            self.call_leave_hooks(member, &rooms, false);
        }
        rooms
    }

    /// Returns the member with this ID, if it is in `everyone`.
    pub(crate) fn member(&self, id: M::Id) -> Option<M> {
        self.records.member(id)
    }

    pub(crate) fn rooms_of(&self, id: M::Id) -> Vec<Arc<str>> {
        let rooms = self.records.update_existing(id, |rooms| rooms.iter().cloned().collect());
        rooms.unwrap_or_default()
    }

    pub(crate) fn contains(&self, room: &str, id: M::Id) -> bool {
        self.records.update_existing(id, |rooms| rooms.contains(room)).unwrap_or(false)
    }

    pub(crate) const fn rooms(&self) -> &Directory<Members<M>> {
        &self.rooms
    }

    /// Returns the node that these rooms belong to, if there are others.
    pub(crate) fn cluster(&self) -> Option<&Shared> {
        self.cluster.as_ref().map(|cluster| &**cluster.shared())
    }

    /// Returns the number of members in `everyone`.
    pub(crate) fn member_count(&self) -> usize {
        self.everyone.lock().len()
    }

    /// Calls `read` with the members of a room, while it is locked. Returns `None` if there is no such room.
    pub(crate) fn with_members<R>(
        &self,
        room: &str,
        read: impl FnOnce(&Members<M>) -> R,
    ) -> Option<R> {
        self.rooms.with(room, |members| read(members))
    }

    /// Compresses a message in all forms that the members in the scope lack. To be called before
    /// [`for_each`](Self::for_each): compressing may take milliseconds, for which no room should be locked.
    pub(crate) fn compress(&self, message: &SharedMessage, scope: &Scope<'_>) {
        if self.compressed_members.load(Ordering::Relaxed) == 0 {
            return;
        }
        match scope {
            Scope::Everyone => {
                let forms = self.everyone.lock().forms_lacking(message);
                forms.iter().for_each(|form| message.compress(form));
            }
            Scope::Rooms(rooms) => {
                for room in rooms {
                    let forms = self.with_members(room, |members| members.forms_lacking(message));
                    forms.iter().flatten().for_each(|form| message.compress(form));
                }
            }
        }
    }

    /// Calls `visit` once for each member in the scope, while the rooms of the scope are locked. Before that, and under
    /// the same locks, it calls `stamp`, and returns its result. All calls for one member are made in the order of the
    /// stamps.
    pub(crate) fn for_each<R>(
        &self,
        scope: &Scope<'_>,
        stamp: impl FnOnce() -> R,
        visit: impl FnMut(M::Id, &M),
    ) -> R {
        match scope {
            Scope::Everyone => {
                self.broadcast_lock.exclusive(|| visit_all(&self.everyone.lock(), stamp, visit))
            }
            Scope::Rooms(rooms) => self.broadcast_lock.shared(|| match rooms[..] {
                [room] => self.rooms.with_optional(room, |members| match members {
                    Some(members) => visit_all(members, stamp, visit),
                    None => stamp(),
                }),
                _ => self.for_each_in_union(rooms.clone(), stamp, visit),
            }),
        }
    }

    fn for_each_in_union<R>(
        &self,
        mut rooms: Vec<&str>,
        stamp: impl FnOnce() -> R,
        mut visit: impl FnMut(M::Id, &M),
    ) -> R {
        rooms.sort_unstable();
        rooms.dedup();
        self.rooms.with_all(&rooms, |rooms| {
            let stamp = stamp();
            let mut visited = HashSet::new();
            for (id, member) in rooms.iter().flat_map(|members| members.iter()) {
                if visited.insert(id) {
                    visit(id, member);
                }
            }
            stamp
        })
    }

    /// Calls `update` with the names of a member's rooms. Returns `None` if the member has ended.
    fn update_rooms_of<R>(
        &self,
        member: &M,
        update: impl FnOnce(&mut RoomNames) -> R,
    ) -> Option<R> {
        let on_active = || {
            self.everyone.lock().insert(member);
            if member.compressed_form().is_some() {
                self.compressed_members.fetch_add(1, Ordering::Relaxed);
            }
        };
        self.records.update(member, &self.this, on_active, update)
    }

    /// Removes a member from a room and returns it. It may be the last handle of a connection, so the caller
    /// has to keep it until no lock is held.
    #[must_use]
    fn remove_from(&self, id: M::Id, room: &str) -> Option<M> {
        self.rooms.with(room, |members| members.remove(id)).flatten()
    }

    /// Removes a member from several rooms; otherwise the same as [`remove_from`](Self::remove_from).
    #[must_use]
    fn remove_from_all<'r>(
        &self,
        id: M::Id,
        rooms: impl IntoIterator<Item = &'r Arc<str>>,
    ) -> Vec<M> {
        rooms.into_iter().filter_map(|room| self.remove_from(id, room)).collect()
    }

    /// Tells the cluster of rooms that have appeared or vanished. The caller must hold no lock.
    fn wake_cluster(&self) {
        if let Some(cluster) = self.cluster() {
            cluster.wake_if_changed();
        }
    }

    /// Calls the hooks. The caller must hold no lock.
    fn call_leave_hooks(&self, member: &M, rooms: &[Arc<str>], ended: bool) {
        let hooks = self.leave_hooks.lock().clone();
        for hook in hooks.iter() {
            run_user_code(|| hook(member, rooms, ended));
        }
    }
}

impl<M: Member> RecordOwner<M> for Membership<M> {
    fn records(&self) -> &MemberRecords<M> {
        &self.records
    }

    fn member_ended(&self, id: M::Id) {
        let mut removed = Vec::new();
        let ended = self.records.end(id, |rooms| {
            removed = self.remove_from_all(id, rooms);
            let member = self.everyone.lock().remove(id);
            if member.as_ref().and_then(Member::compressed_form).is_some() {
                self.compressed_members.fetch_sub(1, Ordering::Relaxed);
            }
            removed.extend(member);
        });
        self.wake_cluster();
        if let Some((member, rooms)) = ended
            && !rooms.is_empty()
        {
            self.call_leave_hooks(&member, &rooms.into_iter().collect::<Vec<_>>(), true);
        }
    }
}

fn visit_all<M: Member, R>(
    members: &Members<M>,
    stamp: impl FnOnce() -> R,
    mut visit: impl FnMut(M::Id, &M),
) -> R {
    let stamp = stamp();
    members.iter().for_each(|(id, member)| visit(id, member));
    stamp
}

#[cfg(test)]
mod fake_member;
#[cfg(all(test, prism_loom))]
mod races;
#[cfg(all(test, not(prism_loom)))]
mod tests;
