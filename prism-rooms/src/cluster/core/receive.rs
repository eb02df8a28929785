//! What a [`Core`] makes of the envelopes that arrive.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use super::{Core, Incoming, Question, health::MAX_SILENCE, peers::Heard};
use crate::cluster::{
    envelope::{Body, Broadcast, Header, Position, RoomPosition, Targets},
    event::{ClusterCounts, ClusterEvent},
    node_id::NodeId,
};

/// The least time that a node gets to be heard after the backplane was slow.
const GRACE: Duration = Duration::from_millis(2500);

impl Core {
    /// Handles what has arrived on a channel.
    pub(crate) fn handle_received(&mut self, payload: &[u8], now: Duration) {
        let Ok(header) = Header::decode(payload) else { return self.counts.refused += 1 };
        let (origin, number) = (header.origin, header.number);
        if origin == self.origin {
            if header.is_heartbeat() {
                self.handle_echo(number, now);
            }
            return;
        }
        // What was published on the channels of several rooms arrives several times. It is not decoded each time.
        if self.peers.has_heard(origin, number) {
            return self.counts.repeated += 1;
        }
        let Ok(body) = header.decode_body() else { return self.counts.refused += 1 };
        self.arrivals += 1;
        // Until this node's own heartbeat has come back, who is there is not known.
        let may_join = self.health.is_echoing() && !self.health.is_cut_off(now);
        let joined = match self.peers.hear(origin, number, may_join, now) {
            Heard::New { joined } => joined,
            Heard::Refused => return self.counts.refused += 1,
        };
        if matches!(body, Body::Goodbye) {
            self.presence.node_left(origin);
            if self.peers.say_goodbye(origin) && !joined {
                self.events.push_back(ClusterEvent::NodeLeft { node: origin });
            }
            return;
        }
        if joined {
            self.welcome(origin, now);
        }
        match body {
            Body::Heartbeat { everyone, rooms } => {
                self.handle_heartbeat(origin, everyone, &rooms);
                if let Some(peer) = self.peers.get_mut(origin) {
                    peer.heartbeat_arrived(number, self.arrivals);
                }
            }
            Body::Broadcast(broadcast) => self.handle_broadcast(origin, broadcast),
            Body::Question { room } => {
                self.asked.push_back(Question { origin, number, room: room.into() });
            }
            Body::Answer { question, members } => self.questions.answer(question, origin, members),
            Body::Presence(body) => {
                // The people of a node that has not joined would never leave.
                if self.peers.is_present(origin) {
                    self.presence.handle_body(origin, &body, now);
                }
            }
            Body::Goodbye => {}
        }
    }

    fn handle_echo(&mut self, number: u64, now: Duration) {
        let Some(echo) = self.health.echo(number, now) else { return };
        let moment = now.saturating_sub(MAX_SILENCE - GRACE);
        if echo.is_first {
            self.events.push_back(ClusterEvent::Connected);
            // What the others have said in the meantime was not heard.
            self.peers.extend_deadline(moment, now);
        } else if echo.was_slow {
            self.peers.extend_deadline_once(moment);
        }
        if let Some(long_ago) = now.checked_sub(MAX_SILENCE) {
            self.consider_gone(self.peers.silent_since(long_ago), now);
        }
        for node in self.peers.admit(MAX_SILENCE, now) {
            self.welcome(node, now);
        }
    }

    fn welcome(&mut self, node: NodeId, now: Duration) {
        self.events.push_back(ClusterEvent::NodeJoined { node });
        self.presence.node_joined(node, now);
        self.health.hasten_heartbeat(now);
    }

    fn handle_heartbeat(&mut self, origin: NodeId, everyone: Position, rooms: &[RoomPosition<'_>]) {
        let Some(peer) = self.peers.get_mut(origin) else { return };
        let missed = peer.sent_to_everyone(everyone);
        report(missed, origin, None, &mut self.events, &mut self.counts);
        for RoomPosition { room, position } in rooms {
            let Some((name, followed_since)) = self.subscriptions.followed(room) else { continue };
            let missed = peer.sent_to_room(name, *position, followed_since);
            report(missed, origin, Some(name), &mut self.events, &mut self.counts);
            if missed > 0 {
                // The backplane may have lost the subscription.
                self.subscriptions.repeat(room);
            }
        }
    }

    fn handle_broadcast(&mut self, origin: NodeId, broadcast: Broadcast<'_>) {
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
                    let followed = self.subscriptions.followed(room);
                    let Some((name, followed_since)) = followed else { continue };
                    let missed = peer.arrived_for_room(name, position, followed_since);
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
}

fn report(
    missed: u64,
    node: NodeId,
    room: Option<&Arc<str>>,
    events: &mut VecDeque<ClusterEvent>,
    counts: &mut ClusterCounts,
) {
    if missed > 0 {
        counts.missed = counts.missed.saturating_add(missed);
        events.push_back(ClusterEvent::Gap { node, room: room.cloned(), missed });
    }
}
