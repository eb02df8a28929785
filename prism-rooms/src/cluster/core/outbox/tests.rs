//! What an outbox gives to a session, and what it drops.

use std::time::Duration;

use prism_driver::{CloseCode, PreparedMessage};

use super::{
    MAX_AGE, MAX_BYTES, MAX_ENVELOPES, MAX_EXCLUDED, MAX_NAME, MAX_PAYLOAD, MAX_ROOMS, Outbox,
    OwnedAction, ToPublish, WINDOW, WINDOW_BYTES,
};
use crate::{
    backplane::command::Channel,
    cluster::{
        core::presence::PresenceToPublish,
        envelope::{Body, Broadcast, Envelope, Targets, presence::EncodedPresence},
        node_id::node_id,
    },
};

const NOW: Duration = Duration::from_secs(1);

fn message(len: usize) -> OwnedAction {
    OwnedAction::Send { message: PreparedMessage::new(&*vec![7; len]), or_close: false }
}

/// Adds `count` messages to a room, of this length.
fn push(outbox: &mut Outbox, count: usize, len: usize) {
    for _ in 0..count {
        assert!(outbox.push_to_rooms(&["tea"], Vec::new(), message(len), NOW).1);
    }
}

/// Gives the session all that it takes, and returns the numbers.
fn take(outbox: &mut Outbox, now: Duration) -> Vec<u64> {
    let mut numbers = Vec::new();
    while let Some(next) = outbox.next_to_publish(now) {
        numbers.push(next.number());
    }
    numbers
}

/// Returns the place of an envelope among those to its only room.
fn sequence(next: &ToPublish) -> u64 {
    let bytes = next.encode();
    let Body::Broadcast(Broadcast { targets: Targets::Rooms(rooms), .. }) =
        Envelope::decode(&bytes).unwrap().body
    else {
        panic!("it is for a room");
    };
    rooms[0].position.sequence
}

#[test]
fn a_message_for_several_rooms_has_a_copy_for_each_and_is_confirmed_with_the_last() {
    let mut outbox = Outbox::new(node_id(1));
    outbox.push_to_rooms(&["tea", "milk", "tea"], vec![5], message(1), NOW);
    let next = outbox.next_to_publish(NOW).unwrap();
    assert_eq!(next.channel(), Channel::Room("milk".into()));
    outbox.confirm(next.number());
    outbox.confirm(next.number());
    assert!(!outbox.is_empty(), "the other copy was not even given to the session");
    let next = outbox.next_to_publish(NOW).unwrap();
    assert_eq!(next.channel(), Channel::Room("tea".into()));
    outbox.confirm(next.number());
    assert!(outbox.is_empty());
    assert_eq!(outbox.published(), 1);
}

#[test]
fn a_message_that_the_backplane_refuses_is_news_once_and_counts_as_missed() {
    let mut outbox = Outbox::new(node_id(1));
    outbox.push_to_rooms(&["tea", "milk"], Vec::new(), message(1), NOW);
    push(&mut outbox, 1, 1);
    let numbers = take(&mut outbox, NOW);
    assert!(outbox.refuse(numbers[0]));
    assert!(!outbox.refuse(numbers[1]), "the copy for the other room");
    assert!(!outbox.refuse(numbers[1]), "it is gone");
    outbox.confirm(numbers[2]);
    assert!(outbox.is_empty());
    assert_eq!((outbox.published(), outbox.unpublished()), (1, 1));
}

#[test]
fn a_session_has_a_limited_number_of_messages_at_a_time() {
    let mut outbox = Outbox::new(node_id(1));
    push(&mut outbox, WINDOW + 2, 1);
    let first = take(&mut outbox, NOW);
    assert_eq!(first.len(), WINDOW);
    assert!(first.is_sorted());
    outbox.confirm(first[1]);
    assert_eq!(take(&mut outbox, NOW).len(), 1);
    outbox.confirm(first[1]);
    assert_eq!(take(&mut outbox, NOW).len(), 0, "it was confirmed before");
    outbox.confirm(first[0]);
    assert_eq!(take(&mut outbox, NOW).len(), 1);
}

