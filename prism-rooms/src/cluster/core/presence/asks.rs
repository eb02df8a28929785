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
/// After how many bytes a question ends.
const MAX_SIZE: usize = MAX_PART / 2;

/// The nodes that are asked.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum AskTarget {
    /// All nodes that follow the room.
    Followers(Arc<str>),
    AllNodes,
    Node(NodeId),
}

#[derive(Default)]
pub(super) struct Asks {
    /// The rooms that this node has just begun to follow.
    new: VecDeque<Arc<str>>,
    queues: BTreeMap<AskTarget, Queue>,
}

struct Queue {
    rooms: BTreeSet<Arc<str>>,
    /// The bytes that the rooms take up in questions, roughly.
    size: usize,
    /// When the last question was asked, or the queue began.
    last: Duration,
    /// The time from the last question to the next one. It becomes shorter as the queue grows.
    interval: Duration,
}

impl Asks {
    /// Asks those who follow a room, at once.
    pub(super) fn ask_followers(&mut self, room: Arc<str>) {
        self.new.push_back(room);
    }

    /// Asks for a room, at once or soon.
    pub(super) fn ask(&mut self, target: AskTarget, room: Arc<str>, now: Duration) {
        self.queues.entry(target).or_insert_with(|| Queue::new(now)).add(room);
    }

    /// Asks a node nothing, because it is not there any more.
    pub(super) fn forget_node(&mut self, node: NodeId) {
        self.queues.remove(&AskTarget::Node(node));
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Returns when the next question is to be asked, unless it is at once.
    pub(super) fn next_due(&self) -> Option<Duration> {
        self.queues.values().map(Queue::due).min()
    }

    /// Returns the next question: who is asked, and for which rooms.
    pub(super) fn next(&mut self, now: Duration) -> Option<(AskTarget, Vec<Arc<str>>)> {
        if let Some(room) = self.new.pop_front() {
            return Some((AskTarget::Followers(room.clone()), vec![room]));
        }
        let (target, queue) = self.queues.iter_mut().find(|(_, queue)| queue.due() <= now)?;
        let (target, rooms) = (target.clone(), queue.take(now));
        if queue.rooms.is_empty() {
            self.queues.remove(&target);
        }
        Some((target, rooms))
    }
}

impl Queue {
    const fn new(now: Duration) -> Self {
        Self { rooms: BTreeSet::new(), size: 0, last: now, interval: Duration::ZERO }
    }

    const fn due(&self) -> Duration {
        self.last.saturating_add(self.interval)
    }

    fn add(&mut self, room: Arc<str>) {
        let size = size(&room);
        if self.rooms.insert(room) {
            self.size += size;
            self.interval = self.interval.min(self.even_interval());
        }
    }

    /// Takes the rooms of the next question.
    fn take(&mut self, now: Duration) -> Vec<Arc<str>> {
        self.interval = match self.interval {
            Duration::ZERO => self.even_interval(), // it is the first question
            interval => interval.min(self.even_interval()),
        };
        self.last = now;
        let (mut rooms, mut taken) = (Vec::new(), 0);
        while rooms.len() < MAX_LISTED
            && taken < MAX_SIZE
            && let Some(room) = self.rooms.pop_first()
        {
            taken += size(&room);
            rooms.push(room);
        }
        self.size -= taken;
        rooms
    }

    /// Returns the time between two questions that spreads what waits.
    fn even_interval(&self) -> Duration {
        let questions = self.rooms.len().div_ceil(MAX_LISTED).max(self.size.div_ceil(MAX_SIZE));
        SPREAD / questions.max(1) as u32
    }
}

fn size(room: &str) -> usize {
    room.len() + 32
}
