//! Rooms as JSON, in virtual time: what clients ask for, and what they receive.

use std::{borrow::Cow, sync::Arc, time::Duration};

use prism_rooms::{
    Action, Authorize, Cluster, JsonRooms, MemoryBroker, Presence, PresenceOptions, Refusal, Rooms,
};
use prism_tokio::{
    Client, Connection, Disconnect, Options, OwnedMessage, Socket, Tokio, WhenSlow, serve_stream,
};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::common::soon;

/// A server without a socket.
pub(crate) struct TestServer<A> {
    pub(crate) handler: Arc<JsonRooms<A>>,
    pub(crate) rooms: Rooms,
}

pub(crate) struct TestClient(pub(crate) Socket);

/// Names people by their query. Room and action decide what is refused.
pub(crate) struct Doorkeeper;

impl Authorize for Doorkeeper {
    async fn authorize(
        &self,
        connection: &Connection,
        room: &str,
        action: Action<'_>,
    ) -> Result<(), Refusal> {
        tokio::time::sleep(Duration::from_millis(10)).await; // as if it asked a database
        match (room, action) {
            ("staff", _) if self.person(connection) != "ada" => {
                Err("this room is for staff".into())
            }
            ("news", Action::Send { .. }) => Err("only editors write here".into()),
            ("quiet", Action::Track { .. }) => Err(Refusal::new("nobody is shown here")),
            ("dark", Action::Watch) => Err(Refusal::new("nobody sees anyone here")),
            ("broken", _) => Err(Refusal::temporary("the database is away")),
            (_, Action::Send { data }) if data.contains("secret") => Err("that is a secret".into()),
            (_, Action::Track { meta }) if meta.contains("secret") => {
                Err("that is a secret".into())
            }
            _ => Ok(()),
        }
    }

    fn person<'a>(&self, connection: &'a Connection) -> Cow<'a, str> {
        connection.query().unwrap_or("somebody").into()
    }
}

pub(crate) fn allow_all(_: &Connection, _: &str, _: Action<'_>) -> Result<(), Refusal> {
    Ok(())
}

pub(crate) fn serve() -> TestServer<Doorkeeper> {
    serve_rooms(Rooms::new(), PresenceOptions::default(), Doorkeeper)
}

pub(crate) fn serve_rooms<A: Authorize>(
    rooms: Rooms,
    options: PresenceOptions,
    who: A,
) -> TestServer<A> {
    let presence = Presence::with_options(Tokio, options);
    TestServer { handler: Arc::new(JsonRooms::new(rooms.clone(), presence, who)), rooms }
}

impl<A: Authorize> TestServer<A> {
    /// Connects a client, and receives its welcome.
    pub(crate) async fn connect(&self, name: &str) -> TestClient {
        let client = self.connect_unheard(name).await;
        let welcome = client.recv().await;
        assert_eq!((&welcome["type"], &welcome["version"]), (&json!("welcome"), &json!(1)));
        client
    }

    async fn connect_unheard(&self, name: &str) -> TestClient {
        self.connect_with(name, Options::default()).await
    }

    pub(crate) async fn connect_with(&self, name: &str, options: Options) -> TestClient {
        let (ours, theirs) = tokio::io::duplex(1 << 20);
        let handler = self.handler.clone();
        tokio::spawn(async move {
            let _ = serve_stream(ours, &options, handler).await; // the test ends it
        });
        let client = Client::new(&format!("ws://localhost/?{name}")).expect("a valid URL");
        TestClient(client.connect_stream(theirs).await.expect("the server accepts"))
    }
}

impl TestClient {
    pub(crate) async fn send(&self, request: Value) {
        self.0.send(request.to_string()).await.expect("an open connection");
    }

    pub(crate) async fn recv(&self) -> Value {
        match soon(self.0.recv()).await.expect("a message") {
            OwnedMessage::Text(text) => serde_json::from_str(&text).expect("JSON"),
            OwnedMessage::Binary(_) => panic!("not text"),
        }
    }

