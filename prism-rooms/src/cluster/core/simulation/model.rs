//! [`Model`]: what was sent, and what has arrived where.

use std::collections::{BTreeMap, BTreeSet};

use super::{ROOMS, STEADY_ROOMS};
use crate::cluster::{
    action::OwnedAction,
    core::Incoming,
    envelope::{Body, Envelope},
    event::ClusterEvent,
};

/// A room, or everyone.
pub(super) type Target = Option<&'static str>;

#[derive(Default)]
pub(super) struct Model {
    /// How many messages each node has sent to each target.
    sent: BTreeMap<(u64, Target), u64>,
    /// The targets of each message: its sender and its index, and for each target how many were sent there before.
    messages: BTreeMap<(u64, u64), Vec<(Target, u64)>>,
    next_index: BTreeMap<u64, u64>,
    /// The numbers of the envelopes that each node has sent to each target.
    numbers: BTreeMap<(u64, Target), Vec<u64>>,
    nodes: BTreeMap<u64, Seen>,
}

/// What a node has seen.
#[derive(Default)]
struct Seen {
    connected: bool,
    present: BTreeSet<u64>,
    /// The last index that arrived of each node.
    last_index: BTreeMap<u64, u64>,
    from: BTreeMap<(u64, Target), Arrived>,
    /// The highest number that was heard of each node.
    heard: BTreeMap<u64, u64>,
    /// The nodes that have said goodbye.
    gone: BTreeSet<u64>,
}

/// What a node has seen of another one in a room.
#[derive(Default)]
struct Arrived {
    /// Of the first message: how many were sent before it, and how many of those were reported as missing.
    first: Option<(u64, u64)>,
    /// The number of the first heartbeat that has arrived since the room was reached.
    heartbeat: Option<u64>,
    count: u64,
    reported: u64,
}

impl Model {
    /// Records that a node sends a message, and returns its text.
    pub(super) fn send(&mut self, origin: u64, targets: &[Target]) -> String {
        let index = self.next_index.entry(origin).or_default();
        *index += 1;
        let mut places = Vec::new();
        for target in targets.iter().copied().collect::<BTreeSet<_>>() {
            let sent = self.sent.entry((origin, target)).or_default();
            places.push((target, *sent));
            *sent += 1;
        }
        self.messages.insert((origin, *index), places);
        format!("{origin} {index}")
    }

    /// Records the number of the envelope with a message that a node has just sent.
    pub(super) fn sent(&mut self, origin: u64, targets: &[Target], number: u64) {
        for target in targets.iter().copied().collect::<BTreeSet<_>>() {
            self.numbers.entry((origin, target)).or_default().push(number);
        }
    }

    /// Records what the backplane brings a node, which has reached these rooms.
    pub(super) fn hear(&mut self, node: u64, payload: &[u8], reached: &BTreeSet<&'static str>) {
        let Envelope { origin, number, body } = Envelope::decode(payload).expect("it is valid");
        let origin = origin.as_u64();
        let seen = self.nodes.entry(node).or_default();
        let heard = seen.heard.entry(origin).or_default();
        if number <= *heard || origin == node {
            return;
        }
        *heard = number;
        assert!(!seen.gone.contains(&origin), "{origin} has said goodbye to {node}, and then more");
        if body == Body::Goodbye {
            seen.gone.insert(origin);
        }
        if matches!(body, Body::Heartbeat { .. }) {
            for room in reached.iter().copied().map(Some) {
                seen.from.entry((origin, room)).or_default().heartbeat.get_or_insert(number);
            }
        }
    }

    /// Records that a message has arrived at a node: once, and in the order in which its sender has sent it.
    pub(super) fn arrive(&mut self, node: u64, incoming: &Incoming) {
        let OwnedAction::Send { message, .. } = &incoming.action else { panic!("{incoming:?}") };
        let text = str::from_utf8(message.payload()).expect("it is text");
        let (origin, index) = text.split_once(' ').expect("it is from `send`");
        let (origin, index) = (origin.parse().unwrap(), index.parse().unwrap());
        let seen = self.nodes.entry(node).or_default();
        let last = seen.last_index.entry(origin).or_default();
        assert!(*last < index, "{node} received {index} of {origin} after {last}");
        *last = index;
        for (target, sent) in &self.messages[&(origin, index)] {
            let is_for_us = match (target, &incoming.rooms) {
                (None, None) => true,
                (Some(target), Some(rooms)) => rooms.iter().any(|room| **room == **target),
                _ => false,
            };
            if is_for_us {
                let arrived = seen.from.entry((origin, *target)).or_default();
                arrived.count += 1;
                arrived.first.get_or_insert((*sent, arrived.reported));
            }
        }
    }

