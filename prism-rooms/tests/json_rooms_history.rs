//! Rooms as JSON whose messages are kept: what clients get when they come back, in virtual time.

use std::{sync::Arc, time::Duration};

use prism_rooms::{
    Cluster, ClusterEvent, HistoryError, JsonRooms, Keep, MemoryBackplane, MemoryBroker, Presence,
};
use prism_tokio::Tokio;
use serde_json::{Value, json};

use crate::json_rooms::{Doorkeeper, TestClient, TestServer, ok, serve};

/// A server of a cluster whose messages are kept.
pub(crate) struct Node {
    pub(crate) server: TestServer<Doorkeeper>,
    pub(crate) backplane: MemoryBackplane,
    pub(crate) cluster: Cluster,
}

impl Node {
    pub(crate) fn new(broker: &MemoryBroker, messages: u32) -> Self {
        Self::with(broker, messages, |handler| handler)
    }

    pub(crate) fn with(
        broker: &MemoryBroker,
        messages: u32,
        set_up: impl FnOnce(JsonRooms<Doorkeeper>) -> JsonRooms<Doorkeeper>,
    ) -> Self {
        let backplane = broker.backplane();
        let cluster = Cluster::new(Tokio, backplane.clone());
        let keep = Keep::new(messages, Duration::from_secs(600));
        let presence = Presence::on(&cluster, "members");
        let handler = JsonRooms::with_history(&cluster, keep, presence, Doorkeeper);
        let handler = Arc::new(set_up(handler.expect("the broker keeps messages")));
        Self { server: TestServer { handler, rooms: cluster.rooms() }, backplane, cluster }
    }

    pub(crate) async fn connect(&self, name: &str) -> TestClient {
        self.server.connect(name).await
    }
}

/// Joins a room, after a position. Returns what was sent before the answer, and the answer.
pub(crate) async fn join(
    client: &TestClient,
    room: &str,
    after: Option<&str>,
) -> (Vec<Value>, Value) {
    client.send(json!({ "type": "join", "id": 1, "room": room, "after": after })).await;
    let mut messages = Vec::new();
    loop {
        let message = client.recv().await;
        if message["type"] != "message" {
            return (messages, message);
        }
        messages.push(message);
    }
}

/// Sends to a room whose member the client is, and returns the position.
pub(crate) async fn say(client: &TestClient, room: &str, data: &str) -> String {
    client.send(json!({ "type": "send", "id": 2, "room": room, "data": data })).await;
    let mut received = [client.recv().await, client.recv().await];
    received.sort_by_key(|message| message["type"] == "ok");
    let [message, answer] = received;
    assert_eq!((&message["data"], &answer["id"]), (&json!(data), &json!(2)));
    assert_eq!(message["position"], answer["position"], "the client learns where its message is");
    position(&answer)
}

pub(crate) fn position(message: &Value) -> String {
    message["position"].as_str().expect("a position").to_owned()
}

pub(crate) fn data(messages: &[Value]) -> Vec<&str> {
    messages.iter().map(|message| message["data"].as_str().expect("text")).collect()
}

pub(crate) fn recovered(position: &str) -> Value {
    json!({ "type": "ok", "id": 1, "position": position, "recovered": true })
}

pub(crate) fn not_recovered(position: &str, reason: &str) -> Value {
    json!({ "type": "ok", "id": 1, "position": position, "recovered": false, "reason": reason })
}