    /// Sends a request, and receives the next message, which has to be its answer.
    pub(crate) async fn ask(&self, request: Value) -> Value {
        let id = request["id"].clone();
        self.send(request).await;
        let answer = self.recv().await;
        assert_eq!(answer["id"], id, "{answer}");
        answer
    }

    pub(crate) async fn join(&self, room: &str) {
        assert_eq!(self.ask(json!({ "type": "join", "id": 1, "room": room })).await, ok(1));
    }

    /// Asserts that nothing has been received: the answer to a ping would come behind it.
    pub(crate) async fn has_received_nothing(&self) {
        assert_eq!(self.ask(json!({ "type": "ping", "id": 99 })).await, ok(99));
    }
}

pub(crate) fn ok(id: u64) -> Value {
    json!({ "type": "ok", "id": id })
}

pub(crate) fn error(id: u64, room: &str, code: &str, message: &str) -> Value {
    json!({ "type": "error", "id": id, "room": room, "code": code, "message": message })
}

pub(crate) fn not_joined(id: u64, room: &str) -> Value {
    error(id, room, "not_joined", "you are not in this room: join it first")
}

/// Returns the keys and the metadata of people.
fn people(list: &Value) -> Vec<(&str, &Value)> {
    let people = list.as_array().expect("a list of people").iter();
    people
        .map(|person| (person["key"].as_str().unwrap(), &person["connections"][0]["meta"]))
        .collect()
}

#[tokio::test(start_paused = true)]
async fn a_client_is_told_who_it_is() {
    let server = serve();
    let client = server.connect_unheard("ada").await;
    let welcome = client.recv().await;
    assert_eq!(welcome["person"], "ada");
    assert_eq!(welcome["max_data_size"], 16 << 10);
    client.join("tea").await;
    assert_eq!(welcome["connection"], server.rooms.members("tea")[0].to_string());
}

#[tokio::test(start_paused = true)]
async fn members_receive_what_is_sent_to_their_room_with_its_sender() {
    let server = serve();
    let (ada, ben, eve) =
        (server.connect("ada").await, server.connect("ben").await, server.connect("eve").await);
    ada.join("tea").await;
    ben.join("tea").await;
    eve.join("coffee").await;
    let message =
        json!({ "type": "message", "room": "tea", "from": "ada", "data": { "text": "hi" } });
    ada.send(json!({ "type": "send", "id": 2, "room": "tea", "data": { "text": "hi" } })).await;
    assert_eq!((ada.recv().await, ada.recv().await), (message.clone(), ok(2)));
    assert_eq!(ben.recv().await, message);
    // Without an echo, and without an answer.
    ada.send(json!({ "type": "send", "room": "tea", "data": null, "echo": false })).await;
    assert_eq!(ben.recv().await["data"], Value::Null);
    ada.has_received_nothing().await;
    eve.has_received_nothing().await;
}

#[tokio::test(start_paused = true)]
async fn the_server_sends_to_a_room_without_a_sender() {
    let server = serve();
    let ada = server.connect("ada").await;
    ada.join("tea").await;
    let expected = json!({ "type": "message", "room": "tea", "data": [1, "two"] });
    assert_eq!(server.handler.send("tea", &json!([1, "two"])).unwrap().delivered, 1);
    assert_eq!(ada.recv().await, expected);
    let message = server.handler.message("tea", &json!([1, "two"])).unwrap();
    assert_eq!(server.handler.rooms().to("tea").and("milk").send(message).delivered, 1);
    assert_eq!(ada.recv().await, expected);
}

