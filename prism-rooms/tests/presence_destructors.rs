//! Metadata whose destructor calls every method of presence and rooms: no matter why it is dropped, no lock is
//! held then.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use prism_rooms::{Change, Presence, PresenceOptions, Rooms, TrackError};
use prism_tokio::{Connection, Tokio};
use serde::Serialize;
use tokio::time::sleep;

use crate::common::{TestClient, fail_on_deadlock, soon};

const WINDOW: Duration = Duration::from_millis(100);

/// Metadata that calls presence and rooms when it is dropped.
#[derive(Serialize)]
struct ReentrantMeta {
    word: &'static str,
    #[serde(skip)]
    fixture: Option<Fixture>,
}

impl Drop for ReentrantMeta {
    fn drop(&mut self) {
        if let Some(fixture) = self.fixture.take() {
            fixture.call_everything();
            fixture.dropped.lock().unwrap().push(self.word);
            assert_ne!(self.word, "panic", "on purpose");
        }
    }
}

/// What a scenario uses.
#[derive(Clone)]
struct Fixture {
    presence: Presence<ReentrantMeta>,
    rooms: Rooms,
    ann: Arc<TestClient>,
    ben: Arc<TestClient>,
    /// The words of the metadata that has been dropped.
    dropped: Arc<Mutex<Vec<&'static str>>>,
}

impl Fixture {
    async fn new(options: PresenceOptions) -> Self {
        let presence = Presence::with_options(Tokio, options);
        let (rooms, dropped) = (Rooms::new(), Arc::default());
        let (ann, ben) = (Arc::new(TestClient::new().await), Arc::new(TestClient::new().await));
        Self { presence, rooms, ann, ben, dropped }
    }

    fn meta(&self, word: &'static str) -> ReentrantMeta {
        ReentrantMeta { word, fixture: Some(self.clone()) }
    }

    fn track(&self, client: &TestClient, room: &str, person: &str, word: &'static str) {
        self.presence
            .track(&client.connection, room, person, self.meta(word))
            .expect("it is tracked");
    }

    fn untrack(&self, client: &TestClient, room: &str) {
        assert!(self.presence.untrack(client.connection.id(), room));
    }

    /// Calls every method, with the rooms and connections of the scenario.
    fn call_everything(&self) {
        let Self { presence, rooms, .. } = self;
        for connection in [&self.ann.connection, &self.ben.connection] {
            for room in ["tea", "elsewhere"] {
                self.call_for(connection, room);
            }
            rooms.add(connection);
            rooms.leave_all(connection.id());
        }
        rooms.everyone().send("somebody looked around");
        assert!(!format!("{presence:?} {rooms:?}").is_empty());
    }

    fn call_for(&self, connection: &Connection, room: &str) {
        let (Self { presence, rooms, .. }, id) = (self, connection.id());
        assert_eq!(presence.list(room).len(), presence.count(room));
        let was_tracked = presence
            .list(room)
            .iter()
            .any(|person| person.connections.iter().any(|tracked| tracked.connection == id));
        if !was_tracked {
            let quiet = ReentrantMeta { word: "quiet", fixture: None };
            let _ = presence.track(connection, room, "somebody", quiet);
            presence.untrack(id, room);
        }
        let _ = presence.watch(connection, room);
        presence.unwatch(id, room);
        drop(presence.watch_here(room));
        let _ = rooms.join(connection, room);
        rooms.to(room).and("tea").send("somebody looks around");
        assert_eq!(rooms.contains(room, id), rooms.rooms_of(id).iter().any(|name| **name == *room));
        rooms.leave(id, room);
    }

    #[track_caller]
    fn expect_dropped(&self, words: &[&str]) {
        assert_eq!(*self.dropped.lock().unwrap(), words);
    }
}

#[track_caller]
fn with_fixture(scenario: impl AsyncFnOnce(Fixture) + Send + 'static) {
    with_fixture_and_options(PresenceOptions::default(), scenario);
}

#[track_caller]
fn with_fixture_and_options(
    options: PresenceOptions,
    scenario: impl AsyncFnOnce(Fixture) + Send + 'static,
) {
    fail_on_deadlock(async move || scenario(Fixture::new(options).await).await);
}

