//! Many people, many rooms: what is said in parts, in turn, or not at all.

use std::{collections::BTreeSet, iter};

use super::*;
use crate::cluster::{
    core::presence::followed::{MAX_CONNECTIONS, MAX_PEOPLE, MAX_SIZE},
    envelope::presence::{MAX_LISTED, MAX_META, MAX_PART},
};

#[test]
fn of_many_rooms_those_that_have_changed_are_mentioned_first_and_all_in_rotation() {
    let mut node = Node::new(1);
    node.watch("s:");
    for n in 0..3 * MAX_LISTED {
        node.put(&format!("s:{n:04}"), 1, "1");
    }
    while !node.publish().is_empty() {}
    let mut mentioned = BTreeSet::new();
    let mut mention = |node: &mut Node| {
        node.core.heartbeat_sent();
        let published = node.publish();
        let bytes = encode_presence(node.id, 1, &published[0].body);
        let Body::Presence(PresenceBody::Versions(versions)) =
            Header::decode(&bytes).unwrap().decode_body().unwrap()
        else {
            panic!("{published:?}")
        };
        assert!(versions.recent.len() + versions.others.len() <= MAX_LISTED);
        mentioned.extend(versions.others.iter().map(|version| version.room.to_owned()));
        let recent =
            versions.recent.iter().map(|version| (version.room.to_owned(), version.version));
        (recent.collect::<Vec<_>>(), mentioned.len())
    };
    for _ in 0..20 {
        mention(&mut node);
    }
    node.remove("s:0700", 1);
    node.publish();
    assert_eq!(mention(&mut node).0, [("s:0700".to_owned(), 0)]);
    assert_eq!(mention(&mut node).0, [("s:0700".to_owned(), 0)], "twice");
    assert_eq!(mention(&mut node).0, []);
    assert_eq!(mention(&mut node).1, 3 * MAX_LISTED, "each was mentioned");
}

#[test]
fn rooms_with_long_names_are_all_mentioned_in_rotation() {
    let (mut one, mut two) = (Node::new(1), Node::new(2));
    let rooms: Vec<String> = (0..200).map(|n| format!("s:{n:0>1000}")).collect();
    for room in &rooms {
        one.watch(room);
        two.put(room, 1, "1");
    }
    one.publish();
    two.publish_to(&mut one);
    assert_eq!(one.shown().len(), 200);
    two.remove(&rooms[199], 1);
    for _ in 0..10 {
        two.core.heartbeat_sent();
        two.publish(); // it is lost
    }
    for _ in 0..10 {
        two.core.heartbeat_sent();
        two.publish_to(&mut one);
    }
    assert_eq!(one.shown(), ["-1"]);
    assert!(one.publish().is_empty(), "all is known");
}

#[test]
fn many_people_are_told_in_parts_while_they_change() {
    let (mut one, mut two) = two();
    let long = format!("\"{}\"", "x".repeat(1000));
    for id in 0..500 {
        two.put("s:tea", 2 * id, &long);
    }
    let changes = two.publish();
    assert_eq!(changes.len(), (500 * 1025_usize).div_ceil(MAX_PART), "they are lost");
    two.core.heartbeat_sent();
    two.publish_to(&mut one);
    let question = one.publish();
    two.receive(one.id, &question[0]);
    let mut parts = 0;
    while let Some(published) = two.core.next_to_publish(true, two.now) {
        let size = published.body.bytes.len();
        assert!(size <= MAX_PART + 1200, "{size}");
        one.receive(two.id, &published);
        if published.channel == Channel::Node(one.id) {
            parts += 1;
            // Before the part that has arrived, and after it.
            two.put("s:tea", 2 * parts - 1, "1");
            two.remove("s:tea", 1000 - 2 * parts);
            two.now += GATHERED;
        }
    }
    assert!(parts >= 8, "{parts}");
    let mut shown = BTreeSet::new();
    for change in one.shown() {
        let (sign, id) = change.split_at(1);
        if sign == "+" {
            shown.insert(id.to_owned())
        } else {
            shown.remove(id)
        };
    }
    assert_eq!(shown.len(), 500);
    assert!(shown.contains("1") && !shown.contains("998"));
    two.core.heartbeat_sent();
    two.publish_to(&mut one);
    assert!(one.publish().is_empty(), "all is known");
}

