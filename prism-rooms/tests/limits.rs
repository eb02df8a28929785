//! The limits of rooms and of presence: what is at one is let in, what is beyond it is refused, told why,
//! and changes nothing. And lists that are asked for page by page.

mod common;

use std::{collections::BTreeSet, error::Error, sync::Arc, time::Duration};

use common::{Guest, soon};
use fastrand::Rng;
use futures_lite::future::poll_once;
use prism_rooms::{
    Change, JoinError, Presence, PresenceOptions, Rooms, RoomsOptions, TrackError, Watch,
};
use prism_tokio::Tokio;
use tokio::time::{Instant, sleep};

const WINDOW: Duration = Duration::from_millis(100);

async fn guests<const COUNT: usize>() -> [Guest; COUNT] {
    let mut guests = Vec::new();
    for _ in 0..COUNT {
        guests.push(Guest::new().await);
    }
    guests.try_into().unwrap_or_else(|_| panic!("as many as were made"))
}

fn presence(options: PresenceOptions) -> Presence<String> {
    Presence::with_options(Tokio, options)
}

/// Metadata that is so long as JSON.
fn meta(len: usize) -> String {
    "x".repeat(len - 2)
}

#[test]
fn the_defaults_are_those_of_the_documentation() {
    let told = format!("{:?} {:?}", RoomsOptions::default(), PresenceOptions::default());
    assert_eq!(
        told,
        "RoomsOptions { max_rooms_per_connection: 1024 } \
         PresenceOptions { window: 100ms, max_rooms_per_connection: 1024, max_people_per_room: 1000, \
         max_meta_size: 4096, max_state_size: 262144 }"
    );
}

#[tokio::test(start_paused = true)]
async fn a_connection_is_in_as_many_rooms_as_it_may_and_in_no_more() {
    let rooms = Rooms::new();
    let [ann, ben] = guests().await;
    for room in 0..1024 {
        assert_eq!(rooms.join(&ann.connection, &room.to_string()), Ok(true));
    }
    let refused = rooms.join(&ann.connection, "one more").unwrap_err();
    assert_eq!(refused, JoinError::TooManyRooms { limit: 1024 });
    assert_eq!(refused.to_string(), "the connection is already in 1024 rooms, the maximum");
    assert!(rooms.is_empty("one more") && rooms.room_count() == 1024);
    assert_eq!(rooms.join(&ann.connection, "7"), Ok(false), "it is in that one");
    assert_eq!(rooms.join(&ben.connection, "one more"), Ok(true), "the limit is each one's own");
    assert!(rooms.leave(ann.connection.id(), "7"));
    assert_eq!(rooms.join(&ann.connection, "one more"), Ok(true));
    ann.task.abort();
    soon(ann.connection.closed()).await;
    assert_eq!((rooms.room_count(), rooms.connection_count()), (1, 1));
    assert_eq!(rooms.join(&ann.connection, "tea"), Err(JoinError::Ended));
    assert!(!rooms.add(&ann.connection));
}

