//! [`Core`]: a node's part in a cluster, as a state machine without I/O, clock or locks.
//!
//! ```text
//!   rooms that appear, vanish ──► Subscriptions ──► commands ──► session
//!   what is sent to rooms ──────► Outbox ──────────► commands ──►   of the
//!   deliveries, events ◄──────── Core ◄── Peers ◄─── envelopes ◄── backplane
//! ```
//!
//! What a node sends has two kinds of numbers. The number of the envelope increases with each, so a receiver that has
//! seen a higher one ignores it. That makes it harmless to send again what may have been lost, and to publish a message
//! for several rooms on the channel of each. The [position](super::envelope::Position) counts the envelopes to one
//! room. So a receiver notices what is missing, even though it follows some rooms only.
//!
//! A backplane has to keep the order of one node's envelopes, across channels too.

use std::{collections::VecDeque, mem, sync::Arc, time::Duration};

use async_channel::Sender;
use bytes::Bytes;

use super::{
    action::OwnedAction,
    envelope::MAX_NAME,
    event::{ClusterCounts, ClusterEvent, MemberCount},
    node_id::NodeId,
    present::{PresenceUpdate, Present},
};
use crate::backplane::command::{Channel, Command, Ticket, TicketKind};

mod health;
pub(crate) mod outbox;
mod peers;
pub(crate) mod presence;
mod questions;
mod reached;
mod receive;
mod sequences;
mod subscriptions;

use self::{
    health::{Health, MAX_SILENCE},
    outbox::{Outbox, ToPublish},
    peers::Peers,
    presence::{PresenceCore, PresenceToPublish},
    questions::Questions,
    subscriptions::Subscriptions,
};

/// How long a goodbye may take.
const MAX_GOODBYE: Duration = Duration::from_secs(1);

pub(crate) struct Core {
    origin: NodeId,
    health: Health,
    peers: Peers,
    subscriptions: Subscriptions,
    presence: PresenceCore,
    /// What this node asks others.
    questions: Questions,
    /// What others ask this node.
    asked: VecDeque<Question>,
    /// Whether the session has yet to subscribe to the channels of all nodes and of this one.
    is_new: bool,
    /// Whether the session has to subscribe again to the channel of this node: answers did not arrive.
    misses_answers: bool,
    /// The number and the bytes of the last envelope that the session was given: it may get more copies.
    encoded: (u64, Bytes),
    incoming: VecDeque<Incoming>,
    events: VecDeque<ClusterEvent>,
    counts: ClusterCounts,
    /// How often something has arrived from other nodes.
    arrivals: u64,
    /// Why the last session has ended that did not work, if none has worked since.
    failure: Option<String>,
    /// Until when a goodbye is waited for; `None` unless the node leaves.
    leaves_until: Option<Duration>,
}

/// A broadcast of another node, for members here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Incoming {
    /// The rooms that it is for; `None` if it is for everyone.
    pub(crate) rooms: Option<Vec<Arc<str>>>,
    /// The connections to leave out.
    pub(crate) except: Vec<u128>,
    pub(crate) action: OwnedAction,
}

/// Another node asks how many members a room has here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Question {
    pub(crate) origin: NodeId,
    pub(crate) number: u64,
    pub(crate) room: Box<str>,
}

impl Core {
    /// Creates the core of a node. `origin` is its ID.
    pub(crate) fn new(origin: NodeId, now: Duration) -> Self {
        Self {
            origin,
            health: Health::new(origin.as_u64(), now),
            peers: Peers::default(),
            subscriptions: Subscriptions::new(Channel::Room, TicketKind::Subscribe),
            presence: PresenceCore::new(origin),
            questions: Questions::default(),
            asked: VecDeque::new(),
            is_new: false,
            misses_answers: false,
            encoded: (0, Bytes::new()),
            incoming: VecDeque::new(),
            events: VecDeque::new(),
            counts: ClusterCounts::default(),
            arrivals: 0,
            failure: None,
            leaves_until: None,
        }
    }

    // ---- what happens here

    /// Handles that a room has its first member (`true`), or that its last member has left.
    pub(crate) fn handle_room(&mut self, room: Arc<str>, exists: bool, now: Duration) {
        if exists {
            self.subscriptions.appeared(room);
        } else {
            self.subscriptions.vanished(&room, now);
        }
    }

    /// Handles that a room of presence has its first person or watcher (`true`), or that the last one has gone.
    pub(crate) fn handle_presence_room(&mut self, room: &Arc<str>, exists: bool, now: Duration) {
        self.presence.handle_room(room, exists, now);
    }

