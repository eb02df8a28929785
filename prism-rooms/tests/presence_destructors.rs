//! Metadata whose destructor asks for everything that can be asked: whichever way it is dropped, no lock
//! is held then.

mod common;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use common::{Guest, soon, without_hanging};
use prism_rooms::{Change, Presence, PresenceOptions, Rooms, TrackError};
use prism_tokio::{Connection, Tokio};
use serde::Serialize;
use tokio::time::sleep;

const WINDOW: Duration = Duration::from_millis(100);

/// Metadata that looks around when it is dropped.
#[derive(Serialize)]
struct Nosy {
    word: &'static str,
    #[serde(skip)]
    world: Option<World>,
}

impl Drop for Nosy {
    fn drop(&mut self) {
        if let Some(world) = self.world.take() {
            world.look_around();
            world.dropped.lock().unwrap().push(self.word);
            assert_ne!(self.word, "panic", "on purpose");
        }
    }
}

/// All that there is in a scenario.
#[derive(Clone)]
struct World {
    presence: Presence<Nosy>,
    rooms: Rooms,
    ann: Arc<Guest>,
    ben: Arc<Guest>,
    /// The words of what has been dropped.
    dropped: Arc<Mutex<Vec<&'static str>>>,
}

impl World {
    async fn new(options: PresenceOptions) -> Self {
        let presence = Presence::with_options(Tokio, options);
        let (rooms, dropped) = (Rooms::new(), Arc::default());
        let (ann, ben) = (Arc::new(Guest::new().await), Arc::new(Guest::new().await));
        Self { presence, rooms, ann, ben, dropped }
    }

    fn nosy(&self, word: &'static str) -> Nosy {
        Nosy { word, world: Some(self.clone()) }
    }

    fn show(&self, guest: &Guest, room: &str, person: &str, word: &'static str) {
        self.presence.track(&guest.connection, room, person, self.nosy(word)).expect("it is there");
    }

    fn hide(&self, guest: &Guest, room: &str) {
        assert!(self.presence.untrack(guest.connection.id(), room));
    }

    /// Everything that can be asked and done, in the same rooms and with the same connections.
    fn look_around(&self) {
        let Self { presence, rooms, .. } = self;
        for connection in [&self.ann.connection, &self.ben.connection] {
            for room in ["tea", "elsewhere"] {
                self.look_at(connection, room);
            }
            rooms.add(connection);
            rooms.leave_all(connection.id());
        }
        rooms.everyone().send("somebody looked around");
        assert!(!format!("{presence:?} {rooms:?}").is_empty());
    }

