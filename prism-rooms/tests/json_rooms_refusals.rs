//! Rooms as JSON: what clients are refused.

use std::{future::pending, sync::Arc, time::Duration};

use prism_rooms::{
    Action, Authorize, JsonRooms, Presence, PresenceOptions, Refusal, Rooms, RoomsOptions,
};
use prism_tokio::{Connection, Tokio};
use serde_json::json;
use tokio::time::Instant;

use crate::json_rooms::{TestServer, allow_all, error, not_joined, ok, serve, serve_rooms};

#[tokio::test(start_paused = true)]
async fn only_members_may_do_something_in_a_room() {
    let server = serve();
    let ada = server.connect("ada").await;
    for (id, verb) in ["send", "track", "untrack", "watch", "unwatch"].into_iter().enumerate() {
        let request = json!({ "type": verb, "id": id, "room": "tea", "data": 1, "meta": 1 });
        assert_eq!(ada.ask(request).await, not_joined(id as u64, "tea"), "{verb}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_application_refuses_by_person_room_and_action() {
    let server = serve();
    let (ada, ben) = (server.connect("ada").await, server.connect("ben").await);
    ada.join("staff").await;
    for (request, code, reason) in [
        (json!({ "type": "join", "id": 2, "room": "staff" }), "refused", "this room is for staff"),
        (
            json!({ "type": "join", "id": 2, "room": "quiet", "meta": 1 }),
            "refused",
            "nobody is shown here",
        ),
        (
            json!({ "type": "join", "id": 2, "room": "dark", "watch": true }),
            "refused",
            "nobody sees anyone here",
        ),
        (
            json!({ "type": "join", "id": 2, "room": "broken" }),
            "unavailable",
            "the database is away",
        ),
    ] {
        let room = request["room"].as_str().unwrap().to_owned();
        assert_eq!(ben.ask(request).await, error(2, &room, code, reason));
        assert_eq!(server.rooms.len(&room), usize::from(room == "staff"), "it is in {room}");
    }
    for room in ["news", "quiet", "dark", "tea"] {
        ben.join(room).await;
    }
    for (request, reason) in [
        (json!({ "type": "send", "id": 3, "room": "news", "data": 1 }), "only editors write here"),
        (json!({ "type": "track", "id": 3, "room": "quiet", "meta": 1 }), "nobody is shown here"),
        (json!({ "type": "watch", "id": 3, "room": "dark" }), "nobody sees anyone here"),
        (json!({ "type": "send", "id": 3, "room": "tea", "data": "a secret" }), "that is a secret"),
        (
            json!({ "type": "track", "id": 3, "room": "tea", "meta": "a secret" }),
            "that is a secret",
        ),
    ] {
        let room = request["room"].as_str().unwrap().to_owned();
        assert_eq!(ben.ask(request).await, error(3, &room, "refused", reason));
    }
    ben.has_received_nothing().await;
}

#[tokio::test(start_paused = true)]
async fn what_is_no_request_is_answered_with_what_is_wrong() {
    let server = serve();
    let ada = server.connect("ada").await;
    let deep = format!(
        r#"{{"type":"send","id":3,"room":"a","data":{}1{}}}"#,
        "[".repeat(99),
        "]".repeat(99)
    );
    for (text, id, code, words) in [
        ("hello", None, "malformed", "the message is not JSON from line 1, column 1 on"),
        ("[]", None, "malformed", "the message is an array; expected an object"),
        (
            r#"["ping",3,null,null,null,null,null,null,null]"#,
            None,
            "malformed",
            "the message is an array; expected an object",
        ),
        (r#"{"id":3}"#, Some(3), "malformed", "the field `type` is missing; expected join,"),
        (
            r#"{"type":"join","id":3}"#,
            Some(3),
            "malformed",
            "the field `room` is missing; expected one in a `join`",
        ),
        (
            r#"{"type":"join","id":3,"room":5}"#,
            Some(3),
            "malformed",
            "the field `room` is 5; expected a string",
        ),
        (
            r#"{"type":"join","id":-3,"room":"a"}"#,
            None,
            "malformed",
            "the field `id` is -3; expected a whole number that is not negative",
        ),
        (
            r#"{"type":"send","id":3,"room":"a"}"#,
            Some(3),
            "malformed",
            "the field `data` is missing",
        ),
        (
            r#"{"type":"track","id":3,"room":"a"}"#,
            Some(3),
            "malformed",
            "the field `meta` is missing",
        ),
        (
            r#"{"type":"send","id":3,"room":"a","data":"\ud800"}"#,
            Some(3),
            "malformed",
            "the field `data` has half of a surrogate pair",
        ),
        (
            &deep,
            Some(3),
            "malformed",
            "the field `data` is nested too deep; expected at most 64 levels",
        ),
        (
            r#"{"type":"join","id":3,"room":"a","after":7}"#,
            Some(3),
            "malformed",
            "the field `after` is 7; expected a string",
        ),
        (
            r#"{"type":"dance","id":3,"room":"a"}"#,
            Some(3),
            "unknown",
            "unknown type of request; expected join,",
        ),
    ] {
        ada.0.send(text).await.unwrap();
        let answer = ada.recv().await;
        assert_eq!(answer["id"].as_u64(), id, "{text}: {answer}");
        assert_eq!(answer["code"], code, "{text}: {answer}");
        assert!(answer["message"].as_str().unwrap().contains(words), "{text}: {answer}");
    }
    ada.0.send(&b"{}"[..]).await.unwrap();
    assert_eq!(ada.recv().await["message"], "expected a text message, got a binary one");
    // It is still connected. Fields that it may have from a later version do not matter.
    assert_eq!(
        ada.ask(json!({ "type": "join", "id": 4, "room": "tea", "before": "7-1" })).await,
        ok(4)
    );
}

#[tokio::test(start_paused = true)]
async fn names_data_metadata_rooms_and_people_are_limited() {
    let rooms = Rooms::with_options(RoomsOptions::default().max_rooms_per_connection(2));
    let options = PresenceOptions::default().max_meta_size(8).max_people_per_room(1);
    let presence = Presence::with_options(Tokio, options);
    let handler =
        JsonRooms::new(rooms.clone(), presence, allow_all).max_name_len(4).max_data_size(8);
    let server = TestServer { handler: Arc::new(handler), rooms };
    let (ada, ben) = (server.connect("ada").await, server.connect("ben").await);
    for (request, message) in [
        (
            json!({ "type": "join", "id": 1, "room": "" }),
            "the name of the room has 0 bytes, expected 1 to 4",
        ),
        (
            json!({ "type": "join", "id": 1, "room": "lobby" }),
            "the name of the room has 5 bytes, expected 1 to 4",
        ),
        (
            json!({ "type": "join", "id": 1, "room": "tea", "meta": "1234567" }),
            "the metadata is 9 bytes of JSON, expected at most 8",
        ),
    ] {
        let answer = ada.ask(request).await;
        assert_eq!((&answer["code"], &answer["message"]), (&json!("limit"), &json!(message)));
    }
    assert_eq!(
        ada.ask(json!({ "type": "join", "id": 2, "room": "tea", "meta": "123456" })).await,
        ok(2)
    );
    let sent = json!({ "type": "send", "id": 3, "room": "tea", "data": "1234567" });
    let message = "the data is 9 bytes of JSON, expected at most 8";
    assert_eq!(ada.ask(sent).await, error(3, "tea", "limit", message));
    let full = ben.ask(json!({ "type": "join", "id": 4, "room": "tea", "meta": 1 })).await;
    assert_eq!(full, error(4, "tea", "full", "the room already has 1 people, the maximum"));
    assert_eq!(server.rooms.len("tea"), 1, "who cannot be shown does not join");
    ada.join("b").await;
    ada.send(json!({ "type": "join", "id": 5, "room": "c", "meta": 1, "watch": true })).await;
    assert_eq!(ada.recv().await["presence"], "state");
    let message = "the connection is already in 2 rooms, the maximum";
    assert_eq!(ada.recv().await, error(5, "c", "full", message));
    tokio::time::sleep(Duration::from_secs(1)).await;
    ada.has_received_nothing().await; // it does not watch the room that it could not join
}

#[tokio::test(start_paused = true)]
async fn a_client_that_is_removed_while_the_application_decides_can_do_nothing_more() {
    let server = serve();
    let (ada, ben) = (server.connect("ada").await, server.connect("ben").await);
    ben.join("tea").await;
    let id = server.rooms.members("tea")[0];
    ada.send(json!({ "type": "join", "id": 1, "room": "tea", "watch": true })).await;
    assert_eq!((ada.recv().await["presence"].clone(), ada.recv().await), (json!("state"), ok(1)));
    for request in ["track", "watch", "send"] {
        ben.send(json!({ "type": request, "id": 2, "room": "tea", "meta": 1, "data": 1 })).await;
        tokio::time::sleep(Duration::from_millis(5)).await; // the decision takes 10 ms
        assert!(server.rooms.leave(id, "tea"));
        assert_eq!(ben.recv().await, json!({ "type": "left", "room": "tea" }));
        assert_eq!(ben.recv().await, not_joined(2, "tea"));
        ben.join("tea").await;
    }
    assert_eq!(ada.ask(json!({ "type": "track", "id": 3, "room": "tea", "meta": 1 })).await, ok(3));
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(ada.recv().await["joined"][0]["key"], "ada", "nobody else has been shown");
    ben.has_received_nothing().await;
}

#[tokio::test(start_paused = true)]
async fn a_join_about_which_the_application_decides_can_be_cancelled() {
    let server = serve();
    let ben = server.connect("ben").await;
    ben.join("tea").await;
    let id = server.rooms.members("tea")[0];
    ben.send(json!({ "type": "join", "id": 2, "room": "milk", "meta": 1, "watch": true })).await;
    tokio::time::sleep(Duration::from_millis(5)).await; // each of its decisions takes 10 ms
    assert!(!server.handler.remove(id, "water"));
    assert!(server.handler.remove(id, "milk"));
    let message = "you have been removed from this room";
    while ben.recv().await != error(2, "milk", "refused", message) {}
    assert!(server.rooms.is_empty("milk"));
    assert!(!server.handler.remove(id, "milk"));
    ben.join("milk").await; // it is not a ban
    assert!(server.handler.remove(id, "milk"));
    assert_eq!(ben.recv().await, json!({ "type": "left", "room": "milk" }));
}

#[tokio::test(start_paused = true)]
async fn a_stay_that_ends_while_the_next_join_is_pending_takes_nothing_from_it() {
    let server = serve();
    let (ada, ben) = (server.connect("ada").await, server.connect("ben").await);
    ben.join("tea").await;
    let id = server.rooms.members("tea")[0];
    ada.send(json!({ "type": "join", "id": 1, "room": "tea", "watch": true })).await;
    assert_eq!((ada.recv().await["presence"].clone(), ada.recv().await), (json!("state"), ok(1)));
    for (meta, change) in [(Some(1), "joined"), (Some(2), "updated"), (None, "left")] {
        let mut join = json!({ "type": "join", "id": 2, "room": "tea" });
        if let Some(meta) = meta {
            join["meta"] = meta.into();
        }
        ben.send(join).await;
        tokio::time::sleep(Duration::from_millis(5)).await;
        assert!(server.rooms.leave(id, "tea"));
        assert_eq!(ben.recv().await, ok(2));
        assert!(server.rooms.contains("tea", id));
        let diff = ada.recv().await;
        assert_eq!(diff[change].as_array().map(Vec::len), Some(1), "{diff}");
    }
    ben.has_received_nothing().await;
}

#[tokio::test(start_paused = true)]
async fn a_client_that_is_back_at_once_stays_present_and_is_not_told() {
    let rooms = Rooms::new();
    rooms.on_leave(|departure| {
        let _ = departure.rooms.join(departure.connection, "tea"); // fails if the connection has ended
    });
    let server = serve_rooms(rooms, PresenceOptions::default(), allow_all);
    let ada = server.connect("ada").await;
    assert_eq!(ada.ask(json!({ "type": "join", "id": 1, "room": "tea", "meta": 1 })).await, ok(1));
    assert!(server.rooms.leave(server.rooms.members("tea")[0], "tea"));
    ada.has_received_nothing().await;
    assert_eq!(server.handler.presence().count("tea"), 1);
}

/// Never decides about some rooms.
struct Undecided;

impl Authorize for Undecided {
    async fn authorize(&self, _: &Connection, room: &str, _: Action<'_>) -> Result<(), Refusal> {
        if room == "limbo" { pending().await } else { Ok(()) }
    }
}

#[tokio::test(start_paused = true)]
async fn a_decision_that_takes_too_long_is_an_error_for_its_client() {
    let server = serve_rooms(Rooms::new(), PresenceOptions::default(), Undecided);
    let ada = server.connect("ada").await;
    let begin = Instant::now();
    ada.send(json!({ "type": "join", "id": 1, "room": "limbo", "meta": 1 })).await;
    let message = "the server could not decide in time whether this is allowed";
    assert_eq!(ada.recv().await, error(1, "limbo", "unavailable", message));
    assert_eq!(begin.elapsed().as_secs(), 10);
    assert!(server.rooms.is_empty("limbo"));
    ada.join("tea").await; // the connection goes on
}

#[tokio::test(start_paused = true)]
async fn a_watcher_that_asks_for_the_state_again_and_again_receives_one_a_second() {
    let server = serve();
    let ada = server.connect("ada").await;
    ada.send(json!({ "type": "join", "id": 0, "room": "tea", "watch": true })).await;
    assert_eq!((ada.recv().await["presence"].clone(), ada.recv().await), (json!("state"), ok(0)));
    let begin = Instant::now();
    for id in 1..=10 {
        ada.send(json!({ "type": "watch", "id": id, "room": "tea" })).await;
    }
    for id in 1..=10 {
        assert_eq!(ada.recv().await["presence"], "state");
        assert_eq!(ada.recv().await, ok(id));
        assert_eq!(begin.elapsed().as_secs(), id);
    }
}
