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

/// It has no clock, so the age of messages does not count.
#[derive(Default)]
pub(crate) struct Logs {
    rooms: BTreeMap<Arc<str>, Log>,
    /// Which server it is: a log of another one may have lost its end.
    run: u64,
}

struct Log {
    run: u64,
    last: Position,
    /// The last records.
    records: VecDeque<Bytes>,
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
        while log.records.len() > messages as usize {
            log.records.pop_front();
        }
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
        let new = || Log {
            run,
            last: Position::new(epoch, 0).expect("commands have valid epochs"),
            records: VecDeque::new(),
        };
        let log = self.rooms.entry(room.clone()).or_insert_with(new);
        if log.run != run {
            *log = new();
        }
        log
    }

    /// Another server has these logs from now on.
    pub(crate) const fn restart(&mut self) {
        self.run += 1;
    }

    pub(crate) fn clear(&mut self) {
        self.rooms.clear();
    }

    /// Loses the last records of each room.
    pub(crate) fn lose_last(&mut self, count: usize) {
        for log in self.rooms.values_mut() {
            let lost = count.min(log.last.offset() as usize);
            log.records.truncate(log.records.len().saturating_sub(lost));
            log.last = log.last.with_offset(log.last.offset() - lost as u64);
        }
    }
}
