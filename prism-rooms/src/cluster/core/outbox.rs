//! [`Outbox`]: what this node has to publish, in order, and bounded.
//!
//! ```text
//!   first ──► │ given to the session, not confirmed │ waiting │ ◄── push
//! ```
//!
//! An envelope for several rooms is published on the channel of each. Each copy counts by itself for what a session has
//! at a time, so a session may have some copies only of the last envelope that it was given.
//!
//! When a session ends, what it has not confirmed is published again by the next one: others recognize what they have
//! received before by its number. If the backplane is unreachable or slow, the oldest waiting envelopes are dropped:
//! news that is seconds old helps nobody, and memory is bounded. Each drop leaves a hole in the sequence of its rooms,
//! which the other nodes report. Heartbeats are not dropped, and have a place in the order: they say what was sent
//! before.

use std::{collections::VecDeque, mem, sync::Arc, time::Duration};

mod contents;

use self::contents::{Contents, OwnedTargets};
use super::{presence::PresenceToPublish, sequences::Sequences};
use crate::{
    backplane::command::Channel,
    cluster::{
        action::OwnedAction,
        envelope::{MAX_EXCLUDED, MAX_NAME, MAX_PAYLOAD, MAX_ROOMS},
        node_id::NodeId,
    },
    stamp::Stamp,
};

/// The most envelopes in an outbox.
const MAX_ENVELOPES: usize = 8192;
/// The most bytes in an outbox.
const MAX_BYTES: usize = 4 << 20;
/// How long an envelope waits before it is dropped.
const MAX_AGE: Duration = Duration::from_secs(2);
/// The most copies of envelopes that a session has at a time.
const WINDOW: usize = 256;
/// The most bytes that a session has at a time, except for one copy.
const WINDOW_BYTES: usize = 256 << 10;
/// How many envelopes about presence wait until there is no room for more, and how many bytes. What there is no room
/// for is gathered elsewhere, where it takes up no more for each person. If the outbox is half full of whatever, there
/// is no room either: so presence does not push out messages.
const MAX_PRESENCE: usize = 256;
const MAX_PRESENCE_BYTES: usize = 128 << 10;
/// The most heartbeats at a time, if very many rooms are to be mentioned.
const MAX_HEARTBEATS: usize = 8;

pub(crate) struct Outbox {
    origin: NodeId,
    entries: VecDeque<Entry>,
    /// How many of the first entries the session has, in part or as a whole.
    in_flight: usize,
    /// How many copies the session has not confirmed, and their bytes.
    unconfirmed: usize,
    unconfirmed_bytes: usize,
    bytes: usize,
    /// How many envelopes are about presence, and how many bytes.
    presence: usize,
    presence_bytes: usize,
    sequences: Sequences,
    is_closed: bool,
    published: u64,
    unpublished: u64,
}

struct Entry {
    number: u64,
    pushed: Duration,
    body: Arc<Contents>,
    size: usize,
    /// How many copies the session has been given, and how many of those it has not confirmed.
    given: usize,
    unconfirmed: usize,
    /// Whether the backplane has refused a copy.
    is_refused: bool,
}

/// A copy of an envelope to publish. It is encoded later, when the outbox is no longer locked.
pub(crate) struct ToPublish {
    origin: NodeId,
    number: u64,
    /// Which of the copies it is.
    copy: usize,
    body: Arc<Contents>,
}

impl Outbox {
    pub(crate) fn new(origin: NodeId) -> Self {
        Self {
            origin,
            entries: VecDeque::new(),
            in_flight: 0,
            unconfirmed: 0,
            unconfirmed_bytes: 0,
            bytes: 0,
            presence: 0,
            presence_bytes: 0,
            sequences: Sequences::default(),
            is_closed: false,
            published: 0,
            unpublished: 0,
        }
    }

    // ---- what is to be published

    /// Adds a broadcast to everyone. Returns its stamp, and whether it was accepted.
    pub(crate) fn push_to_everyone(
        &mut self,
        except: Vec<u128>,
        action: OwnedAction,
        now: Duration,
    ) -> (Stamp, bool) {
        let stamp = Stamp::next();
        let targets = OwnedTargets::Everyone(self.sequences.next_to_everyone(stamp.number));
        (stamp, self.push_broadcast(stamp.number, targets, except, action, now))
    }

    /// Adds a broadcast to rooms. Returns its stamp, and whether it was accepted.
    pub(crate) fn push_to_rooms(
        &mut self,
        rooms: &[&str],
        except: Vec<u128>,
        action: OwnedAction,
        now: Duration,
    ) -> (Stamp, bool) {
        let stamp = Stamp::next();
        let mut names: Vec<&str> =
            rooms.iter().copied().filter(|name| name.len() <= MAX_NAME).collect();
        let is_whole = names.len() == rooms.len();
        names.sort_unstable();
        names.dedup();
        let next = |name| self.sequences.next_to_room(name, stamp.number, now);
        let targets = OwnedTargets::Rooms(names.into_iter().map(next).collect());
        let is_accepted = self.push_broadcast(stamp.number, targets, except, action, now);
        (stamp, is_accepted && is_whole)
    }

