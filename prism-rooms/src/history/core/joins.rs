//! The connections that are being added to rooms: each reads what it has missed, until it has got as far as the room.

use async_channel::Sender;
use bytes::Bytes;

use super::{
    HistoryCore,
    asked::Reader,
    join::{Join, Outcome, State},
    output::{Admission, Output},
};
use crate::{
    backplane::history::Page,
    history::{joined::JoinStep, position::Position},
};

impl HistoryCore {
    /// Handles that a connection has received what an admission has for it: it is a member now, and goes on with what
    /// the room receives.
    pub(crate) fn admit(&mut self, admission: &Admission) -> Option<Sender<JoinStep>> {
        self.remove_join(admission.join)
    }

    /// Handles that a connection takes only the first records of an admission. It is given the others, and
    /// [continues](Self::handle_continue).
    pub(crate) fn postpone(&mut self, admission: Admission, taken: usize) {
        let Some(join) = self.joins.get_mut(&admission.join) else { return };
        let mut records = admission.records.unwrap_or_default();
        let first = admission.position.offset() + 1 - (records.len() - taken) as u64;
        join.sent += taken as u64;
        join.give(admission.position.with_offset(first), records.split_off(taken));
    }

    /// Goes on with a connection, unless the session has yet to subscribe.
    pub(super) fn advance_join(&mut self, number: u64) {
        let Some(join) = self.joins.get_mut(&number) else { return };
        let Some(room) = self.rooms.get(&join.room) else { return };
        if join.state != State::Waiting || !room.is_active {
            return;
        }
        join.state = State::Reading;
        match room.cursor() {
            // Nothing has to be read.
            Some(cursor) if join.at.is_none() => {
                let position = cursor.clone();
                self.push_admission(number, position, Some(Vec::new()));
            }
            _ => self.wanted.push_back(Reader::Join(number)),
        }
    }

    pub(super) fn handle_join_page(&mut self, number: u64, page: &Page) {
        let Some(join) = self.joins.get_mut(&number) else { return };
        let Some(room) = self.rooms.get(&join.room) else { return };
        let Some(cursor) = room.cursor().cloned() else { return };
        match join.judge(page, room) {
            Outcome::ReadAgain => self.wanted.push_back(Reader::Join(number)),
            Outcome::Give(records) => {
                let first = join.at.as_ref().map_or(0, Position::offset) + 1;
                join.give(page.last.with_offset(first), records);
            }
            Outcome::Admit(records) => self.push_admission(number, cursor, Some(records)),
            Outcome::Broken => self.push_admission(number, cursor, None),
        }
    }

    fn push_admission(&mut self, join: u64, position: Position, records: Option<Vec<Bytes>>) {
        let Some(Join { room, sent, .. }) = self.joins.get(&join) else { return };
        let repeated = sent + records.as_ref().map_or(0, Vec::len) as u64;
        let admission = Admission { join, room: room.clone(), position, records, repeated };
        self.outputs.push_back(Output::Admit(admission));
    }

    pub(super) fn remove_join(&mut self, number: u64) -> Option<Sender<JoinStep>> {
        let join = self.joins.remove(&number)?;
        if let Some(room) = self.rooms.get_mut(&join.room) {
            room.joins.remove(&number);
            if room.joins.is_empty() {
                room.forget_recent();
            }
        }
        Some(join.answer_to)
    }
}
