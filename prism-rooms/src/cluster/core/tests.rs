//! The core's reactions, one by one. What other nodes send is written by hand.

use std::{iter, time::Duration};

use bytes::Bytes;
use prism_driver::PreparedMessage;

use super::{
    super::envelope::{Body, Broadcast, Envelope, Position, RoomPosition, Targets},
    Core, Outbox, OwnedAction,
};
use crate::{
    backplane::command::{Channel, Command},
    cluster::{
        envelope::Action,
        event::{ClusterEvent, ClusterEvent::*, MemberCount},
        node_id::node_id,
    },
};

mod gaps;
mod leaving;
mod presence;

const SECOND: Duration = Duration::from_secs(1);
const MILLISECOND: Duration = Duration::from_millis(1);

/// A node whose backplane does what it is told, and a clock.
struct Node {
    core: Core,
    outbox: Outbox,
    now: Duration,
    /// Whether what the node publishes comes back to it. Otherwise it is held back.
    echoes: bool,
    held_back: Vec<Bytes>,
    /// The other node that sends heartbeats, and its next number.
    other: Option<(u64, u64)>,
    next_of_other: Duration,
}

impl Node {
    fn new() -> Self {
        let now = SECOND;
        let (core, outbox) = (Core::new(node_id(1), now), Outbox::new(node_id(1)));
        Self {
            core,
            outbox,
            now,
            echoes: true,
            held_back: Vec::new(),
            other: None,
            next_of_other: now,
        }
    }

    /// A node that is connected, and knows another one, which is alive.
    fn with_other() -> Self {
        let mut node = Self::new();
        node.other = Some((2, 1));
        node.connect();
        assert_eq!(node.run_for(SECOND), [Connected, NodeJoined { node: node_id(2) }]);
        node
    }

    fn connect(&mut self) {
        assert!(self.core.wants_session(self.now));
        self.core.handle_session_started(self.now);
        self.core.handle_connected(self.now);
    }

    fn commands(&mut self) -> Vec<Command> {
        let (core, outbox, now) = (&mut self.core, &mut self.outbox, self.now);
        iter::from_fn(|| core.poll_command(|| outbox.next_to_publish(now))).collect()
    }

    fn receive(&mut self, origin: u64, number: u64, body: Body<'_>) {
        let payload = Envelope { origin: node_id(origin), number, body }.encode();
        self.core.handle_received(&payload, self.now);
    }

    fn events(&mut self) -> Vec<ClusterEvent> {
        iter::from_fn(|| self.core.poll_event()).collect()
    }

    /// Lets time pass, until a session is lost. Returns the events.
    fn run_for(&mut self, span: Duration) -> Vec<ClusterEvent> {
        let end = self.now + span;
        while self.now < end && self.core.why_lost(self.now).is_none() {
            self.core.handle_timeout(self.now);
            self.core.push_heartbeat(&mut self.outbox, self.now);
            for command in self.commands() {
                let (payload, ticket) = match command {
                    Command::Publish { payload, ticket, .. } => (Some(payload), ticket),
                    Command::Subscribe { ticket, .. } => (None, ticket),
                    _ => continue,
                };
                if self.echoes {
                    payload.iter().for_each(|payload| self.core.handle_received(payload, self.now));
                } else {
                    self.held_back.extend(payload);
                }
                self.core.handle_done(ticket, &mut self.outbox, self.now);
            }
            if self.next_of_other <= self.now
                && let Some((origin, number)) = self.other
            {
                self.receive(origin, number, heartbeat(&[]));
                self.other = Some((origin, number + 1));
                self.next_of_other = self.now + 2 * SECOND;
            }
            self.now += 10 * MILLISECOND;
        }
        self.events()
    }

    fn lose(&mut self) {
        self.core.handle_session_ended("lost".into(), &mut self.outbox, self.now);
    }
}

fn position(sequence: u64) -> Position {
    Position { generation: 1, sequence }
}

fn heartbeat<'a>(rooms: &[(&'a str, u64)]) -> Body<'a> {
    let rooms = rooms.iter();
    let rooms = rooms
        .map(|(room, sequence)| RoomPosition { room, position: position(*sequence) })
        .collect();
    Body::Heartbeat { everyone: Position::default(), rooms }
}

