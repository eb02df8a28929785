//! [`PresenceCore`]: a node's part in the presence of a cluster. Part of the [core](super).
//!
//! Each node speaks for its own connections only, and nothing is kept elsewhere. So there is nothing to merge, and
//! nothing to clean up after a crash: when a node is gone, the others withdraw its people.
//!
//! ```text
//!   people here ─► OwnPeople ─► changes, versions ─────► followers of the room, all nodes
//!                      └──► Answers ─► people ─────────► the node that asks
//!   watchers here ◄── OthersPeople ◄── changes, people ◄── other nodes
//!                      └──► Asks ────► questions ──────► all nodes, or the one of which something is missing
//! ```
//!
//! A node that begins to follow a room, because it has people or watchers there, asks the others. From then on it
//! receives the changes. Versions show what is missing: the next change does not fit, or the versions that accompany
//! each heartbeat differ. Then that node is asked.

use std::{
    collections::{BTreeMap, HashSet},
    mem,
    sync::Arc,
    time::Duration,
};

use super::subscriptions::Subscriptions;
use crate::{
    backplane::command::{Channel, Command, TicketKind},
    cluster::{
        envelope::{
            MAX_NAME,
            presence::{AskedRoom, EncodedPresence, MAX_PART, NOBODY, PresenceBody},
        },
        node_id::NodeId,
        present::{PresenceUpdate, Present},
    },
};

mod answers;
mod asks;
mod followed;
mod others;
mod own;

use self::{
    answers::Answers,
    asks::{AskTarget, Asks},
    others::{Missing, OthersPeople},
    own::OwnPeople,
};

/// How long a node that joins has to say of itself where it has people, until it is asked for all rooms.
const INTRODUCTION: Duration = Duration::from_secs(1);
/// The most rooms that are followed at a time by asking their followers. If there are more, all nodes are asked at
/// once.
const MAX_FOLLOWED_ALONE: usize = 16;

pub(super) struct PresenceCore {
    origin: NodeId,
    /// Whether the application uses it at all, here or on another node.
    is_used: bool,
    subscriptions: Subscriptions,
    own: OwnPeople,
    others: OthersPeople,
    asks: Asks,
    answers: Answers,
    /// The rooms whose followers were asked since this node follows them.
    introduced: HashSet<Arc<str>>,
    /// The nodes that have joined and have not said where they have people, and when they are asked.
    joined: BTreeMap<NodeId, Duration>,
    /// Whether an answer comes before the next change. They take turns.
    is_answers_turn: bool,
    /// Whether the versions are to be published.
    says_versions: bool,
    /// Whether the outbox has enough of it.
    is_blocked: bool,
    /// Whether a question was not answered in time.
    misses_answers: bool,
}

/// Something to publish about presence.
#[derive(Debug)]
pub(crate) struct PresenceToPublish {
    pub(crate) channel: Channel,
    pub(crate) body: EncodedPresence,
    /// Whether it is published again if a session ends before it is confirmed.
    pub(crate) outlives_session: bool,
}

impl PresenceCore {
    pub(super) fn new(origin: NodeId) -> Self {
        Self {
            origin,
            is_used: false,
            subscriptions: Subscriptions::new(Channel::Presence, TicketKind::SubscribePresence),
            own: OwnPeople::new(),
            others: OthersPeople::default(),
            asks: Asks::default(),
            answers: Answers::default(),
            introduced: HashSet::new(),
            joined: BTreeMap::new(),
            is_answers_turn: false,
            says_versions: false,
            is_blocked: false,
            misses_answers: false,
        }
    }

    /// Makes lists of people end after `max_part` bytes, so that there are several.
    #[cfg(all(test, not(prism_loom)))]
    pub(super) const fn set_max_part(&mut self, max_part: usize) {
        self.own.max_part = max_part;
    }

    #[cfg(all(test, not(prism_loom)))]
    pub(super) fn knows(&self, room: &str, node: NodeId, id: u128) -> bool {
        self.others.knows(room, node, id)
    }

    // ---- what happens here

    /// Handles that a room has its first person or watcher (`true`), or that the last one has gone.
    pub(super) fn handle_room(&mut self, room: &Arc<str>, exists: bool, now: Duration) {
        self.is_used = true;
        if room.len() > MAX_NAME {
            return; // it is local
        }
        if exists {
            self.subscriptions.appeared(room.clone());
            self.others.follow(room, now);
        } else {
            self.subscriptions.vanished(room, now);
        }
    }

    /// Handles that a connection is present in a room, with these properties, or is not any more.
    pub(super) fn handle_person(
        &mut self,
        room: &Arc<str>,
        id: u128,
        present: Option<Present>,
        now: Duration,
    ) {
        self.is_used = true;
        if room.len() <= MAX_NAME {
            self.own.change(room, id, present.filter(Present::fits), now);
        }
    }