#[tokio::test(start_paused = true)]
async fn data_is_forwarded_as_it_was_written() {
    let server = serve();
    let ada = server.connect("ada").await;
    ada.join("tea").await;
    let data = r#"{"big": 12345678901234567890123, "x":1.0,   "\u00e9": "\/"}"#;
    ada.0.send(format!(r#"{{"type":"send","room":"tea","data":{data}}}"#)).await.unwrap();
    let OwnedMessage::Text(text) = soon(ada.0.recv()).await.unwrap() else { panic!("not text") };
    assert!(text.contains(data), "{text}");
}

#[tokio::test(start_paused = true)]
async fn a_member_sees_who_is_there_and_what_changes() {
    let server = serve();
    let (ada, ben) = (server.connect("ada").await, server.connect("ben").await);
    ada.send(json!({ "type": "join", "id": 1, "room": "tea", "meta": { "typing": false }, "watch": true })).await;
    let state = ada.recv().await;
    assert_eq!((&state["presence"], &state["people"]), (&json!("state"), &json!([])));
    assert_eq!(ada.recv().await, ok(1));
    assert_eq!(people(&ada.recv().await["joined"]), [("ada", &json!({ "typing": false }))]);

    ben.send(json!({ "type": "join", "id": 1, "room": "tea", "meta": null })).await;
    assert_eq!(ben.recv().await, ok(1));
    assert_eq!(people(&ada.recv().await["joined"]), [("ben", &Value::Null)]);
    assert_eq!(ben.ask(json!({ "type": "track", "id": 2, "room": "tea", "meta": 7 })).await, ok(2));
    assert_eq!(people(&ada.recv().await["updated"]), [("ben", &json!(7))]);
    assert_eq!(ben.ask(json!({ "type": "untrack", "id": 3, "room": "tea" })).await, ok(3));
    assert_eq!(ada.recv().await["left"], json!(["ben"]));

    // To watch again is to ask for the state.
    ada.send(json!({ "type": "watch", "id": 4, "room": "tea" })).await;
    assert_eq!(people(&ada.recv().await["people"]), [("ada", &json!({ "typing": false }))]);
    assert_eq!(ada.recv().await, ok(4));
    assert_eq!(ada.ask(json!({ "type": "unwatch", "id": 5, "room": "tea" })).await, ok(5));
    assert_eq!(ben.ask(json!({ "type": "track", "id": 6, "room": "tea", "meta": 8 })).await, ok(6));
    tokio::time::sleep(Duration::from_secs(1)).await;
    ada.has_received_nothing().await;
}

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_is_neither_a_member_nor_present() {
    let server = serve();
    let (ada, ben) = (server.connect("ada").await, server.connect("ben").await);
    ada.send(json!({ "type": "join", "id": 1, "room": "tea", "watch": true })).await;
    assert_eq!((ada.recv().await["presence"].clone(), ada.recv().await), (json!("state"), ok(1)));
    ben.send(json!({ "type": "join", "id": 1, "room": "tea", "meta": 1 })).await;
    assert_eq!(ben.recv().await, ok(1));
    assert_eq!(people(&ada.recv().await["joined"]), [("ben", &json!(1))]);

    ben.send(json!({ "type": "leave", "id": 2, "room": "tea" })).await;
    assert_eq!(ben.recv().await, json!({ "type": "left", "room": "tea" }));
    assert_eq!(ben.recv().await, ok(2));
    assert_eq!(ada.recv().await["left"], json!(["ben"]));
    assert_eq!(server.rooms.len("tea"), 1);
    assert_eq!(ben.ask(json!({ "type": "leave", "id": 3, "room": "tea" })).await, ok(3), "again");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_the_program_removes_is_told() {
    let server = serve();
    let ada = server.connect("ada").await;
    ada.send(json!({ "type": "join", "id": 1, "room": "tea", "meta": 1, "watch": true })).await;
    for _ in ["the state", "the answer", "the diff with itself"] {
        ada.recv().await;
    }
    let id = server.rooms.members("tea")[0];
    assert!(server.rooms.leave(id, "tea"));
    assert_eq!(ada.recv().await, json!({ "type": "left", "room": "tea" }));
    tokio::time::sleep(Duration::from_secs(1)).await;
    ada.has_received_nothing().await; // not even of its own departure: it watches no longer
    let sent = json!({ "type": "send", "id": 2, "room": "tea", "data": 1 });
    assert_eq!(ada.ask(sent).await, not_joined(2, "tea"));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_is_removed_before_it_knows_that_it_has_joined_is_told_again_after_that() {
    let broker = MemoryBroker::new();
    broker.stop(); // so that the answer to a join waits
    let node = Cluster::new(Tokio, broker.backplane());
    let server = serve_rooms(node.rooms(), PresenceOptions::default(), allow_all);
    let ada = server.connect("ada").await;
    let begin = Instant::now();
    ada.send(json!({ "type": "join", "id": 2, "room": "tea" })).await;
    while server.rooms.is_empty("tea") {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert!(server.handler.remove(server.rooms.members("tea")[0], "tea"));
    let left = json!({ "type": "left", "room": "tea" });
    assert_eq!(ada.recv().await, left);
    assert_eq!((ada.recv().await, ada.recv().await), (ok(2), left));
    ada.join("milk").await;
    assert_eq!(begin.elapsed().as_secs(), 1, "the answer does not wait longer");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_is_told_when_it_reads() {
    let server = serve();
    let ada = server.connect("ada").await;
    ada.join("tea").await;
    fill_outbox(&server).await;
    ada.send(json!({ "type": "leave", "id": 2, "room": "tea" })).await;
    let mut answers = Vec::new();
    while answers.len() < 2 {
        answers.extend(Some(ada.recv().await).filter(|message| message["type"] != "message"));
    }
    assert_eq!(answers, [json!({ "type": "left", "room": "tea" }), ok(2)]);
}

#[tokio::test(start_paused = true)]
async fn members_at_all_nodes_of_a_cluster_receive_messages_and_see_each_other() {
    let broker = MemoryBroker::new();
    let nodes = [(); 2].map(|()| Cluster::new(Tokio, broker.backplane()));
    let [here, there] = nodes.map(|node| {
        let (rooms, presence) = (node.rooms(), Presence::on(&node, "members"));
        TestServer { handler: Arc::new(JsonRooms::new(rooms.clone(), presence, Doorkeeper)), rooms }
    });
    let (ada, ben) = (here.connect("ada").await, there.connect("ben").await);
    ada.join("tea").await;
    ben.join("tea").await;
    // Since the answer to the join, what other nodes send arrives.
    ada.send(json!({ "type": "send", "room": "tea", "data": "over there?" })).await;
    let message = ben.recv().await;
    assert_eq!((&message["from"], &message["data"]), (&json!("ada"), &json!("over there?")));
    ben.send(json!({ "type": "watch", "room": "tea" })).await;
    assert_eq!(ben.recv().await["presence"], "state");
    ada.send(json!({ "type": "track", "room": "tea", "meta": { "big": 1.0 } })).await;
    assert_eq!(people(&ben.recv().await["joined"]), [("ada", &json!({ "big": 1.0 }))]);
    ada.send(json!({ "type": "leave", "room": "tea" })).await;
    assert_eq!(ben.recv().await["left"], json!(["ada"]));
}

/// Fills a client's outbox with messages to the room "tea".
async fn fill_outbox(server: &TestServer<Doorkeeper>) {
    let long = "a".repeat(200_000);
    while server.handler.send("tea", &long).unwrap().dropped == 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// Reads until the server closes the connection. Returns the code.
pub(crate) async fn close_code(client: &TestClient) -> u16 {
    loop {
        match soon(client.0.recv()).await {
            Ok(_) => {}
            Err(Disconnect::Peer { code, .. }) => return code.into(),
            Err(other) => panic!("{other:?}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_whose_answer_is_dropped_is_closed() {
    let server = serve();
    let policies = [(WhenSlow::Wait, false), (WhenSlow::DropNewest, true), (WhenSlow::Close, true)];
    for (policy, is_closed) in policies {
        let ada = server.connect_with("ada", Options::default().when_slow(policy)).await;
        assert_eq!(ada.recv().await["type"], "welcome");
        ada.join("tea").await;
        fill_outbox(&server).await;
        ada.send(json!({ "type": "ping", "id": 2 })).await;
        tokio::time::sleep(Duration::from_millis(1)).await;
        if is_closed {
            assert_eq!(close_code(&ada).await, 1013, "{policy:?}");
        } else {
            while ada.recv().await != ok(2) {}
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_cannot_be_told_of_its_removal_is_closed() {
    let server = serve();
    let ada = server.connect("ada").await;
    ada.join("tea").await;
    fill_outbox(&server).await;
    assert!(server.handler.remove(server.rooms.members("tea")[0], "tea"));
    assert_eq!(close_code(&ada).await, 1013);
}