#[tokio::test(start_paused = true)]
async fn a_connection_is_shown_in_and_watches_as_many_rooms_as_it_may_and_no_more() {
    let presence = presence(PresenceOptions::default().max_rooms_per_connection(3));
    let [ann, ben] = guests().await;
    let track = |room| presence.track(&ann.connection, room, "ann", meta(9));
    track("tea").unwrap();
    track("milk").unwrap();
    assert_eq!(presence.watch(&ann.connection, "water"), Ok(true));
    assert!(matches!(track("wine"), Err(TrackError::TooManyRooms { limit: 3 })));
    let refused = presence.watch(&ann.connection, "wine");
    assert_eq!(refused, Err(JoinError::TooManyRooms { limit: 3 }));
    // In those it may do what it likes.
    track("water").unwrap();
    assert_eq!(presence.watch(&ann.connection, "tea"), Ok(true));
    presence.watch(&ben.connection, "wine").unwrap();
    // A room counts until it is neither shown there nor watches.
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
async fn metadata_is_as_large_as_it_may_be_and_no_larger() {
    let presence = presence(PresenceOptions::default());
    let [ann] = guests().await;
    presence.track(&ann.connection, "tea", "ann", meta(4096)).unwrap();
    let refused = presence.track(&ann.connection, "tea", "ann", meta(4097)).unwrap_err();
    assert!(matches!(refused, TrackError::MetaTooLarge { size: 4097, limit: 4096 }));
    assert_eq!(refused.to_string(), "the metadata is 4097 bytes of JSON, expected at most 4096");
    assert!(refused.source().is_none());
    assert_eq!(presence.list("tea")[0].connections[0].meta().len(), 4094, "it is as it was");
}

#[tokio::test(start_paused = true)]
async fn as_many_people_are_in_a_room_as_may_be_and_no_more() {
    let presence = presence(PresenceOptions::default().max_people_per_room(2));
    let [ann, phone, ben, eve] = guests().await;
    let track = |guest: &Guest, room, key| presence.track(&guest.connection, room, key, meta(9));
    let is_full = |tracked| matches!(tracked, Err(TrackError::TooManyPeople { limit: 2 }));
    track(&ann, "tea", "ann").unwrap();
    track(&ben, "tea", "ben").unwrap();
    assert!(is_full(track(&eve, "tea", "eve")));
    assert_eq!(presence.count("tea"), 2);
    track(&eve, "milk", "eve").unwrap();
    // A second connection is no second person.
    track(&phone, "tea", "ann").unwrap();
    track(&ann, "tea", "ann").unwrap();
    // A new name takes the place of the old one; but not where the old one stays with another connection.
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

/// How large the state is that a new watcher is told, in bytes.
async fn told(presence: &Presence<String>, room: &str) -> usize {
    sleep(2 * WINDOW).await; // until all is told
    let watch = presence.watch_here(room);
    let state = soon(watch.recv()).await.expect("the presence is there");
    assert!(matches!(*state, Change::State { .. }));
    serde_json::to_string(&*state).expect("JSON").len()
}

#[tokio::test(start_paused = true)]
async fn a_state_is_as_large_as_it_may_be_and_no_larger_whatever_came_before() {
    const LIMIT: usize = 4000;
    /// A person and two connections: with each, a comma is counted that may not be there; and a number has
    /// up to 20 digits.
    const SLACK: usize = 3 + 19;
    let presence = presence(PresenceOptions::default().max_state_size(LIMIT));
    let guests: [Guest; 40] = guests().await;
    // Names that take more bytes as JSON.
    let room = "\"tea\"\n";
    let key = |number: usize| format!("\u{1}\"{}", number / 2);
    // Fills the room, and makes it as large as it may be.
    let fill = async || {
        let mut count = 0;
        for (number, guest) in guests.iter().enumerate() {
            match presence.track(&guest.connection, room, &key(number), meta(100)) {
                Ok(()) => count += 1,
                Err(TrackError::StateTooLarge { limit: LIMIT }) => break,
                Err(other) => panic!("{other}"),
            }
        }
        let last = &guests[count - 1].connection;
        let mut len = 100;
        while presence.track(last, room, &key(count - 1), meta(len + 1)).is_ok() {
            len += 1;
        }
        let told = told(&presence, room).await;
        assert!((LIMIT - SLACK * count..=LIMIT).contains(&told), "{told} bytes");
        (count, len)
    };
    let first = fill().await;
    let mut dice = Rng::with_seed(1);
    for _ in 0..2000 {
        let number = dice.usize(..guests.len());
        let connection = &guests[number].connection;
        if dice.bool() {
            presence.untrack(connection.id(), room);
        } else {
            let key = key(dice.usize(..guests.len()));
            let _ = presence.track(connection, room, &key, meta(dice.usize(2..500)));
        }
    }
    assert!(told(&presence, room).await <= LIMIT);
    let watch = presence.watch_here(room); // the room stays, and what is counted with it
    for guest in &guests {
        presence.untrack(guest.connection.id(), room);
    }
    assert_eq!(fill().await, first, "nothing was counted that is not there");
    drop(watch);
}

#[tokio::test(start_paused = true)]
async fn the_limit_of_a_state_is_exact_however_often_it_is_reached() {
    let [ann] = guests().await;
    let track =
        |presence: &Presence<String>| presence.track(&ann.connection, "tea", "ann", meta(200));
    let roomy = presence(PresenceOptions::default());
    track(&roomy).unwrap();
    // Each of the two lists has one comma less, and the number of the state has one digit, of 20.
    let size = told(&roomy, "tea").await + 2 + 19;
    let exact = presence(PresenceOptions::default().max_state_size(size));
    for _ in 0..10 {
        track(&exact).unwrap();
    }
    let tight = presence(PresenceOptions::default().max_state_size(size - 1));
    let refused = track(&tight).unwrap_err();
    assert!(matches!(refused, TrackError::StateTooLarge { limit } if limit == size - 1));
    assert_eq!(tight.count("tea"), 0);
}

/// Tells who comes the state once a second at most, while it changes all the time.
#[tokio::test(start_paused = true)]
async fn a_state_of_more_than_an_outbox_is_made_once_a_second_at_most_and_told_to_all_who_wait() {
    let presence = presence(PresenceOptions::default());
    let guests: [Guest; 17] = guests().await;
    let change = |number: usize, len| {
        let shown =
            presence.track(&guests[number].connection, "tea", &number.to_string(), meta(len));
        shown.unwrap();
    };
    (1..16).for_each(|number| change(number, 4096));
    sleep(2 * WINDOW).await;
    // Smaller, it is made as often as somebody comes.
    for round in 0..4 {
        change(1, 4000 + round);
        sleep(2 * WINDOW).await;
        let watch = presence.watch_here("tea");
        assert!(poll_once(watch.recv()).await.is_some(), "round {round}");
    }
    change(16, 4096);
    sleep(Duration::from_secs(1)).await;
    let first = presence.watch_here("tea");
    let made = Instant::now();
    assert!(poll_once(first.recv()).await.is_some());
    assert!(poll_once(presence.watch_here("tea").recv()).await.is_some(), "it is still the same");
    // Watchers that come within a second of that wait while there are changes.
    let (mut waiting, mut told) = (Vec::new(), Vec::new());
    for round in 0..8 {
        change(1, 4000 + round);
        sleep(2 * WINDOW).await;
        for watch in &waiting {
            told.extend(poll_once(Watch::recv(watch)).await.flatten());
        }
        if told.is_empty() {
            waiting.push(presence.watch_here("tea"));
        } else {
            break;
        }
    }
    let second = Duration::from_secs(1);
    assert!((second..second + 3 * WINDOW).contains(&made.elapsed()), "{:?}", made.elapsed());
    assert!(told.len() == waiting.len() && told.len() >= 4, "{} of {}", told.len(), waiting.len());
    assert!(told.iter().all(|state| Arc::ptr_eq(state, &told[0])), "all are told the same one");
    assert!(matches!(&*told[0], Change::State { people, .. } if people.len() == 16));
}

#[tokio::test(start_paused = true)]
async fn pages_of_rooms_are_all_rooms_in_order_once() {
    let rooms = Rooms::with_options(RoomsOptions::default().max_rooms_per_connection(usize::MAX));
    let [ann] = guests().await;
    assert!(rooms.names_after(None, 10).is_empty() && rooms.room_count() == 0);
    let mut dice = Rng::with_seed(1);
    let mut expected = BTreeSet::new();
    for _ in 0..500 {
        let name = dice.u32(..1000).to_string();
        if dice.u32(..3) == 0 {
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
    // From behind a name that is not there.
    let behind: Vec<&str> = expected.iter().copied().filter(|name| *name > "5x").take(3).collect();
    assert!(rooms.names_after(Some("5x"), 3).iter().map(|name| &**name).eq(behind));
}

#[tokio::test(start_paused = true)]
async fn pages_of_people_are_all_people_in_order_once() {
    let presence = presence(PresenceOptions::default());
    let guests: [Guest; 10] = guests().await;
    for (number, guest) in guests.iter().enumerate() {
        presence.track(&guest.connection, "tea", &number.to_string(), meta(9)).unwrap();
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
