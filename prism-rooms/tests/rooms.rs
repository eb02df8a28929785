//! Rooms, with connections in memory: who is sent what, and what a hook may do.

mod common;

use std::sync::{Arc, Mutex};

use common::{Guest, soon, without_hanging};
use prism_rooms::Rooms;
use prism_tokio::{CloseCode, Connection};
use tokio::runtime::Builder;

type Told = Arc<Mutex<Vec<String>>>;

/// Rooms whose departures are noted: the first room, and whether the connection has ended.
fn noted() -> (Rooms, Told) {
    let (rooms, told) = (Rooms::new(), Told::default());
    rooms.on_leave({
        let told = told.clone();
        move |departure| {
            let end = if departure.ended { "ended" } else { "stays" };
            told.lock().unwrap().push(format!("{} {end}", departure.left[0]));
        }
    });
    (rooms, told)
}

#[track_caller]
fn expect_told(told: &Told, lines: &[&str]) {
    assert_eq!(*told.lock().unwrap(), lines);
}

#[tokio::test(start_paused = true)]
async fn who_is_left_out_is_sent_nothing() {
    let rooms = Rooms::new();
    let (ann, ben, eve) = (Guest::new().await, Guest::new().await, Guest::new().await);
    for guest in [&ann, &ben, &eve] {
        rooms.join(&guest.connection, "tea").unwrap();
    }
    let [ann_id, ben_id] = [&ann, &ben].map(|guest| guest.connection.id());
    for to in [rooms.to("tea"), rooms.to("tea").and("milk"), rooms.everyone()] {
        assert_eq!(to.except(ann_id).except(ben_id).send("for eve").delivered, 1);
    }
    assert_eq!(rooms.to("tea").send("for all").delivered, 3);
    for guest in [&ann, &ben] {
        assert_eq!(guest.hears().await, "for all", "and nothing before it");
    }
    for _ in 0..3 {
        assert_eq!(eve.hears().await, "for eve");
    }
    assert_eq!(rooms.to("tea").except(ann_id).close(CloseCode::NORMAL, "bye"), 2);
    soon(ben.connection.closed()).await;
    assert_eq!(rooms.members("tea"), [ann_id]);
}

#[tokio::test(start_paused = true)]
async fn hooks_are_called_in_the_order_in_which_they_were_left_and_from_then_on() {
    let (rooms, told) = noted();
    let ann = Guest::new().await;
    rooms.join(&ann.connection, "tea").unwrap();
    rooms.leave(ann.connection.id(), "tea");
    expect_told(&told, &["tea stays"]);
    rooms.on_leave(|_| panic!("on purpose"));
    rooms.on_leave({
        let told = told.clone();
        move |departure| told.lock().unwrap().push(format!("and {}", departure.left[0]))
    });
    rooms.join(&ann.connection, "milk").unwrap();
    assert_eq!(rooms.leave_all(ann.connection.id()).len(), 1);
    expect_told(&told, &["tea stays", "milk stays", "and milk"]);
    // What did not happen is not told, and the end of a connection that is in no room is no departure.
    assert!(!rooms.leave(ann.connection.id(), "tea"));
    assert!(rooms.leave_all(ann.connection.id()).is_empty());
    ann.task.abort();
    soon(ann.connection.closed()).await;
    expect_told(&told, &["tea stays", "milk stays", "and milk"]);
}

/// Whatever can be done with rooms.
fn do_everything(rooms: &Rooms, connection: &Connection) {
    for room in ["tea", "milk"] {
        let _ = rooms.join(connection, room);
        rooms.to(room).and("milk").send("somebody left");
        assert_eq!(
            rooms.contains(room, connection.id()),
            rooms.members(room).contains(&connection.id())
        );
        assert_eq!(rooms.len(room) == 0, !rooms.names().iter().any(|name| **name == *room));
    }
    rooms.everyone().send("somebody left");
    rooms.on_leave(|_| {});
    assert_eq!(rooms.one(connection.id()).is_some(), rooms.add(connection));
    rooms.leave(connection.id(), "milk");
    rooms.leave_all(connection.id());
}

#[test]
fn a_hook_may_do_everything_because_nothing_is_locked_where_it_runs() {
    without_hanging(async || {
        let (ann, ben) = (Guest::new().await, Guest::new().await);
        let (rooms, told) = noted();
        rooms.on_leave({
            let (others, told) = (ann.connection.clone(), told.clone());
            move |departure| {
                // What is done here, is told in turn: once only.
                if told.lock().unwrap().len() % 100 == 1 {
                    do_everything(departure.rooms, departure.connection);
                    do_everything(departure.rooms, &others);
                    told.lock().unwrap().resize(100, String::new());
                }
            }
        });
        rooms.join(&ann.connection, "tea").unwrap();
        rooms.join(&ben.connection, "tea").unwrap();
        rooms.leave(ann.connection.id(), "tea");
        assert_eq!(told.lock().unwrap().len(), 100);
        rooms.join(&ann.connection, "tea").unwrap();
        ben.task.abort();
        soon(ben.connection.closed()).await;
        assert_eq!(told.lock().unwrap().len(), 100);
        assert!(rooms.rooms_of(ben.connection.id()).is_empty());
    });
}

#[test]
fn a_runtime_that_is_dropped_has_all_departures_told() {
    let (rooms, told) = noted();
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.expect("a runtime");
    let guests = runtime.block_on(async {
        let guests = [Guest::new().await, Guest::new().await];
        for guest in &guests {
            rooms.join(&guest.connection, "tea").unwrap();
        }
        guests
    });
    drop(runtime);
    expect_told(&told, &["tea ended", "tea ended"]);
    assert!(rooms.names().is_empty());
    drop(guests);
}
