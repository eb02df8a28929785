//! What a [`HistoryCore`] reads, and what becomes of it.

use std::{collections::VecDeque, sync::Arc};

use super::{
    HistoryCore,
    asked::{Asked, AskedRead, Reader},
    output::Output,
    room::{Reading, Room, Step},
};
use crate::{
    backplane::{
        command::{Ticket, TicketKind},
        history::{Page, Read, Reply},
    },
    history::position::Position,
};

/// The most reads that the session has not replied to.
const MAX_READS: usize = 16;
/// How many bytes a read returns, or one message more.
const MAX_PAGE: usize = 256 << 10;

impl HistoryCore {
    /// Returns the next read for the session. What members of a room miss goes first. Rooms that are only checked and
    /// connections that come back take turns, so that neither wait for all of the others.
    pub(super) fn next_read(&mut self) -> Option<Read> {
        if self.reads >= MAX_READS {
            return None;
        }
        self.next_room_read(Reading::Missing).or_else(|| {
            self.has_checked = !self.has_checked;
            if self.has_checked {
                self.next_room_read(Reading::Check).or_else(|| self.next_join_read())
            } else {
                self.next_join_read().or_else(|| self.next_room_read(Reading::Check))
            }
        })
    }

    fn next_room_read(&mut self, reading: Reading) -> Option<Read> {
        loop {
            let name = self.wanted(reading).pop_front()?;
            // Others have been read since, or were moved to another queue.
            let room = self.rooms.get_mut(&name).filter(|room| room.reading == reading);
            if let Some(room) = room
                && let Some(cursor) = room.cursor().cloned()
            {
                room.reading = Reading::Asked;
                return self.read(&name, Reader::Room, Some(cursor));
            }
        }
    }

    fn next_join_read(&mut self) -> Option<Read> {
        while self.has_room_for_page()
            && let Some(name) = self.wanted_joins.pop_front()
        {
            if let Some((after, reader)) = self.next_readers(&name) {
                return self.read(&name, reader, after);
            }
        }
        None
    }

    fn read(&mut self, name: &Arc<str>, reader: Reader, after: Option<Position>) -> Option<Read> {
        let room = self.rooms.get_mut(name)?;
        let (created, known) = (room.created, room.start_reading());
        let asked = AskedRead { room: name.clone(), created, reader, after: after.clone(), known };
        let ticket = Ticket(TicketKind::History(self.ask(Asked::Read(asked))));
        self.reads += 1;
        let (room, epoch, keep) = (name.clone(), self.epochs.next(), self.keep);
        Some(Read { room, epoch, keep, after, max_bytes: MAX_PAGE, ticket })
    }

    /// Reads what the members of a room miss, or checks whether they do.
    pub(super) fn read_room(&mut self, name: &Arc<str>) {
        let Some(room) = self.rooms.get_mut(name) else { return };
        let reading = if room.is_behind() { Reading::Missing } else { Reading::Check };
        if room.is_active && room.reading < reading && room.cursor().is_some() {
            room.reading = reading;
            self.wanted(reading).push_back(name.clone());
        }
    }

    fn wanted(&mut self, reading: Reading) -> &mut VecDeque<Arc<str>> {
        if reading == Reading::Missing { &mut self.wanted_rooms } else { &mut self.wanted_checks }
    }

    pub(super) fn handle_read(&mut self, asked: AskedRead, reply: Reply) {
        self.reads -= 1;
        let room = self.rooms.get_mut(&asked.room);
        let Some(room) = room.filter(|room| room.created == asked.created) else { return };
        if matches!(asked.reader, Reader::Room) {
            room.reading = Reading::No;
        }
        match reply {
            Reply::Page(page) if page.is_valid() => {
                room.refusals = 0;
                self.refusal = None;
                self.handle_page(asked, page);
            }
            Reply::Refused(reason) => self.handle_refusal(asked, reason),
            Reply::Page(_) | Reply::Appended(_) => {
                self.handle_refusal(asked, "the backplane's reply is malformed".to_owned());
            }
        }
    }

    /// Handles that a read was refused. It is tried again, but members do not wait for ever.
    fn handle_refusal(&mut self, asked: AskedRead, reason: String) {
        let AskedRead { room: name, reader, .. } = asked;
        if self.refusal.as_ref() != Some(&reason) {
            self.outputs
                .push_back(Output::ReadRefused { room: name.clone(), reason: reason.clone() });
            self.refusal = Some(reason);
        }
        match reader {
            Reader::Room => {
                if let Some(position) = self.rooms.get_mut(&name).and_then(Room::refuse) {
                    self.outputs.push_back(Output::Broken { room: name.clone(), position });
                }
                self.refused_rooms.push(name);
            }
            Reader::Joins(joins) => self.refuse_joins(&name, joins),
        }
    }

    fn handle_page(&mut self, asked: AskedRead, page: Page) {
        let AskedRead { room: name, reader, after, known, .. } = asked;
        let Some(room) = self.rooms.get_mut(&name) else { return };
        let mut steps = Vec::new();
        room.handle_page(&page, after.as_ref(), known.as_ref(), &mut steps);
        let (is_behind, missed) = (room.is_behind(), !steps.is_empty());
        self.take(&name, steps);
        match reader {
            Reader::Joins(joins) => self.handle_joins_page(&name, joins, &Arc::new(page)),
            // What was published has not arrived. Often it is only late.
            Reader::Room if missed => self.outputs.push_back(Output::Resubscribe(name.clone())),
            Reader::Room => {}
        }
        self.reconsider(&name);
        if is_behind {
            self.read_room(&name);
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

#[cfg(all(test, not(prism_loom)))]
mod tests;