#[test]
fn each_copy_counts_for_what_a_session_has_at_a_time() {
    let names: Vec<String> = (0..MAX_ROOMS).map(|n| n.to_string()).collect();
    let names: Vec<&str> = names.iter().map(|name| &**name).collect();
    let mut outbox = Outbox::new(node_id(1));
    for _ in 0..10 {
        outbox.push_to_rooms(&names, Vec::new(), message(1), NOW);
    }
    let size = outbox.entries[0].size;
    assert_eq!(take(&mut outbox, NOW).len(), WINDOW_BYTES / size);
    let mut outbox = Outbox::new(node_id(1));
    outbox.push_to_rooms(&names, Vec::new(), message(WINDOW_BYTES / 3), NOW);
    push(&mut outbox, 1, 1);
    let mut channels = Vec::new();
    for _ in 0..MAX_ROOMS / 2 {
        let copies: Vec<_> = std::iter::from_fn(|| outbox.next_to_publish(NOW)).collect();
        assert_eq!(copies.len(), 2);
        channels.extend(copies.iter().map(ToPublish::channel));
        outbox.drop_old(NOW + 2 * MAX_AGE); // not that of which the session has a part
        copies.iter().for_each(|copy| outbox.confirm(copy.number()));
    }
    assert!(outbox.is_empty());
    assert_eq!((outbox.published(), outbox.unpublished()), (1, 1));
    channels.dedup();
    assert_eq!(channels.len(), MAX_ROOMS);
    assert_eq!((outbox.bytes, outbox.unconfirmed, outbox.unconfirmed_bytes), (0, 0, 0));
}

#[test]
fn changes_of_presence_are_not_dropped_but_wait_elsewhere_if_the_outbox_is_half_full() {
    let presence = |outlives_session| PresenceToPublish {
        channel: Channel::All,
        body: EncodedPresence { kind: 8, bytes: vec![7] },
        outlives_session,
    };
    let mut outbox = Outbox::new(node_id(1));
    outbox.push_presence(presence(true), NOW);
    outbox.push_presence(presence(false), NOW);
    outbox.drop_old(NOW + 2 * MAX_AGE);
    assert_eq!(take(&mut outbox, NOW + 2 * MAX_AGE).len(), 1);
    push(&mut outbox, MAX_ENVELOPES / 2 - 2, 1);
    assert!(outbox.has_room_for_presence());
    push(&mut outbox, 1, 1);
    assert!(!outbox.has_room_for_presence());
    let mut outbox = Outbox::new(node_id(1));
    push(&mut outbox, MAX_BYTES / 2 / MAX_PAYLOAD, MAX_PAYLOAD);
    assert!(!outbox.has_room_for_presence());
}

#[test]
fn a_session_has_a_limited_number_of_bytes_at_a_time_but_at_least_one_message() {
    let mut outbox = Outbox::new(node_id(1));
    push(&mut outbox, 3, WINDOW_BYTES + 1);
    push(&mut outbox, 3, WINDOW_BYTES / 4);
    let taken: Vec<usize> = (0..5)
        .map(|_| {
            let taken = take(&mut outbox, NOW);
            taken.iter().for_each(|number| outbox.confirm(*number));
            taken.len()
        })
        .collect();
    assert_eq!(taken, [1, 1, 1, 3, 0]);
}

#[test]
fn what_is_too_much_drops_the_oldest_that_the_session_does_not_have() {
    let mut outbox = Outbox::new(node_id(1));
    push(&mut outbox, WINDOW, 1);
    let first = take(&mut outbox, NOW);
    push(&mut outbox, MAX_ENVELOPES, 1);
    assert_eq!(outbox.unpublished(), WINDOW as u64);
    first.iter().for_each(|number| outbox.confirm(*number));
    let next = outbox.next_to_publish(NOW).unwrap();
    assert_eq!(sequence(&next), 2 * WINDOW as u64 + 1, "the others see what is missing");
}

#[test]
fn memory_is_bounded() {
    let mut outbox = Outbox::new(node_id(1));
    push(&mut outbox, 100, MAX_PAYLOAD / 2);
    assert!(outbox.bytes <= MAX_BYTES, "{}", outbox.bytes);
    assert_eq!(outbox.entries.len(), 7);
    assert_eq!(outbox.unpublished(), 93);
}

#[test]
fn what_has_waited_for_too_long_is_dropped_unless_the_session_has_it() {
    let mut outbox = Outbox::new(node_id(1));
    push(&mut outbox, WINDOW + 5, 1);
    let first = take(&mut outbox, NOW + MAX_AGE);
    outbox.drop_old(NOW + MAX_AGE);
    assert_eq!(outbox.unpublished(), 0);
    outbox.drop_old(NOW + 2 * MAX_AGE);
    assert_eq!(outbox.unpublished(), 5);
    first.iter().for_each(|number| outbox.confirm(*number));
    assert!(outbox.is_empty());
    assert_eq!(outbox.published(), WINDOW as u64);
}

