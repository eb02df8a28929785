//! Rooms as JSON whose messages are kept: what clients learn when that fails, in virtual time.

use std::time::Duration;

use prism_rooms::MemoryBroker;
use prism_tokio::{Options, WhenSlow};
use serde_json::json;
use tokio::time::{Instant, sleep};

use crate::{
    json_rooms::{close_code, error, ok},
    json_rooms_history::{Node, join, not_recovered, position, recovered, say},
};

pub(crate) const UNREADABLE: &str = "the server cannot read the messages of this room now";

/// Lets everything happen that needs no time.
async fn settle() {
    sleep(Duration::from_millis(1)).await;
}

#[tokio::test(start_paused = true)]
async fn a_message_that_cannot_be_kept_reaches_nobody_and_its_sender_is_told() {
    let broker = MemoryBroker::new();
    let node = Node::new(&broker, 100);
    let (ada, ben) = (node.connect("ada").await, node.connect("ben").await);
    join(&ada, "tea", None).await;
    join(&ben, "tea", None).await;
    let sent = json!({ "type": "send", "id": 2, "room": "tea", "data": "hello?" });
    let why = "the server cannot keep messages now, so it was not sent";
    broker.refuse_history(true);
    assert_eq!(ada.ask(sent.clone()).await, error(2, "tea", "unavailable", why));
    broker.refuse_history(false);
    broker.stop();
    settle().await;
    assert_eq!(ada.ask(sent).await, error(2, "tea", "unavailable", why));
    ben.has_received_nothing().await;
}

#[tokio::test(start_paused = true)]
async fn the_sender_of_a_message_that_may_be_kept_is_told() {
    let broker = MemoryBroker::new();
    let node = Node::new(&broker, 100);
    let ada = node.connect("ada").await;
    join(&ada, "tea", None).await;
    node.backplane.stall();
    let start = Instant::now();
    let answer = ada.ask(json!({ "type": "send", "id": 2, "room": "tea", "data": "hello?" })).await;
    let why = "the message may have been sent: the server has lost track of it";
    assert_eq!(answer, error(2, "tea", "unconfirmed", why));
    assert!(start.elapsed() < Duration::from_secs(8), "before the client gives up");
}

#[tokio::test(start_paused = true)]
async fn members_that_stay_are_told_when_messages_are_lost() {
    let broker = MemoryBroker::new();
    let [here, there] = [(); 2].map(|()| Node::new(&broker, 100));
    let (ada, ben) = (here.connect("ada").await, there.connect("ben").await);
    join(&ada, "tea", None).await;
    join(&ben, "tea", None).await;
    let before = say(&ada, "tea", "one").await;
    assert_eq!(ben.recv().await["data"], "one");
    broker.forget_history();
    ada.send(json!({ "type": "send", "room": "tea", "data": "two" })).await;
    for client in [&ada, &ben] {
        let (missed, message) = (client.recv().await, client.recv().await);
        let from = position(&missed);
        let notice = json!({ "type": "missed", "room": "tea", "position": from, "reason": "lost" });
        assert_eq!((missed, &message["data"]), (notice, &json!("two")));
        assert_eq!(offset(&position(&message)), offset(&from) + 1, "nothing is between");
    }
    let eve = here.connect("eve").await;
    let (messages, answer) = join(&eve, "tea", Some(&before)).await;
    assert_eq!((messages.len(), &answer["reason"]), (0, &json!("unknown")));
}

fn offset(position: &str) -> u64 {
    position.split_once('-').expect("a position").1.parse().expect("a number")
}

#[tokio::test(start_paused = true)]
async fn a_join_waits_for_the_history_but_not_for_ever() {
    let broker = MemoryBroker::new();
    let node = Node::new(&broker, 100);
    let (ada, ben) = (node.connect("ada").await, node.connect("ben").await);
    let start = position(&join(&ben, "tea", None).await.1);
    node.backplane.isolate();
    sleep(Duration::from_secs(8)).await; // the node has noticed
    let begin = Instant::now();
    let request = json!({ "type": "join", "id": 1, "room": "tea", "meta": 1, "after": start });
    assert_eq!(ada.ask(request.clone()).await, error(1, "tea", "unavailable", UNREADABLE));
    assert_eq!(begin.elapsed().as_secs(), 1);
    assert_eq!(node.server.rooms.len("tea"), 1, "it is no member");
    assert_eq!(node.server.handler.presence().count("tea"), 0, "nor present");
    ada.has_received_nothing().await; // the connection goes on

    // The node is back, but the broker does not answer for a while.
    node.backplane.rejoin();
    sleep(Duration::from_secs(3)).await;
    node.backplane.stall();
    ada.send(request).await;
    sleep(Duration::from_secs(2)).await;
    node.backplane.resume();
    assert_eq!(ada.recv().await, recovered(&start));
    say(&ben, "tea", "there you are").await;
    assert_eq!(ada.recv().await["data"], "there you are");
    assert_eq!(node.server.handler.presence().count("tea"), 1);
}

