//! Presence, in virtual time: who is shown, and what watchers are told.

mod common;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use common::{Guest, silent, soon};
use fastrand::Rng;
use prism_rooms::{Change, JoinError, Person, Presence, TrackError};
use prism_tokio::{CloseCode, Tokio};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

const WINDOW: Duration = Duration::from_millis(100);

fn presence() -> Presence<&'static str> {
    Presence::new(Tokio)
}

fn person(key: &str, metas: &[&str]) -> Value {
    let connections: Vec<_> = metas.iter().map(|meta| json!({ "id": 0, "meta": meta })).collect();
    json!({ "key": key, "connections": connections })
}

fn state(number: u64, people: &[Value]) -> Value {
    json!({ "presence": "state", "room": "tea", "number": number, "people": people })
}

fn diff(number: u64, joined: &[Value], updated: &[Value], left: &[&str]) -> Value {
    json!({
        "presence": "diff", "room": "tea", "number": number,
        "joined": joined, "updated": updated, "left": left,
    })
}

#[tokio::test(start_paused = true)]
async fn a_watcher_is_told_the_state_and_then_what_changes_in_numbers_without_a_gap() {
    let presence = presence();
    let (ann, ben) = (Guest::new().await, Guest::new().await);
    presence.track(&ann.connection, "tea", "ann", "here").unwrap();
    sleep(2 * WINDOW).await;
    assert_eq!(presence.watch(&ann.connection, "tea"), Ok(true));
    assert_eq!(presence.watch(&ann.connection, "tea"), Ok(false), "it does already");
    assert_eq!(ann.is_told().await, state(1, &[person("ann", &["here"])]));

    presence.track(&ben.connection, "tea", "ben", "here").unwrap();
    assert_eq!(ann.is_told().await, diff(2, &[person("ben", &["here"])], &[], &[]));
    presence.track(&ben.connection, "tea", "ben", "typing").unwrap();
    assert_eq!(ann.is_told().await, diff(3, &[], &[person("ben", &["typing"])], &[]));
    assert!(presence.untrack(ben.connection.id(), "tea"));
    assert!(!presence.untrack(ben.connection.id(), "tea"), "it is not there");
    assert_eq!(ann.is_told().await, diff(4, &[], &[], &["ben"]));
}

