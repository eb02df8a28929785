//! Presence where much happens at once: nobody waits long for what others do.

mod common;

use std::{
    mem,
    pin::pin,
    sync::Arc,
    task::{Context, Wake, Waker},
    time::Duration,
};

use common::{Guest, soon};
use futures_lite::future::{poll_once, yield_now};
use prism_rooms::{Presence, Watch};
use prism_tokio::Tokio;
use tokio::time::sleep;

const WINDOW: Duration = Duration::from_millis(100);

/// How many turns another task has, from the end of the window that begins now, until something is told.
/// (A task as any other: the test itself would have its turn after sixty of those.)
async fn turns_until_told(watch: Watch<&'static str>) -> usize {
    let counting = tokio::spawn(async move {
        sleep(WINDOW).await;
        let mut told = pin!(watch.recv());
        let mut turns = 0;
        while poll_once(&mut told).await.is_none() {
            yield_now().await;
            turns += 1;
        }
        turns
    });
    counting.await.expect("it is told")
}

#[tokio::test(start_paused = true)]
async fn however_often_others_come_and_go_nobody_waits_for_what_is_over() {
    let presence = Presence::new(Tokio);
    let (ann, restless) = (Guest::new().await, Guest::new().await);
    let tea = presence.watch_here("tea");
    tea.recv().await.expect("the state");
    for visit in 0..10_000 {
        let room = format!("room {}", visit % 100);
        presence.track(&restless.connection, &room, "restless", "here").unwrap();
        presence.untrack(restless.connection.id(), &room);
    }
    presence.track(&ann.connection, "tea", "ann", "here").unwrap();
    assert!(poll_once(tea.recv()).await.is_none());
    let turns = turns_until_told(tea).await;
    assert!(turns < 5, "{turns} turns");
}

#[tokio::test(start_paused = true)]
async fn many_rooms_are_told_in_few_turns() {
    let presence = Presence::new(Tokio);
    let ann = Guest::new().await;
    for room in 0..1_000 {
        presence.track(&ann.connection, &format!("room {room}"), "ann", "here").unwrap();
    }
    let tea = presence.watch_here("tea");
    tea.recv().await.expect("the state");
    presence.track(&ann.connection, "tea", "ann", "here").unwrap();
    let turns = turns_until_told(tea).await;
    assert!(turns < 5, "{turns} turns");
}

/// Panics when it is woken.
struct Unwakeable;

impl Wake for Unwakeable {
    fn wake(self: Arc<Self>) {
        panic!("on purpose");
    }
}

/// The panic hook still prints the panics.
#[tokio::test(start_paused = true)]
async fn a_waker_that_panics_keeps_nobody_else_from_being_told() {
    let presence = Presence::new(Tokio);
    let (ann, waker) = (Guest::new().await, Waker::from(Arc::new(Unwakeable)));
    let (first, second) = (presence.watch_here("tea"), presence.watch_here("tea"));
    for watch in [&first, &second] {
        soon(watch.recv()).await.expect("the state");
    }
    let mut waits = Box::pin(first.recv());
    assert!(waits.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    presence.track(&ann.connection, "tea", "ann", "here").unwrap();
    soon(second.recv()).await.expect("somebody has come");
    presence.track(&ann.connection, "tea", "ann", "away").unwrap();
    soon(second.recv()).await.expect("she has changed");
    // What waits is of no use to anybody now: its channel is in the middle of that wake-up.
    mem::forget(waits);
}
