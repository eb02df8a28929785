//! [`Active`]: the connections of a history. It does for them what the core decides, and tells the core what they do.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    sync::Arc,
    time::Duration,
};

use super::members::{Members, Sent};
use crate::{
    cluster::event::ClusterEvent,
    error::JoinError,
    history::{
        core::{
            HistoryCore,
            output::{Admission, Output},
        },
        error::HistoryJoinError,
        hub::{JoinRequest, Request},
        join_id::JoinId,
        joined::{JoinStep, Joined, Progress},
        position::Position,
    },
};

pub(crate) struct Active<M: Members> {
    pub(crate) core: HistoryCore,
    pub(crate) members: M,
    /// By their rooms and IDs.
    pending: BTreeMap<(Arc<str>, u128), Pending<M::Member>>,
    /// The rooms to subscribe to again.
    pub(crate) resubscribe: Vec<Arc<str>>,
    /// What the application is told.
    pub(crate) events: Vec<ClusterEvent>,
}

/// A connection that is being added to a room, or a member that has fallen behind.
struct Pending<C> {
    connection: C,
    /// The number of the request that the core has, if it has one.
    number: Option<u64>,
    /// The number of the request of which the caller has not learned what became of it.
    caller: Option<u64>,
}

impl<M: Members> Active<M> {
    pub(crate) fn new(core: HistoryCore, members: M) -> Self {
        let (pending, resubscribe, events) = (BTreeMap::new(), Vec::new(), Vec::new());
        Self { core, members, pending, resubscribe, events }
    }

    pub(crate) fn handle_request(&mut self, request: Request<M::Member>, now: Duration) {
        match request {
            Request::Append { room, record, pending } => {
                self.core.handle_append(&room, record, pending);
            }
            Request::Join(request) => self.join(request, now),
            Request::Continue { id, progress } => self.go_on(&id, progress, now),
            Request::Accept(id) => self.accept(id),
            Request::Cancel(id) => self.cancel(id),
        }
        self.settle();
    }

    /// Handles that a room has no members any more.
    pub(crate) fn handle_vacant(&mut self, room: &Arc<str>) {
        self.core.handle_vacant(room);
        let range = (room.clone(), 0)..=(room.clone(), u128::MAX);
        let vacated: Vec<_> = self.pending.range(range).map(|(key, _)| key.clone()).collect();
        vacated.iter().for_each(|key| drop(self.pending.remove(key)));
    }

    /// Does for connections what the core has decided.
    pub(crate) fn settle(&mut self) {
        while let Some(output) = self.core.poll_output() {
            match output {
                Output::Deliver { room, position, record } => {
                    let except = self.core.joining(&room);
                    for member in self.members.send(&room, except, &position, &record) {
                        self.fall_behind(&room, member, &position);
                    }
                }
                Output::Broken { room, position } => {
                    self.members.warn(&room, self.core.joining(&room), &position);
                }
                Output::Give { id, after, page } => {
                    if self.is_member(&id) {
                        self.core.step(&id, JoinStep::Page { after, page });
                    } else {
                        self.fail(&id, HistoryJoinError::Left);
                    }
                }
                Output::Admit(admission) => self.admit(admission),
                Output::Expire(id) => self.expire(&id),
                Output::ReadRefused { room, reason } => {
                    self.events.push(ClusterEvent::ReadRefused { room, reason });
                }
                Output::AppendRefused { room, reason } => {
                    self.events.push(ClusterEvent::AppendRefused { room, reason });
                }
                Output::Resubscribe(room) => self.resubscribe.push(room),
            }
        }
    }

    /// Handles that the node has left the cluster: its members miss what follows, so they have to go to another node.
    pub(crate) fn end(mut self) {
        self.core.handle_session_ended();
        for ((room, _), Pending { connection, number, caller }) in self.pending {
            if number.is_some() && number == caller {
                self.members.leave(&connection, &room); // its caller is told
            }
        }
        self.core.rooms().for_each(|room| self.members.close(room));
    }

    // ---- requests

    fn join(&mut self, request: JoinRequest<M::Member>, now: Duration) {
        let JoinRequest { id, connection, start, answer_to } = request;
        let step = match self.members.join(&connection, &id.room) {
            Ok(true) => {
                // It replaces an older request, if the member has left since.
                let number = Some(id.number);
                self.pending.insert(key(&id), Pending { connection, number, caller: number });
                return self.core.handle_join(&id, start, answer_to, now);
            }
            Ok(false) => JoinStep::Done(Joined::Already),
            Err(error) => JoinStep::Failed(HistoryJoinError::Join(error)),
        };
        let _ = answer_to.try_send(step); // fails if nobody waits any more
    }

