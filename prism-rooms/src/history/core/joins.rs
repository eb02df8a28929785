//! The connections that are being added to rooms, and the members that have fallen behind: each is sent what it has
//! missed, until it has what the room has.
//!
//! ```text
//!   join ──► Waiting ──► Wanting ──► Reading ──► Sending ──► continue
//!               ▲  │                    │                       │
//!               │  └── lacks little ──► Decided ──► member      │
//!               └───────────────────────────────────────────────┘
//! ```

use std::{
    mem,
    sync::{Arc, Weak},
    time::Duration,
};

use async_channel::Sender;
use bytes::Bytes;

use super::{
    HistoryCore,
    asked::Reader,
    join::{Join, Outcome, State},
    output::{Admission, Output},
    room::Room,
};
use crate::{
    backplane::history::Page,
    history::{
        error::HistoryJoinError,
        join_id::JoinId,
        joined::{JoinStep, Progress},
        position::Position,
        start::Start,
    },
};

/// How long a connection that is being added waits for the backplane.
pub(super) const MAX_WAIT: Duration = Duration::from_secs(10);
/// How long it waits for that to be connected. A client's requests are often executed one after the other, so that they
/// would wait for all of its rooms.
const MAX_DISCONNECTED: Duration = Duration::from_secs(1);
/// How many pages connections may have in hand.
const MAX_PAGES: usize = if cfg!(test) { 2 } else { 64 };

impl HistoryCore {
    /// Handles that a connection has become a member of a room, and where it begins there. Until its request
    /// [ends](Self::end_join), it is [not among those](Self::joining) that records are sent to. An older request for
    /// the same member fails: the member has left since.
    pub(crate) fn handle_join(
        &mut self,
        id: &JoinId,
        start: Start,
        answer_to: Sender<JoinStep>,
        now: Duration,
    ) {
        self.insert_join(id, Join::new(id.number, start, false, answer_to));
        self.wait(id, now);
    }

    /// Handles that a member has no room for what comes after a position. It is sent the rest when it has, and is
    /// [not among those](Self::joining) that records are sent to until then.
    pub(crate) fn handle_behind(&mut self, id: &JoinId, at: Position, answer_to: Sender<JoinStep>) {
        self.insert_join(id, Join::new(id.number, Start::After(at), true, answer_to));
        self.step(id, JoinStep::Full);
    }

    /// Handles that a connection has taken what it was sent: that much of its page, if it had one.
    pub(crate) fn handle_continue(
        &mut self,
        id: &JoinId,
        progress: Option<Progress>,
        now: Duration,
    ) {
        let Some(join) = self.join(id).filter(|join| join.state == State::Sending) else { return };
        if let Some(Progress { at, is_whole }) = progress {
            join.reach(at, is_whole);
        }
        self.wait(id, now);
    }

    /// Handles that a connection takes only the records of an admission up to a position. It is sent the others when it
    /// has [room](Self::handle_continue).
    pub(crate) fn postpone(&mut self, id: &JoinId, progress: Progress) {
        let Some(join) = self.join(id) else { return };
        join.reach(progress.at, progress.is_whole);
        join.state = State::Sending;
        self.step(id, JoinStep::Full);
    }

    /// Answers a request.
    pub(crate) fn step(&mut self, id: &JoinId, step: JoinStep) {
        if let Some(join) = self.join(id) {
            let _ = join.answer_to.try_send(step); // fails if nobody waits any more
        }
    }

    /// Ends a request. If the connection is a member, it goes on with what the room receives. Returns where the answer
    /// goes, unless the request has ended before.
    pub(crate) fn end_join(&mut self, id: &JoinId) -> Option<Sender<JoinStep>> {
        let ended = self.join(id)?.answer_to.clone();
        let room = self.rooms.get_mut(&id.room)?;
        room.joins.remove(&id.member);
        if room.joins.is_empty() {
            room.forget_recent();
        }
        Some(ended)
    }