#[tokio::test(start_paused = true)]
async fn a_client_that_comes_back_to_any_node_gets_what_it_has_missed_once_and_in_order() {
    let broker = MemoryBroker::new();
    let [here, there] = [(); 2].map(|()| Node::new(&broker, 100));
    let (ada, ben) = (here.connect("ada").await, there.connect("ben").await);
    join(&ada, "tea", None).await;
    join(&ben, "tea", None).await;
    let last = say(&ada, "tea", "hello").await;
    let message = json!({ "type": "message", "room": "tea", "from": "ada", "data": "hello", "position": last });
    assert_eq!(ben.recv().await, message);
    drop(ada);

    let missed: Vec<_> = (1..=40).map(|n| format!("while you were away {n}")).collect();
    let mut position = String::new();
    for text in &missed {
        position = say(&ben, "tea", text).await;
    }
    for node in [&there, &here] {
        let (messages, answer) = join(&node.connect("ada").await, "tea", Some(&last)).await;
        assert_eq!(data(&messages), missed);
        assert!(messages.iter().all(|message| message["from"] == "ben"));
        assert_eq!(answer, recovered(&position));
    }
    let ada = here.connect("ada").await;
    assert_eq!(join(&ada, "tea", Some(&position)).await, (Vec::new(), recovered(&position)));
    say(&ben, "tea", "welcome back").await;
    assert_eq!(ada.recv().await["data"], "welcome back");
    ada.has_received_nothing().await;
}

#[tokio::test(start_paused = true)]
async fn a_new_client_is_told_where_it_is_and_receives_nothing_old() {
    let broker = MemoryBroker::new();
    let node = Node::new(&broker, 100);
    let ada = node.connect("ada").await;
    let (messages, answer) = join(&ada, "tea", None).await;
    let start = position(&answer);
    assert_eq!(messages.len(), 0);
    assert_eq!(answer, json!({ "type": "ok", "id": 1, "position": start }), "nothing to recover");
    let first = say(&ada, "tea", "one").await;
    let (messages, answer) = join(&node.connect("ben").await, "tea", None).await;
    assert_eq!((messages.len(), position(&answer)), (0, first.clone()));
    // It may come back before its first message.
    let (messages, answer) = join(&node.connect("eve").await, "tea", Some(&start)).await;
    assert_eq!((data(&messages), answer), (vec!["one"], recovered(&first)));
}

