//! [`World`]: nodes, a backplane and a clock.

use std::{collections::BTreeSet, iter, ops::AddAssign, time::Duration};

use fastrand::Rng;

use super::{
    ROOMS, STEADY_ROOMS,
    backplane::{Backplane, Push, Session},
    model::{Model, Target},
    node::Node,
};

pub(super) struct World {
    rng: Rng,
    now: Duration,
    nodes: Vec<Node>,
    backplane: Backplane,
    model: Model,
    next_origin: u64,
    next_session: u64,
    happened: Happened,
}

/// How often it has happened.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Happened {
    sends: usize,
    losses: usize,
    repetitions: usize,
    stalls: usize,
    ends: usize,
    crashes: usize,
    goodbyes: usize,
    partitions: usize,
    forgotten: usize,
    reported: usize,
    presence: usize,
    shown: usize,
}

impl World {
    pub(super) fn new(mut rng: Rng) -> Self {
        let backplane = Backplane {
            lost_of: [0, 0, 100, 10][rng.usize(..4)],
            repeated_of: [0, 30, 5][rng.usize(..3)],
            ..Backplane::default()
        };
        let mut world = Self {
            rng,
            now: Duration::from_secs(1),
            nodes: Vec::new(),
            backplane,
            model: Model::default(),
            next_origin: 1,
            next_session: 1,
            happened: Happened::default(),
        };
        for _ in 0..3 {
            let node = world.new_node();
            world.nodes.push(node);
        }
        world
    }

    fn new_node(&mut self) -> Node {
        let origin = self.next_origin;
        self.next_origin += 1;
        Node::new(origin, STEADY_ROOMS, self.now)
    }

    pub(super) fn run_until(&mut self, end: Duration, with_acts: bool) {
        while self.now < end {
            if with_acts {
                self.act();
            }
            for index in 0..self.nodes.len() {
                self.advance(index);
            }
            // Short steps while something is under way, and long ones while all wait.
            let is_busy = self.backplane.sessions.values().any(|session| {
                let has_moved =
                    session.commands.len() + session.replies.len() + session.pushes.len();
                has_moved > 0 && !session.is_stalled
            });
            let most = match (is_busy, with_acts) {
                (true, _) => 20,
                (false, true) => 200,
                (false, false) => 2000,
            };
            let step = Duration::from_millis(self.rng.u64(1..most));
            let deadline =
                self.nodes.iter().filter_map(|node| node.core.next_deadline(self.now)).min();
            let next = self.now + step;
            self.now = deadline.map_or(next, |deadline| deadline.clamp(self.now, next));
            if self.now < next && self.rng.u8(..8) == 0 {
                self.now = next; // late, as on a busy machine
            }
        }
    }

    /// Something that the application does, or a fault.
    fn act(&mut self) {
        if self.rng.u8(..8) == 0 {
            let node = self.rng.usize(..self.nodes.len());
            let node = &mut self.nodes[node];
            node.presence.act(&mut node.core, &mut self.rng, self.now);
            record(node, &mut self.model);
            self.happened.presence += 1;
        }
        if self.rng.u8(..4) > 0 {
            return;
        }
        let (index, now) = (self.rng.usize(..self.nodes.len()), self.now);
        match self.rng.u8(..100) {
            0..60 => self.send(index),
            60..75 => {
                let room = ROOMS[self.rng.usize(STEADY_ROOMS..ROOMS.len())];
                let node = &mut self.nodes[index];
                if self.rng.bool() { node.follow(room, now) } else { node.unfollow(room, now) }
            }
            75..80 => self.end_session(index, "it was cut"),
            80..85 => self.stall(index),
            85..89 => {
                let node = &mut self.nodes[index];
                node.is_cut_off = !node.is_cut_off;
                let (is_cut_off, session) = (node.is_cut_off, node.session);
                self.happened.partitions += 1;
                if let Some(session) = session.and_then(|id| self.backplane.sessions.get_mut(&id)) {
                    session.is_stalled = is_cut_off;
                }
            }
            89..92 => self.crash(index),
            92..94 => self.leave(index),
            94..97 => {
                let session = self.nodes[index].session;
                if let Some(session) = session.and_then(|id| self.backplane.sessions.get_mut(&id)) {
                    // One subscription, or all of them: the session is deaf.
                    let lost = self.rng.usize(..2 * session.subscribed.len().max(1));
                    match session.subscribed.iter().nth(lost).cloned() {
                        Some(channel) => drop(session.subscribed.remove(&channel)),
                        None => session.subscribed.clear(),
                    }
                    self.happened.forgotten += 1;
                }
            }
            _ => {
                // The backplane restarts.
                (0..self.nodes.len()).for_each(|index| self.end_session(index, "it restarts"));
            }
        }
    }

