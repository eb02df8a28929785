//! [`Sequences`]: how many envelopes this node has sent to each room.
//!
//! Heartbeats mention these numbers, so that others notice when the last envelopes to a room were lost. A room that was
//! just sent to is mentioned twice, as soon as possible. All others are mentioned in rotation: a node that was cut off
//! for minutes still learns what it has missed.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use indexmap::IndexMap;

use crate::cluster::envelope::{MAX_HEARTBEAT_ROOMS, Position};

/// The most rooms whose numbers are kept.
const MAX_COUNTED: usize = 1 << 16;
/// The most bytes of their names. A name may have 1 KiB, but few have.
const MAX_NAMES: usize = 4 << 20;
/// How long a room's number is kept after the last envelope to it.
const KEPT: Duration = Duration::from_secs(20 * 60);
/// How often a room that was sent to is mentioned as soon as possible.
const MENTIONS: u8 = 2;
/// The most rooms of the rotation in one heartbeat.
const ROTATION: usize = 64;
/// The most rooms that one heartbeat examines, to forget those that were not sent to for long.
const EXAMINED: usize = 1024;

#[derive(Default)]
pub(super) struct Sequences {
    everyone: Position,
    rooms: IndexMap<Arc<str>, Sequence>,
    /// How many bytes their names have.
    names: usize,
    /// The rooms to mention as soon as possible, in the order of their turns.
    fresh: BTreeMap<u64, Arc<str>>,
    next_turn: u64,
    /// The index of the room at which the rotation goes on.
    rotation: usize,
    /// The index of the first room to examine when one has to be forgotten. Not that of the rotation: if rooms are
    /// forgotten all the time, it would skip others.
    oldest: usize,
}

struct Sequence {
    position: Position,
    used: Duration,
    /// Its turn among the rooms to mention as soon as possible, and how often it is to be mentioned there.
    fresh: Option<(u64, u8)>,
}

impl Sequences {
    /// Returns the position of the next envelope to everyone, which has this number.
    pub(super) const fn next_to_everyone(&mut self, number: u64) -> Position {
        if self.everyone.generation == 0 {
            self.everyone.generation = number;
        }
        self.everyone.sequence += 1;
        self.everyone
    }

    /// Returns the position of the next envelope to a room, which has this number.
    pub(super) fn next_to_room(
        &mut self,
        room: &str,
        number: u64,
        now: Duration,
    ) -> (Arc<str>, Position) {
        let index = match self.rooms.get_index_of(room) {
            Some(index) => index,
            None => self.begin(room, number, now),
        };
        let (room, sequence) = self.rooms.get_index_mut(index).expect("it is in there now");
        sequence.position.sequence += 1;
        sequence.used = now;
        let turn = sequence.fresh.map_or(self.next_turn, |(turn, _)| turn);
        if sequence.fresh.replace((turn, MENTIONS)).is_none() {
            self.next_turn += 1;
            self.fresh.insert(turn, room.clone());
        }
        (room.clone(), sequence.position)
    }

    pub(super) const fn everyone(&self) -> Position {
        self.everyone
    }

    /// Returns the rooms to mention in a heartbeat, in the order of their names.
    pub(super) fn mentions(&mut self, now: Duration) -> Vec<(Arc<str>, Position)> {
        let mut mentions = Vec::new();
        for _ in 0..self.fresh.len().min(MAX_HEARTBEAT_ROOMS - ROTATION) {
            let Some((_, room)) = self.fresh.pop_first() else { break };
            let Some(sequence) = self.rooms.get_mut(&room) else { continue };
            mentions.push((room.clone(), sequence.position));
            let mentions_left = sequence.fresh.take().map_or(0, |(_, mentions)| mentions - 1);
            if mentions_left > 0 {
                sequence.fresh = Some((self.next_turn, mentions_left));
                self.fresh.insert(self.next_turn, room);
                self.next_turn += 1;
            }
        }
        let mentioned = mentions.len();
        let mut examined = 0;
        while examined < EXAMINED.min(self.rooms.len()) && mentions.len() < mentioned + ROTATION {
            examined += 1;
            if self.rotation >= self.rooms.len() {
                self.rotation = 0;
            }
            let Some((room, sequence)) = self.rooms.get_index(self.rotation) else { break };
            if sequence.used + KEPT < now {
                self.forget(self.rotation);
                continue;
            }
            if sequence.fresh.is_none() {
                mentions.push((room.clone(), sequence.position));
            }
            self.rotation += 1;
        }
        mentions.sort_unstable();
        mentions.dedup_by(|one, other| one.0 == other.0);
        mentions
    }