    fn push_broadcast(
        &mut self,
        number: u64,
        targets: OwnedTargets,
        except: Vec<u128>,
        action: OwnedAction,
        now: Duration,
    ) -> bool {
        let rooms_fit = match &targets {
            OwnedTargets::Everyone(_) => true,
            OwnedTargets::Rooms(rooms) => (1..=MAX_ROOMS).contains(&rooms.len()),
        };
        let fits = rooms_fit
            && action.payload_len() <= MAX_PAYLOAD
            && except.len() <= MAX_EXCLUDED
            && !self.is_closed;
        if fits {
            self.push(number, Contents::Broadcast { targets, except, action }, now);
        } else {
            self.unpublished += 1;
        }
        fits
    }

    /// Adds a heartbeat, or several if very many rooms are to be mentioned. Returns the number of the last one.
    ///
    /// None is added after a goodbye.
    pub(crate) fn push_heartbeat(&mut self, now: Duration) -> u64 {
        let mut number = 0;
        for _ in 0..MAX_HEARTBEATS {
            let (everyone, rooms) = (self.sequences.everyone(), self.sequences.mentions(now));
            number = Stamp::next().number;
            self.push(number, Contents::Heartbeat { everyone, rooms }, now);
            if !self.sequences.has_fresh() {
                break;
            }
        }
        number
    }

    /// Adds a question: how many members a room has. Returns its number.
    pub(crate) fn push_question(&mut self, room: &str, now: Duration) -> u64 {
        let number = Stamp::next().number;
        self.push(number, Contents::Question { room: room.into() }, now);
        number
    }

    /// Adds the answer to a question of another node.
    pub(crate) fn push_answer(&mut self, to: NodeId, question: u64, members: u64, now: Duration) {
        self.push(Stamp::next().number, Contents::Answer { to, question, members }, now);
    }

    /// Adds what this node says about presence.
    pub(crate) fn push_presence(&mut self, presence: PresenceToPublish, now: Duration) {
        self.push(Stamp::next().number, Contents::Presence(presence), now);
    }

    pub(crate) fn has_room_for_presence(&self) -> bool {
        let is_half_full = self.entries.len() >= MAX_ENVELOPES / 2 || self.bytes >= MAX_BYTES / 2;
        !is_half_full && self.presence < MAX_PRESENCE && self.presence_bytes < MAX_PRESENCE_BYTES
    }

    /// Adds a goodbye, after which nothing is accepted.
    pub(crate) fn push_goodbye(&mut self, now: Duration) {
        self.push(Stamp::next().number, Contents::Goodbye, now);
        self.is_closed = true;
    }

    /// Drops everything. Nothing is accepted any more.
    pub(crate) fn close(&mut self) {
        self.unpublished +=
            self.entries.iter().filter(|entry| entry.body.is_broadcast()).count() as u64;
        self.entries.clear();
        self.take_back();
        self.count();
        self.is_closed = true;
    }

    fn push(&mut self, number: u64, body: Contents, now: Duration) {
        if self.is_closed {
            return; // whatever it is, others would take it for a sign of life
        }
        let entry = Entry::new(number, body, now);
        self.bytes += entry.size;
        if entry.body.is_presence() {
            self.presence += 1;
            self.presence_bytes += entry.size;
        }
        self.entries.push_back(entry);
        while self.entries.len() > MAX_ENVELOPES || self.bytes > MAX_BYTES {
            if !self.drop_first_waiting() {
                break;
            }
        }
    }

    // ---- what a session does

    /// Returns the next copy, and gives it to the session; `None` if nothing waits, or the session has enough.
    pub(crate) fn next_to_publish(&mut self, now: Duration) -> Option<ToPublish> {
        self.drop_old(now);
        let is_partial = |last: &usize| !self.entries[*last].is_given();
        let index = self.in_flight.checked_sub(1).filter(is_partial).unwrap_or(self.in_flight);
        let next = self.entries.get_mut(index)?;
        let has_enough =
            self.unconfirmed >= WINDOW || self.unconfirmed_bytes + next.size > WINDOW_BYTES;
        if has_enough && self.unconfirmed > 0 {
            return None;
        }
        self.in_flight = index + 1;
        self.unconfirmed += 1;
        self.unconfirmed_bytes += next.size;
        let (origin, number, copy, body) =
            (self.origin, next.number, next.given, next.body.clone());
        next.given += 1;
        next.unconfirmed += 1;
        Some(ToPublish { origin, number, copy, body })
    }

