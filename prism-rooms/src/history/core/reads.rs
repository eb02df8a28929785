//! What a [`HistoryCore`] reads, and what becomes of it.

use std::sync::Arc;

use super::{
    HistoryCore,
    asked::{Asked, Reader},
    join::State,
    output::Output,
    room::Step,
};
use crate::{
    backplane::{
        command::{Ticket, TicketKind},
        history::{Page, Read},
    },
    history::position::Position,
};

/// The most reads that the session has not replied to.
const MAX_READS: usize = 16;
/// How many bytes a read returns, or one message more.
const MAX_PAGE: usize = 256 << 10;

impl HistoryCore {
    /// Returns the next read for the session.
    pub(super) fn next_read(&mut self) -> Option<Read> {
        while self.reads < MAX_READS
            && let Some(reader) = self.wanted.pop_front()
        {
            let room = match &reader {
                Reader::Room(room) => Some(room.clone()),
                Reader::Join(number) => self.joins.get(number).map(|join| join.room.clone()),
            };
            let Some(name) = room else { continue };
            let Some(room) = self.rooms.get_mut(&name) else { continue }; // it is vacant by now
            let (cursor, created) = (room.cursor().cloned(), room.created);
            let known = room.start_reading();
            let after = match &reader {
                Reader::Room(_) => cursor,
                Reader::Join(number) => self.joins[number].reads_after(cursor),
            };
            let (room, after_read) = (name.clone(), after.clone());
            let asked = Asked::Read { room, created, reader, after: after_read, known };
            let ticket = Ticket(TicketKind::History(self.ask(asked)));
            self.reads += 1;
            let (epoch, keep) = (self.epochs.next(), self.keep);
            let read = Read { room: name, epoch, keep, after, max_bytes: MAX_PAGE, ticket };
            return Some(read);
        }
        None
    }

    /// Reads what the members of a room miss, if anything.
    pub(super) fn read_room(&mut self, name: &Arc<str>) {
        if let Some(room) = self.rooms.get_mut(name)
            && room.is_active
            && !room.is_reading
            && room.cursor().is_some()
        {
            room.is_reading = true;
            self.wanted.push_back(Reader::Room(name.clone()));
        }
    }

    pub(super) fn handle_page(
        &mut self,
        name: &Arc<str>,
        reader: Reader,
        after: Option<&Position>,
        known: Option<&Position>,
        page: Option<&Page>,
    ) {
        let Some(room) = self.rooms.get_mut(name) else { return };
        if matches!(reader, Reader::Room(_)) {
            room.is_reading = false;
        }
        let Some(page) = page.filter(|page| page.is_valid()) else {
            if let Reader::Join(number) = reader
                && let Some(join) = self.joins.get_mut(&number)
            {
                join.state = State::Waiting;
            }
            return self.refused.push(reader);
        };
        let mut steps = Vec::new();
        room.handle_page(page, after, known, &mut steps);
        let (is_behind, missed) = (room.is_behind(), !steps.is_empty());
        self.take(name, steps);
        match reader {
            Reader::Join(number) => self.handle_join_page(number, page),
            // What was published has not arrived. Often it is only late.
            Reader::Room(_) if missed => self.outputs.push_back(Output::Resubscribe(name.clone())),
            Reader::Room(_) => {}
        }
        if is_behind {
            self.read_room(name);
        }
    }

    /// Passes on what becomes of the members of a room.
    pub(super) fn take(&mut self, room: &Arc<str>, steps: Vec<Step>) {
        self.outputs.extend(steps.into_iter().map(|step| match step {
            Step::Deliver(position, record) => {
                Output::Deliver { room: room.clone(), position, record }
            }
            Step::Broken(position) => Output::Broken { room: room.clone(), position },
        }));
    }
}