#[tokio::test(start_paused = true)]
async fn a_client_is_told_why_it_cannot_have_what_it_has_missed() {
    let broker = MemoryBroker::new();
    let node = Node::new(&broker, 3);
    let ada = node.connect("ada").await;
    let start = position(&join(&ada, "tea", None).await.1);
    let mut last = String::new();
    for text in ["one", "two", "three", "four"] {
        last = say(&ada, "tea", text).await;
    }
    let epoch = start.split('-').next().expect("an epoch");
    for (after, reason) in [
        (&*start, "too_old"),
        (&format!("{epoch}-99"), "unknown"),
        ("elsewhere-1", "unknown"),
        ("no position", "unknown"),
        ("", "unknown"),
    ] {
        let ben = node.connect("ben").await;
        let (messages, answer) = join(&ben, "tea", Some(after)).await;
        assert_eq!((messages.len(), answer), (0, not_recovered(&last, reason)), "after {after}");
        last = say(&ada, "tea", "and now").await;
        let message = ben.recv().await;
        assert_eq!((&message["data"], position(&message)), (&json!("and now"), last.clone()));
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_has_left_a_room_comes_back_to_it() {
    let broker = MemoryBroker::new();
    let node = Node::new(&broker, 100);
    let (ada, ben) = (node.connect("ada").await, node.connect("ben").await);
    let start = position(&join(&ada, "tea", None).await.1);
    join(&ben, "tea", None).await;
    for text in ["one", "two", "three"] {
        ada.send(json!({ "type": "leave", "id": 3, "room": "tea" })).await;
        assert_eq!(ada.recv().await["type"], "left");
        assert_eq!(ada.recv().await, ok(3));
        let last = say(&ben, "tea", text).await;
        let (messages, answer) = join(&ada, "tea", Some(&start)).await;
        assert_eq!(data(&messages).last(), Some(&text));
        assert_eq!(answer, recovered(&last));
        // To join once more changes nothing.
        assert_eq!(join(&ada, "tea", Some(&start)).await, (Vec::new(), ok(1)));
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_that_is_not_for_its_sender_says_so() {
    let broker = MemoryBroker::new();
    let node = Node::new(&broker, 100);
    let (ada, ben) = (node.connect("ada").await, node.connect("ben").await);
    join(&ada, "tea", None).await;
    let id = node.server.rooms.members("tea")[0].to_string();
    join(&ben, "tea", None).await;
    ada.send(json!({ "type": "send", "id": 2, "room": "tea", "data": 1, "echo": false })).await;
    let message = ben.recv().await;
    assert_eq!((&message["data"], &message["except"]), (&json!(1), &json!(id)));
    let mut received = [ada.recv().await, ada.recv().await];
    received.sort_by_key(|message| message["type"] == "ok");
    assert_eq!(received[0], message, "so that it knows its position");
    assert_eq!(position(&received[1]), position(&message));
}

#[tokio::test(start_paused = true)]
async fn only_the_rooms_that_the_application_chooses_are_kept() {
    let broker = MemoryBroker::new();
    let node = Node::with(&broker, 100, |handler| handler.kept_rooms(|room| room != "cursors"));
    let (ada, ben) = (node.connect("ada").await, node.connect("ben").await);
    for client in [&ada, &ben] {
        assert_eq!(join(client, "cursors", None).await, (Vec::new(), ok(1)));
    }
    ada.send(json!({ "type": "send", "id": 2, "room": "cursors", "data": 1, "echo": false })).await;
    assert_eq!(ada.recv().await, ok(2));
    let message = json!({ "type": "message", "room": "cursors", "from": "ada", "data": 1 });
    assert_eq!(ben.recv().await, message);
    join(&ada, "tea", None).await;
    let position = say(&ada, "tea", "one").await;

    let not_kept = json!({ "type": "ok", "id": 1, "recovered": false, "reason": "not_kept" });
    let eve = node.connect("eve").await;
    assert_eq!(join(&eve, "cursors", Some(&position)).await, (Vec::new(), not_kept.clone()));
    let local = serve(); // without a history
    let eve = local.connect("eve").await;
    assert_eq!(join(&eve, "tea", Some(&position)).await, (Vec::new(), not_kept));
}

#[tokio::test(start_paused = true)]
async fn the_application_appends_as_well() {
    let broker = MemoryBroker::new();
    let node = Node::new(&broker, 100);
    let ada = node.connect("ada").await;
    let start = position(&join(&ada, "tea", None).await.1);
    let handler = &node.server.handler;
    let history = handler.history().expect("it has one");
    let message = handler.message("tea", "the kettle is on").unwrap();
    let kept = history.append("tea", message).await.unwrap().to_string();
    let message =
        json!({ "type": "message", "room": "tea", "data": "the kettle is on", "position": kept });
    assert_eq!(ada.recv().await, message);
    // What is only sent is not kept.
    handler.send("tea", "and gone").unwrap();
    assert_eq!(ada.recv().await["data"], "and gone");
    let (messages, answer) = join(&node.connect("ben").await, "tea", Some(&start)).await;
    assert_eq!((messages, answer), (vec![message], recovered(&kept)));
    assert!(serve().handler.history().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_cluster_has_one_history() {
    let cluster = Cluster::new(Tokio, MemoryBroker::new().backplane());
    let keep = Keep::new(1, Duration::ZERO);
    let handler = || JsonRooms::with_history(&cluster, keep, Presence::new(Tokio), Doorkeeper);
    let first = handler();
    assert!(first.is_ok());
    assert_eq!(handler().err(), Some(HistoryError::Exists));
}

#[tokio::test(start_paused = true)]
async fn a_node_leaves_when_its_handler_is_dropped_last() {
    let broker = MemoryBroker::new();
    let [here, there] = [(); 2].map(|()| Node::new(&broker, 100));
    let (events, node) = (here.cluster.events(), there.cluster.node());
    while events.recv().await != Some(ClusterEvent::NodeJoined { node }) {}
    let Node { server: TestServer { handler, rooms }, cluster, .. } = there;
    drop((cluster, rooms));
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(
        here.cluster.counts().nodes,
        1,
        "the handler has the rooms and the presence of the node"
    );
    drop(handler);
    let event = tokio::time::timeout(Duration::from_secs(10), events.recv()).await;
    assert_eq!(event, Ok(Some(ClusterEvent::NodeLeft { node })));
}
