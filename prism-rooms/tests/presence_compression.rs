//! Watchers whose messages are compressed: while that is done, no lock is held, and nothing gets out of order.

use std::time::Duration;

use prism_rooms::{Presence, PresenceOptions};
use prism_tokio::{Deflate, Plain, Tokio, WindowBits};
use serde_json::Value;
use tokio::{task::JoinSet, time::sleep};

use crate::{
    common::{TestClient, fail_on_deadlock},
    compression::{Spy, client},
    presence::{WINDOW, diff, person, state},
};

/// Metadata that exceeds the threshold of 512 bytes, and the smallest window, but not the others.
fn meta(text: &str) -> String {
    text.repeat(600)
}

fn people(entries: &[(&str, &str)]) -> Vec<Value> {
    entries.iter().map(|(key, text)| person(key, &[&meta(text)])).collect()
}

fn compressing(spy: &'static Spy) -> Deflate {
    Deflate::default().engine(spy)
}

#[test]
fn states_and_diffs_are_compressed_once_for_each_form_while_no_lock_is_held() {
    fail_on_deadlock(async || {
        let (presence, spy) = (Presence::new(Tokio), Spy::new());
        let deflate = compressing(spy);
        let small = deflate.clone().server_max_window_bits(WindowBits::MIN);
        let ann = client(Some(deflate.clone())).await;
        let all = [
            &ann,
            &client(Some(deflate.clone().with_takeover())).await,
            &client(Some(deflate)).await,
            &client(Some(small)).await,
            &client(None).await,
        ];
        spy.on_compress({
            let (presence, ids) = (presence.clone(), all.map(|client| client.connection.id()));
            move || {
                assert_eq!(presence.count("tea"), 1); // it locks the room
                for id in ids {
                    assert!(!presence.untrack(id, "milk")); // it locks a member's record
                }
            }
        });
        presence.track(&ann.connection, "tea", "ann", meta("a")).unwrap();
        sleep(2 * WINDOW).await;
        for client in all {
            presence.watch(&client.connection, "tea").unwrap();
            assert_eq!(client.recv_json().await, state(1, &people(&[("ann", "a")])));
        }
        assert_eq!(
            spy.compressed(),
            2,
            "once for the smallest window, once for those into which it fits"
        );
        presence.track(&ann.connection, "tea", "ann", meta("b")).unwrap();
        for client in all {
            assert_eq!(client.recv_json().await, diff(2, &[], &people(&[("ann", "b")]), &[]));
        }
        assert_eq!(spy.compressed(), 2);
    });
}

#[test]
fn a_state_for_a_watcher_that_was_behind_is_compressed_while_no_lock_is_held() {
    fail_on_deadlock(async || {
        let (presence, spy) = (Presence::new(Tokio), Spy::new());
        let ann = client(Some(compressing(spy))).await;
        spy.on_compress({
            let (presence, id) = (presence.clone(), ann.connection.id());
            move || assert!(presence.count("tea") == 1 && !presence.untrack(id, "milk"))
        });
        presence.track(&ann.connection, "tea", "ann", meta("a")).unwrap();
        sleep(2 * WINDOW).await;
        let large = "x".repeat(100_000);
        ann.connection.try_send(Plain(&large)).unwrap();
        presence.watch(&ann.connection, "tea").unwrap();
        sleep(2 * WINDOW).await;
        assert_eq!(spy.compressed(), 0);
        assert_eq!(ann.recv_text().await, large);
        assert_eq!(ann.recv_json().await, state(1, &people(&[("ann", "a")])));
        assert_eq!(spy.compressed(), 1);
    });
}

