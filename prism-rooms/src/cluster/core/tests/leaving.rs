//! A node that leaves says goodbye, and then nothing.

use super::*;

#[test]
fn a_goodbye_is_final() {
    let mut node = Node::with_other();
    node.other = None;
    node.receive(2, 50, Body::Goodbye);
    assert_eq!(node.events(), [NodeLeft { node: node_id(2) }]);
    node.receive(2, 50, Body::Goodbye);
    node.receive(2, 49, heartbeat(&[]));
    node.receive(3, 1, Body::Goodbye);
    node.receive(2, 51, heartbeat(&[]));
    node.receive(3, 2, wake("tea", 1));
    assert_eq!(node.events(), []);
    let counts = node.core.counts(&node.outbox);
    assert_eq!((counts.nodes, counts.repeated), (0, 4));
}

#[test]
fn a_node_that_leaves_is_silent_after_its_goodbye() {
    let mut node = Node::with_other();
    node.core.handle_leave(&mut node.outbox, node.now);
    node.echoes = false;
    node.outbox.push_answer(node_id(2), 1, 5, node.now);
    let (sender, answer) = async_channel::bounded(1);
    node.core.handle_count_request("tea", 5, sender, &mut node.outbox, node.now);
    let unanswered = MemberCount { members: 5, nodes: 1, unanswered: 1 };
    assert_eq!(answer.try_recv(), Ok(unanswered));
    node.receive(3, 1, heartbeat(&[])); // it would be answered soon
    node.run_for(SECOND);
    let bodies = node.held_back.iter().map(|payload| Envelope::decode(payload).unwrap().body);
    assert_eq!(bodies.collect::<Vec<_>>(), [Body::Goodbye]);
    let deadline = node.core.next_deadline(node.now);
    assert!(deadline.is_some_and(|deadline| deadline >= node.now), "the task would spin");
}

#[test]
fn leaving_waits_for_the_goodbye_but_not_for_long() {
    let mut node = Node::with_other();
    node.core.handle_leave(&mut node.outbox, node.now);
    let [Command::Publish { ticket, payload, .. }] = &node.commands()[..] else {
        panic!("only the goodbye")
    };
    assert_eq!(Envelope::decode(payload).unwrap().body, Body::Goodbye);
    assert!(!node.core.has_left(&node.outbox, node.now));
    assert!(node.core.has_left(&node.outbox, node.now + SECOND));
    node.core.handle_done(*ticket, &mut node.outbox, node.now);
    assert!(node.core.has_left(&node.outbox, node.now));
    node.lose();
    assert_eq!(node.events(), [], "it was to end");
}

#[test]
fn a_node_that_leaves_before_it_has_heard_itself_still_publishes() {
    let mut node = Node::new();
    node.outbox.push_to_rooms(&["tea"], Vec::new(), OwnedAction::Wake, node.now);
    node.core.handle_leave(&mut node.outbox, node.now);
    assert!(!node.core.has_left(&node.outbox, node.now), "a session may come");
    assert!(node.core.has_left(&node.outbox, node.now + SECOND));
    node.connect();
    assert!(!node.core.has_left(&node.outbox, node.now));
    node.run_for(10 * MILLISECOND);
    assert!(node.core.has_left(&node.outbox, node.now));
    assert_eq!((node.outbox.published(), node.outbox.unpublished()), (1, 0));
}
