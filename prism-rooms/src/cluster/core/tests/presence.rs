//! Which nodes count as there.

use super::*;

#[test]
fn a_silent_node_counts_as_gone_once_a_heartbeat_has_come_back_after_seven_seconds() {
    let mut node = Node::with_other();
    let last = node.next_of_other - 2 * SECOND;
    node.other = None;
    assert_eq!(node.run_for(last + 7 * SECOND - node.now), []);
    assert_eq!(node.run_for(3 * SECOND), [NodeLeft { node: node_id(2) }]);
    let mut node = Node::with_other();
    let last = node.next_of_other - 2 * SECOND;
    node.other = None;
    node.run_for(last + 7 * SECOND + 30 * MILLISECOND - node.now);
    assert_eq!(node.core.counts(&node.outbox).nodes, 0);
}

#[test]
fn many_nodes_that_die_one_after_the_other_are_checked_with_few_heartbeats() {
    let mut node = Node::with_other();
    node.other = None;
    for origin in 3..203 {
        node.receive(origin, 1, heartbeat(&[]));
        node.run_for(10 * MILLISECOND);
    }
    node.run_for(4900 * MILLISECOND);
    node.echoes = false; // they come back after 10 ms
    let (mut sent, mut events) = (0, Vec::new());
    for _ in 0..300 {
        events.extend(node.run_for(10 * MILLISECOND));
        sent += node.held_back.len();
        for payload in node.held_back.split_off(0) {
            node.core.handle_received(&payload, node.now);
        }
    }
    assert!(sent <= 14, "{sent} in 3 s");
    let left = events.iter().filter(|event| matches!(event, NodeLeft { .. }));
    assert_eq!(left.count(), 200);
    assert_eq!(node.core.counts(&node.outbox).nodes, 0);
}

#[test]
fn nobody_is_judged_while_this_node_is_ill_itself() {
    let mut node = Node::with_other();
    (node.echoes, node.other) = (false, None);
    assert_eq!(node.run_for(20 * SECOND), [], "until the session is lost");
    node.lose();
    node.now += 2 * SECOND;
    node.connect();
    node.echoes = true;
    let healed = node.now;
    let events = node.run_for(6 * SECOND);
    assert_eq!(events, [Disconnected { reason: "lost".into() }, Connected]);
    assert_eq!(
        node.run_for(4 * SECOND),
        [NodeLeft { node: node_id(2) }],
        "{:?}",
        node.now - healed
    );
}

#[test]
fn a_node_that_is_gone_leaves_although_no_session_lasts() {
    let mut node = Node::with_other();
    node.other = None;
    let (silent_since, mut events) = (node.now, Vec::new());
    while !events.contains(&NodeLeft { node: node_id(2) }) {
        assert!(node.now < silent_since + 20 * SECOND);
        events = node.run_for(3 * SECOND / 2);
        node.lose();
        while !node.core.wants_session(node.now) {
            node.now += 10 * MILLISECOND;
        }
        node.connect();
    }
    assert!(node.now > silent_since + 7 * SECOND);
}

#[test]
fn a_slow_backplane_makes_nobody_silent() {
    let mut node = Node::with_other();
    (node.echoes, node.other) = (false, None);
    let silent_since = node.now - SECOND;
    assert_eq!(node.run_for(6 * SECOND + 200 * MILLISECOND), []);
    assert!(node.now > silent_since + 7 * SECOND && node.core.why_lost(node.now).is_none());
    // What was published in the meantime arrives late, and that of the other node a little later.
    node.echoes = true;
    for payload in node.held_back.split_off(0) {
        node.core.handle_received(&payload, node.now);
    }
    assert_eq!(node.run_for(SECOND), []);
    node.other = Some((2, 100));
    assert_eq!(node.run_for(20 * SECOND), []);
}

#[test]
fn a_backplane_that_stays_slow_does_not_keep_a_node_that_is_gone() {
    let mut node = Node::with_other();
    (node.echoes, node.other) = (false, None);
    let silent_since = node.now - SECOND;
    let mut events = Vec::new();
    while events.is_empty() && node.now < silent_since + 30 * SECOND {
        events = node.run_for(3200 * MILLISECOND);
        for payload in node.held_back.split_off(0) {
            node.core.handle_received(&payload, node.now);
        }
        events.extend(node.events());
    }
    assert_eq!(events, [NodeLeft { node: node_id(2) }]);
    let after = node.now - silent_since;
    assert!((7 * SECOND..=13 * SECOND).contains(&after), "{after:?}");
}

#[test]
fn a_node_that_is_cut_off_for_fourteen_seconds_considers_the_others_gone() {
    let mut node = Node::with_other();
    (node.echoes, node.other) = (false, None);
    node.run_for(20 * SECOND);
    node.lose();
    node.events();
    assert_eq!(node.run_for(4 * SECOND), [], "9 to 12 s after the last echo");
    let began = node.now;
    assert_eq!(node.run_for(5 * SECOND), [NodeLeft { node: node_id(2) }]);
    assert!(node.now > began);
    node.now += 2 * SECOND;
    node.connect();
    (node.echoes, node.other) = (true, Some((2, 100)));
    assert_eq!(node.run_for(SECOND), [Connected, NodeJoined { node: node_id(2) }]);
}

#[test]
fn who_is_there_is_said_once_an_own_heartbeat_has_come_back() {
    let mut node = Node::with_other();
    (node.echoes, node.other) = (false, None);
    node.run_for(20 * SECOND);
    node.lose();
    node.events();
    node.now += 20 * SECOND;
    node.core.handle_timeout(node.now);
    node.core.push_heartbeat(&mut node.outbox, node.now);
    assert_eq!(node.events(), [NodeLeft { node: node_id(2) }]);
    // The other node is heard, and a new one, but this one may still be deaf to itself.
    node.other = Some((2, 100));
    node.next_of_other = node.now;
    node.connect();
    node.held_back.clear();
    node.receive(3, 1, heartbeat(&[]));
    assert_eq!(node.run_for(3 * SECOND), []);
    assert_eq!(node.core.counts(&node.outbox).nodes, 0);
    let heartbeat = node.held_back.pop().unwrap();
    node.core.handle_received(&heartbeat, node.now);
    assert_eq!(
        node.events(),
        [Connected, NodeJoined { node: node_id(2) }, NodeJoined { node: node_id(3) }]
    );
}

#[test]
fn heartbeats_for_nodes_that_join_have_half_a_second_between_them() {
    let mut node = Node::with_other();
    node.echoes = false;
    for origin in 3..103 {
        node.receive(origin, 1, heartbeat(&[]));
        node.run_for(20 * MILLISECOND);
    }
    let sent = node.held_back.len();
    assert!((3..=5).contains(&sent), "{sent} in 2 s");
}

#[test]
fn a_node_that_is_heard_first_joins_with_the_first_heartbeat_that_comes_back() {
    let mut node = Node::new();
    node.echoes = false;
    node.connect();
    node.run_for(10 * MILLISECOND);
    node.receive(2, 1, heartbeat(&[]));
    assert_eq!(node.events(), []);
    let heartbeat = node.held_back.pop().unwrap();
    node.core.handle_received(&heartbeat, node.now);
    assert_eq!(node.events(), [Connected, NodeJoined { node: node_id(2) }]);
}
