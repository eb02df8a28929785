//! [`Answers`]: what this node still has to tell others about its people, in parts.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use crate::cluster::node_id::NodeId;

/// The most answers that wait. A node that gets none asks again.
const MAX_ANSWERS: usize = 1 << 14;

#[derive(Default)]
pub(super) struct Answers {
    /// The nodes that are told something, in turn.
    turns: VecDeque<NodeId>,
    /// Which rooms each of them is told of. Each room is finished before the next one: a node that receives nothing of
    /// a room for a while asks again, and the room begins again.
    rooms: HashMap<NodeId, VecDeque<Arc<str>>>,
    /// The first ID of the next part of each.
    next: HashMap<(NodeId, Arc<str>), u128>,
}

impl Answers {
    /// Adds an answer, or begins again with it.
    pub(super) fn add(&mut self, to: NodeId, room: Arc<str>) {
        let answer = (to, room.clone());
        if let Some(next) = self.next.get_mut(&answer) {
            *next = 0;
        } else if self.next.len() < MAX_ANSWERS {
            self.next.insert(answer, 0);
            let rooms = self.rooms.entry(to).or_default();
            if rooms.is_empty() {
                self.turns.push_back(to);
            }
            rooms.push_back(room);
        }
    }

    /// Returns the node to tell, and the room, whose part is next.
    pub(super) fn first(&self) -> Option<(NodeId, Arc<str>)> {
        let to = *self.turns.front()?;
        Some((to, self.first_room(to)?.clone()))
    }

    /// Returns the room whose part is next for this node.
    pub(super) fn first_room(&self, to: NodeId) -> Option<&Arc<str>> {
        self.rooms.get(&to)?.front()
    }

    /// Takes the room whose part is next for this node. Returns the part's first ID, too.
    pub(super) fn take(&mut self, to: NodeId) -> Option<(Arc<str>, u128)> {
        let room = self.rooms.get_mut(&to)?.pop_front()?;
        let first = self.next.remove(&(to, room.clone()))?;
        Some((room, first))
    }

    /// Goes on with a room in this node's next turn.
    pub(super) fn go_on(&mut self, to: NodeId, room: Arc<str>, first: u128) {
        self.next.insert((to, room.clone()), first);
        self.rooms.entry(to).or_default().push_front(room);
    }

    /// Ends the turn of the first node.
    pub(super) fn end_turn(&mut self) {
        let Some(to) = self.turns.pop_front() else { return };
        if self.first_room(to).is_some() {
            self.turns.push_back(to);
        } else {
            self.rooms.remove(&to);
        }
    }

    pub(super) fn forget_node(&mut self, node: NodeId) {
        self.turns.retain(|to| *to != node);
        self.rooms.remove(&node);
        self.next.retain(|(to, _), _| *to != node);
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}
