//! [`Hall`]: who is in which room. What [`Rooms`](crate::Rooms) says in terms of connections, for
//! members of any kind.

use std::{
    collections::HashSet,
    sync::{Arc, Weak},
};

use indexmap::IndexMap;

use super::stamp::Stamp;
use crate::{
    contain::contain,
    directory::{Directory, Vacate},
    error::JoinError,
    member_records::{Keeper, Member, Rooms, Seats},
    sync::{Lock, Turnstile},
};

pub(crate) struct Hall<M: Member> {
    /// For the hooks that members keep: they do not keep the hall.
    this: Weak<Self>,
    seats: Seats<M>,
    rooms: Directory<Members<M>>,
    everyone: Lock<Members<M>>,
    /// Passed by whatever is said: to rooms side by side, to everyone alone, so that this has its place
    /// in the order of each room.
    turnstile: Turnstile,
    /// How many rooms a member may be in.
    max_rooms: usize,
    /// What is to be called when a member has left rooms. Copied when one is added, so that they are
    /// called while nothing is locked.
    on_leave: Lock<Arc<Vec<OnLeave<M>>>>,
}

/// Told the member, the rooms that it has left (at least one), and whether it has because it is over.
type OnLeave<M> = Arc<dyn Fn(&M, &[Arc<str>], bool) + Send + Sync>;

/// The members of a room, close together in memory.
pub(crate) type Members<M> = IndexMap<<M as Member>::Id, M>;

impl<Id, M> Vacate for IndexMap<Id, M> {
    fn is_vacant(&self) -> bool {
        self.is_empty()
    }
}

/// Whom something is for.
#[derive(Clone, Debug)]
pub(crate) enum Whom<'a> {
    Everyone,
    /// Whoever is in at least one of these rooms.
    In(Vec<&'a str>),
}

impl<M: Member> Hall<M> {
    pub(crate) fn new(shards: usize, max_rooms: usize) -> Arc<Self> {
        Arc::new_cyclic(|this| Self {
            this: this.clone(),
            seats: Seats::new(shards),
            rooms: Directory::new(shards),
            everyone: Lock::new(Members::<M>::default()),
            turnstile: Turnstile::new(),
            max_rooms,
            on_leave: Lock::new(Arc::default()),
        })
    }

    /// Calls `hook` whenever a member has left rooms, from now on.
    pub(crate) fn on_leave(&self, hook: impl Fn(&M, &[Arc<str>], bool) + Send + Sync + 'static) {
        let mut hooks = self.on_leave.lock();
        let more = hooks.iter().cloned().chain([Arc::new(hook) as OnLeave<M>]).collect();
        *hooks = Arc::new(more);
    }

    /// Whether the member is known now: not if it is over.
    pub(crate) fn add(&self, member: &M) -> bool {
        self.seated(member, |_| ()).is_some()
    }

    /// Whether the member has come in: not if it was in.
    pub(crate) fn join(&self, member: &M, room: &str) -> Result<bool, JoinError> {
        let joined = self.seated(member, |rooms| {
            if rooms.contains(room) {
                return Ok(false);
            }
            if rooms.len() >= self.max_rooms {
                return Err(JoinError::TooManyRooms { limit: self.max_rooms });
            }
            self.rooms.enter(room, |name, members| {
                members.insert(member.id(), member.clone());
                rooms.insert(name.clone());
            });
            Ok(true)
        });
        joined.unwrap_or(Err(JoinError::Ended))
    }

    /// Whether the member was in the room.
    pub(crate) fn leave(&self, id: M::Id, room: &str) -> bool {
        let left = self.seats.visit_taken(id, |rooms| {
            let room = rooms.take(room)?;
            Some((self.take_out(id, &room)?, room))
        });
        let Some((member, room)) = left.flatten() else { return false };
        self.tell_departure(&member, &[room], false);
        true
    }

    /// The rooms that the member was in.
    pub(crate) fn leave_all(&self, id: M::Id) -> Vec<Arc<str>> {
        let left = self.seats.visit_taken(id, |rooms| {
            let rooms: Vec<_> = rooms.drain().collect();
            (self.take_out_of_all(id, &rooms), rooms)
        });
        let Some((members, rooms)) = left else { return Vec::new() };
        if let Some(member) = members.first() {
            self.tell_departure(member, &rooms, false);
        }
        rooms
    }

    /// The member with this id, if it is known.
    pub(crate) fn member(&self, id: M::Id) -> Option<M> {
        self.seats.member(id)
    }

