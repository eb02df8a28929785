//! [`Followed`]: a room that this node follows, and how many people it takes in from other nodes.

use std::{collections::HashMap, sync::Arc, time::Duration};

use crate::cluster::present::Present;

/// The most connections that other nodes may have in a room.
pub(super) const MAX_PEOPLE: usize = 100_000;
/// The most connections that other nodes may have of one person in a room. Each change of one goes through all of them.
pub(super) const MAX_CONNECTIONS: usize = 1024;
/// The most bytes that the keys and the metadata of all of them may have. At a node, presence limits them for its own
/// people only; and what arrives here may come from many nodes.
pub(super) const MAX_SIZE: usize = 32 << 20;

/// A room that this node follows.
#[derive(Default)]
pub(super) struct Followed {
    /// How many connections all other nodes have there.
    connections: usize,
    /// How many of them each person has.
    of_person: HashMap<Arc<str>, usize>,
    /// How many bytes they have.
    size: usize,
    /// When all of them were shown again, as the room came back.
    pub(super) shown: Option<Duration>,
    /// When all nodes were last asked for its people.
    pub(super) asked_all: Option<Duration>,
    /// Whether they are to be shown later. Until then, nobody is.
    pub(super) is_hidden: bool,
}

impl Followed {
    /// Adds a connection, unless there are too many. Returns whether it was added.
    pub(super) fn add(&mut self, present: &Present) -> bool {
        let (of_person, size) = (self.of_person(&present.key), self.size + present.size());
        let fits = self.connections < MAX_PEOPLE && of_person < MAX_CONNECTIONS && size <= MAX_SIZE;
        if fits {
            self.connections += 1;
            self.size = size;
            self.of_person.insert(present.key.clone(), of_person + 1);
        }
        fits
    }

    /// Removes a connection that was added.
    pub(super) fn remove(&mut self, present: &Present) {
        self.connections -= 1;
        self.size -= present.size();
        if let Some(of_person) = self.of_person.get_mut(&present.key) {
            *of_person -= 1;
            if *of_person == 0 {
                self.of_person.remove(&present.key);
            }
        }
    }

    /// Returns whether it is worth asking for connections of this person that were left out.
    pub(super) fn has_plenty_of_room(&self, person: &str) -> bool {
        self.connections < MAX_PEOPLE / 10 * 9
            && self.of_person(person) < MAX_CONNECTIONS / 10 * 9
            && self.size < MAX_SIZE / 10 * 9
    }

    fn of_person(&self, person: &str) -> usize {
        self.of_person.get(person).copied().unwrap_or(0)
    }
}