    fn go_on(&mut self, id: &JoinId, progress: Option<Progress>, now: Duration) {
        if self.is_member(id) {
            self.core.handle_continue(id, progress, now);
        } else {
            self.fail(id, HistoryJoinError::Left);
        }
    }

    fn accept(&mut self, id: JoinId) {
        self.update((id.room, id.member), |pending| {
            pending.caller.take_if(|caller| *caller == id.number);
        });
    }

    /// The connection leaves the room, unless it has joined it again.
    fn cancel(&mut self, id: JoinId) {
        let Entry::Occupied(entry) = self.pending.entry(key(&id)) else { return };
        let numbers = [entry.get().number, entry.get().caller];
        if !numbers.contains(&Some(id.number)) {
            return;
        }
        let Pending { connection, number, .. } = entry.remove();
        self.members.leave(&connection, &id.room);
        if let Some(number) = number {
            self.core.end_join(&JoinId { number, ..id });
        }
    }

    // ---- what becomes of connections

    /// A member has no room for what is at a position. From now on, it is sent that and what follows as fast as it
    /// reads.
    fn fall_behind(&mut self, room: &Arc<str>, member: M::Member, position: &Position) {
        if !self.members.is_open(&member) {
            return;
        }
        let (id, answer_to) = self.members.catch_up(room, &member);
        let pending = Pending { connection: member, number: None, caller: None };
        self.pending.entry(key(&id)).or_insert(pending).number = Some(id.number);
        self.core.handle_behind(&id, position.with_offset(position.offset() - 1), answer_to);
    }

    /// Makes a connection a member like the others, if it takes all the records that it needs for that.
    fn admit(&mut self, admission: Admission) {
        let Admission { id, position, records, repeated, is_behind, .. } = admission;
        let Some(connection) = self.connection(&id).filter(|_| self.is_member(&id)) else {
            return self.fail(&id, HistoryJoinError::Left);
        };
        let mut is_whole = admission.is_whole && records.is_some();
        let records = records.unwrap_or_default();
        let first = position.offset() + 1 - records.len() as u64;
        for (offset, record) in (first..).zip(&records) {
            match self.members.send_one(&connection, &position.with_offset(offset), record) {
                Sent::Taken => {}
                Sent::NotShown => is_whole = false,
                Sent::Full => {
                    let progress = Progress { at: position.with_offset(offset - 1), is_whole };
                    return self.core.postpone(&id, progress);
                }
            }
        }
        if is_behind && !is_whole {
            self.members.warn_one(&id.room, &connection, &position);
        }
        let joined = if is_whole {
            Joined::Whole { position, repeated }
        } else {
            Joined::Broken { position }
        };
        self.finish(&id, JoinStep::Done(joined));
        self.update((id.room, id.member), |pending| pending.number = None);
    }

    /// Gives a connection up for which the backplane has kept it waiting.
    fn expire(&mut self, id: &JoinId) {
        let connection = self.connection(id);
        self.fail(id, HistoryJoinError::Unavailable);
        if let Some(connection) = connection {
            self.members.leave(&connection, &id.room);
        }
    }

    /// Ends a request whose connection is not a member, or will not be.
    fn fail(&mut self, id: &JoinId, error: HistoryJoinError) {
        let has_ended = self.connection(id).is_some_and(|member| !self.members.is_open(&member));
        let error = if has_ended { HistoryJoinError::Join(JoinError::Ended) } else { error };
        self.finish(id, JoinStep::Failed(error));
        let is_latest = |pending: &Pending<_>| pending.number == Some(id.number);
        if self.pending.get(&key(id)).is_some_and(is_latest) {
            self.pending.remove(&key(id));
        }
    }

    fn finish(&mut self, id: &JoinId, step: JoinStep) {
        if let Some(answer_to) = self.core.end_join(id) {
            let _ = answer_to.try_send(step); // fails if nobody waits any more
        }
    }

    // ---- helpers

    /// Returns the connection of a request, if that is the latest one.
    fn connection(&self, id: &JoinId) -> Option<M::Member> {
        let pending = self.pending.get(&key(id))?;
        (pending.number == Some(id.number)).then(|| pending.connection.clone())
    }

    fn is_member(&self, id: &JoinId) -> bool {
        self.connection(id).is_some_and(|member| self.members.contains(&id.room, &member))
    }

    /// Updates what is pending, and forgets it if nothing is any more.
    fn update(&mut self, key: (Arc<str>, u128), update: impl FnOnce(&mut Pending<M::Member>)) {
        if let Entry::Occupied(mut entry) = self.pending.entry(key) {
            update(entry.get_mut());
            if let Pending { number: None, caller: None, .. } = entry.get() {
                entry.remove();
            }
        }
    }
}

fn key(id: &JoinId) -> (Arc<str>, u128) {
    (id.room.clone(), id.member)
}
