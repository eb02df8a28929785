//! Clients that are new to rooms as JSON, and get the last messages that are kept, in virtual time.

use std::time::Duration;

use prism_rooms::MemoryBroker;
use prism_tokio::Options;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::{
    json_rooms::{TestClient, error, ok},
    json_rooms_history::{Node, data, join, not_recovered, position, recovered, say},
    json_rooms_history_faults::UNREADABLE,
};

/// Creates a node that sends new clients up to three messages.
fn node(broker: &MemoryBroker, kept: u32) -> Node {
    Node::with(broker, kept, |handler| handler.recent_messages(3))
}

/// Lets a client send these texts to a room that it joins.
async fn say_all(client: &TestClient, texts: &[&str]) -> String {
    join(client, "tea", None).await;
    let mut last = String::new();
    for text in texts {
        last = say(client, "tea", text).await;
    }
    last
}

/// Returns the answer to a new client that has everything that it may have.
fn joined(position: &str) -> Value {
    json!({ "type": "ok", "id": 1, "position": position })
}

#[tokio::test(start_paused = true)]
async fn a_new_client_gets_the_last_messages_once_and_then_what_is_new() {
    let broker = MemoryBroker::new();
    let [here, there] = [(); 2].map(|()| node(&broker, 100));
    let ada = here.connect("ada").await;
    let mut last = say_all(&ada, &["one", "two", "three", "four"]).await;
    for (node, expected, new) in [
        (&here, ["two", "three", "four"], "five"),
        (&there, ["three", "four", "five"], "six"),
        (&there, ["four", "five", "six"], "seven"),
    ] {
        let ben = node.connect("ben").await;
        let (messages, answer) = join(&ben, "tea", None).await;
        assert_eq!((data(&messages), answer), (expected.into(), joined(&last)));
        assert_eq!(position(&messages[2]), last);
        last = say(&ada, "tea", new).await;
        let message = ben.recv().await;
        assert_eq!((&message["data"], position(&message)), (&json!(new), last.clone()));
        // When it comes back, it gets what it has missed, and nothing else.
        let (messages, answer) = join(&node.connect("ben").await, "tea", Some(&last)).await;
        assert_eq!((messages, answer), (Vec::new(), recovered(&last)));
    }
}

#[tokio::test(start_paused = true)]
async fn a_new_client_gets_what_is_kept_if_that_is_less() {
    let broker = MemoryBroker::new();
    let node = node(&broker, 2);
    let (ada, ben) = (node.connect("ada").await, node.connect("ben").await);
    let (messages, answer) = join(&ben, "tea", None).await;
    assert_eq!((messages.len(), &answer["recovered"]), (0, &Value::Null), "nothing was sent yet");
    let last = say_all(&ada, &["one", "two", "three"]).await;
    let (messages, answer) = join(&node.connect("eve").await, "tea", None).await;
    assert_eq!((data(&messages), answer), (vec!["two", "three"], joined(&last)));
    broker.forget_history();
    let (messages, answer) = join(&node.connect("eve").await, "tea", None).await;
    assert_eq!((messages.len(), &answer["recovered"]), (0, &Value::Null), "nothing is kept");
}

#[tokio::test(start_paused = true)]
async fn a_client_may_want_fewer_messages_but_not_more() {
    let broker = MemoryBroker::new();
    let node = node(&broker, 100);
    let ada = node.connect("ada").await;
    let last = say_all(&ada, &["one", "two", "three", "four"]).await;
    for (recent, count) in [(0, 0), (1, 1), (3, 3), (4, 3), (u64::MAX, 3)] {
        let ben = node.connect("ben").await;
        ben.send(json!({ "type": "join", "id": 1, "room": "tea", "recent": recent })).await;
        for _ in 0..count {
            assert_eq!(ben.recv().await["type"], "message");
        }
        assert_eq!(ben.recv().await, joined(&last), "{recent}");
    }
    let ben = node.connect("ben").await;
    let request = json!({ "type": "join", "id": 1, "room": "tea", "recent": -1 });
    assert_eq!(ben.ask(request).await["code"], "malformed");
}

