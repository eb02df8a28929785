//! [`Logs`]: what a broker keeps of rooms.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use bytes::Bytes;

use crate::{
    backplane::history::{Append, Keep, Page, Read},
    history::position::Position,
};

/// How much is kept of all rooms together, in bytes. The rooms that were not used for the longest time go first.
const MAX_BYTES: usize = 64 << 20;
/// What a room takes besides its messages, roughly.
const ROOM_BYTES: usize = 512;

/// It has no clock, so the age of messages does not count.
#[derive(Default)]
pub(crate) struct Logs {
    rooms: BTreeMap<Arc<str>, Log>,
    /// Which server it is: a log of another one may have lost its end.
    run: u64,
    /// The rooms, in the order in which they were last used.
    used: BTreeMap<u64, Arc<str>>,
    uses: u64,
    bytes: usize,
}

struct Log {
    run: u64,
    last: Position,
    /// The last records.
    records: VecDeque<Bytes>,
    /// When it was last used.
    used: u64,
}

impl Logs {
    /// Keeps a record. Returns its position, and what is published.
    pub(crate) fn append(&mut self, append: &Append) -> Result<(Position, Bytes), &'static str> {
        let log = self.log(&append.room, &append.epoch);
        let Some(position) = Position::new(log.last.epoch(), log.last.offset() + 1) else {
            return Err("too many messages in an epoch");
        };
        log.last = position.clone();
        log.records.push_back(append.record.clone());
        let Keep { messages, age: _ } = append.keep;
        let surplus = log.records.len().saturating_sub(messages as usize);
        let removed = size(log.records.drain(..surplus));
        self.bytes = self.bytes + append.record.len() - removed;
        let text = format!("{position} ");
        Ok((position, [&append.head[..], text.as_bytes(), &append.record].concat().into()))
    }

    pub(crate) fn read(&mut self, read: &Read) -> Page {
        let log = self.log(&read.room, &read.epoch);
        let kept_from = log.last.offset() + 1 - log.records.len() as u64;
        let mut page = Page { last: log.last.clone(), first: kept_from, records: Vec::new() };
        let Some(after) = read.after.as_ref().filter(|after| after.is_same_epoch(&log.last)) else {
            return page;
        };
        page.first = kept_from.max(after.offset() + 1);
        let mut bytes = 0;
        for record in log.records.iter().skip((page.first - kept_from) as usize) {
            bytes += record.len();
            page.records.push(record.clone());
            if bytes >= read.max_bytes {
                break;
            }
        }
        page
    }

    /// Returns the log of a room. If there is none, or an outdated one, it is a new one.
    fn log(&mut self, room: &Arc<str>, epoch: &str) -> &mut Log {
        let run = self.run;
        if self.rooms.get(room).is_some_and(|log| log.run != run) {
            self.remove(room);
        }
        let log = self.rooms.entry(room.clone()).or_insert_with(|| {
            self.bytes += ROOM_BYTES;
            let last = Position::new(epoch, 0).expect("commands have valid epochs");
            Log { run, last, records: VecDeque::new(), used: 0 }
        });
        self.uses += 1;
        self.used.remove(&log.used);
        self.used.insert(self.uses, room.clone());
        log.used = self.uses;
        self.forget_unused();
        self.rooms.get_mut(room).expect("the room that was used last stays")
    }

    /// Forgets rooms until what is kept is little enough, but not the room that was used last.
    fn forget_unused(&mut self) {
        while self.bytes > MAX_BYTES
            && self.rooms.len() > 1
            && let Some((_, room)) = self.used.pop_first()
        {
            self.remove(&room);
        }
    }

    fn remove(&mut self, room: &str) {
        if let Some(log) = self.rooms.remove(room) {
            self.used.remove(&log.used);
            self.bytes -= ROOM_BYTES + size(log.records);
        }
    }

    /// Another server has these logs from now on.
    pub(crate) const fn restart(&mut self) {
        self.run += 1;
    }

    pub(crate) fn clear(&mut self) {
        self.rooms.clear();
        self.used.clear();
        self.bytes = 0;
    }

    /// Loses the last records of each room.
    pub(crate) fn lose_last(&mut self, count: usize) {
        for log in self.rooms.values_mut() {
            let lost = count.min(log.last.offset() as usize);
            let left = log.records.len().saturating_sub(lost);
            self.bytes -= size(log.records.drain(left..));
            log.last = log.last.with_offset(log.last.offset() - lost as u64);
        }
    }
}

fn size(records: impl IntoIterator<Item = Bytes>) -> usize {
    records.into_iter().map(|record| record.len()).sum()
}

#[cfg(all(test, not(prism_loom)))]
mod tests {
    use std::{sync::Arc, time::Duration};

    use bytes::Bytes;

    use super::{Logs, MAX_BYTES, ROOM_BYTES};
    use crate::backplane::{
        command::{Ticket, TicketKind},
        history::{Append, Keep, Read},
    };

    const KEEP: Keep = Keep { messages: 100, age: Duration::ZERO };
    const TICKET: Ticket = Ticket(TicketKind::History(0));

    impl Logs {
        fn append_to(&mut self, room: &str, record: &Bytes) {
            let (room, record) = (Arc::from(room), record.clone());
            let append = Append {
                room,
                epoch: "e".into(),
                keep: KEEP,
                head: Bytes::new(),
                record,
                ticket: TICKET,
            };
            self.append(&append).expect("it is kept");
        }

        fn last_offset(&mut self, room: &str) -> u64 {
            let (room, epoch) = (Arc::from(room), "e".into());
            let read = Read { room, epoch, keep: KEEP, after: None, max_bytes: 1, ticket: TICKET };
            self.read(&read).last.offset()
        }

        fn assert_consistent(&self) {
            let sizes = self
                .rooms
                .values()
                .map(|log| ROOM_BYTES + log.records.iter().map(Bytes::len).sum::<usize>());
            assert_eq!(sizes.sum::<usize>(), self.bytes);
            assert_eq!(self.used.len(), self.rooms.len());
            assert!(self.used.iter().all(|(used, room)| self.rooms[room].used == *used));
        }
    }

    #[test]
    fn the_rooms_that_are_used_least_are_forgotten_when_too_much_is_kept() {
        let (mut logs, record) = (Logs::default(), Bytes::from(vec![0; 1 << 20]));
        logs.append_to("tea", &record);
        for number in 0..70 {
            logs.append_to(&format!("{number}"), &record);
            assert_eq!(logs.last_offset("tea"), 1, "it is in use");
            assert!(logs.bytes <= MAX_BYTES);
            logs.assert_consistent();
        }
        assert_eq!(logs.last_offset("0"), 0);
        assert_eq!(logs.last_offset("69"), 1);
    }

    #[test]
    fn empty_rooms_are_forgotten_as_well() {
        let mut logs = Logs::default();
        for number in 0..200_000 {
            assert_eq!(logs.last_offset(&format!("{number}")), 0);
        }
        assert!(logs.rooms.len() <= MAX_BYTES / ROOM_BYTES);
        logs.assert_consistent();
    }

    #[test]
    fn what_is_lost_or_outdated_takes_no_memory() {
        let (mut logs, record) = (Logs::default(), Bytes::from(vec![0; 1000]));
        for number in 0..150 {
            logs.append_to("tea", &record);
            logs.append_to(&format!("{}", number % 7), &record);
        }
        logs.assert_consistent();
        logs.lose_last(30);
        logs.assert_consistent();
        logs.restart();
        logs.append_to("tea", &record);
        logs.assert_consistent();
        logs.clear();
        logs.assert_consistent();
        assert_eq!(logs.bytes, 0);
    }
}