    /// Handles that a topic has ended: its rooms, whose names begin so, exist no longer.
    pub(super) fn handle_topic_ended(&mut self, prefix: &str, now: Duration) {
        self.own.remove_all(prefix, now);
        let rooms = self.others.rooms().filter(|room| room.starts_with(prefix)).cloned();
        for room in rooms.collect::<Vec<_>>() {
            self.subscriptions.vanished(&room, now);
        }
    }

    // ---- what happens to the session

    pub(super) fn session_started(&mut self) {
        self.subscriptions.session_started();
    }

    pub(super) fn session_ended(&mut self) {
        self.subscriptions.session_ended();
        self.asks.clear();
        self.answers.clear();
        self.says_versions = false;
    }

    /// Handles that the session has subscribed to a batch of rooms.
    pub(super) fn subscribed(&mut self, batch: u64, now: Duration) {
        let rooms = self.subscriptions.confirmed(batch, 0);
        let is_alone = rooms.len() <= MAX_FOLLOWED_ALONE;
        for room in rooms {
            if self.introduced.insert(room.clone()) && is_alone {
                self.asks.ask_followers(room);
            } else {
                // Those who have changed something during an outage may not follow the room any more.
                self.asks.ask(AskTarget::AllNodes, room, now);
            }
        }
    }

    // ---- what happens to other nodes

    pub(super) fn node_joined(&mut self, node: NodeId, now: Duration) {
        self.joined.insert(node, now + INTRODUCTION);
    }

    pub(super) fn node_left(&mut self, node: NodeId) {
        self.joined.remove(&node);
        self.others.forget_node(node);
        self.asks.forget_node(node);
        self.answers.forget_node(node);
    }

    /// Withdraws the people of all other nodes.
    pub(super) fn withdraw(&mut self) {
        for node in self.others.nodes() {
            self.node_left(node);
        }
    }

    /// Handles what a node that is there has published.
    pub(super) fn handle_body(&mut self, node: NodeId, body: &PresenceBody<'_>, now: Duration) {
        self.is_used = true; // the others expect that it says of itself where it has people, even if nowhere
        match body {
            PresenceBody::Change(change) => self.others.handle_change(node, change, now),
            PresenceBody::People(parts) => {
                parts.iter().for_each(|part| self.others.handle_part(node, part, now));
            }
            PresenceBody::Versions(versions) => {
                self.others.handle_versions(node, versions, now);
                if versions.after.is_empty() && versions.to_end {
                    self.joined.remove(&node);
                }
            }
            PresenceBody::Question(rooms) => {
                rooms.iter().for_each(|asked| self.handle_question(node, asked));
            }
        }
        while let Some(Missing { node, room, again }) = self.others.next_missing() {
            // The backplane may have lost the subscription to the room; or, if there was no answer, to one of the
            // channels of the two nodes.
            if matches!(body, PresenceBody::Versions(_)) {
                self.subscriptions.repeat(&room);
            }
            self.misses_answers |= again;
            let target = if again { AskTarget::AllNodes } else { AskTarget::Node(node) };
            self.asks.ask(target, room, now);
        }
    }

    fn handle_question(&mut self, node: NodeId, asked: &AskedRoom<'_>) {
        let version = self.own.version(asked.room);
        let known = asked.known.iter().find(|(origin, _)| *origin == self.origin);
        let known = known.map_or(NOBODY, |(_, version)| *version);
        if known != version {
            self.answers.add(node, asked.room.into());
        }
    }

    // ---- time

    pub(super) fn handle_timeout(&mut self, now: Duration) {
        self.others.show_due(now);
        for room in self.subscriptions.expire(now) {
            self.others.unfollow(&room);
            self.introduced.remove(&room);
        }
        let due = |joined: &BTreeMap<NodeId, Duration>| {
            joined.iter().map(|(node, at)| (*node, *at)).find(|(_, at)| *at <= now)
        };
        while let Some((node, at)) = due(&self.joined) {
            self.joined.remove(&node);
            for room in self.others.not_asked_since(at.saturating_sub(INTRODUCTION)) {
                self.asks.ask(AskTarget::Node(node), room.clone(), now);
            }
        }
    }

    /// Handles that a heartbeat was sent: the versions follow.
    pub(super) const fn heartbeat_sent(&mut self) {
        self.says_versions = self.is_used;
    }

