//! [`OwnPeople`]: the people that this node has in each room, and what it says about them.
//!
//! ```text
//!   changes here ──► people, and which of them are pending ── 20 ms ──► PresenceChange: from one version to the next
//! ```
//!
//! A version is a number that identifies what was published of a room. It increases, and no two rooms have the same
//! one. A room without people has [none](NOBODY), and is forgotten.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    ops::Bound::{Excluded, Included, Unbounded},
    sync::Arc,
    time::Duration,
};

use crate::cluster::{
    envelope::presence::{
        EncodedPresence, MAX_LISTED, MAX_PART, NOBODY, PeoplePart, PresenceBody, PresenceChange,
        RoomVersion, Versions,
    },
    present::Present,
};

/// How long changes are gathered before they are published.
const GATHERED: Duration = Duration::from_millis(20);
/// How often a room that has changed is mentioned as soon as possible, if not all rooms are mentioned anyway.
const MENTIONS: u8 = 2;
/// The most rooms that have changed in one envelope. The rest of it is for the rotation.
const MAX_RECENT: usize = MAX_LISTED / 2;
/// The most rooms that are to be mentioned as soon as possible.
const MAX_WAITING: usize = 1 << 16;

pub(super) struct OwnPeople {
    /// After how many bytes a list of people ends.
    pub(super) max_part: usize,
    rooms: BTreeMap<Arc<str>, OwnRoom>,
    /// The rooms with changes that are to be published, and when.
    due: BTreeSet<(Duration, Arc<str>)>,
    last_version: u64,
    /// The rooms to mention as soon as possible, in their order, and how often.
    recent: VecDeque<Arc<str>>,
    mentions_left: HashMap<Arc<str>, u8>,
    /// The name after which the rotation goes on; `None` if it begins again.
    rotation: Option<Arc<str>>,
}

#[derive(Default)]
struct OwnRoom {
    people: BTreeMap<u128, Present>,
    /// The version that was published.
    version: u64,
    /// The connections that have changed since, and whether each was part of that version.
    pending: BTreeMap<u128, bool>,
    /// When that is to be published.
    due: Option<Duration>,
}

impl OwnPeople {
    pub(super) fn new() -> Self {
        Self {
            max_part: MAX_PART,
            rooms: BTreeMap::new(),
            due: BTreeSet::new(),
            last_version: 0,
            recent: VecDeque::new(),
            mentions_left: HashMap::new(),
            rotation: None,
        }
    }

    /// Records that a connection is present in a room, or is not any more.
    pub(super) fn change(
        &mut self,
        room: &Arc<str>,
        id: u128,
        present: Option<Present>,
        now: Duration,
    ) {
        let own = self.rooms.entry(room.clone()).or_default();
        let before = match &present {
            Some(present) => own.people.insert(id, present.clone()),
            None => own.people.remove(&id),
        };
        if before == present {
            return self.forget_if_empty(room);
        }
        let was_published = own.pending.get(&id).copied().unwrap_or_else(|| before.is_some());
        if was_published || present.is_some() {
            own.pending.insert(id, was_published);
        } else {
            own.pending.remove(&id); // it has come and gone
        }
        if own.pending.is_empty() {
            if let Some(due) = own.due.take() {
                self.due.remove(&(due, room.clone()));
            }
        } else if own.due.is_none() {
            own.due = Some(now + GATHERED);
            self.due.insert((now + GATHERED, room.clone()));
        }
        self.forget_if_empty(room);
    }

    /// Records that everybody has left the rooms whose names begin so.
    pub(super) fn remove_all(&mut self, prefix: &str, now: Duration) {
        let rooms = self.rooms.range::<str, _>((Included(prefix), Unbounded));
        let rooms = rooms.take_while(|(room, _)| room.starts_with(prefix));
        let people = rooms.map(|(room, own)| (room.clone(), own.people.keys().copied().collect()));
        for (room, ids) in people.collect::<Vec<(_, Vec<u128>)>>() {
            ids.into_iter().for_each(|id| self.change(&room, id, None, now));
        }
    }

    /// Returns the version of a room that was published.
    pub(super) fn version(&self, room: &str) -> u64 {
        self.rooms.get(room).map_or(NOBODY, |own| own.version)
    }

    /// Returns when the next change is to be published.
    pub(super) fn next_due(&self) -> Option<Duration> {
        self.due.first().map(|(due, _)| *due)
    }

    /// Returns the next change that is to be published, with the name of its room.
    pub(super) fn next_change(&mut self, now: Duration) -> Option<(Arc<str>, EncodedPresence)> {
        let (due, room) = self.due.first()?;
        if *due > now {
            return None;
        }
        let room = room.clone();
        self.change_of(&room).map(|change| (room, change))
    }