#[test]
fn each_room_with_many_people_is_told_to_its_end_although_parts_are_slow() {
    let (mut one, mut two) = (Node::new(1), Node::new(2));
    let long = format!("\"{}\"", "x".repeat(8000));
    for n in 0..6 {
        let room = format!("s:{n}");
        one.watch(&room);
        (0..30).for_each(|id| two.put(&room, id, &long));
    }
    two.publish(); // it is lost
    for n in 0..60 {
        if n % 4 == 0 {
            two.core.heartbeat_sent();
        }
        if let Some(published) = two.core.next_to_publish(true, two.now) {
            one.receive(two.id, &published);
        }
        one.publish_to(&mut two);
        (one.now, two.now) = (one.now + SECOND / 2, two.now + SECOND / 2);
    }
    assert_eq!(one.shown().len(), 6 * 30);
}

#[test]
fn a_part_that_is_lost_is_asked_for_again() {
    let (mut one, mut two) = two();
    let long = format!("\"{}\"", "x".repeat(8000));
    (0..20).for_each(|id| two.put("s:tea", id, &long));
    two.publish();
    for lost in [Some(1), Some(2), None] {
        one.now += 2 * SECOND;
        two.core.heartbeat_sent();
        two.publish_to(&mut one);
        for question in one.publish() {
            two.receive(one.id, &question);
        }
        for (n, part) in two.publish().iter().enumerate() {
            if Some(n) != lost {
                one.receive(two.id, part);
            }
        }
    }
    let shown = one.shown();
    assert_eq!(shown.len(), 20, "each once: {shown:?}");
    one.now += 2 * SECOND;
    two.core.heartbeat_sent();
    two.publish_to(&mut one);
    assert!(one.publish().is_empty(), "all is known");
}

#[test]
fn questions_of_thousands_of_rooms_are_spread_over_two_seconds() {
    let mut node = Node::new(1);
    for n in 0..10 * MAX_LISTED {
        node.core.handle_room(&format!("s:{n}").into(), true, node.now);
    }
    node.subscribe();
    let began = node.now;
    let mut questions = Vec::new();
    while let Some(due) = node.core.next_deadline(true) {
        node.now = node.now.max(due);
        questions.extend(iter::from_fn(|| node.core.next_to_publish(true, node.now)));
    }
    assert_eq!(questions.len(), 10);
    assert!(questions.iter().all(|question| question.channel == Channel::All));
    let took = node.now - began;
    assert!((3 * SECOND / 2..=2 * SECOND).contains(&took), "{took:?}");
}

#[test]
fn questions_are_spread_over_two_seconds_although_rooms_are_confirmed_in_batches() {
    let mut node = Node::new(1);
    for n in 0..40 * MAX_LISTED {
        node.core.handle_room(&format!("s:{n}").into(), true, node.now);
    }
    let (began, mut questions) = (node.now, 0);
    while let Some(command) = node.core.next_command() {
        let Command::Subscribe { ticket: Ticket(TicketKind::SubscribePresence(batch)), .. } =
            command
        else {
            panic!("{command:?}")
        };
        node.core.subscribed(batch, node.now);
        questions += iter::from_fn(|| node.core.next_to_publish(true, node.now)).count();
    }
    assert!(questions < 5, "{questions} at once");
    while let Some(due) = node.core.next_deadline(true) {
        node.now = node.now.max(due);
        questions += iter::from_fn(|| node.core.next_to_publish(true, node.now)).count();
    }
    assert_eq!(questions, 40);
    let took = node.now - began;
    assert!((3 * SECOND / 2..=2 * SECOND).contains(&took), "{took:?}");
}

#[test]
fn what_the_outbox_has_no_room_for_waits_without_a_deadline_and_is_gathered() {
    let mut node = Node::new(1);
    node.put("s:tea", 1, "1");
    node.now += GATHERED;
    assert!(node.core.next_to_publish(false, node.now).is_none());
    assert_eq!(node.core.next_deadline(true), None, "the task would spin");
    node.put("s:tea", 2, "1");
    assert_eq!(node.publish().len(), 1, "both in one");
}