    pub(crate) fn rooms_of(&self, id: M::Id) -> Vec<Arc<str>> {
        let rooms = self.seats.visit_taken(id, |rooms| rooms.iter().cloned().collect());
        rooms.unwrap_or_default()
    }

    pub(crate) fn contains(&self, room: &str, id: M::Id) -> bool {
        self.seats.visit_taken(id, |rooms| rooms.contains(room)).unwrap_or(false)
    }

    /// The rooms that there are.
    pub(crate) const fn rooms(&self) -> &Directory<Members<M>> {
        &self.rooms
    }

    /// How many members are known.
    pub(crate) fn known(&self) -> usize {
        self.everyone.lock().len()
    }

    /// Lets `look` see who is in a room, while nobody comes or goes; `None` if there is no such room.
    pub(crate) fn look<R>(&self, room: &str, look: impl FnOnce(&Members<M>) -> R) -> Option<R> {
        self.rooms.visit(room, |members| look(members))
    }

    /// Tells each member that something is for, once; nobody comes or goes meanwhile. All hear what
    /// they hear in the order of the stamps.
    pub(crate) fn each(&self, whom: &Whom<'_>, tell: impl FnMut(M::Id, &M)) -> Stamp {
        match whom {
            Whom::Everyone => self.turnstile.alone(|| tell_all(&self.everyone.lock(), tell)),
            Whom::In(rooms) => self
                .turnstile
                .side_by_side(|| match rooms[..] {
                    [room] => self.look(room, |members| tell_all(members, tell)),
                    _ => Some(self.each_of_several(rooms.clone(), tell)),
                })
                .unwrap_or_else(Stamp::next),
        }
    }

    fn each_of_several(&self, mut rooms: Vec<&str>, mut tell: impl FnMut(M::Id, &M)) -> Stamp {
        rooms.sort_unstable();
        rooms.dedup();
        self.rooms.look_at_all(&rooms, |rooms| {
            let stamp = Stamp::next();
            let mut told = HashSet::new();
            for (id, member) in rooms.iter().flat_map(|members| members.iter()) {
                if told.insert(*id) {
                    tell(*id, member);
                }
            }
            stamp
        })
    }

    fn seated<R>(&self, member: &M, visit: impl FnOnce(&mut Rooms) -> R) -> Option<R> {
        let welcome = || {
            self.everyone.lock().insert(member.id(), member.clone());
        };
        self.seats.visit(member, &self.this, welcome, visit)
    }

    /// Gives back the member that was in the room: it may be the last handle of a connection, and that
    /// is not to be dropped under a lock, here or in the caller.
    #[must_use]
    fn take_out(&self, id: M::Id, room: &str) -> Option<M> {
        self.rooms.visit(room, |members| members.swap_remove(&id)).flatten()
    }

    /// As [`take_out`](Self::take_out), one for each room.
    #[must_use]
    fn take_out_of_all<'r>(
        &self,
        id: M::Id,
        rooms: impl IntoIterator<Item = &'r Arc<str>>,
    ) -> Vec<M> {
        rooms.into_iter().filter_map(|room| self.take_out(id, room)).collect()
    }

    /// Calls the hooks. No lock may be held.
    fn tell_departure(&self, member: &M, rooms: &[Arc<str>], ended: bool) {
        let hooks = self.on_leave.lock().clone();
        for hook in hooks.iter() {
            contain(|| hook(member, rooms, ended));
        }
    }
}

impl<M: Member> Keeper<M> for Hall<M> {
    fn seats(&self) -> &Seats<M> {
        &self.seats
    }

    fn end(&self, id: M::Id) {
        let mut taken_out = Vec::new();
        let ended = self.seats.end(id, |rooms| {
            taken_out = self.take_out_of_all(id, rooms);
            taken_out.extend(self.everyone.lock().swap_remove(&id));
        });
        if let Some((member, rooms)) = ended
            && !rooms.is_empty()
        {
            self.tell_departure(&member, &rooms.into_iter().collect::<Vec<_>>(), true);
        }
    }
}

fn tell_all<M: Member>(members: &Members<M>, mut tell: impl FnMut(M::Id, &M)) -> Stamp {
    let stamp = Stamp::next();
    members.iter().for_each(|(id, member)| tell(*id, member));
    stamp
}

#[cfg(test)]
mod fake_member;
#[cfg(all(test, prism_loom))]
mod races;
#[cfg(all(test, not(prism_loom)))]
mod tests;
