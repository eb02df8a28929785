//! Presence, in virtual time: who is shown, and what watchers receive.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use fastrand::Rng;
use prism_rooms::{Change, JoinError, Person, Presence, TrackError};
use prism_tokio::{CloseCode, Tokio};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::common::{TestClient, silent_client, soon};

pub(crate) const WINDOW: Duration = Duration::from_millis(100);

pub(crate) fn presence() -> Presence<&'static str> {
    Presence::new(Tokio)
}

pub(crate) fn person(key: &str, metas: &[&str]) -> Value {
    let connections: Vec<_> = metas.iter().map(|meta| json!({ "id": 0, "meta": meta })).collect();
    json!({ "key": key, "connections": connections })
}

pub(crate) fn state(number: u64, people: &[Value]) -> Value {
    json!({ "presence": "state", "room": "tea", "number": number, "people": people })
}

pub(crate) fn diff(number: u64, joined: &[Value], updated: &[Value], left: &[&str]) -> Value {
    json!({
        "presence": "diff", "room": "tea", "number": number,
        "joined": joined, "updated": updated, "left": left,
    })
}

#[tokio::test(start_paused = true)]
async fn a_watcher_receives_the_state_then_diffs_without_a_gap() {
    let presence = presence();
    let (ann, ben) = (TestClient::new().await, TestClient::new().await);
    presence.track(&ann.connection, "tea", "ann", "here").unwrap();
    sleep(2 * WINDOW).await;
    assert_eq!(presence.watch(&ann.connection, "tea"), Ok(true));
    assert_eq!(presence.watch(&ann.connection, "tea"), Ok(false), "it watches already");
    assert_eq!(ann.recv_json().await, state(1, &[person("ann", &["here"])]));

    presence.track(&ben.connection, "tea", "ben", "here").unwrap();
    assert_eq!(ann.recv_json().await, diff(2, &[person("ben", &["here"])], &[], &[]));
    presence.track(&ben.connection, "tea", "ben", "typing").unwrap();
    assert_eq!(ann.recv_json().await, diff(3, &[], &[person("ben", &["typing"])], &[]));
    assert!(presence.untrack(ben.connection.id(), "tea"));
    assert!(!presence.untrack(ben.connection.id(), "tea"), "it is not tracked");
    assert_eq!(ann.recv_json().await, diff(4, &[], &[], &["ben"]));
}