    /// Returns the nodes that are there, as a node sees it.
    pub(super) fn present(&mut self, node: u64) -> &BTreeSet<u64> {
        &self.nodes.entry(node).or_default().present
    }

    /// Records what a node has noticed.
    pub(super) fn notice(&mut self, node: u64, event: &ClusterEvent) {
        let seen = self.nodes.entry(node).or_default();
        match event {
            ClusterEvent::Connected => {
                assert!(!seen.connected, "{node} was connected");
                seen.connected = true;
            }
            ClusterEvent::Disconnected { .. } => {
                assert!(seen.connected, "{node} was not connected");
                seen.connected = false;
            }
            ClusterEvent::ConnectFailed { .. } => {
                assert!(!seen.connected, "{node} is connected");
            }
            ClusterEvent::NodeJoined { node: other } => {
                let other = other.as_u64();
                assert!(!seen.gone.contains(&other), "{other} has said goodbye to {node}");
                assert!(seen.connected, "{node} is cut off, but says that {other} is there");
                assert!(seen.present.insert(other), "{other} was present for {node}");
            }
            ClusterEvent::NodeLeft { node: other } => {
                assert!(seen.present.remove(&other.as_u64()), "{other} was not present for {node}");
            }
            ClusterEvent::Gap { node: other, room, missed } => {
                let target = room.as_ref().map(|room| {
                    *ROOMS.iter().find(|name| ***name == **room).expect("it is one of ours")
                });
                seen.from.entry((other.as_u64(), target)).or_default().reported += missed;
            }
            ClusterEvent::AppendRefused { .. } | ClusterEvent::ReadRefused { .. } => {
                panic!("nothing is kept")
            }
            ClusterEvent::PublishRefused { reason } => panic!("{node}: {reason}"),
        }
    }

    /// Checks what the nodes that are alive at the end have seen of each other.
    pub(super) fn check(&self, alive: &BTreeSet<u64>) {
        for node in alive {
            let seen = &self.nodes[node];
            assert!(seen.connected, "{node} is cut off");
            let others: BTreeSet<u64> =
                alive.iter().copied().filter(|other| other != node).collect();
            assert_eq!(seen.present, others, "for {node}");
            for other in others {
                let steady = ROOMS[..STEADY_ROOMS].iter().copied().map(Some);
                for target in steady.chain([None]) {
                    self.check_pair(*node, other, target);
                }
            }
        }
    }

    /// Everything since the first that counted has either arrived or was reported as missing, and nothing was both.
    fn check_pair(&self, node: u64, other: u64, target: Target) {
        let Some(arrived) = self.nodes[&node].from.get(&(other, target)) else {
            panic!("{node} knows of nothing of {other}'s in {target:?}");
        };
        let sent = self.sent[&(other, target)];
        let first_number = self.numbers[&(other, target)][0];
        if arrived.heartbeat.is_some_and(|heartbeat| heartbeat < first_number) {
            // It has followed the room before the first message was sent.
            let known = arrived.count + arrived.reported;
            assert_eq!(sent, known, "of {other}'s at {node} in {target:?}, from the first");
        }
        let Some((before, reported)) = arrived.first else {
            return assert!(arrived.reported > 0, "the last message is neither here nor missing");
        };
        let missing = sent - before - arrived.count;
        assert_eq!(
            missing,
            arrived.reported - reported,
            "missing of {other}'s at {node} in {target:?}, of {sent}"
        );
        assert!(reported <= before, "more reported as missing than were sent");
    }

    /// Returns whether the last message of a node has arrived at another one.
    pub(super) fn has_last(&self, node: u64, other: u64) -> bool {
        self.nodes[&node].last_index.get(&other) == self.next_index.get(&other)
    }

    pub(super) fn reported(&self) -> u64 {
        let all = self.nodes.values().flat_map(|seen| seen.from.values());
        all.map(|arrived| arrived.reported).sum()
    }
}