#[test]
fn questions_that_mention_many_nodes_are_divided() {
    let mut node = Node::new(1);
    let rooms: Vec<String> = (0..MAX_LISTED).map(|n| format!("s:{n}")).collect();
    rooms.iter().for_each(|room| node.watch(room));
    node.publish();
    for other in 2..60 {
        for room in &rooms {
            let mut person = Node::new(other);
            person.put(room, other.into(), "1");
            person.publish_to(&mut node);
        }
    }
    node.core.session_ended();
    node.core.session_started();
    node.subscribe();
    let (began, mut asked) = (node.now, BTreeSet::new());
    while node.core.next_deadline(true).is_some_and(|due| due < began + 4 * SECOND) {
        for published in node.publish() {
            let bytes = encode_presence(node.id, 1, &published.body);
            let body = Header::decode(&bytes).unwrap().decode_body().expect("it is not too long");
            let Body::Presence(PresenceBody::Question(rooms)) = body else { panic!("{body:?}") };
            assert!(rooms.iter().all(|asked| asked.known.len() == 58));
            asked.extend(rooms.iter().map(|asked| asked.room.to_owned()));
        }
    }
    assert_eq!(asked.len(), rooms.len());
}

#[test]
fn people_are_bounded_and_those_who_are_too_many_come_once_there_is_room() {
    let (mut one, mut two) = two();
    let most = MAX_PEOPLE as u128;
    let put = |two: &mut Node, id: u128| two.put_as("s:tea", id, &(id % 1000).to_string(), "1");
    (0..most + 5).for_each(|id| put(&mut two, id));
    two.publish_to(&mut one);
    assert_eq!(one.shown().len(), MAX_PEOPLE);
    assert_eq!(one.core.refused(), 5);
    two.remove("s:tea", 0);
    put(&mut two, 1_000_000);
    two.publish_to(&mut one);
    assert_eq!((one.shown(), one.core.refused()), (vec!["-0".into(), "+1000000".into()], 5));
    two.core.heartbeat_sent();
    two.publish_to(&mut one);
    assert!(one.publish().is_empty(), "it is not asked for again and again");
    (1..=most / 5).for_each(|id| two.remove("s:tea", id));
    two.publish_to(&mut one);
    one.shown();
    two.core.heartbeat_sent();
    two.publish_to(&mut one);
    one.publish_to(&mut two);
    two.publish_to(&mut one);
    assert_eq!(one.shown().len(), 5);
    one.now += SECOND;
    two.core.heartbeat_sent();
    two.publish_to(&mut one);
    assert!(one.publish().is_empty(), "all is known");
}

#[test]
fn the_connections_of_one_person_are_bounded() {
    let (mut one, mut two) = two();
    let most = MAX_CONNECTIONS as u128;
    (0..most + 5).for_each(|id| two.put("s:tea", id, "1"));
    two.publish_to(&mut one);
    assert_eq!((one.shown().len(), one.core.refused()), (MAX_CONNECTIONS, 5));
    two.put_as("s:tea", most + 6, "ben", "1");
    two.put("s:tea", 0, "2");
    two.publish_to(&mut one);
    assert_eq!(one.shown(), ["+0", &format!("+{}", most + 6)], "others, and changes");
    two.put("s:tea", most + 6, "1");
    two.publish_to(&mut one);
    assert_eq!(one.shown(), [format!("-{}", most + 6)], "one more of hers");
}

#[test]
fn the_bytes_of_all_people_in_a_room_are_bounded() {
    let (mut one, mut two) = two();
    let put = |two: &mut Node, id: usize, length| {
        let meta = "1".repeat(length);
        two.put_as("s:tea", id as u128, &format!("{id:08}"), &meta);
    };
    let most = MAX_SIZE / (MAX_META + 8);
    (0..most + 5).for_each(|id| put(&mut two, id, MAX_META));
    two.publish_to(&mut one);
    assert_eq!((one.shown().len(), one.core.refused()), (most, 5));
    (0..most / 2).for_each(|id| put(&mut two, id, 1));
    two.publish_to(&mut one);
    one.shown();
    two.core.heartbeat_sent();
    two.publish_to(&mut one);
    one.publish_to(&mut two);
    two.publish_to(&mut one);
    assert_eq!(one.shown().len(), 5, "there is room by now");
}