    fn look_at(&self, connection: &Connection, room: &str) {
        let (Self { presence, rooms, .. }, id) = (self, connection.id());
        assert_eq!(presence.list(room).len(), presence.count(room));
        let was_there = presence
            .list(room)
            .iter()
            .any(|person| person.connections.iter().any(|there| there.connection == id));
        if !was_there {
            let quiet = Nosy { word: "quiet", world: None };
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
fn in_a_world(scenario: impl AsyncFnOnce(World) + Send + 'static) {
    in_a_world_with(PresenceOptions::default(), scenario);
}

#[track_caller]
fn in_a_world_with(options: PresenceOptions, scenario: impl AsyncFnOnce(World) + Send + 'static) {
    without_hanging(async move || scenario(World::new(options).await).await);
}

#[test]
fn what_is_replaced_before_it_was_told_is_dropped_outside_the_locks() {
    in_a_world(async |world| {
        world.show(&world.ben, "tea", "ben", "first");
        world.show(&world.ben, "tea", "ben", "second");
        world.expect_dropped(&["first"]);
        // As somebody else.
        world.show(&world.ben, "tea", "benjamin", "third");
        world.expect_dropped(&["first", "second"]);
    });
}

#[test]
fn what_is_withdrawn_is_dropped_outside_the_locks() {
    in_a_world(async |world| {
        world.show(&world.ann, "tea", "ann", "stays");
        world.show(&world.ben, "tea", "ben", "with others");
        world.hide(&world.ben, "tea");
        world.expect_dropped(&["with others"]);
        world.show(&world.ben, "milk", "ben", "alone");
        world.hide(&world.ben, "milk");
        world.expect_dropped(&["with others", "alone"]);
    });
}

#[test]
fn what_watchers_knew_is_dropped_outside_the_locks_when_they_are_told_of_the_change() {
    in_a_world(async |world| {
        world.presence.watch(&world.ann.connection, "tea").unwrap();
        world.show(&world.ben, "tea", "ben", "first");
        sleep(2 * WINDOW).await;
        world.show(&world.ben, "tea", "ben", "second");
        world.expect_dropped(&[]);
        sleep(2 * WINDOW).await;
        world.expect_dropped(&["first"]);
        // The state holds it as well.
        drop(world.presence.watch_here("tea"));
        world.hide(&world.ben, "tea");
        sleep(2 * WINDOW).await;
        world.expect_dropped(&["first", "second"]);
    });
}

#[test]
fn what_watchers_knew_of_a_room_is_dropped_outside_the_locks_when_the_room_vanishes() {
    in_a_world(async |world| {
        let watch = world.presence.watch_here("tea");
        world.show(&world.ben, "tea", "ben", "first");
        sleep(2 * WINDOW).await;
        while !matches!(&*soon(watch.recv()).await.expect("news"), Change::Diff { .. }) {}
        drop(world.presence.watch_here("tea")); // there is a state
        drop(watch);
        world.hide(&world.ben, "tea");
        world.expect_dropped(&["first"]);
        // And where the last who leaves is a watcher.
        let watch = world.presence.watch_here("tea");
        world.show(&world.ben, "tea", "ben", "second");
        sleep(2 * WINDOW).await;
        world.hide(&world.ben, "tea");
        drop(watch);
        world.expect_dropped(&["first", "second"]);
    });
}

#[test]
fn what_a_watch_has_not_received_is_dropped_outside_the_locks() {
    in_a_world(async |world| {
        world.show(&world.ann, "tea", "ann", "stays");
        let watch = world.presence.watch_here("tea");
        for word in ["1", "2"] {
            world.show(&world.ben, "tea", "ben", word);
            sleep(2 * WINDOW).await;
        }
        world.hide(&world.ben, "tea");
        sleep(2 * WINDOW).await;
        world.expect_dropped(&[]);
        drop(watch);
        let mut dropped = world.dropped.lock().unwrap().clone();
        dropped.sort_unstable();
        assert_eq!(dropped, ["1", "2"]);
    });
}

#[test]
fn what_a_full_watch_misses_is_dropped_outside_the_locks() {
    in_a_world(async |world| {
        world.show(&world.ann, "tea", "ann", "stays");
        let watch = world.presence.watch_here("tea");
        for round in 0..40 {
            world.show(&world.ben, "tea", "ben", if round % 2 == 0 { "even" } else { "odd" });
            sleep(2 * WINDOW).await;
        }
        assert!(world.dropped.lock().unwrap().len() > 20, "most are in no diff that waits");
        drop(watch);
    });
}

#[test]
fn what_an_ended_connection_leaves_behind_is_dropped_outside_the_locks() {
    in_a_world(async |world| {
        for room in ["tea", "milk"] {
            world.show(&world.ann, room, "ann", "stays");
            world.show(&world.ben, room, "ben", "goes");
            world.presence.watch(&world.ben.connection, room).unwrap();
        }
        world.show(&world.ben, "nobody else is here", "ben", "goes");
        world.ben.task.abort();
        soon(world.ben.connection.closed()).await;
        world.expect_dropped(&["goes"; 3]);
        // It is refused now.
        let refused = world.presence.track(&world.ben.connection, "tea", "ben", world.nosy("late"));
        assert!(matches!(refused, Err(TrackError::Ended)));
        world.expect_dropped(&["goes", "goes", "goes", "late"]);
    });
}

#[test]
fn what_is_refused_is_dropped_outside_the_locks() {
    let options = PresenceOptions::default().max_meta_size(30).max_state_size(300);
    in_a_world_with(options.max_people_per_room(2).max_rooms_per_connection(2), async |world| {
        let track = |room: &str, key: &str, word| {
            let refused = world.presence.track(&world.ben.connection, room, key, world.nosy(word));
            refused.expect_err("it is beyond a limit")
        };
        let too_large = track("tea", "ben", "more than is good for metadata");
        assert!(matches!(too_large, TrackError::MetaTooLarge { .. }));
        world.expect_dropped(&["more than is good for metadata"]);
        world.dropped.lock().unwrap().clear();
        world.show(&world.ann, "tea", "ann", "stays");
        let long = "x".repeat(300);
        // Where nobody is yet, and where somebody is.
        for room in ["nobody is here", "tea"] {
            let too_large = track(room, &long, "long key");
            assert!(matches!(too_large, TrackError::StateTooLarge { .. }));
        }
        world.expect_dropped(&["long key"; 2]);
        let eve = Guest::new().await;
        world.show(&eve, "tea", "eve", "stays");
        assert!(matches!(track("tea", "ben", "full"), TrackError::TooManyPeople { .. }));
        world.show(&world.ben, "milk", "ben", "stays");
        world.show(&world.ben, "water", "ben", "stays");
        assert!(matches!(track("wine", "ben", "many"), TrackError::TooManyRooms { .. }));
        world.expect_dropped(&["long key", "long key", "full", "many"]);
        assert_eq!(world.presence.count("wine") + world.presence.count("nobody is here"), 0);
    });
}

/// The panic hook still prints the panic.
#[test]
fn a_destructor_that_panics_has_no_effect_on_anybody() {
    in_a_world(async |world| {
        let watch = world.presence.watch_here("tea");
        for guest in [&world.ann, &world.ben] {
            // Two in one person: they are dropped together.
            world.show(guest, "tea", "both", "panic");
            world.show(guest, "milk", "both", "panic");
        }
        sleep(2 * WINDOW).await;
        world.show(&world.ben, "tea", "both", "panic");
        world.hide(&world.ann, "tea");
        sleep(2 * WINDOW).await;
        world.show(&world.ann, "tea", "both", "panic");
        world.ann.task.abort();
        world.ben.task.abort();
        soon(world.ann.connection.closed()).await;
        soon(world.ben.connection.closed()).await;
        assert_eq!((world.presence.count("tea"), world.presence.count("milk")), (0, 0));
        sleep(2 * WINDOW).await;
        let mut numbers = Vec::new();
        loop {
            match &*soon(watch.recv()).await.expect("it is still told") {
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
        let eve = Guest::new().await;
        world.show(&eve, "tea", "eve", "fine");
        assert!(matches!(
            &*soon(watch.recv()).await.expect("news"),
            Change::Diff { number: 4, .. }
        ));
        drop(watch);
        let dropped = world.dropped.lock().unwrap();
        assert_eq!(dropped.len(), 6, "{dropped:?}");
    });
}