    /// Returns the IDs of the connections that are being added to a room or have fallen behind, in ascending order.
    pub(crate) fn joining(&self, room: &str) -> Vec<u128> {
        let joins = self.rooms.get(room).map(|room| &room.joins);
        joins.into_iter().flatten().map(|(member, _)| *member).collect()
    }

    /// Goes on with the connections of a room that wait for its subscription.
    pub(super) fn advance_joins(&mut self, name: &Arc<str>) {
        let Some(room) = self.rooms.get(name) else { return };
        let joins: Vec<_> = room
            .joins
            .iter()
            .filter(|(_, join)| join.state == State::Waiting)
            .map(|(member, join)| (*member, join.number))
            .collect();
        joins.into_iter().for_each(|join| self.advance_join(&id_of(name, join)));
    }

    /// Goes on with a connection, unless the session has yet to subscribe.
    pub(super) fn advance_join(&mut self, id: &JoinId) {
        let Some(room) = self.rooms.get_mut(&id.room).filter(|room| room.is_active) else { return };
        if find(room, id).is_none_or(|join| join.state != State::Waiting) {
            return;
        }
        room.begin(id.member);
        if let Some(records) = find(room, id).and_then(|join| room.lacking(join)) {
            return self.admit(id, Some(records));
        }
        set_state(room, id, State::Wanting);
        room.wanting.push_back((id.member, id.number));
        if !mem::replace(&mut room.is_queued, true) {
            self.wanted_joins.push_back(id.room.clone());
        }
    }

    /// Goes on with the connections of a room that want a page, since the room has got further.
    pub(super) fn reconsider(&mut self, name: &Arc<str>) {
        let Some(room) = self.rooms.get_mut(name) else { return };
        for join in mem::take(&mut room.wanting) {
            let id = id_of(name, join);
            if self.join(&id).is_some_and(|join| join.state == State::Wanting) {
                self.set_waiting(&id);
                self.advance_join(&id);
            }
        }
    }

    /// Takes connections of a room that one page can be for. Returns after which position to read.
    pub(super) fn next_readers(&mut self, name: &Arc<str>) -> Option<(Option<Position>, Reader)> {
        let room = self.rooms.get_mut(name)?;
        let mut first = None;
        let mut readers = Vec::new();
        for (member, number) in mem::take(&mut room.wanting) {
            let is_wanting =
                |join: &&mut Join| join.number == number && join.state == State::Wanting;
            let cursor = room.cursor().cloned();
            let Some(join) = room.joins.get_mut(&member).filter(is_wanting) else { continue };
            let (at, _) =
                first.get_or_insert_with(|| (join.at.clone(), join.reads_after(cursor.as_ref())));
            if join.can_share(at.as_ref()) {
                join.state = State::Reading;
                readers.push((member, number));
            } else {
                room.wanting.push_back((member, number));
            }
        }
        room.is_queued = !room.wanting.is_empty();
        if room.is_queued {
            self.wanted_joins.push_back(name.clone());
        }
        first.map(|(_, after)| (after, Reader::Joins(readers)))
    }

    /// Handles a page that was read for connections.
    pub(super) fn handle_joins_page(
        &mut self,
        name: &Arc<str>,
        joins: Vec<(u128, u64)>,
        page: &Arc<Page>,
    ) {
        for id in joins.into_iter().map(|join| id_of(name, join)) {
            let cursor = self.rooms.get(name).and_then(|room| room.cursor().cloned());
            let Some(join) = self.join(&id).filter(|join| join.state == State::Reading) else {
                continue;
            };
            match join.judge(page, cursor.as_ref()) {
                Outcome::GoOn => {
                    self.set_waiting(&id);
                    self.advance_join(&id);
                }
                Outcome::Give => self.give(id, page),
                Outcome::Broken => self.admit(&id, None),
            }
        }
        self.pages.push(Arc::downgrade(page));
    }

    /// Returns whether another page may be in hand.
    pub(super) fn has_room_for_page(&mut self) -> bool {
        self.pages.retain(|page: &Weak<Page>| page.strong_count() > 0);
        self.pages.len() < MAX_PAGES
    }