    /// Returns when [`handle_timeout`](Self::handle_timeout) or [`next_to_publish`](Self::next_to_publish) has
    /// something to do. What the outbox has no room for waits until it has.
    pub(super) fn next_deadline(&self, is_up: bool) -> Option<Duration> {
        let (asks, own) = match is_up && !self.is_blocked {
            true => (self.asks.next_due(), self.own.next_due()),
            false => (None, None),
        };
        let joined = self.joined.values().copied().min();
        let (show, expiry) = (self.others.next_show(), self.subscriptions.next_expiry());
        [asks, own, joined, show, expiry].into_iter().flatten().min()
    }

    // ---- what is to be done

    pub(super) fn next_command(&mut self) -> Option<Command> {
        self.subscriptions.next_command()
    }

    /// Returns the next envelope to publish, if the outbox has room for it.
    pub(super) fn next_to_publish(
        &mut self,
        has_room: bool,
        now: Duration,
    ) -> Option<PresenceToPublish> {
        self.is_blocked = !has_room;
        if !has_room {
            return None;
        }
        if mem::take(&mut self.says_versions) {
            return Some(PresenceToPublish::once(Channel::All, self.own.next_versions()));
        }
        while let Some((target, mut rooms)) = self.asks.next(now) {
            rooms.retain(|room| self.others.follows(room)); // as long as they wait, that may end
            if !rooms.is_empty() {
                return Some(self.question(target, &rooms, now));
            }
        }
        self.is_answers_turn = !self.is_answers_turn;
        if self.is_answers_turn
            && let Some(answer) = self.next_answer()
        {
            return Some(answer);
        }
        if let Some((room, change)) = self.own.next_change(now) {
            return Some(PresenceToPublish::change(room, change));
        }
        self.next_answer()
    }

    fn question(&mut self, to: AskTarget, rooms: &[Arc<str>], now: Duration) -> PresenceToPublish {
        let node = match to {
            AskTarget::Node(node) => Some(node),
            AskTarget::Followers(_) | AskTarget::AllNodes => None,
        };
        let (mut asked_rooms, mut size) = (Vec::new(), 0);
        for room in rooms {
            if size >= MAX_PART {
                self.asks.ask(to.clone(), room.clone(), now); // in the next question
                continue;
            }
            let known = self.others.asked(node, room, now);
            if matches!(to, AskTarget::AllNodes) {
                self.others.all_asked(room, now);
            }
            size += room.len() + 3 + 16 * known.len();
            asked_rooms.push(AskedRoom { room, known });
        }
        let channel = match to {
            AskTarget::Followers(room) => Channel::Presence(room),
            AskTarget::AllNodes => Channel::All,
            AskTarget::Node(node) => Channel::Node(node),
        };
        PresenceToPublish::once(channel, PresenceBody::Question(asked_rooms).encode())
    }

    /// Returns the next part of an answer. What has changed in its rooms is published before it: a part says what is
    /// known to be published.
    fn next_answer(&mut self) -> Option<PresenceToPublish> {
        let (to, room) = self.answers.first()?;
        if let Some(change) = self.own.change_of(&room) {
            return Some(PresenceToPublish::change(room, change));
        }
        let (mut space, mut taken) = (self.own.max_part, Vec::new());
        while space > 0 {
            // The next room may have changes to be published first. The first room has none.
            let next = self.answers.first_room(to);
            if next.is_none_or(|room| self.own.has_changes(room)) {
                break;
            }
            let Some((room, first)) = self.answers.take(to) else { break };
            let (size, last) = self.own.measure(&room, first, space);
            space = space.saturating_sub(size);
            if let Some(next) = last.checked_add(1) {
                self.answers.go_on(to, room.clone(), next);
            }
            taken.push((room, first, last));
        }
        self.answers.end_turn();
        taken.sort_unstable();
        let parts = taken.iter().map(|(room, first, last)| self.own.part(room, *first, *last));
        let body = PresenceBody::People(parts.collect()).encode();
        Some(PresenceToPublish::once(Channel::Node(to), body))
    }

    pub(super) fn next_update(&mut self) -> Option<PresenceUpdate> {
        self.others.next_update()
    }

    /// Returns whether a question was not answered in time, since the last call.
    pub(super) const fn misses_answers(&mut self) -> bool {
        mem::replace(&mut self.misses_answers, false)
    }

    /// Returns how many people were left out because there were too many.
    pub(super) const fn refused(&self) -> u64 {
        self.others.refused()
    }
}

impl PresenceToPublish {
    const fn once(channel: Channel, body: EncodedPresence) -> Self {
        Self { channel, body, outlives_session: false }
    }

    const fn change(room: Arc<str>, body: EncodedPresence) -> Self {
        Self { channel: Channel::Presence(room), body, outlives_session: true }
    }
}

#[cfg(all(test, not(prism_loom)))]
mod tests;