#[test]
fn metadata_replaced_before_the_diff_is_dropped_unlocked() {
    with_fixture(async |fixture| {
        fixture.track(&fixture.ben, "tea", "ben", "first");
        fixture.track(&fixture.ben, "tea", "ben", "second");
        fixture.expect_dropped(&["first"]);
        // With another key.
        fixture.track(&fixture.ben, "tea", "benjamin", "third");
        fixture.expect_dropped(&["first", "second"]);
    });
}

#[test]
fn untracked_metadata_is_dropped_unlocked() {
    with_fixture(async |fixture| {
        fixture.track(&fixture.ann, "tea", "ann", "stays");
        fixture.track(&fixture.ben, "tea", "ben", "with others");
        fixture.untrack(&fixture.ben, "tea");
        fixture.expect_dropped(&["with others"]);
        fixture.track(&fixture.ben, "milk", "ben", "alone");
        fixture.untrack(&fixture.ben, "milk");
        fixture.expect_dropped(&["with others", "alone"]);
    });
}

#[test]
fn announced_metadata_is_dropped_unlocked_after_the_diff() {
    with_fixture(async |fixture| {
        fixture.presence.watch(&fixture.ann.connection, "tea").unwrap();
        fixture.track(&fixture.ben, "tea", "ben", "first");
        sleep(2 * WINDOW).await;
        fixture.track(&fixture.ben, "tea", "ben", "second");
        fixture.expect_dropped(&[]);
        sleep(2 * WINDOW).await;
        fixture.expect_dropped(&["first"]);
        // The encoded state holds it too.
        drop(fixture.presence.watch_here("tea"));
        fixture.untrack(&fixture.ben, "tea");
        sleep(2 * WINDOW).await;
        fixture.expect_dropped(&["first", "second"]);
    });
}

#[test]
fn announced_metadata_of_a_vanished_room_is_dropped_unlocked() {
    with_fixture(async |fixture| {
        let watch = fixture.presence.watch_here("tea");
        fixture.track(&fixture.ben, "tea", "ben", "first");
        sleep(2 * WINDOW).await;
        while !matches!(&*soon(watch.recv()).await.expect("a change"), Change::Diff { .. }) {}
        drop(fixture.presence.watch_here("tea")); // now there is an encoded state
        drop(watch);
        fixture.untrack(&fixture.ben, "tea");
        fixture.expect_dropped(&["first"]);
        // The same if a watcher is the last to leave.
        let watch = fixture.presence.watch_here("tea");
        fixture.track(&fixture.ben, "tea", "ben", "second");
        sleep(2 * WINDOW).await;
        fixture.untrack(&fixture.ben, "tea");
        drop(watch);
        fixture.expect_dropped(&["first", "second"]);
    });
}

#[test]
fn metadata_in_an_unread_watch_is_dropped_unlocked() {
    with_fixture(async |fixture| {
        fixture.track(&fixture.ann, "tea", "ann", "stays");
        let watch = fixture.presence.watch_here("tea");
        for word in ["1", "2"] {
            fixture.track(&fixture.ben, "tea", "ben", word);
            sleep(2 * WINDOW).await;
        }
        fixture.untrack(&fixture.ben, "tea");
        sleep(2 * WINDOW).await;
        fixture.expect_dropped(&[]);
        drop(watch);
        let mut dropped = fixture.dropped.lock().unwrap().clone();
        dropped.sort_unstable();
        assert_eq!(dropped, ["1", "2"]);
    });
}

#[test]
fn metadata_that_a_full_watch_misses_is_dropped_unlocked() {
    with_fixture(async |fixture| {
        fixture.track(&fixture.ann, "tea", "ann", "stays");
        let watch = fixture.presence.watch_here("tea");
        for round in 0..40 {
            fixture.track(&fixture.ben, "tea", "ben", if round % 2 == 0 { "even" } else { "odd" });
            sleep(2 * WINDOW).await;
        }
        assert!(fixture.dropped.lock().unwrap().len() > 20, "most are in no diff that is queued");
        drop(watch);
    });
}