#[tokio::test(start_paused = true)]
async fn watchers_do_not_see_a_person_who_cannot_join() {
    let broker = MemoryBroker::new();
    let node = Node::new(&broker, 100);
    let (ada, ben) = (node.connect("ada").await, node.connect("ben").await);
    ben.send(json!({ "type": "join", "id": 1, "room": "tea", "watch": true })).await;
    let answers = [ben.recv().await, ben.recv().await];
    assert!(answers.iter().any(|answer| answer["type"] == "ok"), "{answers:?}");
    node.backplane.isolate();
    sleep(Duration::from_secs(8)).await; // the node has noticed
    let request = json!({ "type": "join", "id": 1, "room": "tea", "meta": 1 });
    assert_eq!(ada.ask(request.clone()).await, error(1, "tea", "unavailable", UNREADABLE));
    sleep(Duration::from_secs(1)).await;
    ben.has_received_nothing().await;
    node.backplane.rejoin();
    sleep(Duration::from_secs(3)).await; // the node is back
    assert_eq!(ada.ask(request).await["type"], "ok");
    assert!(ben.recv().await.to_string().contains("ada"));
}

#[tokio::test(start_paused = true)]
async fn a_person_who_cannot_be_shown_does_not_join() {
    let broker = MemoryBroker::new();
    let node = Node::new(&broker, 100);
    let ada = node.connect("ada").await;
    let meta = "x".repeat(5000);
    let refused = ada.ask(json!({ "type": "join", "id": 1, "room": "tea", "meta": meta })).await;
    assert_eq!(refused["type"], "error", "{refused}");
    settle().await;
    assert!(node.server.rooms.is_empty("tea"));
}

#[tokio::test(start_paused = true)]
async fn what_was_appended_while_a_node_was_cut_off_arrives_in_order() {
    let broker = MemoryBroker::new();
    let [here, there] = [(); 2].map(|()| Node::new(&broker, 100));
    let (ada, ben) = (here.connect("ada").await, there.connect("ben").await);
    join(&ada, "tea", None).await;
    join(&ben, "tea", None).await;
    there.backplane.isolate();
    let mut positions = Vec::new();
    for text in ["one", "two", "three"] {
        positions.push(say(&ada, "tea", text).await);
    }
    sleep(Duration::from_secs(10)).await;
    there.backplane.rejoin();
    for (text, at) in ["one", "two", "three"].into_iter().zip(&positions) {
        let message = ben.recv().await;
        assert_eq!((&message["data"], &position(&message)), (&json!(text), at));
    }
}

/// Keeps messages that are more than a connection's pipe and outbox hold. Returns the position before them.
async fn keep_many(node: &Node, count: usize) -> String {
    let eve = node.connect("eve").await;
    let start = position(&join(&eve, "tea", None).await.1);
    eve.send(json!({ "type": "leave", "id": 3, "room": "tea" })).await;
    while eve.recv().await["type"] != "ok" {}
    let message = node.server.handler.message("tea", &"x".repeat(15_000)).unwrap();
    let history = node.server.handler.history().expect("it has one");
    for _ in 0..count {
        history.append("tea", &*message).await.expect("the broker keeps it");
    }
    start
}