#[test]
fn a_diff_reaches_those_who_watch_when_it_is_sent_and_did_when_it_was_made() {
    fail_on_deadlock(async || {
        let (presence, spy) = (Presence::new(Tokio), Spy::new());
        let new = || client(Some(compressing(spy)));
        let (stays, leaves, returns, comes) = (new().await, new().await, new().await, new().await);
        for client in [&stays, &leaves, &returns] {
            presence.watch(&client.connection, "tea").unwrap();
            assert_eq!(client.recv_json().await, state(0, &[]));
        }
        spy.on_next_compress({
            let presence = presence.clone();
            let [leaves, returns, comes] =
                [&leaves, &returns, &comes].map(|client| client.connection.clone());
            move || {
                assert!(presence.unwatch(leaves.id(), "tea"));
                assert!(presence.unwatch(returns.id(), "tea"));
                leaves.try_send("it watches no longer").unwrap();
                assert_eq!(presence.watch(&returns, "tea"), Ok(true));
                assert_eq!(presence.watch(&comes, "tea"), Ok(true));
            }
        });
        presence.track(&stays.connection, "tea", "ann", meta("a")).unwrap();
        let ann = people(&[("ann", "a")]);
        assert_eq!(stays.recv_json().await, diff(1, &ann, &[], &[]));
        for client in [&returns, &comes] {
            assert_eq!(client.recv_json().await, state(1, &ann));
        }
        presence.untrack(stays.connection.id(), "tea");
        for client in [&stays, &returns, &comes] {
            assert_eq!(client.recv_json().await, diff(2, &[], &[], &["ann"]));
        }
        assert_eq!(leaves.recv_text().await, "it watches no longer");
        leaves.connection.try_send("and receives nothing").unwrap();
        assert_eq!(leaves.recv_text().await, "and receives nothing");
    });
}

#[test]
fn a_new_watcher_that_leaves_while_its_state_is_compressed_receives_nothing() {
    fail_on_deadlock(async || {
        let (presence, spy) = (Presence::new(Tokio), Spy::new());
        let ann = client(Some(compressing(spy))).await;
        presence.track(&ann.connection, "tea", "ann", meta("a")).unwrap();
        sleep(2 * WINDOW).await;
        spy.on_next_compress({
            let (presence, id) = (presence.clone(), ann.connection.id());
            move || assert!(presence.unwatch(id, "tea"))
        });
        assert_eq!(presence.watch(&ann.connection, "tea"), Ok(true));
        ann.connection.try_send("nothing else").unwrap();
        assert_eq!(ann.recv_text().await, "nothing else");
    });
}

#[tokio::test(start_paused = true)]
async fn a_diff_that_an_engine_fails_to_compress_is_sent_later() {
    let (presence, spy) = (Presence::new(Tokio), Spy::new());
    let (ann, ben) = (client(Some(compressing(spy))).await, client(None).await);
    for client in [&ann, &ben] {
        presence.watch(&client.connection, "tea").unwrap();
        assert_eq!(client.recv_json().await, state(0, &[]));
    }
    spy.on_next_compress(|| panic!("on purpose"));
    presence.track(&ann.connection, "tea", "ann", meta("a")).unwrap();
    for client in [&ann, &ben] {
        assert_eq!(client.recv_json().await, diff(1, &people(&[("ann", "a")]), &[], &[]));
    }
    presence.untrack(ann.connection.id(), "tea");
    for client in [&ann, &ben] {
        assert_eq!(client.recv_json().await, diff(2, &[], &[], &["ann"]));
    }
}

/// Watches for the time of a few messages, and checks that the state comes first, and then every diff.
async fn watch_for_a_while(presence: &Presence<String>, client: &TestClient) {
    assert_eq!(presence.watch(&client.connection, "tea"), Ok(true));
    let mut last = None;
    for nth in 0.. {
        if nth == 4 {
            assert!(presence.unwatch(client.connection.id(), "tea"));
            client.connection.try_send("{}").unwrap();
        }
        let change = client.recv_json().await;
        let number = change["number"].as_u64();
        match change["presence"].as_str() {
            Some("state") => assert!(number > last, "{number:?} after {last:?}"),
            Some("diff") => assert_eq!(number, last.map(|last| last + 1)),
            _ => return,
        }
        last = number;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn watchers_that_come_and_go_receive_the_state_and_then_each_diff() {
    let (presence, spy) = (
        Presence::with_options(Tokio, PresenceOptions::default().window(Duration::from_millis(1))),
        Spy::new(),
    );
    let small = compressing(spy).server_max_window_bits(WindowBits::MIN);
    let mut watchers = JoinSet::new();
    for deflate in
        [Some(compressing(spy)), Some(compressing(spy).with_takeover()), Some(small), None]
    {
        let presence = presence.clone();
        watchers.spawn(async move {
            let client = client(deflate).await;
            for _ in 0..50 {
                watch_for_a_while(&presence, &client).await;
            }
        });
    }
    let ann = client(None).await;
    let mut texts = ["a", "b"].iter().cycle();
    while !watchers.is_empty() {
        presence.track(&ann.connection, "tea", "ann", meta(texts.next().unwrap())).unwrap();
        sleep(Duration::from_millis(1)).await;
        while let Some(watched) = watchers.try_join_next() {
            watched.unwrap();
        }
    }
    assert_ne!(spy.compressed(), 0);
}
