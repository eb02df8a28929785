//! What is missing is reported, and nothing else.

use std::iter;

use super::*;

#[test]
fn what_is_missing_is_reported_and_its_room_subscribed_to_again() {
    let mut node = Node::with_other();
    node.core.handle_room("tea".into(), true, node.now);
    for command in node.commands() {
        if let Command::Subscribe { ticket, .. } = command {
            node.core.handle_done(ticket, &mut node.outbox, node.now);
        }
    }
    let gap = |missed| Gap { node: node_id(2), room: Some("tea".into()), missed };
    node.receive(2, 50, wake("tea", 3));
    node.receive(2, 51, wake("tea", 4));
    assert_eq!(node.events(), []);
    node.receive(2, 52, wake("tea", 7));
    assert_eq!(node.events(), [gap(2)]);
    assert_eq!(node.commands(), [], "messages arrive, so the subscription works");
    node.receive(2, 53, heartbeat(&[("milk", 9), ("tea", 8)]));
    assert_eq!(node.events(), [gap(1)]);
    assert!(matches!(&node.commands()[..], [Command::Subscribe { .. }]));
    node.receive(2, 52, wake("tea", 7));
    node.receive(2, 60, wake("milk", 9));
    let delivered = iter::from_fn(|| node.core.poll_incoming()).count();
    let counts = node.core.counts(&node.outbox);
    assert_eq!((delivered, counts.received, counts.missed, counts.repeated), (3, 3, 3, 1));
}

#[test]
fn what_was_sent_while_a_room_was_not_followed_is_not_missing() {
    let mut node = Node::with_other();
    for sequence in [3, 9] {
        node.core.handle_room("tea".into(), true, node.now);
        node.run_for(SECOND);
        node.receive(2, 100 * sequence, wake("tea", sequence));
        assert_eq!(node.events(), []);
        assert!(node.core.poll_incoming().is_some());
        node.core.handle_room("tea".into(), false, node.now);
        node.other = Some((2, 100 * sequence + 1));
        node.run_for(6 * SECOND);
        node.other = None;
    }
}

/// Subscribes to a room, and hears the other node afterwards.
fn follow(node: &mut Node, room: &str) {
    node.core.handle_room(room.into(), true, node.now);
    assert_eq!(node.run_for(4 * SECOND), []);
}

/// The time goes on without a session.
fn lose_for_three_seconds(node: &mut Node) {
    node.lose();
    node.now += 3 * SECOND;
    assert_eq!(node.events(), [Disconnected { reason: "lost".into() }]);
}

#[test]
fn the_first_message_to_a_room_may_be_lost_while_there_is_no_session() {
    let mut node = Node::with_other();
    follow(&mut node, "tea");
    lose_for_three_seconds(&mut node);
    node.connect();
    let (_, number) = node.other.take().unwrap();
    let mention = |number| {
        let position = Position { generation: number, sequence: 1 };
        let rooms = vec![RoomPosition { room: "tea", position }];
        Body::Heartbeat { everyone: Position::default(), rooms }
    };
    let gap = || Gap { node: node_id(2), room: Some("tea".into()), missed: 1 };
    // Neither the room nor this node's heartbeat is back yet.
    node.receive(2, number + 1, mention(number));
    assert_eq!(node.events(), [gap()]);
    node.run_for(SECOND);
    node.receive(2, number + 2, mention(number));
    assert_eq!(node.events(), [], "it was reported");
}

#[test]
fn a_room_that_was_not_followed_for_a_while_begins_again() {
    let mut node = Node::with_other();
    follow(&mut node, "tea");
    node.core.handle_room("tea".into(), false, node.now);
    assert_eq!(node.run_for(6 * SECOND), []);
    node.core.handle_room("tea".into(), true, node.now);
    node.run_for(10 * MILLISECOND);
    let (_, number) = node.other.take().unwrap();
    let position = Position { generation: number, sequence: 3 };
    let targets = Targets::Rooms(vec![RoomPosition { room: "tea", position }]);
    let broadcast = Broadcast { targets, except: Vec::new(), action: Action::Wake };
    node.receive(2, number + 3, Body::Broadcast(broadcast));
    assert_eq!(node.events(), [], "two were sent before it was followed again, perhaps");
}