/// Metadata of which only the first field is serialized.
#[derive(serde::Serialize)]
struct Place(&'static str, #[serde(skip)] u32);

#[tokio::test(start_paused = true)]
async fn unserialized_metadata_stays_available_to_the_program() {
    let presence = Presence::new(Tokio);
    let ann = TestClient::new().await;
    presence.watch(&ann.connection, "tea").unwrap();
    assert_eq!(ann.recv_json().await, state(0, &[]));
    presence.track(&ann.connection, "tea", "ann", Place("window", 1)).unwrap();
    let diff = ann.recv_json().await;
    assert_eq!(diff["joined"][0]["connections"][0]["meta"], json!(["window"]));
    presence.track(&ann.connection, "tea", "ann", Place("window", 2)).unwrap();
    assert_eq!(presence.list("tea")[0].connections[0].meta().1, 2);
    sleep(2 * WINDOW).await;
    presence.track(&ann.connection, "tea", "ann", Place("door", 2)).unwrap();
    assert_eq!(ann.recv_json().await["number"], 2, "the change in between is not visible");
}

#[tokio::test(start_paused = true)]
async fn changes_are_sent_together_after_the_window_per_room() {
    let presence = presence();
    let (ann, ben, eve) =
        (TestClient::new().await, TestClient::new().await, TestClient::new().await);
    presence.watch(&ann.connection, "tea").unwrap();
    assert_eq!(ann.recv_json().await, state(0, &[]));
    let began = Instant::now();
    presence.track(&ben.connection, "tea", "ben", "1").unwrap();
    presence.track(&ben.connection, "milk", "ben", "1").unwrap();
    sleep(WINDOW / 2).await;
    presence.track(&eve.connection, "tea", "eve", "1").unwrap();
    presence.track(&ben.connection, "tea", "ben", "2").unwrap();
    let both = [person("ben", &["2"]), person("eve", &["1"])];
    assert_eq!(ann.recv_json().await, diff(1, &both, &[], &[]));
    let took = began.elapsed();
    assert!(WINDOW <= took && took < WINDOW + WINDOW / 10, "{took:?}");
    assert!(presence.unwatch(ann.connection.id(), "tea"));
    presence.untrack(ben.connection.id(), "tea");
    sleep(2 * WINDOW).await;
    ann.connection.send("and nothing before this").await.unwrap();
    assert_eq!(ann.recv_text().await, "and nothing before this");
}

#[tokio::test(start_paused = true)]
async fn a_person_is_present_until_their_last_connection_ends() {
    let presence = presence();
    let (ann, laptop, phone) =
        (TestClient::new().await, TestClient::new().await, TestClient::new().await);
    presence.watch(&ann.connection, "tea").unwrap();
    assert_eq!(ann.recv_json().await, state(0, &[]));
    presence.track(&laptop.connection, "tea", "ben", "laptop").unwrap();
    presence.track(&phone.connection, "tea", "ben", "phone").unwrap();
    assert_eq!(presence.count("tea"), 1);
    let [ben] = &presence.list("tea")[..] else { panic!("not one person") };
    assert_eq!(ben.connections[1].connection, phone.connection.id());
    assert_eq!(*ben.connections[1].meta(), "phone");
    assert!(Arc::ptr_eq(ben, &presence.person("tea", "ben").expect("he is there")));
    assert!(presence.person("tea", "eve").is_none() && presence.person("milk", "ben").is_none());
    let both = person("ben", &["laptop", "phone"]);
    assert_eq!(ann.recv_json().await, diff(1, &[both], &[], &[]));
    laptop.task.abort();
    assert_eq!(ann.recv_json().await, diff(2, &[], &[person("ben", &["phone"])], &[]));
    phone.socket.close(CloseCode::NORMAL, "").await;
    assert_eq!(ann.recv_json().await, diff(3, &[], &[], &["ben"]));
    assert_eq!(presence.count("tea"), 0);
}

#[tokio::test(start_paused = true)]
async fn a_return_within_the_window_is_not_a_departure() {
    let presence = presence();
    let (ann, ben, again) =
        (TestClient::new().await, TestClient::new().await, TestClient::new().await);
    presence.track(&ben.connection, "tea", "ben", "here").unwrap();
    sleep(2 * WINDOW).await;
    presence.watch(&ann.connection, "tea").unwrap();
    let before = ann.recv_text().await;
    // A return with the same connection changes nothing, so the next diff is that of the other return.
    presence.untrack(ben.connection.id(), "tea");
    presence.track(&ben.connection, "tea", "ben", "here").unwrap();
    sleep(2 * WINDOW).await;
    ben.task.abort();
    presence.track(&again.connection, "tea", "ben", "here").unwrap();
    let updated = ann.recv_text().await;
    assert!(updated.contains(r#""number":2,"joined":[],"updated":[{"key":"ben""#), "{updated}");
    assert!(updated.contains(&again.connection.id().to_string()), "{updated}");
    assert!(before.contains(&ben.connection.id().to_string()), "{before}");
}

#[tokio::test(start_paused = true)]
async fn however_a_connection_ends_it_is_reported_gone_once() {
    let presence = presence();
    let ann = TestClient::new().await;
    presence.watch(&ann.connection, "tea").unwrap();
    assert_eq!(ann.recv_json().await, state(0, &[]));
    let endings: [fn(&TestClient); 4] = [
        |client| client.task.abort(),
        |client| assert!(client.connection.close(CloseCode::NORMAL, "")),
        |client| assert!(client.socket.connection().close(CloseCode::NORMAL, "")),
        |client| client.socket.connection().try_send("panic").unwrap(),
    ];
    for (round, end) in endings.iter().enumerate() {
        let ben = TestClient::new().await;
        presence.watch(&ben.connection, "tea").unwrap();
        presence.track(&ben.connection, "tea", "ben", "here").unwrap();
        let number = 2 * round as u64 + 1;
        assert_eq!(ann.recv_json().await, diff(number, &[person("ben", &["here"])], &[], &[]));
        end(&ben);
        assert_eq!(ann.recv_json().await, diff(number + 1, &[], &[], &["ben"]));
        let refused = presence.track(&ben.connection, "tea", "ben", "ghost");
        assert!(matches!(refused, Err(TrackError::Ended)), "round {round}: {refused:?}");
        assert_eq!(presence.watch(&ben.connection, "tea"), Err(JoinError::Ended));
        assert_eq!(presence.count("tea"), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_silent_peer_is_reported_gone_after_keepalive_and_window() {
    const KEEPALIVE: Duration = Duration::from_secs(20 + 20);
    let presence = presence();
    let ann = TestClient::new().await;
    presence.watch(&ann.connection, "tea").unwrap();
    assert_eq!(ann.recv_json().await, state(0, &[]));
    let (ben, _their_end) = silent_client().await;
    let began = Instant::now();
    presence.track(&ben, "tea", "ben", "here").unwrap();
    assert_eq!(ann.recv_json().await, diff(1, &[person("ben", &["here"])], &[], &[]));
    assert_eq!(ann.recv_json().await, diff(2, &[], &[], &["ben"]));
    let took = began.elapsed();
    assert!(KEEPALIVE <= took && took < KEEPALIVE + 2 * WINDOW, "{took:?}");
    assert_eq!(presence.count("tea"), 0);
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_stopped_watching_still_leaves_at_its_end() {
    let presence = presence();
    let (ann, ben) = (TestClient::new().await, TestClient::new().await);
    presence.watch(&ann.connection, "tea").unwrap();
    assert_eq!(ann.recv_json().await, state(0, &[]));
    presence.track(&ben.connection, "tea", "ben", "here").unwrap();
    presence.watch(&ben.connection, "tea").unwrap();
    assert!(presence.unwatch(ben.connection.id(), "tea"));
    assert!(!presence.unwatch(ben.connection.id(), "tea"), "it does not watch");
    assert_eq!(ann.recv_json().await, diff(1, &[person("ben", &["here"])], &[], &[]));
    ben.task.abort();
    assert_eq!(ann.recv_json().await, diff(2, &[], &[], &["ben"]));
}

#[tokio::test(start_paused = true)]
async fn a_room_without_people_and_watchers_is_forgotten() {
    let presence = presence();
    let (ann, ben) = (TestClient::new().await, TestClient::new().await);
    let watch = presence.watch_here("tea");
    presence.watch(&ann.connection, "tea").unwrap();
    presence.track(&ben.connection, "tea", "ben", "here").unwrap();
    sleep(2 * WINDOW).await;
    ann.task.abort();
    ben.task.abort();
    sleep(2 * WINDOW).await;
    let number_now = async || {
        let watch = presence.watch_here("tea");
        match &*soon(watch.recv()).await.expect("presence still exists") {
            Change::State { number, people, .. } if people.is_empty() => *number,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(number_now().await, 2, "a watcher still knows the number");
    drop(watch);
    assert_eq!(number_now().await, 0);
}

#[tokio::test(start_paused = true)]
async fn tracking_with_another_key_moves_the_connection() {
    let presence = presence();
    let (ann, ben) = (TestClient::new().await, TestClient::new().await);
    presence.track(&ben.connection, "tea", "ben", "here").unwrap();
    sleep(2 * WINDOW).await;
    presence.watch(&ann.connection, "tea").unwrap();
    assert_eq!(ann.recv_json().await, state(1, &[person("ben", &["here"])]));
    presence.track(&ben.connection, "tea", "benjamin", "here").unwrap();
    let joined = [person("benjamin", &["here"])];
    assert_eq!(ann.recv_json().await, diff(2, &joined, &[], &["ben"]));
}

#[tokio::test(start_paused = true)]
async fn the_program_itself_can_watch() {
    let presence = presence();
    let watch = presence.watch_here("tea");
    let next = async || soon(watch.recv()).await.expect("presence still exists");
    assert!(matches!(&*next().await, Change::State { number: 0, .. }));
    let ben = TestClient::new().await;
    for number in 1..40_u64 {
        let meta = if number % 2 == 0 { "even" } else { "odd" };
        presence.track(&ben.connection, "tea", "ben", meta).unwrap();
        sleep(2 * WINDOW).await;
    }
    // Sixteen changes were queued, and the rest were skipped.
    for expected in 1..=16 {
        assert!(matches!(&*next().await, Change::Diff { number, .. } if *number == expected));
    }
    let change = next().await;
    let Change::State { room, number: 39, people } = &*change else { panic!("{change:?}") };
    assert_eq!((&**room, *people[0].connections[0].meta()), ("tea", "odd"));
    let printed = format!("{:?}", people[0].connections[0]);
    assert!(printed.starts_with("Tracked { connection: "), "{printed}");
    assert!(printed.contains("odd"), "{printed}");
    drop(presence);
    assert!(soon(watch.recv()).await.is_none(), "presence is gone");
}

#[tokio::test(start_paused = true)]
async fn metadata_that_is_not_json_is_refused() {
    let presence = Presence::new(Tokio);
    let ben = TestClient::new().await;
    let keys_must_be_text = BTreeMap::from([((1, 2), 3)]);
    let refused = presence.track(&ben.connection, "tea", "ben", keys_must_be_text);
    assert!(matches!(refused, Err(TrackError::NotJson(_))), "{refused:?}");
    let source = refused.as_ref().err().and_then(std::error::Error::source);
    assert!(source.is_some(), "the source says what could not be encoded");
    assert!(presence.list("tea").is_empty());
}

/// The client that the crate's documentation shows.
#[derive(Default)]
struct DocumentedClient {
    number: u64,
    people: BTreeMap<Arc<str>, Arc<Person<u32>>>,
}

impl DocumentedClient {
    fn apply(&mut self, change: &Change<u32>) {
        match change {
            Change::State { number, people, .. } => {
                self.number = *number;
                self.people = people.iter().map(|p| (p.key.clone(), p.clone())).collect();
            }
            Change::Diff { number, joined, updated, left, .. } => {
                assert_eq!(*number, self.number + 1, "a gap");
                self.number = *number;
                for person in joined {
                    let before = self.people.insert(person.key.clone(), person.clone());
                    assert!(before.is_none(), "{person:?} joined twice");
                }
                for person in updated {
                    let before = self.people.insert(person.key.clone(), person.clone());
                    assert!(before.is_some(), "{person:?} was not there");
                }
                for key in left {
                    assert!(self.people.remove(key).is_some(), "{key} left twice");
                }
            }
            other => panic!("{other:?}"),
        }
    }

    fn sees(&self) -> Vec<(String, Vec<u32>)> {
        self.people.values().map(|person| seen(person)).collect()
    }
}

fn seen(person: &Person<u32>) -> (String, Vec<u32>) {
    (person.key.to_string(), person.connections.iter().map(|there| *there.meta()).collect())
}

#[tokio::test(start_paused = true)]
async fn a_client_that_applies_all_changes_sees_who_is_there() {
    let presence = Presence::new(Tokio);
    let watch = presence.watch_here("tea");
    let mut client = DocumentedClient::default();
    let mut clients = Vec::new();
    let mut rng = Rng::with_seed(1);
    for round in 0..2000 {
        if clients.len() < 8 {
            clients.push(TestClient::new().await);
        }
        let one = rng.usize(..clients.len());
        match rng.u32(..8) {
            0 => clients.remove(one).task.abort(),
            1..3 => drop(presence.untrack(clients[one].connection.id(), "tea")),
            _ => {
                let key = ["ann", "ben", "eve"][rng.usize(..3)];
                let meta = rng.u32(..4);
                presence.track(&clients[one].connection, "tea", key, meta).unwrap();
            }
        }
        if rng.u32(..8) == 0 {
            sleep(2 * WINDOW).await;
            while let Some(change) = futures_lite::future::poll_once(watch.recv()).await {
                client.apply(&change.expect("presence still exists"));
            }
            let there: Vec<_> = presence.list("tea").iter().map(|person| seen(person)).collect();
            assert_eq!(client.sees(), there, "round {round}");
        }
    }
}