#[test]
fn heartbeats_are_not_dropped_while_the_node_publishes_too_fast() {
    let mut outbox = Outbox::new(node_id(1));
    push(&mut outbox, WINDOW, 1);
    let first = take(&mut outbox, NOW);
    push(&mut outbox, 10, 1);
    let heartbeat = outbox.push_heartbeat(NOW);
    push(&mut outbox, MAX_ENVELOPES, 1);
    outbox.drop_old(NOW + 2 * MAX_AGE);
    first.iter().for_each(|number| outbox.confirm(*number));
    assert_eq!(take(&mut outbox, NOW + 2 * MAX_AGE), [heartbeat]);
}

#[test]
fn what_a_session_has_not_confirmed_is_the_first_of_the_next() {
    let mut outbox = Outbox::new(node_id(1));
    push(&mut outbox, 3, 1);
    outbox.push_heartbeat(NOW);
    let first = take(&mut outbox, NOW);
    outbox.confirm(first[0]);
    push(&mut outbox, 1, 1);
    outbox.session_ended();
    outbox.confirm(first[1]); // too late
    let again = take(&mut outbox, NOW);
    assert_eq!(again.len(), 3);
    assert_eq!(again[..2], first[1..3], "without the heartbeat");
    again.iter().for_each(|number| outbox.confirm(*number));
    assert!(outbox.is_empty());
    assert_eq!((outbox.bytes, outbox.unconfirmed_bytes), (0, 0));
}

#[test]
fn what_exceeds_a_limit_is_not_accepted_and_missing_for_others() {
    let mut outbox = Outbox::new(node_id(1));
    let names: Vec<String> = (0..=MAX_ROOMS).map(|n| n.to_string()).collect();
    let names: Vec<&str> = names.iter().map(|name| &**name).collect();
    let long = "x".repeat(MAX_NAME + 1);
    let mut push = |rooms: &[&str], excluded, len| {
        outbox.push_to_rooms(rooms, (0..excluded).collect(), message(len), NOW).1
    };
    let most = MAX_EXCLUDED as u128;
    assert!(push(&["tea"], most, MAX_PAYLOAD) && push(&names[1..], 0, 1));
    assert!(!push(&["tea"], 0, MAX_PAYLOAD + 1));
    assert!(!push(&["tea"], most + 1, 1));
    assert!(!push(&names, 0, 1));
    assert!(!push(&[&long], 0, 1));
    assert!(!push(&["tea", &long], 0, 1), "not for all of its rooms");
    let numbers = take(&mut outbox, NOW);
    numbers.iter().for_each(|number| outbox.confirm(*number));
    assert_eq!((numbers.len(), outbox.published(), outbox.unpublished()), (1, 1, 4));
    let rest = take(&mut outbox, NOW);
    assert_eq!(rest.len(), MAX_ROOMS + 1);
    outbox.session_ended();
    for _ in 0..MAX_ROOMS {
        outbox.next_to_publish(NOW).unwrap();
    }
    let last = outbox.next_to_publish(NOW).unwrap();
    assert_eq!(sequence(&last), 4, "after one that was accepted, and two that were not");
}

#[test]
fn after_a_goodbye_nothing_is_accepted() {
    let mut outbox = Outbox::new(node_id(1));
    push(&mut outbox, 1, 1);
    outbox.push_goodbye(NOW);
    assert!(!outbox.push_to_everyone(Vec::new(), OwnedAction::Wake, NOW).1);
    outbox.next_to_publish(NOW).unwrap();
    let goodbye = outbox.next_to_publish(NOW).unwrap().encode();
    assert_eq!(Envelope::decode(&goodbye).unwrap().body, Body::Goodbye);
    assert!(outbox.next_to_publish(NOW).is_none());
}

#[test]
fn a_reason_is_shortened_to_what_can_be_sent() {
    let close = |code, reason: &str| match OwnedAction::close(code, reason) {
        OwnedAction::Close { reason, .. } => reason.len(),
        other => panic!("{other:?}"),
    };
    assert_eq!(close(CloseCode::NORMAL, &"é".repeat(100)), 122);
    assert_eq!(close(CloseCode::NO_STATUS, "why"), 0);
}