    /// Returns whether one heartbeat was not enough for the rooms to mention as soon as possible.
    pub(super) fn has_fresh(&self) -> bool {
        self.fresh.len() > MAX_HEARTBEAT_ROOMS - ROTATION
    }

    /// Begins to count the envelopes to a room. Returns its index.
    fn begin(&mut self, room: &str, number: u64, now: Duration) -> usize {
        while !self.rooms.is_empty()
            && (self.rooms.len() >= MAX_COUNTED || self.names + room.len() > MAX_NAMES)
        {
            self.forget_one();
        }
        // Numbers increase, so a room that was forgotten gets a higher generation.
        let position = Position { generation: number, sequence: 0 };
        self.names += room.len();
        self.rooms.insert_full(room.into(), Sequence { position, used: now, fresh: None }).0
    }

    /// Forgets the room that was not sent to for the longest time, of a few.
    fn forget_one(&mut self) {
        let candidates = (0..16).map(|n| (self.oldest + n) % self.rooms.len());
        if let Some(oldest) = candidates.min_by_key(|index| self.rooms[*index].used) {
            self.forget(oldest);
        }
        self.oldest += 1;
        if self.oldest >= self.rooms.len() {
            self.oldest = 0;
        }
    }

    fn forget(&mut self, index: usize) {
        if let Some((room, sequence)) = self.rooms.swap_remove_index(index) {
            self.names -= room.len();
            if let Some((turn, _)) = sequence.fresh {
                self.fresh.remove(&turn);
            }
        }
    }
}

#[cfg(all(test, not(prism_loom)))]
mod tests {
    use std::{collections::BTreeMap, time::Duration};

    use super::{KEPT, MAX_COUNTED, MAX_HEARTBEAT_ROOMS, MAX_NAMES, ROTATION, Sequences};
    use crate::cluster::envelope::MAX_NAME;

    const NOW: Duration = Duration::from_secs(1);

    fn mentioned(sequences: &mut Sequences, now: Duration) -> Vec<(String, u64)> {
        let mentions = sequences.mentions(now).into_iter();
        mentions.map(|(room, position)| (room.to_string(), position.sequence)).collect()
    }

    #[test]
    fn each_room_is_counted_by_itself() {
        let mut sequences = Sequences::default();
        let mut next = |room, number| sequences.next_to_room(room, number, NOW).1.sequence;
        assert_eq!([next("tea", 1), next("milk", 2), next("tea", 3)], [1, 1, 2]);
        assert_eq!(sequences.next_to_everyone(4).sequence, 1);
        let mentioned = mentioned(&mut sequences, NOW);
        assert_eq!(mentioned, [("milk".to_owned(), 1), ("tea".to_owned(), 2)]);
    }

    #[test]
    fn rooms_just_sent_to_are_mentioned_first_and_all_in_rotation() {
        let mut sequences = Sequences::default();
        for n in 0..1000 {
            sequences.next_to_room(&n.to_string(), n + 1, NOW);
        }
        while sequences.has_fresh() {
            sequences.mentions(NOW);
        }
        sequences.mentions(NOW);
        sequences.next_to_room("tea", 2000, NOW);
        assert!(mentioned(&mut sequences, NOW).contains(&("tea".to_owned(), 1)));
        let mut names = std::collections::BTreeSet::new();
        for _ in 0..1000_usize.div_ceil(64) + 1 {
            names.extend(mentioned(&mut sequences, NOW).into_iter().map(|(room, _)| room));
        }
        assert_eq!(names.len(), 1001);
    }

