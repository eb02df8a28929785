//! A node that leaves says goodbye, and then nothing.

use super::*;

#[test]
fn a_goodbye_is_final() {
    let mut node = Node::with_other();
    node.other = None;
    node.receive(2, 50, Body::Goodbye);
    assert_eq!(node.events(), [NodeLeft { node: 2 }]);
    node.receive(2, 50, Body::Goodbye);
    node.receive(2, 49, heartbeat(&[]));
    node.receive(3, 1, Body::Goodbye);
    assert_eq!(node.events(), []);
    let counts = node.core.counts(&node.outbox);
    assert_eq!((counts.nodes, counts.repeated), (0, 2));
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
    node.core.handle_done(*ticket, &mut node.outbox);
    assert!(node.core.has_left(&node.outbox, node.now));
    let mut alone = Node::new();
    alone.core.handle_leave(&mut alone.outbox, alone.now);
    assert!(alone.core.has_left(&alone.outbox, alone.now), "nobody would hear it");
}