    fn send(&mut self, index: usize) {
        let targets: Vec<Target> = match self.rng.u8(..8) {
            0 => vec![None],
            1 => ROOMS.map(Some)[self.rng.usize(..ROOMS.len())..].to_vec(),
            _ => vec![Some(ROOMS[self.rng.usize(..ROOMS.len())])],
        };
        for _ in 0..self.rng.usize(1..4) {
            self.nodes[index].send(&targets, &mut self.model, self.now);
            self.happened.sends += 1;
        }
    }

    fn stall(&mut self, index: usize) {
        let node = &self.nodes[index];
        if !node.is_cut_off
            && let Some(session) = node.session.and_then(|id| self.backplane.sessions.get_mut(&id))
        {
            session.is_stalled = !session.is_stalled;
            self.happened.stalls += 1;
        }
    }

    fn crash(&mut self, index: usize) {
        if let Some(session) = self.nodes[index].session {
            self.backplane.sessions.remove(&session);
        }
        self.nodes[index] = self.new_node();
        self.happened.crashes += 1;
    }

    fn leave(&mut self, index: usize) {
        let node = &mut self.nodes[index];
        node.core.handle_leave(&mut node.outbox, self.now);
        self.happened.goodbyes += 1;
    }

    /// The session ends. Of what the node has asked for, the backplane may have carried out the first part.
    fn end_session(&mut self, index: usize, reason: &str) {
        let node = &mut self.nodes[index];
        let Some(session) = node.session.take() else { return };
        node.is_connected = false;
        node.core.handle_session_ended(reason.to_owned(), &mut node.outbox, self.now);
        self.happened.ends += 1;
        self.backplane.carry_out(session, &mut self.rng);
        let is_half_open = self
            .backplane
            .sessions
            .get(&session)
            .is_some_and(|session| session.is_stalled && self.rng.bool());
        if !is_half_open {
            self.backplane.sessions.remove(&session);
        }
    }

    /// Whatever can happen at this moment, in parts.
    fn advance(&mut self, index: usize) {
        let node = &mut self.nodes[index];
        if self.rng.bool() {
            node.presence.take_notes(&mut node.core, self.now);
            record(node, &mut self.model);
        }
        node.core.handle_timeout(self.now);
        record(node, &mut self.model); // before a session that is lost withdraws them
        node.core.push_heartbeat(&mut node.outbox, self.now);
        if node.core.has_left(&node.outbox, self.now) {
            if let Some(session) = node.session {
                self.backplane.sessions.remove(&session);
            }
            self.nodes[index] = self.new_node();
            return;
        }
        if node.session.is_none() && node.core.wants_session(self.now) {
            node.session = Some(self.next_session);
            node.core.handle_session_started(self.now);
            if !node.is_cut_off {
                self.backplane.sessions.insert(self.next_session, Session::default());
            }
            self.next_session += 1;
        }
        if let Some(reason) = node.core.why_lost(self.now) {
            self.end_session(index, reason);
            return;
        }
        if let Some(session) = node.session
            && let Some(state) = self.backplane.sessions.get_mut(&session)
        {
            if !node.is_connected && self.rng.bool() && !state.is_stalled {
                node.is_connected = true;
                node.core.handle_connected(self.now);
            }
            node.publish_presence(self.now);
            let (core, outbox, now) = (&mut node.core, &mut node.outbox, self.now);
            let poll = || core.poll_command(|| outbox.next_to_publish(now));
            state.commands.extend(iter::from_fn(poll));
            if !state.is_stalled {
                self.backplane.carry_out(session, &mut self.rng);
                self.read(index, session);
            }
        }
        record(&mut self.nodes[index], &mut self.model);
    }

    /// The node reads some of what the backplane has sent.
    fn read(&mut self, index: usize, session: u64) {
        let Some(state) = self.backplane.sessions.get_mut(&session) else { return };
        let node = &mut self.nodes[index];
        let replies = self.rng.usize(..=state.replies.len());
        for ticket in state.replies.drain(..replies) {
            node.core.handle_done(ticket, &mut node.outbox, self.now);
        }
        let pushes = self.rng.usize(..=state.pushes.len());
        for push in state.pushes.drain(..pushes) {
            match push {
                Push::Subscribed(ticket) => {
                    node.core.handle_done(ticket, &mut node.outbox, self.now);
                }
                Push::Payload(payload) => node.receive(&payload, &mut self.model, self.now),
            }
            record(node, &mut self.model);
        }
    }

