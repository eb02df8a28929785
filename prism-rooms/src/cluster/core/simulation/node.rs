//! [`Node`]: a core with its outbox and its session.

use std::{collections::BTreeSet, time::Duration};

use prism_driver::PreparedMessage;

use super::{
    ROOMS, STEADY_ROOMS,
    model::{Model, Target},
    presence::View,
};
use crate::cluster::{
    action::OwnedAction,
    core::{Core, outbox::Outbox},
    node_id::node_id,
};

pub(super) struct Node {
    pub(super) origin: u64,
    pub(super) core: Core,
    pub(super) outbox: Outbox,
    pub(super) session: Option<u64>,
    pub(super) is_connected: bool,
    pub(super) is_cut_off: bool,
    pub(super) follows: BTreeSet<&'static str>,
    /// How many messages it has sent.
    pub(super) sent: u64,
    /// The rooms that it follows from its start, once they are reached.
    pub(super) reached: BTreeSet<&'static str>,
    pub(super) answer: Option<async_channel::Receiver<bool>>,
    pub(super) presence: View,
}

impl Node {
    pub(super) fn new(origin: u64, steady_rooms: usize, now: Duration) -> Self {
        let (mut core, outbox) = (Core::new(node_id(origin), now), Outbox::new(node_id(origin)));
        core.presence.set_max_part(150);
        let mut node = Self {
            origin,
            core,
            outbox,
            session: None,
            is_connected: false,
            is_cut_off: false,
            follows: BTreeSet::new(),
            sent: 0,
            reached: BTreeSet::new(),
            answer: None,
            presence: View::default(),
        };
        ROOMS[..steady_rooms].iter().for_each(|room| node.follow(room, now));
        node
    }

    pub(super) fn follow(&mut self, room: &'static str, now: Duration) {
        if self.follows.insert(room) {
            self.core.handle_room(room.into(), true, now);
        }
    }

    pub(super) fn unfollow(&mut self, room: &'static str, now: Duration) {
        if self.follows.remove(room) {
            self.core.handle_room(room.into(), false, now);
        }
    }

    pub(super) fn send(&mut self, targets: &[Target], model: &mut Model, now: Duration) {
        self.sent += 1;
        let text = model.send(self.origin, targets);
        let action =
            OwnedAction::Send { message: PreparedMessage::new(text.as_str()), or_close: false };
        let rooms: Vec<&str> = targets.iter().copied().flatten().collect();
        let (stamp, _) = if rooms.is_empty() {
            self.outbox.push_to_everyone(Vec::new(), action, now)
        } else {
            self.outbox.push_to_rooms(&rooms, Vec::new(), action, now)
        };
        model.sent(self.origin, targets, stamp.number);
    }

    /// Puts what is to be said about presence into the outbox.
    pub(super) fn publish_presence(&mut self, now: Duration) {
        while let Some(presence) = self.core.poll_presence(self.outbox.has_room_for_presence(), now)
        {
            self.outbox.push_presence(presence, now);
        }
    }

    /// Receives what the backplane brings.
    pub(super) fn receive(&mut self, payload: &[u8], model: &mut Model, now: Duration) {
        for room in &ROOMS[..STEADY_ROOMS] {
            if !self.reached.contains(room) {
                let (sender, answer) = async_channel::bounded(1);
                self.core.handle_reached_request(room, sender);
                if answer.try_recv() == Ok(true) {
                    self.reached.insert(room);
                }
            }
        }
        model.hear(self.origin, payload, &self.reached);
        self.core.handle_received(payload, now);
    }
}