#[tokio::test(start_paused = true)]
async fn rooms_that_are_not_kept_have_no_last_messages() {
    let broker = MemoryBroker::new();
    let node = Node::with(&broker, 100, |handler| {
        handler.recent_messages(3).kept_rooms(|room| room != "cursors")
    });
    let (ada, ben) = (node.connect("ada").await, node.connect("ben").await);
    join(&ada, "cursors", None).await;
    ada.send(json!({ "type": "send", "room": "cursors", "data": 1 })).await;
    assert_eq!(ada.recv().await["data"], 1);
    assert_eq!(join(&ben, "cursors", None).await, (Vec::new(), ok(1)));
}

#[tokio::test(start_paused = true)]
async fn what_is_sent_while_a_new_client_joins_comes_once() {
    let broker = MemoryBroker::new();
    let [here, there] = [(); 2].map(|()| node(&broker, 100));
    let (ada, ben) = (here.connect("ada").await, there.connect("ben").await);
    say_all(&ada, &["one", "two", "three", "four"]).await;
    there.backplane.stall(); // so that joining takes a while
    ben.send(json!({ "type": "join", "id": 1, "room": "tea" })).await;
    sleep(Duration::from_millis(100)).await;
    say(&ada, "tea", "five").await;
    there.backplane.resume();
    say(&ada, "tea", "six").await;
    let mut received = Vec::new();
    let mut is_member = false;
    while !is_member || received.last() != Some(&json!("six")) {
        let message = ben.recv().await;
        is_member |= message["type"] == "ok";
        received.extend(message.get("data").cloned());
    }
    assert!(received.len() >= 3, "{received:?}");
    let texts = ["one", "two", "three", "four", "five", "six"];
    assert_eq!(received, texts[6 - received.len()..]);
    ben.has_received_nothing().await;
}

#[tokio::test(start_paused = true)]
async fn a_new_client_is_told_if_the_last_messages_cannot_be_read() {
    let broker = MemoryBroker::new();
    let node = node(&broker, 100);
    let (ada, ben) = (node.connect("ada").await, node.connect("ben").await);
    let last = say_all(&ada, &["one", "two"]).await;
    broker.refuse_history(true);
    let refused = error(1, "tea", "unavailable", UNREADABLE);
    assert_eq!(join(&ben, "tea", None).await, (Vec::new(), refused.clone()));
    assert_eq!(node.server.rooms.len("tea"), 1, "it is no member");
    broker.refuse_history(false);
    node.backplane.isolate();
    sleep(Duration::from_secs(8)).await; // the node has noticed
    assert_eq!(join(&ben, "tea", None).await, (Vec::new(), refused));
    node.backplane.rejoin();
    sleep(Duration::from_secs(3)).await; // the node is back
    let (messages, answer) = join(&ben, "tea", None).await;
    assert_eq!((data(&messages), answer), (vec!["one", "two"], joined(&last)));
}

#[tokio::test(start_paused = true)]
async fn a_new_client_that_reads_slowly_is_told_what_it_misses() {
    let broker = MemoryBroker::new();
    let node = Node::with(&broker, 300, |handler| handler.recent_messages(200));
    join(&node.connect("ada").await, "milk", None).await; // by then, the backplane works
    let handler = &node.server.handler;
    let message = handler.message("tea", &"x".repeat(15_000)).unwrap();
    let history = handler.history().expect("it has one");
    for _ in 0..200 {
        history.append("tea", &*message).await.expect("the broker keeps it");
    }
    let ben = node.server.connect_with("ben", Options::default().high_water_mark(4096)).await;
    assert_eq!(ben.recv().await["type"], "welcome");
    ben.send(json!({ "type": "join", "id": 1, "room": "tea" })).await;
    sleep(Duration::from_secs(1)).await; // it does not read, so it is in the middle
    let mut last = String::new();
    for _ in 0..300 {
        let kept = history.append("tea", &*message).await;
        last = kept.expect("the broker keeps it").to_string();
    }
    let mut received = 0;
    let answer = loop {
        let message = ben.recv().await;
        if message["type"] != "message" {
            break message;
        }
        received += 1;
    };
    assert_eq!(answer, not_recovered(&last, "lost"));
    assert!((1..200).contains(&received), "{received} messages came");
    let new = history.append("tea", handler.message("tea", "new").unwrap()).await.unwrap();
    let message = ben.recv().await;
    assert_eq!((&message["data"], position(&message)), (&json!("new"), new.to_string()));
}
