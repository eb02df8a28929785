//! Watchers whose outboxes are full: they fall behind, and catch up.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::{
    common::TestClient,
    presence::{WINDOW, diff, person, presence, state},
};

#[tokio::test(start_paused = true)]
async fn a_watcher_without_room_for_the_state_receives_it_once_it_has_room() {
    let presence = presence();
    let ann = TestClient::new().await;
    let large = "x".repeat(100_000);
    ann.connection.try_send(&*large).unwrap();
    presence.watch(&ann.connection, "tea").unwrap();
    sleep(2 * WINDOW).await;
    assert_eq!(ann.recv_text().await, large);
    assert_eq!(ann.recv_json().await, state(0, &[]));
}

#[tokio::test(start_paused = true)]
async fn a_change_is_not_delayed_by_a_watcher_that_is_behind() {
    let presence = presence();
    let (ann, ben) = (TestClient::new().await, TestClient::new().await);
    presence.watch(&ben.connection, "tea").unwrap();
    assert_eq!(ben.recv_json().await, state(0, &[]));
    ann.connection.try_send(vec![7; 100_000]).unwrap();
    presence.watch(&ann.connection, "tea").unwrap(); // its next try is in a second
    let began = Instant::now();
    presence.track(&ben.connection, "tea", "ben", "here").unwrap();
    assert_eq!(ben.recv_json().await, diff(1, &[person("ben", &["here"])], &[], &[]));
    assert!(began.elapsed() < 2 * WINDOW, "{:?}", began.elapsed());
}

/// Fills everything between a connection and a client that does not read. Returns how many messages that took.
async fn fill(client: &TestClient, message: &str) -> usize {
    let mut messages = 0;
    loop {
        let before = messages;
        while client.connection.try_send(message).is_ok() {
            messages += 1;
        }
        if messages == before {
            return messages;
        }
        sleep(WINDOW).await; // some of them may move on meanwhile
    }
}

#[tokio::test(start_paused = true)]
async fn a_watcher_that_fell_behind_receives_the_state() {
    let presence = presence();
    let (ann, ben) = (TestClient::new().await, TestClient::new().await);
    presence.watch(&ann.connection, "tea").unwrap();
    assert_eq!(ann.recv_json().await, state(0, &[]));
    let message = "x".repeat(10_000);
    let messages = fill(&ann, &message).await;
    let before = ann.connection.missed();
    for meta in ["1", "2", "3"] {
        presence.track(&ben.connection, "tea", "ben", meta).unwrap();
        sleep(2 * WINDOW).await;
        // Ann misses the first diff. After that nothing is encoded for her while there is no room.
        assert_eq!(ann.connection.missed(), before + 1);
    }
    for _ in 0..messages {
        assert_eq!(ann.recv_text().await, message);
    }
    let has_room = Instant::now();
    assert_eq!(ann.recv_json().await, state(3, &[person("ben", &["3"])]));
    assert!(has_room.elapsed() <= Duration::from_secs(1), "{:?}", has_room.elapsed());
    presence.untrack(ben.connection.id(), "tea");
    assert_eq!(ann.recv_json().await, diff(4, &[], &[], &["ben"]));
}