    /// Records that the session has published a copy of the envelope with this number.
    pub(crate) fn confirm(&mut self, number: u64) {
        let Ok(index) = self.entries.binary_search_by_key(&number, |entry| entry.number) else {
            return;
        };
        if index >= self.in_flight {
            return;
        }
        let entry = &mut self.entries[index];
        if entry.unconfirmed == 0 {
            return; // it was confirmed before
        }
        entry.unconfirmed -= 1;
        self.unconfirmed -= 1;
        self.unconfirmed_bytes -= entry.size;
        while self.in_flight > 0
            && let Some(first) = self.entries.pop_front_if(|first| first.is_done())
        {
            self.in_flight -= 1;
            self.removed(&first);
            let count = if first.is_refused { &mut self.unpublished } else { &mut self.published };
            *count += u64::from(first.body.is_broadcast());
        }
    }

    /// Records that the backplane has refused a copy of the envelope with this number. Returns whether that is news.
    pub(crate) fn refuse(&mut self, number: u64) -> bool {
        let found = self.entries.binary_search_by_key(&number, |entry| entry.number);
        let entry = found.ok().and_then(|index| self.entries.get_mut(index));
        let is_news = entry.is_some_and(|entry| !mem::replace(&mut entry.is_refused, true));
        self.confirm(number);
        is_news
    }

    /// Records that the session has ended: broadcasts that it has not confirmed wait again. The rest is outdated.
    pub(crate) fn session_ended(&mut self) {
        self.take_back();
        self.entries.retain(|entry| entry.body.outlives_a_session());
        self.count();
    }

    /// Drops what has waited for too long.
    pub(crate) fn drop_old(&mut self, now: Duration) {
        while let Some(first) = self.first_waiting()
            && self.entries[first].pushed + MAX_AGE < now
        {
            self.drop_first_waiting();
        }
    }

    // ---- numbers

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Returns how many broadcasts were published.
    pub(crate) const fn published(&self) -> u64 {
        self.published
    }

    /// Returns how many broadcasts were dropped or not accepted.
    pub(crate) const fn unpublished(&self) -> u64 {
        self.unpublished
    }

    /// Forgets what the session has.
    fn take_back(&mut self) {
        for entry in self.entries.iter_mut().take(self.in_flight) {
            (entry.given, entry.unconfirmed) = (0, 0);
        }
        (self.in_flight, self.unconfirmed, self.unconfirmed_bytes) = (0, 0, 0);
    }

    /// Drops the oldest envelope that waits and may be dropped. Returns whether there was any.
    fn drop_first_waiting(&mut self) -> bool {
        let dropped = self.first_waiting().and_then(|first| self.entries.remove(first));
        let Some(dropped) = dropped else { return false };
        self.removed(&dropped);
        self.unpublished += u64::from(dropped.body.is_broadcast());
        true
    }

    fn removed(&mut self, entry: &Entry) {
        self.bytes -= entry.size;
        if entry.body.is_presence() {
            self.presence -= 1;
            self.presence_bytes -= entry.size;
        }
    }

    /// Counts what is left.
    fn count(&mut self) {
        let presence = self.entries.iter().filter(|entry| entry.body.is_presence());
        self.presence = presence.clone().count();
        self.presence_bytes = presence.map(|entry| entry.size).sum();
        self.bytes = self.entries.iter().map(|entry| entry.size).sum();
    }

    /// Returns the index of the oldest envelope that waits and may be dropped.
    fn first_waiting(&self) -> Option<usize> {
        let may_be_dropped = |index: &usize| self.entries[*index].body.may_be_dropped();
        (self.in_flight..self.entries.len()).find(may_be_dropped)
    }
}

impl Entry {
    fn new(number: u64, body: Contents, pushed: Duration) -> Self {
        let (size, body) = (body.size(), Arc::new(body));
        Self { number, pushed, body, size, given: 0, unconfirmed: 0, is_refused: false }
    }

    /// Returns whether the session has been given all copies.
    fn is_given(&self) -> bool {
        self.given >= self.body.copies()
    }

    /// Returns whether the session has confirmed all copies.
    fn is_done(&self) -> bool {
        self.unconfirmed == 0 && self.is_given()
    }
}

impl ToPublish {
    pub(crate) const fn number(&self) -> u64 {
        self.number
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        self.body.encode(self.origin, self.number)
    }

    /// Returns the channel to publish it on.
    pub(crate) fn channel(&self) -> Channel {
        self.body.channel(self.copy)
    }
}

#[cfg(all(test, not(prism_loom)))]
mod tests;
