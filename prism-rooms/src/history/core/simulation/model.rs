//! [`Model`]: what was kept, and what clients may be told.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;

use super::KEEP;
use crate::history::position::Position;

#[derive(Default)]
pub(super) struct Model {
    /// The epochs of each room, in the order in which the server began them.
    rooms: BTreeMap<Arc<str>, Vec<Arc<str>>>,
    /// The epochs by their names, each with its room, its place in it, and all that was ever kept.
    epochs: BTreeMap<Arc<str>, Epoch>,
}

struct Epoch {
    room: Arc<str>,
    place: usize,
    records: Vec<Bytes>,
}

impl Model {
    /// The server says how far a room has got.
    pub(super) fn see(&mut self, room: &Arc<str>, last: &Position) {
        let epochs = self.rooms.entry(room.clone()).or_default();
        if epochs.last().is_none_or(|epoch| **epoch != *last.epoch()) {
            let name: Arc<str> = last.epoch().into();
            let (room, place) = (room.clone(), epochs.len());
            let epoch = Epoch { room, place, records: Vec::new() };
            let replaced = self.epochs.insert(name.clone(), epoch);
            assert!(replaced.is_none(), "{name} comes back");
            epochs.push(name);
        }
    }

    /// The server has kept a record.
    pub(super) fn keep(&mut self, room: &Arc<str>, position: &Position, record: Bytes) {
        self.see(room, position);
        let records = &mut self.epochs.get_mut(position.epoch()).expect("it was seen").records;
        records.push(record);
        assert_eq!(records.len() as u64, position.offset());
    }

    /// Returns the room of a position.
    pub(super) fn room(&self, position: &Position) -> Arc<str> {
        self.epoch(position).room.clone()
    }

    /// Returns what was kept at a position.
    pub(super) fn record(&self, position: &Position) -> Option<&Bytes> {
        self.epoch(position).records.get(position.offset() as usize - 1)
    }

    /// Checks that a client was told for a reason: that the server has begun another epoch, or does not keep what comes
    /// next any more. The exception is a server that has refused to say.
    pub(super) fn check_told(&self, had: &Position, told: &Position, has_refused: bool) {
        let (before, after) = (self.epoch(had), self.epoch(told));
        let count = after.records.len() as u64;
        assert!(before.room == after.room && told.offset() <= count, "there is no {told}");
        assert!(before.place <= after.place, "from {had} back to {told}");
        if before.place == after.place {
            let first_kept = count.saturating_sub(KEEP.messages.into()) + 1;
            let is_missing = first_kept > had.offset() + 1;
            assert!(is_missing || has_refused, "nothing is missing from {had} to {told}");
            assert!(had.offset() <= told.offset(), "from {had} back to {told}");
        }
    }

    /// Checks that a new client that is at a position has been sent the last messages: as many as it wants, or all that
    /// are kept.
    pub(super) fn check_recent(&self, position: &Position, repeated: u64, wanted: u64) {
        let count = self.epoch(position).records.len() as u64;
        let begin = position.offset() - repeated;
        let latest = count.saturating_sub(wanted.min(KEEP.messages.into()));
        assert!(begin <= latest, "of {count} messages, it has only those after {begin}");
    }

    /// Returns whether a position is where its room has got.
    pub(super) fn is_last(&self, position: &Position) -> bool {
        let epoch = self.epoch(position);
        epoch.records.len() as u64 == position.offset()
            && epoch.place + 1 == self.rooms[&epoch.room].len()
    }

    pub(super) fn is_kept(&self, record: &Bytes) -> bool {
        self.epochs.values().any(|epoch| epoch.records.contains(record))
    }

    fn epoch(&self, position: &Position) -> &Epoch {
        self.epochs.get(position.epoch()).expect("the server has begun the epoch")
    }
}
