//! What a node says about its people, what it makes of others', and what it asks for. Answers and losses are written by
//! hand.

use std::{collections::BTreeMap, iter, sync::Arc, time::Duration};

use serde_json::value::RawValue;

use super::{PresenceCore, PresenceToPublish};
use crate::{
    backplane::command::{Channel, Command, Ticket, TicketKind},
    cluster::{
        envelope::{Body, Header, encode_presence, presence::PresenceBody},
        node_id::{NodeId, node_id},
        present::{OthersChange, Present},
    },
};

mod many;

const SECOND: Duration = Duration::from_secs(1);
const GATHERED: Duration = Duration::from_millis(20);

/// A node with a session that does what it is told, and a clock.
struct Node {
    id: NodeId,
    core: PresenceCore,
    now: Duration,
}

impl Node {
    fn new(id: u64) -> Self {
        let mut core = PresenceCore::new(node_id(id));
        core.session_started();
        Self { id: node_id(id), core, now: SECOND }
    }

    fn watch(&mut self, room: &str) {
        self.core.handle_room(&room.into(), true, self.now);
        self.subscribe();
    }

    /// Carries out what the node asks of its session.
    fn subscribe(&mut self) {
        while let Some(command) = self.core.next_command() {
            if let Command::Subscribe {
                ticket: Ticket(TicketKind::SubscribePresence(batch)), ..
            } = command
            {
                self.core.subscribed(batch, self.now);
            }
        }
    }

    fn put(&mut self, room: &str, id: u128, meta: &str) {
        self.put_as(room, id, "ada", meta);
    }

    fn put_as(&mut self, room: &str, id: u128, key: &str, meta: &str) {
        let meta = Arc::from(RawValue::from_string(meta.to_owned()).unwrap());
        let present = Present { key: key.into(), meta };
        self.core.handle_person(&room.into(), id, Some(present), self.now);
    }

    fn remove(&mut self, room: &str, id: u128) {
        self.core.handle_person(&room.into(), id, None, self.now);
    }

    /// Returns what is to be published, once changes were gathered.
    fn publish(&mut self) -> Vec<PresenceToPublish> {
        self.now += GATHERED;
        self.core.handle_timeout(self.now);
        iter::from_fn(|| self.core.next_to_publish(true, self.now)).collect()
    }

    fn receive(&mut self, from: NodeId, published: &PresenceToPublish) {
        let bytes = encode_presence(from, 1, &published.body);
        let Ok(Body::Presence(body)) = Header::decode(&bytes).unwrap().decode_body() else {
            panic!("{published:?}")
        };
        self.core.handle_body(from, &body, self.now);
    }

    /// Returns who is shown, or with something else (`+`) and who is not any more (`-`).
    fn shown(&mut self) -> Vec<String> {
        let mut shown = Vec::new();
        while let Some(update) = self.core.next_update() {
            let OthersChange::Show(_, changes) = update.change else { continue };
            let sign = |present: &Option<Present>| if present.is_some() { '+' } else { '-' };
            shown.extend(changes.iter().map(|(id, present)| format!("{}{id}", sign(present))));
        }
        shown
    }

    /// Lets the other node know all that this one publishes.
    fn publish_to(&mut self, other: &mut Self) {
        for published in self.publish() {
            other.receive(self.id, &published);
        }
    }
}

fn channels(published: &[PresenceToPublish]) -> Vec<String> {
    published.iter().map(|published| published.channel.to_string()).collect()
}

/// Two nodes, of which the first one follows a room.
fn two() -> (Node, Node) {
    let (mut one, two) = (Node::new(1), Node::new(2));
    one.watch("s:tea");
    assert_eq!(channels(&one.publish()), ["p:s:tea"], "it asks");
    (one, two)
}

/// Its watchers left and came back within a second, which the node learned after a change was shown in the new room.
#[test]
fn a_room_that_has_come_back_shows_nobody_who_has_left_since() {
    let (mut one, mut two) = two();
    two.put("s:tea", 5, "1");
    two.publish_to(&mut one);
    one.watch("s:tea"); // it has come back a first time: all are shown
    one.shown();
    two.put("s:tea", 6, "1");
    two.publish_to(&mut one); // shown, although it has come back a second time
    one.watch("s:tea");
    two.remove("s:tea", 6);
    two.publish_to(&mut one);
    one.now += SECOND;
    one.core.handle_timeout(one.now);
    let mut people = BTreeMap::new();
    while let Some(update) = one.core.next_update() {
        match update.change {
            OthersChange::HideAll => people.clear(),
            OthersChange::Show(_, changes) => people.extend(changes),
        }
    }
    people.retain(|_, present| present.is_some());
    assert_eq!(people.into_keys().collect::<Vec<_>>(), [5]);
}