    /// Returns the change of a room that is to be published now, or a first part of it; `None` if there is none.
    pub(super) fn change_of(&mut self, room: &Arc<str>) -> Option<EncodedPresence> {
        let own = self.rooms.get_mut(room)?;
        let due = own.due?;
        let (mut size, mut count) = (0, 0);
        let (mut put, mut gone) = (Vec::new(), Vec::new());
        for id in own.pending.keys() {
            if size >= self.max_part {
                break;
            }
            count += 1;
            if let Some(present) = own.people.get(id) {
                let person = present.as_person(*id);
                size += person.size();
                put.push(person);
            } else {
                size += 16;
                gone.push(*id);
            }
        }
        let is_last = count == own.pending.len();
        self.last_version += 1;
        let has_nobody = is_last && own.people.is_empty();
        let to = if has_nobody { NOBODY } else { self.last_version };
        let change = PresenceChange { room, from: own.version, to, put, gone };
        let encoded = PresenceBody::Change(change).encode();
        own.version = to;
        for _ in 0..count {
            own.pending.pop_first();
        }
        if is_last {
            own.due = None;
            self.due.remove(&(due, room.clone()));
        }
        self.mention(room);
        self.forget_if_empty(room);
        Some(encoded)
    }

    /// Returns whether a room has changes that are not published.
    pub(super) fn has_changes(&self, room: &str) -> bool {
        self.rooms.get(room).is_some_and(|own| own.due.is_some())
    }

    /// Measures the people of a room from this ID on, as far as there is space. Returns their size and the last ID.
    pub(super) fn measure(&self, room: &str, first: u128, space: usize) -> (usize, u128) {
        let mut size = room.len() + 64;
        let people = self.rooms.get(room).into_iter().flat_map(|own| own.people.range(first..));
        for (n, (id, present)) in people.enumerate() {
            if n > 0 && size >= space {
                return (size, id - 1); // it is not the first
            }
            size += present.as_person(*id).size();
        }
        (size, u128::MAX)
    }

    /// Returns the people of a room in a range of IDs. None of its changes waits to be published.
    pub(super) fn part<'a>(&'a self, room: &'a str, first: u128, last: u128) -> PeoplePart<'a> {
        let people =
            self.rooms.get(room).into_iter().flat_map(|own| own.people.range(first..=last));
        let people = people.map(|(id, present)| present.as_person(*id)).collect();
        PeoplePart { room, version: self.version(room), first, last, people }
    }

    /// Returns the versions to mention next: those of all rooms, or of some in rotation and of those that have changed.
    pub(super) fn next_versions(&mut self) -> EncodedPresence {
        let mut space = MAX_PART;
        let mut recent = Vec::new();
        // Few rooms may be too many, too, if their names are long.
        if self.rooms.len() > MAX_LISTED || self.rotation.is_some() {
            recent = self.take_recent(&mut space);
        }
        let after = self.rotation.take();
        let after = after.as_deref().unwrap_or("");
        let mut rest = self.rooms.range::<str, _>((Excluded(after), Unbounded)).peekable();
        let (mut others, mut last) = (Vec::new(), None);
        while let Some((room, own)) = rest.peek()
            && recent.len() + others.len() < MAX_LISTED
            && space > 0
        {
            if own.version != NOBODY {
                space = space.saturating_sub(room.len() + 10);
                others.push(RoomVersion { room, version: own.version });
                last = Some((*room).clone());
            }
            rest.next();
        }
        let to_end = rest.peek().is_none();
        let recent_rooms =
            recent.iter().map(|(room, version)| RoomVersion { room, version: *version });
        let versions = Versions { recent: recent_rooms.collect(), after, others, to_end };
        let (is_whole, encoded) =
            (to_end && after.is_empty(), PresenceBody::Versions(versions).encode());
        self.rotation = last.filter(|_| !to_end);
        if is_whole {
            self.recent.clear();
            self.mentions_left.clear();
        }
        encoded
    }

    fn take_recent(&mut self, space: &mut usize) -> Vec<(Arc<str>, u64)> {
        let mut taken = Vec::new();
        for _ in 0..self.recent.len().min(MAX_RECENT) {
            if *space < MAX_PART / 2 {
                break;
            }
            let Some(room) = self.recent.pop_front() else { break };
            *space = space.saturating_sub(room.len() + 10);
            taken.push((room.clone(), self.version(&room)));
            match self.mentions_left.get_mut(&room) {
                Some(left) if *left > 1 => {
                    *left -= 1;
                    self.recent.push_back(room);
                }
                _ => drop(self.mentions_left.remove(&room)),
            }
        }
        taken.sort_unstable();
        taken
    }

    /// Mentions a room as soon as possible.
    fn mention(&mut self, room: &Arc<str>) {
        if self.mentions_left.insert(room.clone(), MENTIONS).is_none() {
            self.recent.push_back(room.clone());
            if self.recent.len() > MAX_WAITING
                && let Some(oldest) = self.recent.pop_front()
            {
                self.mentions_left.remove(&oldest);
            }
        }
    }

    fn forget_if_empty(&mut self, room: &str) {
        let is_empty = |own: &OwnRoom| {
            own.people.is_empty() && own.pending.is_empty() && own.version == NOBODY
        };
        if self.rooms.get(room).is_some_and(is_empty) {
            self.rooms.remove(room);
        }
    }
}