fn wake(room: &str, sequence: u64) -> Body<'_> {
    let targets = Targets::Rooms(vec![RoomPosition { room, position: position(sequence) }]);
    Body::Broadcast(Broadcast { targets, except: Vec::new(), action: Action::Wake })
}

#[test]
fn a_session_first_subscribes_and_then_publishes() {
    let mut node = Node::new();
    let message = OwnedAction::Send { message: PreparedMessage::new("hello"), or_close: false };
    node.outbox.push_to_rooms(&["tea"], Vec::new(), message, node.now);
    node.core.handle_room("tea".into(), true, node.now);
    assert_eq!(node.commands(), []);
    node.connect();
    node.core.handle_timeout(node.now);
    node.core.push_heartbeat(&mut node.outbox, node.now);
    let channels: Vec<_> = node
        .commands()
        .into_iter()
        .map(|command| match command {
            Command::Subscribe { mut channels, .. } => (true, channels.remove(0)),
            Command::Publish { channel, .. } => (false, channel),
            _ => panic!("{command:?}"),
        })
        .collect();
    let tea = Channel::Room("tea".into());
    let expected = [(true, Channel::All), (true, tea.clone()), (false, tea), (false, Channel::All)];
    assert_eq!(channels, expected, "the last one is the heartbeat");
}

#[test]
fn a_deaf_session_is_lost_after_five_seconds() {
    let mut node = Node::with_other();
    node.echoes = false;
    let began = node.now;
    assert_eq!(node.run_for(20 * SECOND), []);
    assert_eq!(node.core.why_lost(node.now), Some("what was published did not come back in time"));
    let after = node.now - began;
    assert!((5 * SECOND..=7 * SECOND + 300 * MILLISECOND).contains(&after), "{after:?}");
    node.lose();
    assert_eq!(node.events(), [Disconnected { reason: "lost".into() }]);
}

#[test]
fn connecting_may_take_two_seconds() {
    let mut node = Node::new();
    node.core.handle_session_started(node.now);
    node.run_for(10 * SECOND);
    assert!(node.core.why_lost(node.now).is_some());
    assert!(node.now.abs_diff(3 * SECOND) < 50 * MILLISECOND, "{:?}", node.now);
    node.lose();
    assert_eq!(node.events(), [ConnectFailed { reason: "lost".into() }]);
}

#[test]
fn each_other_reason_why_attempts_fail_is_reported_once() {
    let mut node = Node::new();
    let mut fail = |reason: &str| {
        node.core.handle_session_started(node.now);
        node.core.handle_session_ended(reason.into(), &mut node.outbox, node.now);
        node.events()
    };
    let failed = |reason: &str| [ConnectFailed { reason: reason.into() }];
    assert_eq!(fail("refused"), failed("refused"));
    assert_eq!(fail("refused"), []);
    assert_eq!(fail("no password"), failed("no password"));
    assert_eq!(fail("refused"), failed("refused"));
    node.now += 3 * SECOND;
    node.connect();
    node.run_for(SECOND);
    node.lose();
    node.events();
    node.core.handle_session_started(node.now);
    node.core.handle_session_ended("refused".into(), &mut node.outbox, node.now);
    assert_eq!(node.events(), failed("refused"), "it has worked since");
}

#[test]
fn delays_grow_up_to_two_seconds_and_begin_again_after_a_sound_session() {
    let mut node = Node::new();
    let mut longest = [Duration::ZERO; 10];
    for _ in 0..100 {
        for longest in &mut longest {
            node.core.handle_session_started(node.now);
            node.lose();
            let retry = node.core.next_deadline(node.now).unwrap();
            *longest = (*longest).max(retry - node.now);
            node.now = retry;
            assert!(node.core.wants_session(node.now));
        }
        node.connect();
        node.run_for(SECOND);
        node.lose();
        node.now += 3 * SECOND;
        node.events();
    }
    for (failures, longest) in longest.into_iter().enumerate() {
        // A failed session comes on top of the working one that ended.
        let most = (50 * MILLISECOND * (1 << (failures + 1).min(10))).min(2 * SECOND);
        assert!(longest <= most, "{failures}: {longest:?}");
        assert!(longest >= most / 2, "{failures}: {longest:?} of {most:?}");
    }
}