#[test]
fn changes_are_gathered_for_20_milliseconds_and_what_cancels_out_is_not_said() {
    let mut node = Node::new(1);
    node.put("s:tea", 1, "1");
    node.put("s:tea", 2, "1");
    assert_eq!(node.core.next_deadline(true), Some(node.now + GATHERED));
    assert!(node.core.next_to_publish(true, node.now).is_none());
    node.put("s:tea", 1, "2");
    node.remove("s:tea", 2);
    assert_eq!(channels(&node.publish()), ["p:s:tea"]);
    node.put("s:tea", 3, "1");
    node.remove("s:tea", 3);
    node.put("s:tea", 1, "2");
    assert_eq!(node.core.next_deadline(true), None);
    assert!(node.publish().is_empty());
}

#[test]
fn a_node_that_follows_a_room_asks_and_then_hears_changes() {
    let (mut one, mut two) = (Node::new(1), Node::new(2));
    two.put("s:tea", 5, "1");
    two.publish();
    one.watch("s:tea");
    one.publish_to(&mut two);
    let answer = two.publish();
    assert_eq!(channels(&answer), [Channel::Node(one.id).to_string()]);
    one.receive(two.id, &answer[0]);
    assert_eq!(one.shown(), ["+5"]);
    two.put("s:tea", 6, "1");
    two.put("s:tea", 5, "2");
    two.publish_to(&mut one);
    assert_eq!(one.shown(), ["+5", "+6"]);
    two.remove("s:tea", 5);
    two.remove("s:tea", 6);
    two.publish_to(&mut one);
    assert_eq!(one.shown(), ["-5", "-6"]);
    assert!(one.publish().is_empty(), "nothing is missing");
}

#[test]
fn a_gap_makes_a_node_ask_once_and_everyone_if_there_is_no_answer() {
    let (mut one, mut two) = two();
    two.put("s:tea", 5, "1");
    two.publish(); // it is lost
    for id in [6, 7] {
        two.put("s:tea", id, "1");
        two.publish_to(&mut one);
    }
    assert!(one.shown().is_empty());
    assert_eq!(channels(&one.publish()), [Channel::Node(two.id).to_string()], "it asks once");
    one.now += SECOND;
    two.put("s:tea", 8, "1");
    two.publish_to(&mut one);
    assert!(one.core.misses_answers(), "its own channel may be lost");
    let question = one.publish();
    assert_eq!(channels(&question), ["all"], "the other's channel may be lost");
    two.receive(one.id, &question[0]);
    two.publish_to(&mut one);
    assert_eq!(one.shown(), ["+5", "+6", "+7", "+8"]);
}

#[test]
fn versions_show_what_was_lost_last_and_who_has_left() {
    let (mut one, mut two) = two();
    two.watch("s:tea");
    two.put("s:tea", 5, "1");
    two.publish(); // it is lost
    two.core.heartbeat_sent();
    two.publish_to(&mut one);
    let question = one.publish();
    assert!(one.core.next_command().is_some(), "it subscribes again");
    two.receive(one.id, &question[0]);
    two.publish_to(&mut one);
    assert_eq!(one.shown(), ["+5"]);
    two.core.heartbeat_sent();
    two.publish_to(&mut one);
    assert!(one.publish().is_empty(), "all is known");
    two.remove("s:tea", 5);
    two.publish(); // it is lost
    two.core.heartbeat_sent();
    two.publish_to(&mut one);
    assert_eq!(one.shown(), ["-5"], "the room is not mentioned any more");
}

#[test]
fn a_node_that_knows_the_version_gets_no_answer() {
    let (mut one, mut two) = two();
    two.put("s:tea", 5, "1");
    two.publish_to(&mut one);
    one.core.session_ended();
    one.core.session_started();
    one.subscribe();
    let question = one.publish();
    assert_eq!(channels(&question), ["all"], "who has changed may not follow the room any more");
    two.receive(one.id, &question[0]);
    assert!(two.publish().is_empty());
    two.put("s:tea", 6, "1");
    two.receive(one.id, &question[0]);
    assert_eq!(channels(&two.publish()), ["p:s:tea"], "the change follows");
    two.put("s:tea", 7, "1");
    two.receive(one.id, &question[0]);
    let answer = channels(&two.publish());
    assert_eq!(answer, ["p:s:tea", &Channel::Node(one.id).to_string()], "the change comes first");
    two.put("s:tea", 8, "1");
    two.receive(one.id, &question[0]);
    let at_once = iter::from_fn(|| two.core.next_to_publish(true, two.now));
    let at_once: Vec<_> = at_once.take(3).collect();
    assert_eq!(channels(&at_once), answer, "nothing is gathered for longer");
}

#[test]
fn a_node_that_joins_is_asked_for_all_rooms_unless_it_says_where_it_has_people() {
    let (mut one, mut two) = two();
    one.core.node_joined(two.id, one.now);
    one.now += SECOND;
    assert_eq!(channels(&one.publish()), [Channel::Node(two.id).to_string()]);
    one.core.node_joined(two.id, one.now);
    two.watch("s:tea");
    two.core.heartbeat_sent();
    two.publish_to(&mut one);
    one.now += SECOND;
    assert!(one.publish().is_empty());
}

