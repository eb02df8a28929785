//! [`Seats`]: which rooms each member is in, for as long as the member is there.
//!
//! ```text
//!   New ── its end is hooked ──► Taken { member, rooms } ── it ends ──► Over
//!    └───────────────────── it has ended already ────────────────────────┘
//! ```
//!
//! All that a member does is done under its seat's lock, so a join and the member's end can not
//! overtake each other: either the end finds the join's room, or the join finds the seat over. A
//! seat's lock comes before all others.

use std::{
    collections::HashSet,
    hash::Hash,
    sync::{Arc, Weak},
};

use crate::{shards::Shards, sync::Lock};

/// Who can be in rooms: a connection, or what a test has in its place.
pub(crate) trait Member: Clone + Send + Sync + 'static {
    type Id: Copy + Eq + Hash + Send + Sync + 'static;

    fn id(&self) -> Self::Id;

    /// Runs the hook once, when the member is over: at once if it is over already. No lock is held
    /// where it runs, except those that the caller of this holds.
    fn on_end(&self, hook: impl FnOnce() + Send + 'static);
}

/// Who has the seats. The hooks that members keep do not keep it.
pub(crate) trait Keeper<M: Member>: Send + Sync + 'static {
    /// The member is over: this has to call [`Seats::end`].
    fn end(&self, id: M::Id);
}

pub(crate) type Rooms = HashSet<Arc<str>>;

pub(crate) struct Seats<M: Member> {
    seats: Shards<M::Id, Arc<Lock<Seat<M>>>>,
}

enum Seat<M> {
    New,
    Taken { member: M, rooms: Rooms },
    Over,
}

impl<M: Member> Seats<M> {
    pub(crate) fn new(shards: usize) -> Self {
        Self { seats: Shards::new(shards) }
    }

    /// Lets `visit` see, and change, which rooms a member is in; `None` if the member is over.
    ///
    /// `keeper` is told of the member's end, seldom more than once. `welcome` is called when the seat
    /// is taken.
    pub(crate) fn visit<R>(
        &self,
        member: &M,
        keeper: &Weak<impl Keeper<M>>,
        welcome: impl FnOnce(),
        visit: impl FnOnce(&mut Rooms) -> R,
    ) -> Option<R> {
        let seat = self.seat(member);
        if matches!(*seat.lock(), Seat::New) {
            let (keeper, id) = (keeper.clone(), member.id());
            // Two who come here at the same time both do this: neither may go on before it is done.
            member.on_end(move || {
                if let Some(keeper) = keeper.upgrade() {
                    keeper.end(id);
                }
            });
        }
        let mut seat = seat.lock();
        if matches!(*seat, Seat::New) {
            *seat = Seat::Taken { member: member.clone(), rooms: Rooms::new() };
            welcome();
        }
        match &mut *seat {
            Seat::Taken { rooms, .. } => Some(visit(rooms)),
            Seat::New | Seat::Over => None,
        }
    }

    /// Lets `visit` see, and change, which rooms a member is in, if it has a seat.
    pub(crate) fn visit_taken<R>(
        &self,
        id: M::Id,
        visit: impl FnOnce(&mut Rooms) -> R,
    ) -> Option<R> {
        let seat = self.find(id)?;
        match &mut *seat.lock() {
            Seat::Taken { rooms, .. } => Some(visit(rooms)),
            Seat::New | Seat::Over => None,
        }
    }

    /// The member with this id, if it has a seat.
    pub(crate) fn member(&self, id: M::Id) -> Option<M> {
        let seat = self.find(id)?;
        match &*seat.lock() {
            Seat::Taken { member, .. } => Some(member.clone()),
            Seat::New | Seat::Over => None,
        }
    }

    /// A member is over: `leave` has to take it out of its rooms. When this returns, that is done,
    /// whoever does it: several may be told of one end at once.
    pub(crate) fn end(&self, id: M::Id, leave: impl FnOnce(Rooms)) {
        let Some(seat) = self.find(id) else { return };
        let mut state = seat.lock();
        if let Seat::Taken { rooms, .. } = std::mem::replace(&mut *state, Seat::Over) {
            leave(rooms);
        }
        drop(state);
        let mut seats = self.seats.of(&id);
        if seats.get(&id).is_some_and(|found| Arc::ptr_eq(found, &seat)) {
            seats.remove(&id);
        }
    }

    fn find(&self, id: M::Id) -> Option<Arc<Lock<Seat<M>>>> {
        self.seats.of(&id).get(&id).cloned()
    }

    fn seat(&self, member: &M) -> Arc<Lock<Seat<M>>> {
        let mut seats = self.seats.of(&member.id());
        seats.entry(member.id()).or_insert_with(|| Arc::new(Lock::new(Seat::New))).clone()
    }
}
