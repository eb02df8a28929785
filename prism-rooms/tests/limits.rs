//! The limits of rooms and presence: a call at the limit succeeds; one beyond it is refused with an error that
//! names the limit, and changes nothing. Also lists in pages.

use std::{collections::BTreeSet, error::Error, sync::Arc, time::Duration};

use fastrand::Rng;
use futures_lite::future::poll_once;
use prism_rooms::{
    Change, JoinError, Presence, PresenceOptions, Rooms, RoomsOptions, TrackError, Watch,
};
use prism_tokio::Tokio;
use tokio::time::{Instant, sleep, timeout};

use crate::common::{TestClient, soon};

const WINDOW: Duration = Duration::from_millis(100);

async fn clients<const COUNT: usize>() -> [TestClient; COUNT] {
    let mut clients = Vec::new();
    for _ in 0..COUNT {
        clients.push(TestClient::new().await);
    }
    clients.try_into().unwrap_or_else(|_| panic!("`COUNT` of them"))
}

fn presence(options: PresenceOptions) -> Presence<String> {
    Presence::with_options(Tokio, options)
}

/// Returns metadata of this length as JSON.
fn meta(len: usize) -> String {
    "x".repeat(len - 2)
}

#[test]
fn the_defaults_are_as_documented() {
    let defaults = format!("{:?} {:?}", RoomsOptions::default(), PresenceOptions::default());
    assert_eq!(
        defaults,
        "RoomsOptions { max_rooms_per_connection: 1024 } \
         PresenceOptions { window: 100ms, max_rooms_per_connection: 1024, max_people_per_room: 1000, \
         max_connections_per_person: 32, max_meta_size: 4096, max_state_size: 262144 }"
    );
}

#[tokio::test(start_paused = true)]
async fn a_connection_joins_up_to_max_rooms_per_connection() {
    let rooms = Rooms::new();
    let [ann, ben] = clients().await;
    for room in 0..1024 {
        assert_eq!(rooms.join(&ann.connection, &room.to_string()), Ok(true));
    }
    let refused = rooms.join(&ann.connection, "one more").unwrap_err();
    assert_eq!(refused, JoinError::TooManyRooms { limit: 1024 });
    assert_eq!(refused.to_string(), "the connection is already in 1024 rooms, the maximum");
    assert!(rooms.is_empty("one more") && rooms.room_count() == 1024);
    assert_eq!(rooms.join(&ann.connection, "7"), Ok(false), "it is in that one already");
    assert_eq!(
        rooms.join(&ben.connection, "one more"),
        Ok(true),
        "each connection has its own limit"
    );
    assert!(rooms.leave(ann.connection.id(), "7"));
    assert_eq!(rooms.join(&ann.connection, "one more"), Ok(true));
    ann.task.abort();
    soon(ann.connection.closed()).await;
    assert_eq!((rooms.room_count(), rooms.connection_count()), (1, 1));
    assert_eq!(rooms.join(&ann.connection, "tea"), Err(JoinError::Ended));
    assert!(!rooms.add(&ann.connection));
}

