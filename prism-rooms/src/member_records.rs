//! [`MemberRecords`]: which rooms each member is in, until the member ends.
//!
//! ```text
//!   New ──── its end hook is installed ────► Active { member, rooms } ──── it ends ────► Ended
//!    └──────────────────────────── it has ended already ────────────────────────────────┘
//! ```
//!
//! Everything that a member does is done under the lock of its record. So a join and the member's end cannot
//! miss each other: either the end finds the joined room, or the join finds that the member has ended.
//!
//! Lock order: a record's lock comes before all others, except the one under which its end hook is installed.

use std::{
    collections::{HashMap, HashSet},
    hash::Hash,
    sync::{Arc, Weak},
};

use prism_driver::{CompressedForm, Connection, ConnectionId};

use crate::{shards::Shards, sync::Lock};

/// A member of rooms: a connection, or its stand-in in a test.
pub(crate) trait Member: Clone + Send + Sync + 'static {
    type Id: Copy + Eq + Hash + Send + Sync + 'static;

    fn id(&self) -> Self::Id;

    /// Runs the hook once, when the member ends, or at once if it has ended already. The hook runs under no
    /// locks other than the caller's.
    fn on_end(&self, hook: impl FnOnce() + Send + 'static);

    /// Returns the compressed form in which the member needs its messages; `None` if that is not compressed.
    fn compressed_form(&self) -> Option<&CompressedForm> {
        None
    }
}

impl Member for Connection {
    type Id = ConnectionId;

    fn id(&self) -> ConnectionId {
        self.id()
    }

    fn on_end(&self, hook: impl FnOnce() + Send + 'static) {
        self.on_end(hook);
    }

    fn compressed_form(&self) -> Option<&CompressedForm> {
        self.compressed_form()
    }
}

/// The owner of the records. The end hooks of members refer to it, but do not keep it alive.
pub(crate) trait RecordOwner<M: Member>: Send + Sync + 'static {
    fn records(&self) -> &MemberRecords<M>;

    /// Handles the end of an active member. Has to call [`MemberRecords::end`]. The caller holds no lock.
    fn member_ended(&self, id: M::Id);
}

pub(crate) type RoomNames = HashSet<Arc<str>>;

pub(crate) struct MemberRecords<M: Member> {
    records: Shards<HashMap<M::Id, Arc<Record<M>>>>,
}

struct Record<M> {
    state: Lock<State<M>>,
    /// Whether the member has an end hook; it gets at most one. Locked while the hook is installed, so that a
    /// second caller waits until that is done.
    has_hook: Lock<bool>,
}

enum State<M> {
    New,
    Active { member: M, rooms: RoomNames },
    Ended,
}

impl<M: Member> MemberRecords<M> {
    pub(crate) fn new(shards: usize) -> Self {
        Self { records: Shards::new(shards) }
    }

    /// Calls `update` with the names of the member's rooms. Returns `None` if the member has ended.
    ///
    /// The first call for a member makes its record active, and calls `on_active`. When the member ends, the
    /// thread that ends it calls [`RecordOwner::member_ended`], once.
    pub(crate) fn update<R>(
        &self,
        member: &M,
        owner: &Weak<impl RecordOwner<M>>,
        on_active: impl FnOnce(),
        update: impl FnOnce(&mut RoomNames) -> R,
    ) -> Option<R> {
        let record = self.find_or_create(member);
        if matches!(*record.state.lock(), State::New) {
            record.install_hook(member, owner);
        }
        let mut state = record.state.lock();
        if matches!(*state, State::New) {
            *state = State::Active { member: member.clone(), rooms: RoomNames::new() };
            on_active();
        }
        match &mut *state {
            State::Active { rooms, .. } => Some(update(rooms)),
            State::New | State::Ended => None,
        }
    }

    /// Calls `update` with the names of the member's rooms, if it has an active record.
    pub(crate) fn update_existing<R>(
        &self,
        id: M::Id,
        update: impl FnOnce(&mut RoomNames) -> R,
    ) -> Option<R> {
        let record = self.find(id)?;
        match &mut *record.state.lock() {
            State::Active { rooms, .. } => Some(update(rooms)),
            State::New | State::Ended => None,
        }
    }

    /// Returns the member with this ID, if it has an active record.
    pub(crate) fn member(&self, id: M::Id) -> Option<M> {
        let record = self.find(id)?;
        match &*record.state.lock() {
            State::Active { member, .. } => Some(member.clone()),
            State::New | State::Ended => None,
        }
    }

    /// Ends the record of a member, and calls `leave` with its rooms, from which the caller has to remove it.
    ///
    /// When this returns, the record has ended, by this call or an earlier one. Returns the member and the
    /// names of its rooms if it was by this one and the record was active.
    pub(crate) fn end(&self, id: M::Id, leave: impl FnOnce(&RoomNames)) -> Option<(M, RoomNames)> {
        let record = self.find(id)?;
        let previous = {
            let mut state = record.state.lock();
            let previous = std::mem::replace(&mut *state, State::Ended);
            if let State::Active { rooms, .. } = &previous {
                leave(rooms);
            }
            previous
        };
        self.remove(id, &record);
        match previous {
            State::Active { member, rooms } => Some((member, rooms)),
            State::New | State::Ended => None,
        }
    }

    /// Ends the record of a member unless it is active. Returns whether it has ended; otherwise
    /// [`end`](Self::end) has to follow. Runs no application code.
    fn end_unless_active(&self, id: M::Id) -> bool {
        let Some(record) = self.find(id) else { return true };
        let mut state = record.state.lock();
        match &*state {
            State::Active { .. } => return false,
            State::New | State::Ended => *state = State::Ended,
        }
        drop(state);
        self.remove(id, &record);
        true
    }

    fn remove(&self, id: M::Id, record: &Arc<Record<M>>) {
        let mut records = self.records.lock(&id);
        if records.get(&id).is_some_and(|found| Arc::ptr_eq(found, record)) {
            records.remove(&id);
        }
    }

    fn find(&self, id: M::Id) -> Option<Arc<Record<M>>> {
        self.records.lock(&id).get(&id).cloned()
    }

    fn find_or_create(&self, member: &M) -> Arc<Record<M>> {
        let mut records = self.records.lock(&member.id());
        let new = || Record { state: Lock::new(State::New), has_hook: Lock::new(false) };
        records.entry(member.id()).or_insert_with(|| Arc::new(new())).clone()
    }
}

impl<M: Member> Record<M> {
    /// Installs the member's end hook, unless it has one.
    fn install_hook(&self, member: &M, owner: &Weak<impl RecordOwner<M>>) {
        let mut has_hook = self.has_hook.lock();
        if std::mem::replace(&mut *has_hook, true) {
            return;
        }
        let (owner, id) = (owner.clone(), member.id());
        // If the member has ended already, the hook runs here, under the lock. But then the record is not
        // active yet, so the hook does not call the owner, which would run application code.
        member.on_end(move || {
            if let Some(owner) = owner.upgrade()
                && !owner.records().end_unless_active(id)
            {
                owner.member_ended(id);
            }
        });
    }
}