#[tokio::test(start_paused = true)]
async fn a_slow_client_is_waited_for() {
    let broker = MemoryBroker::new();
    let node = Node::new(&broker, 300);
    let start = keep_many(&node, 200).await;
    let ada = node.connect("ada").await;
    ada.send(json!({ "type": "join", "id": 1, "room": "tea", "after": start })).await;
    sleep(Duration::from_secs(15)).await; // it does not read
    for n in 1..=200 {
        let message = ada.recv().await;
        assert_eq!(offset(&position(&message)), offset(&start) + n, "{message}");
        sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(ada.recv().await["recovered"], true);
}

#[tokio::test(start_paused = true)]
async fn the_answer_is_not_dropped_because_of_what_was_repeated() {
    let broker = MemoryBroker::new();
    let node = Node::new(&broker, 300);
    let start = keep_many(&node, 200).await;
    let epoch = start.split('-').next().expect("an epoch");
    // With one of these, the last message stays in the outbox until the client reads.
    for count in 60..100 {
        let options = Options::default().high_water_mark(4096).when_slow(WhenSlow::DropNewest);
        let ada = node.server.connect_with("ada", options).await;
        assert_eq!(ada.recv().await["type"], "welcome");
        let after = format!("{epoch}-{}", 200 - count);
        ada.send(json!({ "type": "join", "id": 1, "room": "tea", "after": after })).await;
        sleep(Duration::from_secs(1)).await; // it does not read
        for _ in 0..count {
            assert_eq!(ada.recv().await["type"], "message");
        }
        assert_eq!(ada.recv().await["recovered"], true);
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_is_removed_while_it_catches_up_receives_no_more() {
    let broker = MemoryBroker::new();
    let node = Node::new(&broker, 300);
    let start = keep_many(&node, 200).await;
    let ada = node.server.connect_with("ada", Options::default().high_water_mark(4096)).await;
    assert_eq!(ada.recv().await["type"], "welcome");
    ada.send(json!({ "type": "join", "id": 1, "room": "tea", "after": start, "meta": 1 })).await;
    sleep(Duration::from_secs(1)).await; // it does not read, so it is in the middle
    let id = node.server.rooms.members("tea")[0];
    let ben = node.connect("ben").await;
    join(&ben, "tea", None).await;
    assert!(node.server.handler.remove(id, "tea"));
    let mut repeated = 0;
    let answer = loop {
        let message = ada.recv().await;
        if message["type"] != "message" {
            break message;
        }
        repeated += 1;
    };
    assert_eq!(answer, error(1, "tea", "refused", "you have been removed from this room"));
    assert!((1..150).contains(&repeated), "{repeated} messages were repeated");
    assert_eq!(node.server.rooms.members("tea").len(), 1);
    assert_eq!(node.server.handler.presence().count("tea"), 0);
    say(&ben, "tea", "is she gone?").await;
    ada.has_received_nothing().await;
}

#[tokio::test(start_paused = true)]
async fn a_client_that_was_refused_may_come_back_at_once() {
    let broker = MemoryBroker::new();
    let node = Node::new(&broker, 100);
    let (ada, ben) = (node.connect("ada").await, node.connect("ben").await);
    let start = position(&join(&ben, "tea", None).await.1);
    broker.stop();
    settle().await;
    let again = async || join(&ada, "tea", Some(&start)).await.1;
    assert_eq!(again().await["code"], "unavailable");
    broker.start();
    // The history has not been told yet that the join before has ended. The node is back within two seconds.
    let mut answer = again().await;
    for _ in 0..2 {
        if answer["code"] == "unavailable" {
            answer = again().await;
        }
    }
    assert_eq!(answer, not_recovered(&position(&answer), "unknown"), "the broker was empty");
    assert_eq!(ben.recv().await["type"], "missed");
    say(&ben, "tea", "hello").await;
    assert_eq!(ada.recv().await["data"], "hello");
}

#[tokio::test(start_paused = true)]
async fn clients_of_a_node_that_leaves_go_to_another_and_rooms_that_are_not_kept_go_on() {
    let broker = MemoryBroker::new();
    let new_node = || Node::with(&broker, 100, |handler| handler.kept_rooms(|room| room == "tea"));
    let (here, there) = (new_node(), new_node());
    let (ada, ben) = (here.connect("ada").await, there.connect("ben").await);
    join(&ada, "tea", None).await;
    join(&ben, "tea", None).await;
    let last = say(&ben, "tea", "one").await;
    assert_eq!(position(&ada.recv().await), last);
    let [eve, fay] = [here.connect("eve").await, here.connect("fay").await];
    eve.join("cursors").await;
    fay.join("cursors").await;

    here.cluster.leave().await;
    assert_eq!(close_code(&ada).await, 1012);
    let two = say(&ben, "tea", "two").await;
    let (messages, answer) = join(&there.connect("ada").await, "tea", Some(&last)).await;
    assert_eq!((&messages[0]["data"], answer), (&json!("two"), recovered(&two)));

    let sent = json!({ "type": "send", "id": 2, "room": "cursors", "data": 1, "echo": false });
    assert_eq!(eve.ask(sent).await, ok(2));
    assert_eq!(fay.recv().await["data"], 1);
    assert_eq!(join(&eve, "tea", None).await.1, error(1, "tea", "unavailable", UNREADABLE));
    fay.has_received_nothing().await;
}
