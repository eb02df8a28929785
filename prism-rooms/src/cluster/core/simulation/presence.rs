//! [`View`]: the people that a node has itself, and those of other nodes, as it shows them.

use std::{
    collections::{BTreeMap, BTreeSet},
    mem,
    sync::Arc,
    time::Duration,
};

use fastrand::Rng;
use serde_json::value::RawValue;

use crate::cluster::{
    core::Core,
    node_id::node_id,
    present::{OthersChange, PresenceUpdate, Present},
};

/// Rooms of two topics.
const ROOMS: [&str; 3] = ["status:tea", "status:milk", "role:tea"];
const KEYS: [&str; 3] = ["ada", "ben", "eve"];

type Room = &'static str;

#[derive(Default)]
pub(super) struct View {
    /// The connections of this node.
    own: BTreeMap<(Room, u128), Present>,
    watched: BTreeSet<Room>,
    /// The rooms with people or watchers here.
    existing: BTreeSet<Room>,
    /// The rooms that have appeared or vanished since the cluster's task has looked, and whether they exist now.
    notes: BTreeMap<Room, bool>,
    /// The connections of other nodes in these rooms.
    shown: BTreeMap<(Room, u64, u128), Present>,
    next_id: u128,
}

impl View {
    /// Does something that the application may do on a node.
    pub(super) fn act(&mut self, core: &mut Core, rng: &mut Rng, now: Duration) {
        // Most of what happens in a second happens in the same room, on all nodes.
        let room = match rng.u8(..4) {
            0 => ROOMS[rng.usize(..ROOMS.len())],
            _ => ROOMS[now.as_secs() as usize % ROOMS.len()],
        };
        let own = self.own.range((room, 0)..=(room, u128::MAX)).map(|((_, id), _)| *id);
        let own: Vec<u128> = own.collect();
        match rng.u8(..16) {
            0..6 => {
                self.next_id += 1;
                // In no order.
                let id = self.next_id.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
                self.track(core, room, id, rng, now);
            }
            6..8 if !own.is_empty() => {
                self.track(core, room, own[rng.usize(..own.len())], rng, now);
            }
            8..12 if !own.is_empty() => self.untrack(core, room, own[rng.usize(..own.len())], now),
            12 => own.into_iter().for_each(|id| self.untrack(core, room, id, now)),
            13 => drop(self.watched.insert(room)),
            14 => drop(self.watched.remove(room)),
            15 if self.existing.contains(room) => {
                // All have left, and come back before the cluster's task has looked.
                self.note(room, false);
                self.note(room, true);
            }
            _ => {}
        }
        self.update_rooms();
    }

    fn track(&mut self, core: &mut Core, room: Room, id: u128, rng: &mut Rng, now: Duration) {
        let meta = rng.u8(..).to_string();
        let meta = Arc::from(RawValue::from_string(meta).expect("it is JSON"));
        let present = Present { key: KEYS[rng.usize(..KEYS.len())].into(), meta };
        self.own.insert((room, id), present.clone());
        core.handle_person(&room.into(), id, Some(present), now);
    }

    fn untrack(&mut self, core: &mut Core, room: Room, id: u128, now: Duration) {
        self.own.remove(&(room, id));
        core.handle_person(&room.into(), id, None, now);
    }

    /// Says which rooms exist.
    fn update_rooms(&mut self) {
        for room in ROOMS {
            let has_people = self.own.range((room, 0)..=(room, u128::MAX)).next().is_some();
            let exists = has_people || self.watched.contains(room);
            if exists && self.existing.insert(room) {
                self.note(room, true);
            } else if !exists && self.existing.remove(room) {
                self.note(room, false);
            }
        }
    }

    /// Notes that a room has appeared, or that it has vanished: what was shown there is forgotten.
    fn note(&mut self, room: Room, exists: bool) {
        self.notes.insert(room, exists);
        if !exists {
            self.shown.retain(|(shown, _, _), _| *shown != room);
        }
    }

    /// The cluster's task looks at what has happened to rooms.
    pub(super) fn take_notes(&mut self, core: &mut Core, now: Duration) {
        for (room, exists) in mem::take(&mut self.notes) {
            core.handle_presence_room(&room.into(), exists, now);
        }
    }

    /// Shows what other nodes say. Each person comes before it leaves, and leaves once; but not in a room that has come
    /// back while the task is yet to look.
    pub(super) fn show(&mut self, update: PresenceUpdate, present: &BTreeSet<u64>) {
        let PresenceUpdate { room, change } = update;
        let Some(room) = self.existing.get(&*room).copied() else { return };
        let OthersChange::Show(node, changes) = change else {
            return self.shown.retain(|(shown, _, _), _| *shown != room);
        };
        for (id, change) in changes {
            let at = (room, node.as_u64(), id);
            match change {
                Some(person) => {
                    assert!(
                        present.contains(&node.as_u64()),
                        "{node} is not there, but its people"
                    );
                    let before = self.shown.insert(at, person.clone());
                    assert_ne!(before, Some(person), "nothing has changed");
                }
                None => {
                    let was_shown = self.shown.remove(&at).is_some();
                    assert!(was_shown || self.notes.contains_key(room), "{id} has left before");
                }
            }
        }
    }

    /// Checks that nobody is shown of whom the node does not know, or whose node has left.
    pub(super) fn check_shown(&self, core: &Core, present: &BTreeSet<u64>) {
        for (room, node, id) in self.shown.keys() {
            if self.notes.contains_key(room) {
                continue; // until the task has looked
            }
            assert!(present.contains(node), "{node} has left, but its people have not");
            assert!(core.presence.knows(room, node_id(*node), *id), "{id} has left, but is shown");
        }
    }

    /// Compares what a node shows at the end with what the others have. Returns how many are shown.
    pub(super) fn check(&self, others: &[(u64, &Self)]) -> usize {
        let mut expected = BTreeMap::new();
        for (node, other) in others {
            for ((room, id), present) in &other.own {
                if self.existing.contains(room) {
                    expected.insert((*room, *node, *id), present.clone());
                }
            }
        }
        let keys = |people: &BTreeMap<(Room, u64, u128), Present>| {
            people.keys().copied().collect::<Vec<_>>()
        };
        assert_eq!(keys(&self.shown), keys(&expected));
        assert!(self.shown == expected, "the same people, but not as they are now");
        expected.len()
    }
}
