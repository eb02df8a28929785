//! [`Seats`]: which rooms each member is in, for as long as the member is there.
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
    fn seats(&self) -> &Seats<M>;

    /// The member, which has taken its seat, is over: this has to call [`Seats::end`]. No lock is held.
    fn end(&self, id: M::Id);
}

pub(crate) type Rooms = HashSet<Arc<str>>;

pub(crate) struct Seats<M: Member> {
    seats: Shards<HashMap<M::Id, Arc<Seat<M>>>>,
}

struct Seat<M> {
    state: Lock<State<M>>,
    /// Whether the member has the hook: it gets one at most. Held while it is given that, so that of
    /// two who come at the same time neither goes on before it is done.
    hooked: Lock<bool>,
}

enum State<M> {
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
    /// `keeper` is told of the member's end, once, in the thread that ends it. `welcome` is called when the seat
    /// is taken.
    pub(crate) fn visit<R>(
        &self,
        member: &M,
        keeper: &Weak<impl Keeper<M>>,
        welcome: impl FnOnce(),
        visit: impl FnOnce(&mut Rooms) -> R,
    ) -> Option<R> {
        let seat = self.seat(member);
        if matches!(*seat.state.lock(), State::New) {
            seat.hook(member, keeper);
        }
        let mut state = seat.state.lock();
        if matches!(*state, State::New) {
            *state = State::Taken { member: member.clone(), rooms: Rooms::new() };
            welcome();
        }
        match &mut *state {
            State::Taken { rooms, .. } => Some(visit(rooms)),
            State::New | State::Over => None,
        }
    }

    /// Lets `visit` see, and change, which rooms a member is in, if it has a seat.
    pub(crate) fn visit_taken<R>(
        &self,
        id: M::Id,
        visit: impl FnOnce(&mut Rooms) -> R,
    ) -> Option<R> {
        let seat = self.find(id)?;
        match &mut *seat.state.lock() {
            State::Taken { rooms, .. } => Some(visit(rooms)),
            State::New | State::Over => None,
        }
    }

    /// The member with this id, if it has a seat.
    pub(crate) fn member(&self, id: M::Id) -> Option<M> {
        let seat = self.find(id)?;
        match &*seat.state.lock() {
            State::Taken { member, .. } => Some(member.clone()),
            State::New | State::Over => None,
        }
    }

    /// A member is over: ends its seat if nobody has taken it, so that there is nothing to tell. Whether that
    /// is so; otherwise [`end`](Self::end) has to follow. Runs no code of the application's.
    fn end_untaken(&self, id: M::Id) -> bool {
        let Some(seat) = self.find(id) else { return true };
        let mut state = seat.state.lock();
        match &*state {
            State::Taken { .. } => return false,
            State::New | State::Over => *state = State::Over,
        }
        drop(state);
        self.remove(id, &seat);
        true
    }

    /// A member is over: `leave` has to take it out of its rooms. When this returns, that is done,
    /// by this call or by another. Returns the member and the rooms that it was in, if it was by this one.
    pub(crate) fn end(&self, id: M::Id, leave: impl FnOnce(&Rooms)) -> Option<(M, Rooms)> {
        let seat = self.find(id)?;
        let was = {
            let mut state = seat.state.lock();
            let was = std::mem::replace(&mut *state, State::Over);
            if let State::Taken { rooms, .. } = &was {
                leave(rooms);
            }
            was
        };
        self.remove(id, &seat);
        match was {
            State::Taken { member, rooms } => Some((member, rooms)),
            State::New | State::Over => None,
        }
    }

    fn remove(&self, id: M::Id, seat: &Arc<Seat<M>>) {
        let mut seats = self.seats.of(&id);
        if seats.get(&id).is_some_and(|found| Arc::ptr_eq(found, seat)) {
            seats.remove(&id);
        }
    }

    fn find(&self, id: M::Id) -> Option<Arc<Seat<M>>> {
        self.seats.of(&id).get(&id).cloned()
    }

    fn seat(&self, member: &M) -> Arc<Seat<M>> {
        let mut seats = self.seats.of(&member.id());
        let new = || Seat { state: Lock::new(State::New), hooked: Lock::new(false) };
        seats.entry(member.id()).or_insert_with(|| Arc::new(new())).clone()
    }
}

impl<M: Member> Seat<M> {
    /// Sees to it that the member's end is told.
    fn hook(&self, member: &M, keeper: &Weak<impl Keeper<M>>) {
        let mut hooked = self.hooked.lock();
        if std::mem::replace(&mut *hooked, true) {
            return;
        }
        let (keeper, id) = (keeper.clone(), member.id());
        // If the member is over, this runs here, under our lock. But the seat is taken only after that, so
        // its keeper, who runs the application's code, is not told.
        member.on_end(move || {
            if let Some(keeper) = keeper.upgrade()
                && !keeper.seats().end_untaken(id)
            {
                keeper.end(id);
            }
        });
    }
}
