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
//! for several rooms on the channel of each. The [position](super::envelope::Position) counts the envelopes to one room.
//! So a receiver notices what is missing, even though it follows some rooms only.
//!
//! A backplane has to keep the order of one node's envelopes, across channels too.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use async_channel::Sender;
use bytes::Bytes;

use super::{
    action::OwnedAction,
    envelope::{Body, Broadcast, Envelope, Position, RoomPosition, Targets},
    event::{ClusterCounts, ClusterEvent},
};
use crate::backplane::command::{Channel, Command, Ticket, TicketKind};

mod health;
pub(crate) mod outbox;
mod peers;
mod sequences;
mod subscriptions;

use self::{
    health::Health,
    outbox::{Outbox, ToPublish},
    peers::{Heard, Peers},
    subscriptions::Subscriptions,
};

/// How long a node has to be silent until it counts as gone.
const MAX_SILENCE: Duration = Duration::from_secs(7);
/// How long a node that was not heard because the backplane was slow has at least.
const GRACE: Duration = Duration::from_millis(2500);
/// How long a goodbye may take.
const MAX_GOODBYE: Duration = Duration::from_secs(1);

pub(crate) struct Core {
    origin: u64,
    health: Health,
    peers: Peers,
    subscriptions: Subscriptions,
    /// Whether the session has yet to subscribe to the channel of all nodes.
    subscribes_to_all: bool,
    /// The copies of the last envelope that the session has yet to publish.
    copies: VecDeque<Command>,
    incoming: VecDeque<Incoming>,
    events: VecDeque<ClusterEvent>,
    counts: ClusterCounts,
    /// How often something has arrived from other nodes.
    arrivals: u64,
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

impl Core {
    /// Creates the core of a node. `origin` is its ID.
    pub(crate) fn new(origin: u64, now: Duration) -> Self {
        Self {
            origin,
            health: Health::new(origin, now),
            peers: Peers::default(),
            subscriptions: Subscriptions::default(),
            subscribes_to_all: false,
            copies: VecDeque::new(),
            incoming: VecDeque::new(),
            events: VecDeque::new(),
            counts: ClusterCounts::default(),
            arrivals: 0,
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

    /// Answers whether messages of other nodes reach a room, as soon as they do; see [`Rooms::reached`](crate::Rooms::reached).
    pub(crate) fn handle_question(&mut self, room: &str, answer_to: Sender<bool>) {
        self.subscriptions.when_reached(room, answer_to);
    }

    /// Handles that the node leaves. It says goodbye, unless nobody would hear that.
    pub(crate) fn handle_leave(&mut self, outbox: &mut Outbox, now: Duration) {
        if self.leaves_until.is_none() {
            outbox.push_goodbye(now);
            self.leaves_until = Some(now + MAX_GOODBYE);
        }
    }

    /// Returns whether the node has left.
    pub(crate) fn has_left(&self, outbox: &Outbox, now: Duration) -> bool {
        self.leaves_until
            .is_some_and(|until| !self.health.is_sound() || outbox.is_empty() || until <= now)
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
            self.subscribes_to_all = true;
            self.subscriptions.session_started();
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
        self.copies.clear();
        self.subscriptions.session_ended();
        outbox.session_ended();
        if self.health.session_ended(now) {
            self.events.push_back(ClusterEvent::Disconnected { reason });
        }
    }

    /// Handles that a command has been carried out.
    pub(crate) fn handle_done(&mut self, ticket: Ticket, outbox: &mut Outbox) {
        match ticket.0 {
            TicketKind::SubscribeAll => {}
            TicketKind::Subscribe(batch) => self.subscriptions.confirmed(batch, self.arrivals),
            TicketKind::Publish(number) => outbox.confirm(number),
        }
    }

    /// Handles what has arrived on a channel.
    pub(crate) fn handle_received(&mut self, payload: &[u8], now: Duration) {
        let Ok(Envelope { origin, number, body }) = Envelope::decode(payload) else {
            self.counts.refused += 1;
            return;
        };
        if origin == self.origin {
            if matches!(body, Body::Heartbeat { .. }) {
                self.handle_echo(number, now);
            }
            return;
        }
        self.arrivals += 1;
        let joined = match self.peers.hear(origin, number, now) {
            Heard::New { joined } => joined,
            Heard::Repeated => return self.counts.repeated += 1,
            Heard::Refused => return self.counts.refused += 1,
        };
        if matches!(body, Body::Goodbye) {
            if self.peers.say_goodbye(origin) && !joined {
                self.events.push_back(ClusterEvent::NodeLeft { node: origin });
            }
            return;
        }
        if joined {
            self.events.push_back(ClusterEvent::NodeJoined { node: origin });
            self.health.hasten_heartbeat(now);
        }
        match body {
            Body::Heartbeat { everyone, rooms } => {
                self.handle_heartbeat(origin, everyone, &rooms);
                if let Some(peer) = self.peers.get_mut(origin) {
                    peer.heartbeat_arrived(number, self.arrivals);
                }
            }
            Body::Broadcast(broadcast) => self.handle_broadcast(origin, broadcast),
            Body::Goodbye => {}
        }
    }

    fn handle_echo(&mut self, number: u64, now: Duration) {
        let Some(echo) = self.health.echo(number, now) else { return };
        if echo.is_first {
            self.events.push_back(ClusterEvent::Connected);
            // What the others have said in the meantime was not heard.
            self.peers.excuse_until(now);
        } else if echo.was_slow {
            self.peers.excuse_until(now.saturating_sub(MAX_SILENCE - GRACE));
        }
        let Some(long_ago) = now.checked_sub(MAX_SILENCE) else { return };
        self.consider_gone(self.peers.silent_since(long_ago));
    }

    fn handle_heartbeat(&mut self, origin: u64, everyone: Position, rooms: &[RoomPosition<'_>]) {
        let Some(peer) = self.peers.get_mut(origin) else { return };
        let missed = peer.sent_to_everyone(everyone);
        report(missed, origin, None, &mut self.events, &mut self.counts);
        for RoomPosition { room, position } in rooms {
            let Some(name) = self.subscriptions.name(room) else { continue };
            let active_since = self.subscriptions.active_since(room);
            let missed = peer.sent_to_room(name, *position, active_since);
            report(missed, origin, Some(name), &mut self.events, &mut self.counts);
            if missed > 0 {
                // The backplane may have lost the subscription.
                self.subscriptions.repeat(room);
            }
        }
    }

    fn handle_broadcast(&mut self, origin: u64, broadcast: Broadcast<'_>) {
        let Some(peer) = self.peers.get_mut(origin) else { return };
        let rooms = match broadcast.targets {
            Targets::Everyone(position) => {
                let missed = peer.arrived_for_everyone(position);
                report(missed, origin, None, &mut self.events, &mut self.counts);
                None
            }
            Targets::Rooms(targets) => {
                let mut rooms = Vec::with_capacity(targets.len());
                for RoomPosition { room, position } in targets {
                    let Some(name) = self.subscriptions.name(room) else { continue };
                    let active_since = self.subscriptions.active_since(room);
                    let missed = peer.arrived_for_room(name, position, active_since);
                    report(missed, origin, Some(name), &mut self.events, &mut self.counts);
                    rooms.push(name.clone());
                }
                if rooms.is_empty() {
                    return; // this node follows none of them any more
                }
                Some(rooms)
            }
        };
        self.counts.received += 1;
        let action = broadcast.action.into();
        self.incoming.push_back(Incoming { rooms, except: broadcast.except, action });
    }

    // ---- time

    /// Handles that time has passed.
    pub(crate) fn handle_timeout(&mut self, outbox: &mut Outbox, now: Duration) {
        for room in self.subscriptions.expire(now) {
            self.peers.forget_room(&room);
        }
        if self.health.is_cut_off(now) {
            self.consider_gone(self.peers.origins().collect());
        }
        outbox.drop_old(now);
        if self.health.is_heartbeat_due(now) {
            self.health.heartbeat_sent(outbox.push_heartbeat(now), now);
            self.peers.forget_old(now);
        }
    }

    /// Returns when [`handle_timeout`](Self::handle_timeout) has something to do, or
    /// [`wants_session`](Self::wants_session) or [`why_lost`](Self::why_lost) something to say.
    pub(crate) fn next_deadline(&self, now: Duration) -> Option<Duration> {
        let deadlines =
            [self.health.next_deadline(now), self.subscriptions.next_expiry(), self.leaves_until];
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
        if std::mem::take(&mut self.subscribes_to_all) {
            let ticket = Ticket(TicketKind::SubscribeAll);
            return Some(Command::Subscribe { channels: vec![Channel::All], ticket });
        }
        if let Some(command) = self.subscriptions.next_command() {
            return Some(command);
        }
        if self.copies.is_empty() {
            let next = next_to_publish()?;
            let (payload, ticket) =
                (Bytes::from(next.encode()), Ticket(TicketKind::Publish(next.number())));
            let copy = |channel| Command::Publish { channel, payload: payload.clone(), ticket };
            self.copies.extend(next.channels().into_iter().map(copy));
        }
        self.copies.pop_front()
    }

    /// Returns the next broadcast for members of this node.
    pub(crate) fn poll_incoming(&mut self) -> Option<Incoming> {
        self.incoming.pop_front()
    }

    pub(crate) fn poll_event(&mut self) -> Option<ClusterEvent> {
        self.events.pop_front()
    }

    pub(crate) fn counts(&self, outbox: &Outbox) -> ClusterCounts {
        ClusterCounts {
            connected: self.health.is_sound(),
            nodes: self.peers.count(),
            published: outbox.published(),
            unpublished: outbox.missed(),
            ..self.counts
        }
    }

    fn consider_gone(&mut self, origins: Vec<u64>) {
        for node in origins {
            self.peers.leave(node);
            self.events.push_back(ClusterEvent::NodeLeft { node });
        }
    }
}

fn report(
    missed: u64,
    node: u64,
    room: Option<&Arc<str>>,
    events: &mut VecDeque<ClusterEvent>,
    counts: &mut ClusterCounts,
) {
    if missed > 0 {
        counts.missed = counts.missed.saturating_add(missed);
        events.push_back(ClusterEvent::Gap { node, room: room.cloned(), missed });
    }
}

#[cfg(all(test, not(prism_loom)))]
mod simulation;
#[cfg(all(test, not(prism_loom)))]
mod tests;