    pub(super) fn end_faults(&mut self) {
        (self.backplane.lost_of, self.backplane.repeated_of) = (0, 0);
        // Sessions that only the backplane still knows: what was asked for arrives late.
        let known: BTreeSet<u64> = self.nodes.iter().filter_map(|node| node.session).collect();
        let half_open: Vec<u64> =
            self.backplane.sessions.keys().copied().filter(|id| !known.contains(id)).collect();
        for session in half_open {
            self.backplane.carry_out(session, &mut self.rng);
            self.backplane.sessions.remove(&session);
        }
        for session in self.backplane.sessions.values_mut() {
            session.is_stalled = false;
        }
        for node in &mut self.nodes {
            node.presence.take_notes(&mut node.core, self.now);
            record(node, &mut self.model);
            node.is_cut_off = false;
            let (sender, receiver) = async_channel::bounded(1);
            node.core.handle_reached_request(ROOMS[0], sender);
            node.answer = Some(receiver);
        }
    }

    pub(super) fn send_last_messages(&mut self) {
        for node in &mut self.nodes {
            let answer = node.answer.take().map(|answer| answer.try_recv());
            assert!(matches!(answer, Some(Ok(true)) | None), "{answer:?}");
            for target in ROOMS.map(Some).into_iter().chain([None]) {
                node.send(&[target], &mut self.model, self.now);
            }
        }
    }

    /// Compares the nodes with the model.
    pub(super) fn check(self) -> Happened {
        let alive: BTreeSet<u64> = self.nodes.iter().map(|node| node.origin).collect();
        self.model.check(&alive);
        let mut shown = 0;
        for node in &self.nodes {
            let counts = node.core.counts(&node.outbox);
            assert_eq!(counts.nodes, alive.len() - 1);
            assert_eq!(counts.published + counts.unpublished, node.sent, "nothing waits");
            let others = self.nodes.iter().filter(|other| other.origin != node.origin);
            let others: Vec<_> = others.map(|other| (other.origin, &other.presence)).collect();
            shown += node.presence.check(&others);
            for other in alive.iter().filter(|other| **other != node.origin) {
                // The very last message is to everyone.
                assert!(self.model.has_last(node.origin, *other), "{other} at {}", node.origin);
            }
        }
        Happened {
            losses: self.backplane.lost,
            repetitions: self.backplane.repeated,
            reported: self.model.reported() as usize,
            shown,
            ..self.happened
        }
    }
}

/// Records what a node has noticed and received. A gap is noticed before the message that shows it.
fn record(node: &mut Node, model: &mut Model) {
    while let Some(event) = node.core.poll_event() {
        model.notice(node.origin, &event);
    }
    while let Some(incoming) = node.core.poll_incoming() {
        model.arrive(node.origin, &incoming);
    }
    let present = model.present(node.origin);
    while let Some(update) = node.core.poll_presence_update() {
        node.presence.show(update, present);
    }
    node.presence.check_shown(&node.core, present);
}

impl Happened {
    /// Returns whether everything has happened often enough that the schedules show something.
    pub(super) const fn is_thorough(&self, schedules: usize) -> bool {
        self.sends > 50 * schedules
            && self.losses > schedules
            && self.repetitions > schedules
            && self.stalls > schedules
            && self.ends > schedules
            && self.crashes > schedules
            && self.goodbyes > schedules / 2
            && self.partitions > schedules
            && self.forgotten > schedules / 2
            && self.reported > schedules
            && self.presence > 10 * schedules
            && self.shown > schedules
    }
}

impl AddAssign for Happened {
    fn add_assign(&mut self, other: Self) {
        self.sends += other.sends;
        self.losses += other.losses;
        self.repetitions += other.repetitions;
        self.stalls += other.stalls;
        self.ends += other.ends;
        self.crashes += other.crashes;
        self.goodbyes += other.goodbyes;
        self.partitions += other.partitions;
        self.forgotten += other.forgotten;
        self.reported += other.reported;
        self.presence += other.presence;
        self.shown += other.shown;
    }
}