/// Of which only the first field is told.
#[derive(serde::Serialize)]
struct Seat(&'static str, #[serde(skip)] u32);

#[tokio::test(start_paused = true)]
async fn what_watchers_are_not_told_is_kept_for_the_program_all_the_same() {
    let presence = Presence::new(Tokio);
    let ann = Guest::new().await;
    presence.watch(&ann.connection, "tea").unwrap();
    assert_eq!(ann.is_told().await, state(0, &[]));
    presence.track(&ann.connection, "tea", "ann", Seat("window", 1)).unwrap();
    let told = ann.is_told().await;
    assert_eq!(told["joined"][0]["connections"][0]["meta"], json!(["window"]));
    presence.track(&ann.connection, "tea", "ann", Seat("window", 2)).unwrap();
    assert_eq!(presence.list("tea")[0].connections[0].meta().1, 2);
    sleep(2 * WINDOW).await;
    presence.track(&ann.connection, "tea", "ann", Seat("door", 2)).unwrap();
    assert_eq!(ann.is_told().await["number"], 2, "there was nothing to tell between");
}

#[tokio::test(start_paused = true)]
async fn changes_are_told_when_the_window_has_passed_together_and_only_in_their_room() {
    let presence = presence();
    let (ann, ben, eve) = (Guest::new().await, Guest::new().await, Guest::new().await);
    presence.watch(&ann.connection, "tea").unwrap();
    assert_eq!(ann.is_told().await, state(0, &[]));
    let began = Instant::now();
    presence.track(&ben.connection, "tea", "ben", "1").unwrap();
    presence.track(&ben.connection, "milk", "ben", "1").unwrap();
    sleep(WINDOW / 2).await;
    presence.track(&eve.connection, "tea", "eve", "1").unwrap();
    presence.track(&ben.connection, "tea", "ben", "2").unwrap();
    let both = [person("ben", &["2"]), person("eve", &["1"])];
    assert_eq!(ann.is_told().await, diff(1, &both, &[], &[]));
    let took = began.elapsed();
    assert!(WINDOW <= took && took < WINDOW + WINDOW / 10, "{took:?}");
    assert!(presence.unwatch(ann.connection.id(), "tea"));
    presence.untrack(ben.connection.id(), "tea");
    sleep(2 * WINDOW).await;
    ann.connection.send("and nothing before this").await.unwrap();
    assert_eq!(ann.hears().await, "and nothing before this");
}

#[tokio::test(start_paused = true)]
async fn a_person_with_several_connections_is_one_until_the_last_has_gone() {
    let presence = presence();
    let (ann, laptop, phone) = (Guest::new().await, Guest::new().await, Guest::new().await);
    presence.watch(&ann.connection, "tea").unwrap();
    assert_eq!(ann.is_told().await, state(0, &[]));
    presence.track(&laptop.connection, "tea", "ben", "laptop").unwrap();
    presence.track(&phone.connection, "tea", "ben", "phone").unwrap();
    assert_eq!(presence.count("tea"), 1);
    let [ben] = &presence.list("tea")[..] else { panic!("not one person") };
    assert_eq!(ben.connections[1].connection, phone.connection.id());
    assert_eq!(*ben.connections[1].meta(), "phone");
    assert!(Arc::ptr_eq(ben, &presence.person("tea", "ben").expect("he is there")));
    assert!(presence.person("tea", "eve").is_none() && presence.person("milk", "ben").is_none());
    let both = person("ben", &["laptop", "phone"]);
    assert_eq!(ann.is_told().await, diff(1, &[both], &[], &[]));
    laptop.task.abort();
    assert_eq!(ann.is_told().await, diff(2, &[], &[person("ben", &["phone"])], &[]));
    phone.socket.close(CloseCode::NORMAL, "").await;
    assert_eq!(ann.is_told().await, diff(3, &[], &[], &["ben"]));
    assert_eq!(presence.count("tea"), 0);
}

#[tokio::test(start_paused = true)]
async fn who_is_back_within_the_window_has_not_been_away() {
    let presence = presence();
    let (ann, ben, again) = (Guest::new().await, Guest::new().await, Guest::new().await);
    presence.track(&ben.connection, "tea", "ben", "here").unwrap();
    sleep(2 * WINDOW).await;
    presence.watch(&ann.connection, "tea").unwrap();
    let before = ann.hears().await;
    // With the same connection nothing has happened at all; so the next diff is another one.
    presence.untrack(ben.connection.id(), "tea");
    presence.track(&ben.connection, "tea", "ben", "here").unwrap();
    sleep(2 * WINDOW).await;
    ben.task.abort();
    presence.track(&again.connection, "tea", "ben", "here").unwrap();
    let updated = ann.hears().await;
    assert!(updated.contains(r#""number":2,"joined":[],"updated":[{"key":"ben""#), "{updated}");
    assert!(updated.contains(&again.connection.id().to_string()), "{updated}");
    assert!(before.contains(&ben.connection.id().to_string()), "{before}");
}

#[tokio::test(start_paused = true)]
async fn however_a_connection_ends_it_is_told_to_have_left_once() {
    let presence = presence();
    let ann = Guest::new().await;
    presence.watch(&ann.connection, "tea").unwrap();
    assert_eq!(ann.is_told().await, state(0, &[]));
    let endings: [fn(&Guest); 4] = [
        |guest| guest.task.abort(),
        |guest| assert!(guest.connection.close(CloseCode::NORMAL, "")),
        |guest| assert!(guest.socket.connection().close(CloseCode::NORMAL, "")),
        |guest| guest.socket.connection().try_send("panic").unwrap(),
    ];
    for (round, end) in endings.iter().enumerate() {
        let ben = Guest::new().await;
        presence.watch(&ben.connection, "tea").unwrap();
        presence.track(&ben.connection, "tea", "ben", "here").unwrap();
        let number = 2 * round as u64 + 1;
        assert_eq!(ann.is_told().await, diff(number, &[person("ben", &["here"])], &[], &[]));
        end(&ben);
        assert_eq!(ann.is_told().await, diff(number + 1, &[], &[], &["ben"]));
        let refused = presence.track(&ben.connection, "tea", "ben", "ghost");
        assert!(matches!(refused, Err(TrackError::Ended)), "round {round}: {refused:?}");
        assert_eq!(presence.watch(&ben.connection, "tea"), Err(JoinError::Ended));
        assert_eq!(presence.count("tea"), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn who_falls_silent_is_told_to_have_left_when_the_keepalive_and_the_window_have_passed() {
    const KEEPALIVE: Duration = Duration::from_secs(20 + 20);
    let presence = presence();
    let ann = Guest::new().await;
    presence.watch(&ann.connection, "tea").unwrap();
    assert_eq!(ann.is_told().await, state(0, &[]));
    let (ben, _their_end) = silent().await;
    let began = Instant::now();
    presence.track(&ben, "tea", "ben", "here").unwrap();
    assert_eq!(ann.is_told().await, diff(1, &[person("ben", &["here"])], &[], &[]));
    assert_eq!(ann.is_told().await, diff(2, &[], &[], &["ben"]));
    let took = began.elapsed();
    assert!(KEEPALIVE <= took && took < KEEPALIVE + 2 * WINDOW, "{took:?}");
    assert_eq!(presence.count("tea"), 0);
}

#[tokio::test(start_paused = true)]
async fn who_stops_watching_and_then_ends_has_left() {
    let presence = presence();
    let (ann, ben) = (Guest::new().await, Guest::new().await);
    presence.watch(&ann.connection, "tea").unwrap();
    assert_eq!(ann.is_told().await, state(0, &[]));
    presence.track(&ben.connection, "tea", "ben", "here").unwrap();
    presence.watch(&ben.connection, "tea").unwrap();
    assert!(presence.unwatch(ben.connection.id(), "tea"));
    assert!(!presence.unwatch(ben.connection.id(), "tea"), "it does not watch");
    assert_eq!(ann.is_told().await, diff(1, &[person("ben", &["here"])], &[], &[]));
    ben.task.abort();
    assert_eq!(ann.is_told().await, diff(2, &[], &[], &["ben"]));
}

#[tokio::test(start_paused = true)]
async fn a_room_that_nobody_is_in_or_watches_is_forgotten() {
    let presence = presence();
    let (ann, ben) = (Guest::new().await, Guest::new().await);
    let watch = presence.watch_here("tea");
    presence.watch(&ann.connection, "tea").unwrap();
    presence.track(&ben.connection, "tea", "ben", "here").unwrap();
    sleep(2 * WINDOW).await;
    ann.task.abort();
    ben.task.abort();
    sleep(2 * WINDOW).await;
    let number_now = async || {
        let watch = presence.watch_here("tea");
        match &*soon(watch.recv()).await.expect("the presence is there") {
            Change::State { number, people, .. } if people.is_empty() => *number,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(number_now().await, 2, "somebody watches, who knows the number");
    drop(watch);
    assert_eq!(number_now().await, 0);
}

#[tokio::test(start_paused = true)]
async fn who_is_tracked_as_somebody_else_is_that_person_from_then_on() {
    let presence = presence();
    let (ann, ben) = (Guest::new().await, Guest::new().await);
    presence.track(&ben.connection, "tea", "ben", "here").unwrap();
    sleep(2 * WINDOW).await;
    presence.watch(&ann.connection, "tea").unwrap();
    assert_eq!(ann.is_told().await, state(1, &[person("ben", &["here"])]));
    presence.track(&ben.connection, "tea", "benjamin", "here").unwrap();
    let joined = [person("benjamin", &["here"])];
    assert_eq!(ann.is_told().await, diff(2, &joined, &[], &["ben"]));
}

/// Fills all that lies between a connection and a browser that does not read; with how many messages.
async fn fill(guest: &Guest, filling: &str) -> usize {
    let mut fillings = 0;
    loop {
        let before = fillings;
        while guest.connection.try_send(filling).is_ok() {
            fillings += 1;
        }
        if fillings == before {
            return fillings;
        }
        sleep(WINDOW).await; // something may have moved on
    }
}

#[tokio::test(start_paused = true)]
async fn a_watcher_that_does_not_keep_up_is_told_the_state_when_it_does() {
    let presence = presence();
    let (ann, ben) = (Guest::new().await, Guest::new().await);
    presence.watch(&ann.connection, "tea").unwrap();
    assert_eq!(ann.is_told().await, state(0, &[]));
    let filling = "x".repeat(10_000);
    let fillings = fill(&ann, &filling).await;
    let before = ann.connection.missed();
    for meta in ["1", "2", "3"] {
        presence.track(&ben.connection, "tea", "ben", meta).unwrap();
        sleep(2 * WINDOW).await;
        // The first diff. After it, nothing is made for ann while there is no room.
        assert_eq!(ann.connection.missed(), before + 1);
    }
    for _ in 0..fillings {
        assert_eq!(ann.hears().await, filling);
    }
    let roomy = Instant::now();
    assert_eq!(ann.is_told().await, state(3, &[person("ben", &["3"])]));
    assert!(roomy.elapsed() < WINDOW + WINDOW / 10, "{:?}", roomy.elapsed());
    presence.untrack(ben.connection.id(), "tea");
    assert_eq!(ann.is_told().await, diff(4, &[], &[], &["ben"]));
}

#[tokio::test(start_paused = true)]
async fn the_program_itself_can_watch() {
    let presence = presence();
    let watch = presence.watch_here("tea");
    let next = async || soon(watch.recv()).await.expect("the presence is there");
    assert!(matches!(&*next().await, Change::State { number: 0, .. }));
    let ben = Guest::new().await;
    for number in 1..40_u64 {
        let meta = if number % 2 == 0 { "even" } else { "odd" };
        presence.track(&ben.connection, "tea", "ben", meta).unwrap();
        sleep(2 * WINDOW).await;
    }
    // Sixteen changes have waited, and the rest were left out.
    for expected in 1..=16 {
        assert!(matches!(&*next().await, Change::Diff { number, .. } if *number == expected));
    }
    let change = next().await;
    let Change::State { room, number: 39, people } = &*change else { panic!("{change:?}") };
    assert_eq!((&**room, *people[0].connections[0].meta()), ("tea", "odd"));
    drop(presence);
    assert!(soon(watch.recv()).await.is_none(), "nobody will tell it anything");
}

#[tokio::test(start_paused = true)]
async fn what_is_no_json_is_an_error_and_changes_nothing() {
    let presence = Presence::new(Tokio);
    let ben = Guest::new().await;
    let keys_must_be_text = BTreeMap::from([((1, 2), 3)]);
    let refused = presence.track(&ben.connection, "tea", "ben", keys_must_be_text);
    assert!(matches!(refused, Err(TrackError::NotJson(_))), "{refused:?}");
    assert!(presence.list("tea").is_empty());
}

/// A client as the documentation describes it.
#[derive(Default)]
struct Client {
    number: u64,
    people: BTreeMap<Arc<str>, Arc<Person<u32>>>,
}

impl Client {
    fn hear(&mut self, change: &Change<u32>) {
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
async fn whatever_happens_a_client_that_follows_sees_who_is_there() {
    let presence = Presence::new(Tokio);
    let watch = presence.watch_here("tea");
    let mut client = Client::default();
    let mut guests = Vec::new();
    let mut dice = Rng::with_seed(1);
    for round in 0..2000 {
        if guests.len() < 8 {
            guests.push(Guest::new().await);
        }
        let one = dice.usize(..guests.len());
        match dice.u32(..8) {
            0 => guests.remove(one).task.abort(),
            1..3 => drop(presence.untrack(guests[one].connection.id(), "tea")),
            _ => {
                let key = ["ann", "ben", "eve"][dice.usize(..3)];
                let meta = dice.u32(..4);
                presence.track(&guests[one].connection, "tea", key, meta).unwrap();
            }
        }
        if dice.u32(..8) == 0 {
            sleep(2 * WINDOW).await;
            while let Some(change) = futures_lite::future::poll_once(watch.recv()).await {
                client.hear(&change.expect("the presence is there"));
            }
            let there: Vec<_> = presence.list("tea").iter().map(|person| seen(person)).collect();
            assert_eq!(client.sees(), there, "round {round}");
        }
    }
}