#[tokio::test(start_paused = true)]
async fn a_connection_is_tracked_or_watches_up_to_max_rooms() {
    let presence = presence(PresenceOptions::default().max_rooms_per_connection(3));
    let [ann, ben] = clients().await;
    let track = |room| presence.track(&ann.connection, room, "ann", meta(9));
    track("tea").unwrap();
    track("milk").unwrap();
    assert_eq!(presence.watch(&ann.connection, "water"), Ok(true));
    assert!(matches!(track("wine"), Err(TrackError::TooManyRooms { limit: 3 })));
    let refused = presence.watch(&ann.connection, "wine");
    assert_eq!(refused, Err(JoinError::TooManyRooms { limit: 3 }));
    // In the rooms that count already it may do both.
    track("water").unwrap();
    assert_eq!(presence.watch(&ann.connection, "tea"), Ok(true));
    presence.watch(&ben.connection, "wine").unwrap();
    // A room counts until the connection is neither tracked there nor watches.
    assert!(presence.untrack(ann.connection.id(), "tea"));
    assert!(matches!(track("wine"), Err(TrackError::TooManyRooms { limit: 3 })));
    assert!(presence.unwatch(ann.connection.id(), "tea"));
    track("wine").unwrap();
    ann.task.abort();
    soon(ann.connection.closed()).await;
    assert!(matches!(track("tea"), Err(TrackError::Ended)));
    for room in ["tea", "milk", "water", "wine"] {
        assert_eq!(presence.count(room), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn metadata_is_accepted_up_to_max_meta_size() {
    let presence = presence(PresenceOptions::default());
    let [ann] = clients().await;
    presence.track(&ann.connection, "tea", "ann", meta(4096)).unwrap();
    let refused = presence.track(&ann.connection, "tea", "ann", meta(4097)).unwrap_err();
    assert!(matches!(refused, TrackError::MetaTooLarge { size: 4097, limit: 4096 }));
    assert_eq!(refused.to_string(), "the metadata is 4097 bytes of JSON, expected at most 4096");
    assert!(refused.source().is_none());
    assert_eq!(presence.list("tea")[0].connections[0].meta().len(), 4094, "it is as before");
}

#[tokio::test(start_paused = true)]
async fn a_room_has_up_to_max_people_per_room() {
    let presence = presence(PresenceOptions::default().max_people_per_room(2));
    let [ann, phone, ben, eve] = clients().await;
    let track =
        |client: &TestClient, room, key| presence.track(&client.connection, room, key, meta(9));
    let is_full = |tracked| matches!(tracked, Err(TrackError::TooManyPeople { limit: 2 }));
    track(&ann, "tea", "ann").unwrap();
    track(&ben, "tea", "ben").unwrap();
    assert!(is_full(track(&eve, "tea", "eve")));
    assert_eq!(presence.count("tea"), 2);
    track(&eve, "milk", "eve").unwrap();
    // A second connection of a person does not count.
    track(&phone, "tea", "ann").unwrap();
    track(&ann, "tea", "ann").unwrap();
    // A new key replaces the old one, unless that stays because of another connection.
    track(&ben, "tea", "benjamin").unwrap();
    assert!(is_full(track(&phone, "tea", "anna")));
    assert_eq!(presence.person("tea", "ann").expect("she is there").connections.len(), 2);
    presence.untrack(phone.connection.id(), "tea");
    track(&ann, "tea", "anna").unwrap();
    assert!(is_full(track(&eve, "tea", "eve")));
    presence.untrack(ben.connection.id(), "tea");
    track(&eve, "tea", "eve").unwrap();
    let keys: Vec<_> = presence.list("tea").iter().map(|person| person.key.to_string()).collect();
    assert_eq!(keys, ["anna", "eve"]);
}

#[tokio::test(start_paused = true)]
async fn a_person_has_up_to_max_connections_per_person() {
    let presence = presence(PresenceOptions::default().max_connections_per_person(2));
    let [laptop, phone, tablet] = clients().await;
    let track =
        |client: &TestClient, room| presence.track(&client.connection, room, "ann", meta(9));
    track(&laptop, "tea").unwrap();
    track(&phone, "tea").unwrap();
    let refused = track(&tablet, "tea").unwrap_err();
    assert!(matches!(refused, TrackError::TooManyConnections { limit: 2 }));
    let words = "the person already has 2 connections in the room, the maximum";
    assert_eq!(refused.to_string(), words);
    track(&phone, "tea").unwrap(); // replaces its own metadata
    track(&tablet, "milk").unwrap();
    presence.untrack(laptop.connection.id(), "tea");
    track(&tablet, "tea").unwrap();
    assert_eq!(presence.person("tea", "ann").expect("she is there").connections.len(), 2);
}

/// Returns the size of the state that a new watcher receives, in bytes.
async fn state_len(presence: &Presence<String>, room: &str) -> usize {
    sleep(2 * WINDOW).await; // until all changes are announced
    let watch = presence.watch_here(room);
    let state = soon(watch.recv()).await.expect("the presence is there");
    assert!(matches!(*state, Change::State { .. }));
    serde_json::to_string(&*state).expect("JSON").len()
}

#[tokio::test(start_paused = true)]
async fn a_state_grows_up_to_max_state_size_after_any_history() {
    const LIMIT: usize = 4000;
    /// A person and two connections are counted with a comma each, which may be absent; and the number with up to
    /// 19 digits more than it has.
    const SLACK: usize = 3 + 19;
    let presence = presence(PresenceOptions::default().max_state_size(LIMIT));
    let clients: [TestClient; 40] = clients().await;
    // Names that are longer as JSON, because of escapes.
    let room = "\"tea\"\n";
    let key = |number: usize| format!("\u{1}\"{}", number / 2);
    // Adds connections up to the limit, then makes the last one's metadata as long as possible.
    let fill = async || {
        let mut count = 0;
        for (number, client) in clients.iter().enumerate() {
            match presence.track(&client.connection, room, &key(number), meta(100)) {
                Ok(()) => count += 1,
                Err(TrackError::StateTooLarge { limit: LIMIT }) => break,
                Err(other) => panic!("{other}"),
            }
        }
        let last = &clients[count - 1].connection;
        let mut len = 100;
        while presence.track(last, room, &key(count - 1), meta(len + 1)).is_ok() {
            len += 1;
        }
        let len = state_len(&presence, room).await;
        assert!((LIMIT - SLACK * count..=LIMIT).contains(&len), "{len} bytes");
        (count, len)
    };
    let first = fill().await;
    let mut rng = Rng::with_seed(1);
    for _ in 0..2000 {
        let number = rng.usize(..clients.len());
        let connection = &clients[number].connection;
        if rng.bool() {
            presence.untrack(connection.id(), room);
        } else {
            let key = key(rng.usize(..clients.len()));
            let _ = presence.track(connection, room, &key, meta(rng.usize(2..500)));
        }
    }
    assert!(state_len(&presence, room).await <= LIMIT);
    let watch = presence.watch_here(room); // keeps the room, and with it what was counted
    for client in &clients {
        presence.untrack(client.connection.id(), room);
    }
    assert_eq!(fill().await, first, "nothing is counted that has gone");
    drop(watch);
}

#[tokio::test(start_paused = true)]
async fn max_state_size_is_exact_and_does_not_drift() {
    let [ann] = clients().await;
    let track =
        |presence: &Presence<String>| presence.track(&ann.connection, "tea", "ann", meta(200));
    let with_defaults = presence(PresenceOptions::default());
    track(&with_defaults).unwrap();
    // Two commas are counted that are absent, and 20 digits for a number that has one.
    let size = state_len(&with_defaults, "tea").await + 2 + 19;
    let exact = presence(PresenceOptions::default().max_state_size(size));
    for _ in 0..10 {
        track(&exact).unwrap();
    }
    let too_small = presence(PresenceOptions::default().max_state_size(size - 1));
    let refused = track(&too_small).unwrap_err();
    assert!(matches!(refused, TrackError::StateTooLarge { limit } if limit == size - 1));
    assert_eq!(too_small.count("tea"), 0);
}

/// A room that changes all the time, with new watchers all the time.
#[tokio::test(start_paused = true)]
async fn a_large_state_is_encoded_once_a_second_and_shared() {
    let presence = presence(PresenceOptions::default());
    let clients: [TestClient; 17] = clients().await;
    let change = |number: usize, len| {
        let shown =
            presence.track(&clients[number].connection, "tea", &number.to_string(), meta(len));
        shown.unwrap();
    };
    (1..16).for_each(|number| change(number, 4096));
    sleep(2 * WINDOW).await;
    // A smaller state is encoded for each new watcher.
    for round in 0..4 {
        change(1, 4000 + round);
        sleep(2 * WINDOW).await;
        let watch = presence.watch_here("tea");
        assert!(poll_once(watch.recv()).await.is_some(), "round {round}");
    }
    change(16, 4096);
    sleep(Duration::from_secs(1)).await;
    let first = presence.watch_here("tea");
    let encoded = Instant::now();
    assert!(poll_once(first.recv()).await.is_some());
    assert!(poll_once(presence.watch_here("tea").recv()).await.is_some(), "the same state again");
    // Watchers that start within a second of that wait while there are changes.
    let (mut waiting, mut received) = (Vec::new(), Vec::new());
    for round in 0..8 {
        change(1, 4000 + round);
        sleep(2 * WINDOW).await;
        for watch in &waiting {
            received.extend(poll_once(Watch::recv(watch)).await.flatten());
        }
        if received.is_empty() {
            waiting.push(presence.watch_here("tea"));
        } else {
            break;
        }
    }
    let second = Duration::from_secs(1);
    assert!((second..second + 3 * WINDOW).contains(&encoded.elapsed()), "{:?}", encoded.elapsed());
    assert!(
        received.len() == waiting.len() && received.len() >= 4,
        "{} of {}",
        received.len(),
        waiting.len()
    );
    assert!(
        received.iter().all(|state| Arc::ptr_eq(state, &received[0])),
        "all receive the same one"
    );
    assert!(matches!(&*received[0], Change::State { people, .. } if people.len() == 16));
}

/// It starts between two large states, and nothing changes after that.
#[tokio::test(start_paused = true)]
async fn a_watch_in_a_quiet_room_receives_a_large_state_after_a_second() {
    let presence = presence(PresenceOptions::default());
    let clients: [TestClient; 17] = clients().await;
    for (number, client) in clients.iter().enumerate() {
        presence.track(&client.connection, "tea", &number.to_string(), meta(4096)).unwrap();
    }
    sleep(2 * WINDOW).await;
    let first = presence.watch_here("tea");
    assert!(poll_once(first.recv()).await.is_some());
    presence.untrack(clients[0].connection.id(), "tea");
    sleep(2 * WINDOW).await;
    let second = presence.watch_here("tea");
    assert!(poll_once(second.recv()).await.is_none(), "the last state is younger than a second");
    let state = timeout(Duration::from_secs(2), second.recv()).await.expect("a state").unwrap();
    assert!(matches!(&*state, Change::State { number: 2, people, .. } if people.len() == 16));
}

#[tokio::test(start_paused = true)]
async fn pages_list_every_room_once_in_order() {
    let rooms = Rooms::with_options(RoomsOptions::default().max_rooms_per_connection(usize::MAX));
    let [ann] = clients().await;
    assert!(rooms.names_after(None, 10).is_empty() && rooms.room_count() == 0);
    let mut rng = Rng::with_seed(1);
    let mut expected = BTreeSet::new();
    for _ in 0..500 {
        let name = rng.u32(..1000).to_string();
        if rng.u32(..3) == 0 {
            assert_eq!(rooms.leave(ann.connection.id(), &name), expected.remove(&name));
        } else {
            assert_eq!(rooms.join(&ann.connection, &name), Ok(expected.insert(name)));
        }
    }
    assert_eq!(rooms.room_count(), expected.len());
    let expected: Vec<&str> = expected.iter().map(|name| &**name).collect();
    for most in [1, 7, 100, usize::MAX] {
        let (mut all, mut after): (Vec<Arc<str>>, Option<Arc<str>>) = (Vec::new(), None);
        loop {
            let page = rooms.names_after(after.as_deref(), most);
            assert!(page.len() <= most);
            let Some(last) = page.last() else { break };
            after = Some(last.clone());
            all.extend(page);
        }
        assert!(all.iter().map(|name| &**name).eq(expected.iter().copied()), "{most} at once");
    }
    assert!(rooms.names_after(None, 0).is_empty());
    // Starting after a name that does not exist.
    let after: Vec<&str> = expected.iter().copied().filter(|name| *name > "5x").take(3).collect();
    assert!(rooms.names_after(Some("5x"), 3).iter().map(|name| &**name).eq(after));
}

#[tokio::test(start_paused = true)]
async fn pages_list_every_person_once_in_order() {
    let presence = presence(PresenceOptions::default());
    let clients: [TestClient; 10] = clients().await;
    for (number, client) in clients.iter().enumerate() {
        presence.track(&client.connection, "tea", &number.to_string(), meta(9)).unwrap();
    }
    let page = |after, most| -> Vec<String> {
        let people = presence.list_after("tea", after, most);
        people.iter().map(|person| person.key.to_string()).collect()
    };
    assert_eq!(page(None, 4), ["0", "1", "2", "3"]);
    assert_eq!(page(Some("3"), 4), ["4", "5", "6", "7"]);
    assert_eq!(page(Some("7"), 4), ["8", "9"]);
    assert_eq!(page(Some("45"), 1), ["5"]);
    assert!(page(Some("9"), 4).is_empty() && page(None, 0).is_empty());
    assert!(presence.list_after("milk", None, 4).is_empty());
}
