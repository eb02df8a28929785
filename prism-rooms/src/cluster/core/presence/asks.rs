//! [`Asks`]: which nodes this one is about to ask for the people in which rooms.
//!
//! After an outage, all nodes want to know of all rooms. So the questions are spread over two seconds.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use crate::cluster::{
    envelope::presence::{MAX_LISTED, MAX_PART},
    node_id::NodeId,
};

/// Over how much time the questions to one target are spread.
const SPREAD: Duration = Duration::from_secs(2);

/// Who is asked.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Asked {
    /// All nodes that follow the room.
    Followers(Arc<str>),
    Everyone,
    Node(NodeId),
}

#[derive(Default)]
pub(super) struct Asks {
    /// The rooms that this node has just begun to follow.
    new: VecDeque<Arc<str>>,
    queues: BTreeMap<Asked, Queue>,
}

struct Queue {
    rooms: BTreeSet<Arc<str>>,
    next: Duration,
    /// The time between two questions; `None` before the first.
    interval: Option<Duration>,
}

impl Asks {
    /// Asks those who follow a room, at once.
    pub(super) fn ask_followers(&mut self, room: Arc<str>) {
        self.new.push_back(room);
    }

    /// Asks for a room, at once or soon.
    pub(super) fn ask(&mut self, asked: Asked, room: Arc<str>, now: Duration) {
        let new = || Queue { rooms: BTreeSet::new(), next: now, interval: None };
        self.queues.entry(asked).or_insert_with(new).rooms.insert(room);
    }

    /// Asks a node nothing, because it is not there any more.
    pub(super) fn forget_node(&mut self, node: NodeId) {
        self.queues.remove(&Asked::Node(node));
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Returns when the next question is to be asked, unless it is at once.
    pub(super) fn next_due(&self) -> Option<Duration> {
        self.queues.values().map(|queue| queue.next).min()
    }

    /// Returns the next question: who is asked, and for which rooms.
    pub(super) fn next(&mut self, now: Duration) -> Option<(Asked, Vec<Arc<str>>)> {
        if let Some(room) = self.new.pop_front() {
            return Some((Asked::Followers(room.clone()), vec![room]));
        }
        let (asked, queue) = self.queues.iter_mut().find(|(_, queue)| queue.next <= now)?;
        let asked = asked.clone();
        let batches = queue.rooms.len().div_ceil(MAX_LISTED).max(1) as u32;
        let interval = *queue.interval.get_or_insert(SPREAD / batches);
        queue.next = now + interval;
        let (mut rooms, mut size) = (Vec::new(), 0);
        while rooms.len() < MAX_LISTED
            && size < MAX_PART / 2
            && let Some(room) = queue.rooms.pop_first()
        {
            size += room.len() + 32;
            rooms.push(room);
        }
        if queue.rooms.is_empty() {
            self.queues.remove(&asked);
        }
        Some((asked, rooms))
    }
}