    #[test]
    fn more_rooms_than_fit_are_mentioned_twice_in_turn_while_busy_ones_are_sent_to_again() {
        let mut sequences = Sequences::default();
        let names: Vec<String> = (0..1000).map(|n| format!("{n:04}")).collect();
        let mut number = 0;
        let mut send = |sequences: &mut Sequences, name: &str| {
            number += 1;
            sequences.next_to_room(name, number, NOW);
        };
        names.iter().for_each(|name| send(&mut sequences, name));
        let mut mentions = BTreeMap::<String, usize>::new();
        let mut heartbeats = 0;
        while names.iter().any(|name| mentions.get(name).is_none_or(|times| *times < 2)) {
            heartbeats += 1;
            for (room, _) in mentioned(&mut sequences, NOW) {
                *mentions.entry(room).or_default() += 1;
            }
            // The first rooms are sent to all the time. They do not get turns of the others.
            names[..100].iter().for_each(|name| send(&mut sequences, name));
            assert!(heartbeats < 20, "{} rooms were mentioned", mentions.len());
        }
        assert!(heartbeats >= 2000_usize.div_ceil(MAX_HEARTBEAT_ROOMS), "{heartbeats}");
    }

    #[test]
    fn rooms_that_are_forgotten_for_others_do_not_move_the_rotation() {
        let mut sequences = Sequences::default();
        for n in 0..2 * MAX_COUNTED as u64 {
            sequences.next_to_room(&n.to_string(), n + 1, NOW);
            if n == MAX_COUNTED as u64 {
                while !sequences.fresh.is_empty() {
                    sequences.mentions(NOW);
                }
                sequences.rotation = 1000;
            }
        }
        assert_eq!((sequences.rotation, sequences.rooms.len()), (1000, MAX_COUNTED));
        assert_eq!(sequences.mentions(NOW).len(), MAX_HEARTBEAT_ROOMS - ROTATION, "all are fresh");
    }

    #[test]
    fn a_room_that_was_forgotten_has_a_higher_generation() {
        let mut sequences = Sequences::default();
        let (_, first) = sequences.next_to_room("tea", 1, NOW);
        sequences.mentions(NOW + KEPT);
        let (_, kept) = sequences.next_to_room("tea", 2, NOW);
        assert_eq!((kept.generation, kept.sequence), (first.generation, 2));
        for _ in 0..3 {
            sequences.mentions(NOW + 2 * KEPT);
        }
        let (_, later) = sequences.next_to_room("tea", 3, NOW + 2 * KEPT);
        assert!(later.generation > first.generation);
        assert_eq!(later.sequence, 1);
    }

    #[test]
    fn the_number_of_rooms_is_bounded() {
        let mut sequences = Sequences::default();
        for n in 0..MAX_COUNTED as u64 + 1000 {
            sequences.next_to_room(&n.to_string(), n + 1, Duration::from_nanos(n));
        }
        assert_eq!(sequences.rooms.len(), MAX_COUNTED);
    }

    #[test]
    fn rooms_to_mention_are_bounded_without_heartbeats() {
        let mut sequences = Sequences::default();
        let mut number = 0;
        for _ in 0..3 {
            for n in 0..MAX_COUNTED + 1000 {
                number += 1;
                sequences.next_to_room(&n.to_string(), number, NOW);
            }
        }
        assert!(sequences.fresh.len() <= MAX_COUNTED, "{}", sequences.fresh.len());
        while sequences.has_fresh() {
            sequences.mentions(NOW);
        }
    }

    #[test]
    fn long_names_are_bounded_by_their_bytes() {
        let mut sequences = Sequences::default();
        for number in 1..10_000 {
            sequences.next_to_room(&format!("{number:0width$}", width = MAX_NAME), number, NOW);
        }
        let all: usize = sequences.rooms.keys().map(|name| name.len()).sum();
        assert_eq!(all, sequences.names);
        assert!((MAX_NAMES - MAX_NAME..=MAX_NAMES).contains(&all), "{all}");
        assert!(sequences.fresh.len() <= sequences.rooms.len());
    }
}