#[test]
fn a_session_publishes_no_copies_that_the_last_one_has_not_taken() {
    let mut node = Node::with_other();
    node.outbox.push_to_rooms(&["milk", "tea"], Vec::new(), OwnedAction::Wake, node.now);
    let now = node.now;
    let one = node.core.poll_command(|| node.outbox.next_to_publish(now));
    assert!(matches!(one, Some(Command::Publish { .. })));
    node.lose();
    node.now += 3 * SECOND / 2;
    node.connect();
    let commands = node.commands();
    let copies = commands.iter().filter(|command| matches!(command, Command::Publish { .. }));
    assert_eq!(copies.count(), 2);
}

#[test]
fn what_no_node_can_have_sent_is_counted() {
    let mut node = Node::with_other();
    for payload in [&b""[..], b"hello", &[0; 100]] {
        node.core.handle_received(payload, node.now);
    }
    assert_eq!(node.core.counts(&node.outbox).refused, 3);
    assert_eq!(node.events(), []);
}

#[test]
fn of_what_is_repeated_or_this_nodes_own_only_the_beginning_is_read() {
    let mut node = Node::with_other();
    let garbled = |origin, number| {
        let envelope = Envelope { origin: node_id(origin), number, body: wake("tea", 1) };
        [&envelope.encode()[..], b"!"].concat()
    };
    node.core.handle_received(&garbled(2, 1), node.now);
    node.core.handle_received(&garbled(1, 1), node.now);
    let counts = node.core.counts(&node.outbox);
    assert_eq!((counts.repeated, counts.refused), (1, 0));
    node.core.handle_received(&garbled(2, 100), node.now);
    node.receive(2, 100, wake("tea", 1));
    let counts = node.core.counts(&node.outbox);
    assert_eq!((counts.repeated, counts.refused), (1, 1), "what is refused was not heard");
}

#[test]
fn each_node_answers_a_question_once_and_in_time() {
    let mut node = Node::with_other();
    node.receive(3, 1, heartbeat(&[]));
    let ask = |node: &mut Node| {
        let (sender, answer) = async_channel::bounded(1);
        node.core.handle_count_request("tea", 5, sender, &mut node.outbox, node.now);
        let question = node.commands().iter().find_map(|command| match command {
            Command::Publish { payload, .. } => Some(Envelope::decode(payload).unwrap().number),
            _ => None,
        });
        (question.unwrap_or(0), answer)
    };
    let (question, answer) = ask(&mut node);
    let count = |members, nodes, unanswered| Ok(MemberCount { members, nodes, unanswered });
    let reply = |members| Body::Answer { question, members };
    node.receive(2, 50, reply(7));
    node.receive(2, 51, reply(7));
    node.receive(4, 1, reply(7)); // it was not asked
    assert!(answer.try_recv().is_err());
    node.receive(3, 2, reply(1));
    assert_eq!(answer.try_recv(), count(13, 3, 0));
    let (_, answer) = ask(&mut node);
    assert!(node.core.next_deadline(node.now) <= Some(node.now + 300 * MILLISECOND));
    node.now += 300 * MILLISECOND;
    node.core.handle_timeout(node.now);
    node.core.push_heartbeat(&mut node.outbox, node.now);
    assert_eq!(answer.try_recv(), count(5, 1, 3));
    // The backplane may have lost the subscription to the node's own channel.
    let commands = node.commands();
    let own = [Channel::Node(node_id(1))];
    assert!(matches!(&commands[0], Command::Subscribe { channels, .. } if *channels == own));
    node.lose();
    assert_eq!(ask(&mut node).1.try_recv(), count(5, 1, 3), "nobody would hear it");
    let mut alone = Node::new();
    alone.connect();
    assert_eq!(ask(&mut alone).1.try_recv(), count(5, 1, 0));
}