#[test]
fn metadata_of_an_ended_connection_is_dropped_unlocked() {
    with_fixture(async |fixture| {
        for room in ["tea", "milk"] {
            fixture.track(&fixture.ann, room, "ann", "stays");
            fixture.track(&fixture.ben, room, "ben", "goes");
            fixture.presence.watch(&fixture.ben.connection, room).unwrap();
        }
        fixture.track(&fixture.ben, "nobody else is here", "ben", "goes");
        fixture.ben.task.abort();
        soon(fixture.ben.connection.closed()).await;
        fixture.expect_dropped(&["goes"; 3]);
        // From now on it is refused.
        let refused =
            fixture.presence.track(&fixture.ben.connection, "tea", "ben", fixture.meta("late"));
        assert!(matches!(refused, Err(TrackError::Ended)));
        fixture.expect_dropped(&["goes", "goes", "goes", "late"]);
    });
}

#[test]
fn refused_metadata_is_dropped_unlocked() {
    let options = PresenceOptions::default().max_meta_size(30).max_state_size(300);
    with_fixture_and_options(
        options.max_people_per_room(2).max_rooms_per_connection(2),
        async |fixture| {
            let track = |room: &str, key: &str, word| {
                let refused =
                    fixture.presence.track(&fixture.ben.connection, room, key, fixture.meta(word));
                refused.expect_err("it is beyond a limit")
            };
            let too_large = track("tea", "ben", "more than is good for metadata");
            assert!(matches!(too_large, TrackError::MetaTooLarge { .. }));
            fixture.expect_dropped(&["more than is good for metadata"]);
            fixture.dropped.lock().unwrap().clear();
            fixture.track(&fixture.ann, "tea", "ann", "stays");
            let long = "x".repeat(300);
            // In an empty room and in one with people.
            for room in ["nobody is here", "tea"] {
                let too_large = track(room, &long, "long key");
                assert!(matches!(too_large, TrackError::StateTooLarge { .. }));
            }
            fixture.expect_dropped(&["long key"; 2]);
            let eve = TestClient::new().await;
            fixture.track(&eve, "tea", "eve", "stays");
            assert!(matches!(track("tea", "ben", "full"), TrackError::TooManyPeople { .. }));
            fixture.track(&fixture.ben, "milk", "ben", "stays");
            fixture.track(&fixture.ben, "water", "ben", "stays");
            assert!(matches!(track("wine", "ben", "many"), TrackError::TooManyRooms { .. }));
            fixture.expect_dropped(&["long key", "long key", "full", "many"]);
            assert_eq!(
                fixture.presence.count("wine") + fixture.presence.count("nobody is here"),
                0
            );
        },
    );
}

/// The panic hook prints the panics.
#[test]
fn a_panicking_destructor_affects_nothing_else() {
    with_fixture(async |fixture| {
        let watch = fixture.presence.watch_here("tea");
        for client in [&fixture.ann, &fixture.ben] {
            // Both belong to one person, so they are dropped together.
            fixture.track(client, "tea", "both", "panic");
            fixture.track(client, "milk", "both", "panic");
        }
        sleep(2 * WINDOW).await;
        fixture.track(&fixture.ben, "tea", "both", "panic");
        fixture.untrack(&fixture.ann, "tea");
        sleep(2 * WINDOW).await;
        fixture.track(&fixture.ann, "tea", "both", "panic");
        fixture.ann.task.abort();
        fixture.ben.task.abort();
        soon(fixture.ann.connection.closed()).await;
        soon(fixture.ben.connection.closed()).await;
        assert_eq!((fixture.presence.count("tea"), fixture.presence.count("milk")), (0, 0));
        sleep(2 * WINDOW).await;
        let mut numbers = Vec::new();
        loop {
            match &*soon(watch.recv()).await.expect("it still receives changes") {
                Change::State { number, .. } => numbers.push(*number),
                Change::Diff { number, left, .. } => {
                    numbers.push(*number);
                    if !left.is_empty() {
                        break;
                    }
                }
                _ => panic!("a state or a diff"),
            }
        }
        assert_eq!(numbers, [0, 1, 2, 3]);
        let eve = TestClient::new().await;
        fixture.track(&eve, "tea", "eve", "fine");
        assert!(matches!(
            &*soon(watch.recv()).await.expect("a change"),
            Change::Diff { number: 4, .. }
        ));
        drop(watch);
        let dropped = fixture.dropped.lock().unwrap();
        assert_eq!(dropped.len(), 6, "{dropped:?}");
    });
}