#[test]
fn the_people_of_a_node_that_leaves_are_withdrawn_once() {
    let (mut one, mut two) = two();
    two.put("s:tea", 5, "1");
    two.publish_to(&mut one);
    one.shown();
    one.core.node_left(two.id);
    one.core.node_left(two.id);
    assert_eq!(one.shown(), ["-5"]);
    two.put("s:tea", 6, "1");
    two.publish_to(&mut one);
    assert!(one.shown().is_empty(), "the change does not fit");
}

#[test]
fn a_room_that_comes_back_is_shown_again_and_one_that_does_not_is_forgotten() {
    let (mut one, mut two) = two();
    two.put("s:tea", 5, "1");
    two.publish_to(&mut one);
    one.shown();
    one.core.handle_room(&"s:tea".into(), false, one.now);
    two.put("s:tea", 6, "1");
    two.publish_to(&mut one);
    one.shown();
    one.watch("s:tea");
    assert_eq!(one.shown(), ["+5", "+6"]);
    one.core.handle_room(&"s:tea".into(), false, one.now);
    one.now += 6 * SECOND;
    one.publish();
    assert!(matches!(one.core.next_command(), Some(Command::Unsubscribe { .. })));
    one.watch("s:tea");
    assert!(one.shown().is_empty());
    assert_eq!(channels(&one.publish()), ["p:s:tea"], "it asks");
}

#[test]
fn a_room_that_comes_back_again_and_again_is_shown_once_a_second() {
    let (mut one, mut two) = two();
    two.put("s:tea", 5, "1");
    two.publish_to(&mut one);
    one.shown();
    let come_back = |one: &mut Node| {
        one.core.handle_room(&"s:tea".into(), false, one.now);
        one.core.handle_room(&"s:tea".into(), true, one.now);
    };
    come_back(&mut one);
    assert_eq!(one.shown(), ["+5"]);
    let began = one.now;
    for _ in 0..10 {
        come_back(&mut one);
    }
    two.put("s:tea", 6, "1");
    two.remove("s:tea", 5);
    two.publish_to(&mut one);
    assert!(one.shown().is_empty());
    assert_eq!(one.core.next_deadline(true), Some(began + SECOND));
    one.now = began + SECOND;
    one.publish();
    assert_eq!(one.shown(), ["+6"]);
    two.put("s:tea", 7, "1");
    two.publish_to(&mut one);
    assert_eq!(one.shown(), ["+7"]);
}

#[test]
fn a_node_that_had_nothing_to_answer_is_asked_alone_for_what_is_lost_later() {
    let (mut one, mut two) = two();
    two.put("s:tea", 5, "1");
    two.publish_to(&mut one);
    one.core.session_ended();
    one.core.session_started();
    one.subscribe();
    one.publish_to(&mut two);
    assert!(two.publish().is_empty(), "its version is known");
    one.now += 2 * SECOND;
    two.put("s:tea", 6, "1");
    two.publish(); // it is lost
    two.put("s:tea", 7, "1");
    two.publish_to(&mut one);
    assert_eq!(channels(&one.publish()), [Channel::Node(two.id).to_string()]);
    assert!(!one.core.misses_answers());
}

#[test]
fn a_node_that_joins_is_not_asked_for_what_all_were_asked_since() {
    let (mut one, two) = two();
    one.core.session_ended();
    one.core.session_started();
    one.core.node_joined(two.id, one.now);
    one.subscribe();
    assert_eq!(channels(&one.publish()), ["all"]);
    one.now += SECOND;
    assert!(one.publish().is_empty());
}

#[test]
fn a_node_without_people_says_so_once_it_hears_of_presence() {
    let (mut one, mut two) = (Node::new(1), Node::new(2));
    one.core.heartbeat_sent();
    assert!(one.publish().is_empty(), "nobody uses presence");
    two.put("s:tea", 5, "1");
    two.publish_to(&mut one);
    one.core.heartbeat_sent();
    assert_eq!(channels(&one.publish()), ["all"]);
}

#[test]
fn rooms_that_are_not_followed_any_more_are_not_asked_for() {
    let (mut one, two) = two();
    one.core.handle_room(&"s:tea".into(), false, one.now);
    one.now += 4 * SECOND;
    one.core.node_joined(two.id, one.now);
    one.now += SECOND;
    one.core.handle_timeout(one.now);
    one.now += SECOND;
    assert!(one.publish().is_empty());
}

#[test]
fn answers_and_changes_take_turns() {
    let (mut one, mut two) = (Node::new(1), Node::new(2));
    two.put("s:tea", 5, "1");
    two.publish();
    one.watch("s:tea");
    for n in 0..10 {
        two.put(&format!("s:{n}"), 1, "1");
    }
    one.publish_to(&mut two);
    let published = channels(&two.publish());
    let answer = Channel::Node(one.id).to_string();
    let at = published.iter().position(|channel| *channel == answer);
    assert!(at.is_some_and(|at| at <= 1), "{published:?}");
}