    /// Handles that a connection is present in a room, or is not any more.
    pub(crate) fn handle_person(
        &mut self,
        room: &Arc<str>,
        id: u128,
        present: Option<Present>,
        now: Duration,
    ) {
        self.presence.handle_person(room, id, present, now);
    }

    /// Handles that a topic of presence has ended. The names of its rooms begin so.
    pub(crate) fn handle_topic_ended(&mut self, prefix: &str, now: Duration) {
        self.presence.handle_topic_ended(prefix, now);
    }

    /// Answers how many members a room has on all nodes. `members` is its number of members on this node.
    pub(crate) fn handle_count_request(
        &mut self,
        room: &str,
        members: usize,
        answer_to: Sender<MemberCount>,
        outbox: &mut Outbox,
        now: Duration,
    ) {
        let others = self.peers.count();
        let is_heard = self.health.is_echoing() && self.leaves_until.is_none();
        let asks = others > 0 && is_heard && room.len() <= MAX_NAME;
        if asks && !self.questions.is_full() {
            let number = outbox.push_question(room, now);
            self.questions.ask(number, self.peers.origins(), members, answer_to, now);
        } else {
            let count = MemberCount { members, nodes: 1, unanswered: others };
            let _ = answer_to.try_send(count); // fails if nobody waits any more
        }
    }

    /// Handles that the node leaves: it publishes what waits, and says goodbye.
    pub(crate) fn handle_leave(&mut self, outbox: &mut Outbox, now: Duration) {
        if self.leaves_until.is_none() {
            outbox.push_goodbye(now);
            self.health.leave();
            self.leaves_until = Some(now + MAX_GOODBYE);
        }
    }

    /// Returns whether the node has left.
    pub(crate) fn has_left(&self, outbox: &Outbox, now: Duration) -> bool {
        self.leaves_until.is_some_and(|until| outbox.is_empty() || until <= now)
    }

    // ---- what happens to the session

    /// Returns whether it is time to start a session.
    pub(crate) fn wants_session(&self, now: Duration) -> bool {
        self.health.wants_session(now)
    }

    pub(crate) const fn handle_session_started(&mut self, now: Duration) {
        self.health.session_started(now);
    }

    /// Handles that the session can carry out commands.
    pub(crate) fn handle_connected(&mut self, now: Duration) {
        if !self.health.is_up() {
            self.health.connected(now);
            self.is_new = true;
            self.subscriptions.session_started();
            self.presence.session_started();
        }
    }

