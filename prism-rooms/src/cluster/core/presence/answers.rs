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
    /// Who is told of which rooms, in turn.
    queue: VecDeque<(NodeId, Arc<str>)>,
    /// The first ID of the next part of each.
    next: HashMap<(NodeId, Arc<str>), u128>,
}

impl Answers {
    /// Adds an answer, or begins again with it.
    pub(super) fn add(&mut self, to: NodeId, room: Arc<str>) {
        let answer = (to, room);
        if let Some(next) = self.next.get_mut(&answer) {
            *next = 0;
        } else if self.next.len() < MAX_ANSWERS {
            self.next.insert(answer.clone(), 0);
            self.queue.push_back(answer);
        }
    }

    /// Returns the node to tell, and the room, whose part is next.
    pub(super) fn first(&self) -> Option<(NodeId, Arc<str>)> {
        self.queue.front().cloned()
    }

    /// Takes the room whose part is next, if it is for this node. Returns the part's first ID, too.
    pub(super) fn take(&mut self, to: NodeId) -> Option<(Arc<str>, u128)> {
        let answer = self.queue.pop_front_if(|(node, _)| *node == to)?;
        let first = self.next.remove(&answer)?;
        Some((answer.1, first))
    }

    /// Goes on with an answer later.
    pub(super) fn go_on(&mut self, to: NodeId, room: Arc<str>, first: u128) {
        self.next.insert((to, room.clone()), first);
        self.queue.push_back((to, room));
    }

    pub(super) fn forget_node(&mut self, node: NodeId) {
        self.queue.retain(|(to, _)| *to != node);
        self.next.retain(|(to, _), _| *to != node);
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}
