//! [`MemberRecords`]: which rooms each member is in, for as long as the member is there.
//!
//! ```text
//!   New ── its end is hooked ──► Taken { member, rooms } ── it ends ──► Over
//!    └───────────────────── it has ended already ────────────────────────┘
//! ```
//!
//! All that a member does is done under its seat's lock, so a join and the member's end cannot
//! overtake each other: either the end finds the join's room, or the join finds the seat over. A
//! seat's lock comes before all others, but for the one under which its end is hooked.

use std::{
    collections::{HashMap, HashSet},
    hash::Hash,
    sync::{Arc, Weak},
};

use prism_driver::{Connection, ConnectionId};

use crate::{shards::Shards, sync::Lock};

/// Who can be in rooms: a connection, or what a test has in its place.
pub(crate) trait Member: Clone + Send + Sync + 'static {
    type Id: Copy + Eq + Hash + Send + Sync + 'static;

    fn id(&self) -> Self::Id;

    /// Runs the hook once, when the member is over: at once if it is over already. No lock is held
    /// where it runs, except those that the caller of this holds.
    fn on_end(&self, install_hook: impl FnOnce() + Send + 'static);
}

/// Who has the seats. The hooks that members keep do not keep it.
pub(crate) trait RecordOwner<M: Member>: Send + Sync + 'static {
    fn records(&self) -> &MemberRecords<M>;

    /// The member, which has taken its seat, is over: this has to call [`MemberRecords::end`]. No lock is held.
    fn member_ended(&self, id: M::Id);
}

pub(crate) type RoomNames = HashSet<Arc<str>>;

pub(crate) struct MemberRecords<M: Member> {
    records: Shards<HashMap<M::Id, Arc<Record<M>>>>,
}

struct Record<M> {
    state: Lock<State<M>>,
    /// Whether the member has the hook: it gets one at most. Held while it is given that, so that of
    /// two who come at the same time neither goes on before it is done.
    has_hook: Lock<bool>,
}

enum State<M> {
    New,
    Active { member: M, rooms: RoomNames },
    Ended,
}

impl Member for Connection {
    type Id = ConnectionId;

    fn id(&self) -> ConnectionId {
        self.id()
    }

    fn on_end(&self, hook: impl FnOnce() + Send + 'static) {
        self.on_end(hook);
    }
}

impl<M: Member> MemberRecords<M> {
    pub(crate) fn new(shards: usize) -> Self {
        Self { records: Shards::new(shards) }
    }

    /// Lets `visit` see, and change, which rooms a member is in; `None` if the member is over.
    ///
    /// `keeper` is told of the member's end, once, in the thread that ends it. `welcome` is called when the seat
    /// is taken.
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

    /// Lets `visit` see, and change, which rooms a member is in, if it has a seat.
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

    /// The member with this id, if it has a seat.
    pub(crate) fn member(&self, id: M::Id) -> Option<M> {
        let record = self.find(id)?;
        match &*record.state.lock() {
            State::Active { member, .. } => Some(member.clone()),
            State::New | State::Ended => None,
        }
    }

    /// A member is over: ends its seat if nobody has taken it, so that there is nothing to tell. Whether that
    /// is so; otherwise [`end`](Self::end) has to follow. Runs no code of the application's.
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

    /// A member is over: `leave` has to take it out of its rooms. When this returns, that is done,
    /// by this call or by another. Returns the member and the rooms that it was in, if it was by this one.
    pub(crate) fn end(&self, id: M::Id, leave: impl FnOnce(&RoomNames)) -> Option<(M, RoomNames)> {
        let record = self.find(id)?;
        let was = {
            let mut state = record.state.lock();
            let was = std::mem::replace(&mut *state, State::Ended);
            if let State::Active { rooms, .. } = &was {
                leave(rooms);
            }
            was
        };
        self.remove(id, &record);
        match was {
            State::Active { member, rooms } => Some((member, rooms)),
            State::New | State::Ended => None,
        }
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
    /// Sees to it that the member's end is told.
    fn install_hook(&self, member: &M, owner: &Weak<impl RecordOwner<M>>) {
        let mut has_hook = self.has_hook.lock();
        if std::mem::replace(&mut *has_hook, true) {
            return;
        }
        let (owner, id) = (owner.clone(), member.id());
        // If the member is over, this runs here, under our lock. But the seat is taken only after that, so
        // its keeper, who runs the application's code, is not told.
        member.on_end(move || {
            if let Some(owner) = owner.upgrade()
                && !owner.records().end_unless_active(id)
            {
                owner.member_ended(id);
            }
        });
    }
}