    /// Handles that a read for connections was refused: it is tried again later.
    pub(super) fn refuse_joins(&mut self, name: &Arc<str>, joins: Vec<(u128, u64)>) {
        for id in joins.into_iter().map(|join| id_of(name, join)) {
            if self.join(&id).is_some_and(|join| join.state == State::Reading) {
                self.set_waiting(&id);
                self.refused_joins.push(id);
            }
        }
    }

    /// Gives connections up that the backplane has kept waiting for too long.
    pub(super) fn expire_joins(&mut self, now: Duration) {
        while self.next_join_due().is_some_and(|due| due <= now)
            && let Some((due, id)) = self.deadlines.pop_front()
        {
            if let Some(join) = self.join(&id).filter(|join| join.due == Some(due)) {
                (join.state, join.due) = (State::Decided, None);
                self.outputs.push_back(Output::Expire(id));
            }
        }
    }

    /// Returns when the next connection is given up, or is seen not to wait any more.
    pub(super) fn next_join_due(&self) -> Option<Duration> {
        let (due, _) = self.deadlines.front()?;
        let Some(since) = self.disconnected_since else { return Some(*due) };
        let disconnected = since.max(*due - MAX_WAIT); // or since it waits
        Some((disconnected + MAX_DISCONNECTED).min(*due))
    }

    // ---- helpers

    fn insert_join(&mut self, id: &JoinId, join: Join) {
        if let Some(older) = self.room(&id.room).joins.insert(id.member, join) {
            older.fail(HistoryJoinError::Left);
        }
    }

    fn join(&mut self, id: &JoinId) -> Option<&mut Join> {
        let join = self.rooms.get_mut(&id.room)?.joins.get_mut(&id.member)?;
        Some(join).filter(|join| join.number == id.number)
    }

    fn set_waiting(&mut self, id: &JoinId) {
        if let Some(join) = self.join(id) {
            join.state = State::Waiting;
        }
    }

    /// Waits for the backplane, if it has to. A member that has fallen behind does so for as long as the others.
    fn wait(&mut self, id: &JoinId, now: Duration) {
        let Some(join) = self.join(id) else { return };
        join.state = State::Waiting;
        if !join.is_behind {
            let due = now + MAX_WAIT;
            join.due = Some(due);
            self.deadlines.push_back((due, id.clone()));
        }
        self.advance_join(id);
    }

    fn give(&mut self, id: JoinId, page: &Arc<Page>) {
        let Some(join) = self.join(&id) else { return };
        let Some(after) = join.at.clone() else { return };
        (join.state, join.due) = (State::Sending, None);
        self.outputs.push_back(Output::Give { id, after, page: page.clone() });
    }

    /// Makes a connection a member of its room like the others, with the records that it lacks.
    fn admit(&mut self, id: &JoinId, records: Option<Vec<Bytes>>) {
        let Some(room) = self.rooms.get_mut(&id.room) else { return };
        let Some(position) = room.cursor().cloned() else { return };
        let Some(join) = room.joins.get_mut(&id.member) else { return };
        (join.state, join.due) = (State::Decided, None);
        let repeated = join.sent + records.as_ref().map_or(0, Vec::len) as u64;
        let (id, is_whole, is_behind) = (id.clone(), join.is_whole, join.is_behind);
        let admission = Admission { id, position, records, repeated, is_whole, is_behind };
        self.outputs.push_back(Output::Admit(admission));
    }
}

fn id_of(room: &Arc<str>, (member, number): (u128, u64)) -> JoinId {
    JoinId { room: room.clone(), member, number }
}

fn find<'r>(room: &'r Room, id: &JoinId) -> Option<&'r Join> {
    room.joins.get(&id.member).filter(|join| join.number == id.number)
}

fn set_state(room: &mut Room, id: &JoinId, state: State) {
    if let Some(join) = room.joins.get_mut(&id.member) {
        join.state = state;
    }
}

#[cfg(all(test, not(prism_loom)))]
mod tests;
