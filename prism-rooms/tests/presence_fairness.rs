//! Presence under many changes at once: no room's watchers wait long because of others.

use std::{
    pin::pin,
    sync::Arc,
    task::{Context, Wake, Waker},
    time::Duration,
};

use futures_lite::future::{poll_once, yield_now};
use prism_rooms::{Presence, Watch};
use prism_tokio::Tokio;
use tokio::time::sleep;

use crate::common::{TestClient, soon};

const WINDOW: Duration = Duration::from_millis(100);

/// Returns how many turns a task has between the end of the window that begins now and the next change.
///
/// A spawned task counts them, because tokio polls the test itself only after sixty turns of others.
async fn turns_until_notified(watch: Watch<&'static str>) -> usize {
    let counting = tokio::spawn(async move {
        sleep(WINDOW).await;
        let mut notified = pin!(watch.recv());
        let mut turns = 0;
        while poll_once(&mut notified).await.is_none() {
            yield_now().await;
            turns += 1;
        }
        turns
    });
    counting.await.expect("the task succeeds")
}

#[tokio::test(start_paused = true)]
async fn rooms_that_have_vanished_delay_no_notification() {
    let presence = Presence::new(Tokio);
    let (ann, busy) = (TestClient::new().await, TestClient::new().await);
    let tea = presence.watch_here("tea");
    tea.recv().await.expect("the state");
    for round in 0..10_000 {
        let room = format!("room {}", round % 100);
        presence.track(&busy.connection, &room, "busy", "here").unwrap();
        presence.untrack(busy.connection.id(), &room);
    }
    presence.track(&ann.connection, "tea", "ann", "here").unwrap();
    assert!(poll_once(tea.recv()).await.is_none());
    let turns = turns_until_notified(tea).await;
    assert!(turns < 5, "{turns} turns");
}

#[tokio::test(start_paused = true)]
async fn many_rooms_are_notified_in_few_turns() {
    let presence = Presence::new(Tokio);
    let ann = TestClient::new().await;
    for room in 0..1_000 {
        presence.track(&ann.connection, &format!("room {room}"), "ann", "here").unwrap();
    }
    let tea = presence.watch_here("tea");
    tea.recv().await.expect("the state");
    presence.track(&ann.connection, "tea", "ann", "here").unwrap();
    let turns = turns_until_notified(tea).await;
    assert!(turns < 5, "{turns} turns");
}

#[tokio::test(start_paused = true)]
async fn notifying_very_many_rooms_takes_several_turns() {
    let presence = Presence::new(Tokio);
    let mut clients = Vec::new();
    for number in 0..5 {
        let client = TestClient::new().await;
        for room in 0..1_000 {
            let room = format!("room {room} of {number}");
            presence.track(&client.connection, &room, "ann", "here").unwrap();
        }
        clients.push(client);
    }
    let tea = presence.watch_here("tea");
    tea.recv().await.expect("the state");
    let ann = TestClient::new().await;
    presence.track(&ann.connection, "tea", "ann", "here").unwrap();
    let turns = turns_until_notified(tea).await;
    assert!(turns >= 3, "other tasks had only {turns} turns");
}

#[tokio::test(start_paused = true)]
async fn notifying_very_many_watchers_takes_several_turns() {
    let presence = Presence::new(Tokio);
    let (ann, mut watches) = (TestClient::new().await, Vec::new());
    for room in 0..20 {
        let room = format!("room {room}");
        watches.extend((0..100).map(|_| presence.watch_here(&room)));
        presence.track(&ann.connection, &room, "ann", "here").unwrap();
    }
    let tea = presence.watch_here("tea");
    tea.recv().await.expect("the state");
    presence.track(&ann.connection, "tea", "ann", "here").unwrap();
    let turns = turns_until_notified(tea).await;
    assert!(turns >= 3, "other tasks had only {turns} turns");
}

/// Panics when it is woken.
struct PanickingWaker;

impl Wake for PanickingWaker {
    fn wake(self: Arc<Self>) {
        panic!("on purpose");
    }
}

/// The panic hook prints the panics.
#[tokio::test(start_paused = true)]
async fn a_panicking_waker_does_not_keep_others_from_being_notified() {
    let presence = Presence::new(Tokio);
    let (ann, waker) = (TestClient::new().await, Waker::from(Arc::new(PanickingWaker)));
    let (first, second) = (presence.watch_here("tea"), presence.watch_here("tea"));
    for watch in [&first, &second] {
        soon(watch.recv()).await.expect("the state");
    }
    let mut waits = Box::pin(first.recv());
    assert!(waits.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    presence.track(&ann.connection, "tea", "ann", "here").unwrap();
    soon(second.recv()).await.expect("the join");
    presence.track(&ann.connection, "tea", "ann", "away").unwrap();
    soon(second.recv()).await.expect("the update");
    assert!(waits.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready());
}