    /// Returns why the session has to be ended, if it has to.
    pub(crate) fn why_lost(&self, now: Duration) -> Option<&'static str> {
        self.health.why_lost(now)
    }

    pub(crate) fn handle_session_ended(
        &mut self,
        reason: String,
        outbox: &mut Outbox,
        now: Duration,
    ) {
        self.subscriptions.session_ended();
        self.presence.session_ended();
        outbox.session_ended();
        let was_sound = self.health.session_ended(now);
        if self.leaves_until.is_some() {
            return; // it ends because the node leaves, which is not news
        }
        if was_sound {
            self.failure = None;
            self.events.push_back(ClusterEvent::Disconnected { reason });
        } else if self.failure.as_ref() != Some(&reason) {
            self.failure = Some(reason.clone());
            self.events.push_back(ClusterEvent::ConnectFailed { reason });
        }
    }

    /// Handles that a command has been carried out.
    pub(crate) fn handle_done(&mut self, ticket: Ticket, outbox: &mut Outbox, now: Duration) {
        match ticket.0 {
            TicketKind::Start => {}
            TicketKind::Subscribe(batch) => {
                self.subscriptions.confirmed(batch, self.arrivals);
            }
            TicketKind::SubscribePresence(batch) => self.presence.subscribed(batch, now),
            TicketKind::Publish(number) => outbox.confirm(number),
            TicketKind::History(_) => {} // replies tell more
        }
    }

    // ---- time

    /// Handles that time has passed. That may take a while; [`push_heartbeat`](Self::push_heartbeat) has to follow.
    pub(crate) fn handle_timeout(&mut self, now: Duration) {
        for room in self.subscriptions.expire(now) {
            self.peers.forget_room(&room);
        }
        if self.health.is_cut_off(now) {
            self.consider_gone(self.peers.origins().collect(), now);
        }
        if self.health.is_heartbeat_due(now) {
            self.peers.forget_old(now);
        }
        self.presence.handle_timeout(now);
        self.misses_answers |= self.questions.expire(now) | self.presence.misses_answers();
        if let Some(too_long) = self.peers.longest_silence().map(|since| since + MAX_SILENCE)
            && too_long <= now
        {
            self.health.check_silence(too_long, now);
        }
    }

    /// Adds a heartbeat to the outbox if it is time, and drops what is too old. Others wait for the outbox meanwhile.
    pub(crate) fn push_heartbeat(&mut self, outbox: &mut Outbox, now: Duration) {
        outbox.drop_old(now);
        if self.health.is_heartbeat_due(now)
            && self.health.heartbeat_sent(outbox.push_heartbeat(now), now)
        {
            self.presence.heartbeat_sent();
        }
    }

    /// Returns when [`handle_timeout`](Self::handle_timeout) has something to do, or
    /// [`wants_session`](Self::wants_session) or [`why_lost`](Self::why_lost) something to say.
    pub(crate) fn next_deadline(&self, now: Duration) -> Option<Duration> {
        let deadlines = [
            self.health.next_deadline(now),
            self.subscriptions.next_expiry(),
            self.questions.next_expiry(),
            self.presence.next_deadline(self.speaks()),
            self.peers
                .longest_silence()
                .map(|since| since + MAX_SILENCE)
                .filter(|then| *then > now),
            self.leaves_until,
        ];
        deadlines.into_iter().flatten().min()
    }

    // ---- what is to be done

    /// Returns the next command for the session. `next_to_publish` is [that of the outbox](Outbox::next_to_publish).
    pub(crate) fn poll_command(
        &mut self,
        next_to_publish: impl FnOnce() -> Option<ToPublish>,
    ) -> Option<Command> {
        if !self.health.is_up() {
            return None;
        }
        let (is_new, misses_answers) =
            (mem::take(&mut self.is_new), mem::take(&mut self.misses_answers));
        if is_new || misses_answers {
            let channels = [Channel::All, Channel::Node(self.origin)];
            let channels = channels.into_iter().skip(usize::from(!is_new)).collect();
            return Some(Command::Subscribe { channels, ticket: Ticket(TicketKind::Start) });
        }
        if let Some(command) = self.subscriptions.next_command() {
            return Some(command);
        }
        if let Some(command) = self.presence.next_command() {
            return Some(command);
        }
        let next = next_to_publish()?;
        if self.encoded.0 != next.number() {
            self.encoded = (next.number(), next.encode().into());
        }
        let payload = self.encoded.1.clone();
        let ticket = Ticket(TicketKind::Publish(next.number()));
        Some(Command::Publish { channel: next.channel(), payload, ticket })
    }

    /// Returns the next envelope about presence, for the outbox, if that [has room](Outbox::has_room_for_presence) for
    /// it.
    pub(crate) fn poll_presence(
        &mut self,
        has_room: bool,
        now: Duration,
    ) -> Option<PresenceToPublish> {
        if self.speaks() { self.presence.next_to_publish(has_room, now) } else { None }
    }

    /// Returns the next change of what other nodes say about presence.
    pub(crate) fn poll_presence_update(&mut self) -> Option<PresenceUpdate> {
        self.presence.next_update()
    }

    /// Returns the next broadcast for members of this node.
    pub(crate) fn poll_incoming(&mut self) -> Option<Incoming> {
        self.incoming.pop_front()
    }

    /// Returns the next question of another node, which has to be answered.
    pub(crate) fn poll_question(&mut self) -> Option<Question> {
        self.asked.pop_front()
    }

    pub(crate) fn poll_event(&mut self) -> Option<ClusterEvent> {
        self.events.pop_front()
    }

    pub(crate) fn counts(&self, outbox: &Outbox) -> ClusterCounts {
        ClusterCounts {
            connected: self.health.is_echoing(),
            nodes: self.peers.count(),
            published: outbox.published(),
            unpublished: outbox.unpublished(),
            refused: self.counts.refused + self.presence.refused(),
            ..self.counts
        }
    }

    /// Drops what those wait for who have asked something, and withdraws the people of other nodes. The caller holds
    /// wake-ups.
    pub(crate) fn close(&mut self) {
        self.subscriptions = Subscriptions::new(Channel::Room, TicketKind::Subscribe);
        self.questions = Questions::default();
        self.presence.withdraw();
    }

    /// Returns whether this node can publish what it says about presence.
    const fn speaks(&self) -> bool {
        self.health.is_up() && self.leaves_until.is_none()
    }

    fn consider_gone(&mut self, origins: Vec<NodeId>, now: Duration) {
        if origins.is_empty() {
            return;
        }
        for node in origins {
            self.peers.leave(node);
            self.presence.node_left(node);
            self.events.push_back(ClusterEvent::NodeLeft { node });
        }
        self.peers.forget_old(now);
    }
}

#[cfg(all(test, not(prism_loom)))]
mod simulation;
#[cfg(all(test, not(prism_loom)))]
mod tests;
